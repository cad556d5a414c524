"""Many drawn machines on every runner and beside the reference: `python -m parity_campaign`.

Each machine is run cooperatively, on one thread with the lanes of every round executed last first,
on 1, 2, 4 and 8 threads, and by the reference interpreter. All records must be the same to the
byte, and the reference must say the same events. It goes on from `--first` until `--machines` are
done or `--minutes` are over, and prints what it has tried.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace
from statistics import median
from typing import Final

from parity_samples import SEED, Backwards, CountedWorkers, drawn_member, execute, same
from reference_samples import setup_of
from troth.conformance.reference import run_both
from troth.vm.events import Faulted
from troth.vm.loader import load
from troth.vm.run_lanes import Workers
from troth.vm.shell_workers import ThreadWorkers

WORKERS: Final = (1, 2, 4, 8)
TOLD_EVERY: Final = 500


class Tally:
    """What was tried so far."""

    def __init__(self) -> None:
        self.machines = 0
        self.differences: list[str] = []
        self.lanes: list[int] = []
        self.happened: Counter[str] = Counter()

    def told(self, seconds: float) -> str:
        faults = sum(count for kind, count in self.happened.items() if "." in kind)
        return (
            f"seed {SEED}: {self.machines} machines, {(2 + len(WORKERS)) * self.machines} records "
            f"and {self.happened['events']} events compared in {seconds:.0f} s; "
            f"{faults} faults; lanes at most {median(self.lanes):.0f} in the median, "
            f"{max(self.lanes)} in the largest; {len(self.differences)} differences"
        )


def try_machine(number: int, pools: list[ThreadWorkers], tally: Tally) -> None:
    image, limits, quantum, policy = drawn_member(number)
    expected = execute(image, limits=limits, quantum=quantum, policy=policy)
    every: list[Workers] = [Backwards(), *pools]
    for workers in every:
        counted = CountedWorkers(workers)
        outcome = execute(image, counted, limits=limits, quantum=quantum, policy=policy)
        if not same(outcome, expected):
            tally.differences.append(f"machine {number}: {type(workers).__name__}")
    setup = replace(setup_of(image, limits), quantum=quantum, policy=policy.text)
    both = run_both(load(image), setup)
    if both.difference is not None:
        tally.differences.append(f"machine {number}: reference, {both.difference}")
    tally.machines += 1
    tally.lanes.append(counted.lanes_max)
    tally.happened["events"] += len(both.events)
    tally.happened.update(event.code for event in both.events if isinstance(event, Faulted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600)
    arguments = parser.parse_args()
    started = time.monotonic()
    pools = [ThreadWorkers(count) for count in WORKERS]
    tally = Tally()
    try:
        for number in range(arguments.first, arguments.first + arguments.machines):
            try_machine(number, pools, tally)
            seconds = time.monotonic() - started
            if tally.machines % TOLD_EVERY == 0:
                print(tally.told(seconds), flush=True)
            if seconds > 60 * arguments.minutes:
                break
    finally:
        for pool in pools:
            pool.close()
    print(tally.told(time.monotonic() - started))
    print("\n".join(tally.differences))
    sys.exit(bool(tally.differences))


if __name__ == "__main__":
    main()
