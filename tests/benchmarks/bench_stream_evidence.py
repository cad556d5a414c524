"""What the evidence of a session costs: recording and signing switched off, one after the other.

A whole session in one process, both parties with their machines and programs, at 20 Mbit/s and 60
frames a second over the emulated network. Compared is processor time a second of media, for a
party: a half of what the process takes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import io
import pstats
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, cast
from unittest import mock

from benchmarks.measure import describe_machine
from troth.streaming.media.interfaces import Picture
from troth.streaming.media.viewing import Outcome
from troth.streaming.netem import Conditions, Step
from troth.streaming.session.limits import HEIGHT_DEFAULT, WIDTH_DEFAULT
from troth.streaming.session.shell_end import Wanted
from troth.streaming.session.shell_local import LocalOptions, LocalResult, run_local
from troth.vm.machine import Machine
from troth.vm.substitutes import NO_SUBSTITUTES

KBPS: Final = 20_000
FRAMES_PER_SECOND: Final = 60
PARTIES: Final = 2
GOAL_PERCENT: Final = 5
GRACE_SECONDS: Final = 20
SIGNATURE: Final = bytes(64)

SIGNER: Final = "troth.vm.host_signer.HostSigner.sign"
LINE_VERIFIER: Final = "troth.vm.shell_line.verify"


def _unsigned(*_: object) -> bytes:
    return SIGNATURE


def _believed(*_: object) -> bool:
    return True


CREDULOUS: Final = NO_SUBSTITUTES._replace(
    verify=_believed, included=_believed, acceptable_key=_believed
)


class Evidence(Enum):
    """How much of it there is."""

    FULL = "recorded and signed"
    SIGNED = "signed, not recorded"
    NONE = "neither"


@dataclass(frozen=True, slots=True)
class Cost:
    """One session. `percent` is of a core, for one party."""

    percent: float
    frames: int
    megabits: float


class TooBusyError(Exception):
    """The machine has no time for a session in real time."""


def play(evidence: Evidence, seconds: float) -> Cost:
    """A session with that much evidence.

    Raises:
        TooBusyError: it did not end in its time, or has shown less than half of its frames.
    """
    with ExitStack() as stack:
        folder = None
        if evidence is Evidence.FULL:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if evidence is Evidence.NONE:
            stack.enter_context(mock.patch(SIGNER, _unsigned))
            stack.enter_context(mock.patch(LINE_VERIFIER, _believed))
            defaults = cast(dict[str, object], Machine.__init__.__kwdefaults__)
            stack.enter_context(mock.patch.dict(defaults, substitutes=CREDULOUS))
        picture = Picture(WIDTH_DEFAULT, HEIGHT_DEFAULT, FRAMES_PER_SECOND)
        wanted = Wanted(seconds=seconds, folder=folder, picture=picture, bitrate_kbps=KBPS)
        steps = (Step(0, Conditions(delay_ns=5_000_000)),)
        gc.collect()
        start = time.process_time()
        result = asyncio.run(_bounded(LocalOptions(wanted=wanted, steps=steps), seconds))
        taken = time.process_time() - start
    assert result.ok, "the session ends as it should"
    viewing = result.client.viewing
    shown = viewing.outcomes[Outcome.SHOWN]
    if shown < 0.5 * seconds * FRAMES_PER_SECOND:
        raise TooBusyError
    return Cost(100 * taken / seconds / PARTIES, shown, viewing.bytes * 8 / seconds / 1e6)


async def _bounded(options: LocalOptions, seconds: float) -> LocalResult:
    try:
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            return await run_local(options)
    except TimeoutError:
        raise TooBusyError from None


def measure(seconds: float, *, pairs: int) -> Iterator[str]:
    """A line for each step, of so many rounds in turns."""
    try:
        yield from _measure(seconds, pairs)
    except TooBusyError:
        yield "stream: what evidence costs is not measured, the machine is too busy for it"


def _measure(seconds: float, pairs: int) -> Iterator[str]:
    play(Evidence.FULL, min(1.0, seconds))
    found: dict[Evidence, list[Cost]] = {evidence: [] for evidence in Evidence}
    for number in range(pairs):
        order = list(Evidence)
        for evidence in order[number % len(order) :] + order[: number % len(order)]:
            found[evidence].append(play(evidence, seconds))
    for evidence, costs in found.items():
        shown = statistics.median(cost.frames for cost in costs) / seconds
        megabits = statistics.median(cost.megabits for cost in costs)
        percents = sorted(cost.percent for cost in costs)
        yield (
            f"stream, {evidence.value}: {statistics.median(percents):.2f} % of a core for a party "
            f"({percents[0]:.2f} to {percents[-1]:.2f}), {shown:.1f} frames/s, "
            f"{megabits:.1f} Mbit/s"
        )
    for name, more, less in (
        ("recording", Evidence.FULL, Evidence.SIGNED),
        ("signing", Evidence.SIGNED, Evidence.NONE),
        ("recording and signing", Evidence.FULL, Evidence.NONE),
    ):
        rounds = zip(found[more], found[less], strict=True)
        differences = sorted(one.percent - other.percent for one, other in rounds)
        yield (
            f"stream, {name}: {statistics.median(differences):.2f} % of a core "
            f"({differences[0]:.2f} to {differences[-1]:.2f}; goal {GOAL_PERCENT}, "
            f"{pairs} pairs)"
        )


def profile(seconds: float) -> str:
    """Where the time of a whole session goes."""
    profiler = cProfile.Profile()
    profiler.enable()
    play(Evidence.FULL, seconds)
    profiler.disable()
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).sort_stats("tottime").print_stats(60)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    print(describe_machine())
    if arguments.profile:
        print(profile(arguments.seconds))
        return
    for line in measure(arguments.seconds, pairs=arguments.pairs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
