"""Many drawn machines on every runner and beside the reference: `python -m parity_campaign`.

Each machine is run cooperatively, on one thread with the lanes of every round executed last first,
on 1, 2, 4 and 8 threads, and by the reference interpreter. All records must be the same to the
byte, and the reference must say the same events. It goes on from `--first` until `--machines` are
done or `--minutes` are over, and prints what it has tried. With `--state FILE` it goes on where it
was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from parity_population import SEED, TOGETHER, Member, drawn_member
from parity_samples import Backwards, CountedPlan, Outcome, run, run_beside_reference
from troth.vm.events import Cancelled, Event, Faulted, Sent, Troubled
from troth.vm.shell_workers import ThreadWorkers

WORKERS: Final = (1, 2, 4, 8)
RECORDS: Final = 2 + len(WORKERS)
TOLD: Final = (
    *("Delegated", "Overwritten", "Dropped", "Rotated", "Acquired", "Faulted", "Cancelled"),
    *("cancelled by the host", "EndAsked", "Completed", "TimerStarted", "sent order", "sent leave"),
    *("rounds in one lane", "CRASH", "PARTITION", "HEAL", "CORRUPT", "TIMEOUT"),
)


class Tally:
    """What was tried so far."""

    def __init__(self) -> None:
        self.machines = 0
        self.differences: list[str] = []
        self.lanes: list[int] = []
        self.happened: Counter[str] = Counter()

    def add(self, other: Tally) -> None:
        self.machines += other.machines
        self.differences += other.differences
        self.lanes += other.lanes
        self.happened += other.happened

    def notice(self, events: Sequence[Event]) -> None:
        """Counts events by their kind, and some by what they say."""
        self.happened["events"] += len(events)
        for event in events:
            self.happened[type(event).__name__] += 1
            if isinstance(event, Faulted):
                self.happened[event.code] += 1
            elif isinstance(event, Troubled):
                self.happened[event.trouble.name] += 1
            elif isinstance(event, Sent):
                self.happened[f"sent {event.label}"] += 1
            elif isinstance(event, Cancelled) and not event.role:
                self.happened["cancelled by the host"] += 1

    def text(self) -> str:
        return json.dumps([self.machines, self.differences, self.lanes, self.happened])

    def told(self, seconds: float) -> str:
        counted = ", ".join(f"{kind} {self.happened[kind]}" for kind in TOLD)
        return (
            f"seed {SEED}: {self.machines} machines, {RECORDS * self.machines} records and "
            f"{self.happened['events']} events compared in {seconds:.0f} s; {counted}; "
            f"lanes at most {median(self.lanes or [0]):.0f} in the median, "
            f"{max(self.lanes, default=0)} in the largest; {len(self.differences)} differences"
        )


def read_tally(text: str) -> Tally:
    tally = Tally()
    tally.machines, tally.differences, tally.lanes, happened = json.loads(text)
    tally.happened = Counter(happened)
    return tally


@contextmanager
def worker_pools() -> Iterator[list[ThreadWorkers]]:
    pools = [ThreadWorkers(count) for count in WORKERS]
    try:
        yield pools
    finally:
        for pool in pools:
            pool.close()


def try_runners(member: Member, pools: Sequence[ThreadWorkers], tally: Tally) -> list[str]:
    """The runners that do not make the bytes of the cooperative one."""
    expected = run(member)
    plan = CountedPlan()
    outcomes: dict[str, Outcome] = {"backwards": run(member, Backwards(), plan=plan)}
    for pool in pools:
        outcomes[f"{pool.count} workers"] = run(member, pool)
    tally.lanes.append(plan.lanes_max)
    tally.happened["rounds in one lane"] += plan.whole
    return [name for name, outcome in outcomes.items() if outcome != expected]


def try_machine(number: int, pools: Sequence[ThreadWorkers], tally: Tally) -> None:
    member = drawn_member(number)
    tally.differences += [f"machine {number}: {name}" for name in try_runners(member, pools, tally)]
    both = run_beside_reference(member)
    if both.difference is not None:
        tally.differences.append(f"machine {number}: reference, {both.difference}")
    tally.machines += 1
    tally.notice(both.events)


def try_block(block: int) -> str:
    """All machines that are compiled together, as a tally's text."""
    tally = Tally()
    with worker_pools() as pools:
        for number in range(block * TOGETHER, (block + 1) * TOGETHER):
            try_machine(number, pools, tally)
    return tally.text()


class _State:
    """The blocks that are done, kept in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.done: dict[int, Tally] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                block, _, text = line.partition(" ")
                self.done[int(block)] = read_tally(text)

    def learn(self, block: int, text: str) -> None:
        self.done[block] = read_tally(text)
        if self.path is not None:
            with self.path.open("a") as stream:
                stream.write(f"{block} {text}\n")

    def sum(self, blocks: Sequence[int]) -> Tally:
        tally = Tally()
        for block in blocks:
            if block in self.done:
                tally.add(self.done[block])
        return tally


def _campaign(state: _State, blocks: Sequence[int], processes: int, ends: float) -> None:
    started = time.monotonic()
    missing = iter([block for block in blocks if block not in state.done])
    running: dict[Future[str], int] = {}
    with ProcessPoolExecutor(processes) as pool:
        while True:
            while len(running) < processes and time.monotonic() < ends:
                block = next(missing, None)
                if block is None:
                    break
                running[pool.submit(try_block, block)] = block
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                state.learn(running.pop(future), future.result())
                print(state.sum(blocks).told(time.monotonic() - started), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--state", type=Path)
    arguments = parser.parse_args()
    first = arguments.first // TOGETHER
    blocks = range(first, -(-(arguments.first + arguments.machines) // TOGETHER))
    state = _State(arguments.state)
    started = time.monotonic()
    _campaign(state, blocks, arguments.processes, started + 60 * arguments.minutes)
    tally = state.sum(blocks)
    print(tally.told(time.monotonic() - started))
    print("\n".join(tally.differences))
    sys.exit(bool(tally.differences))


if __name__ == "__main__":
    main()
