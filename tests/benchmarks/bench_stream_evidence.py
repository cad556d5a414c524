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
from troth.streaming.session.shell_local import LocalOptions, run_local
from troth.vm.machine import Machine
from troth.vm.substitutes import NO_SUBSTITUTES

KBPS: Final = 20_000
FRAMES_PER_SECOND: Final = 60
PARTIES: Final = 2
GOAL_PERCENT: Final = 5
SIGNATURE: Final = bytes(64)

SIGNER: Final = "troth.vm.host_signer.HostSigner.sign"
LINE_VERIFIER: Final = "troth.vm.shell_line.verify"
CREDULOUS: Final = NO_SUBSTITUTES._replace(
    verify=lambda *_: True, included=lambda *_: True, acceptable_key=lambda _: True
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


def play(evidence: Evidence, seconds: float) -> Cost:
    """A session with that much evidence."""
    with ExitStack() as stack:
        folder = None
        if evidence is Evidence.FULL:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if evidence is Evidence.NONE:
            stack.enter_context(mock.patch(SIGNER, lambda *_: SIGNATURE))
            stack.enter_context(mock.patch(LINE_VERIFIER, lambda *_: True))
            defaults = cast(dict[str, object], Machine.__init__.__kwdefaults__)
            stack.enter_context(mock.patch.dict(defaults, substitutes=CREDULOUS))
        picture = Picture(WIDTH_DEFAULT, HEIGHT_DEFAULT, FRAMES_PER_SECOND)
        wanted = Wanted(seconds=seconds, folder=folder, picture=picture, bitrate_kbps=KBPS)
        steps = (Step(0, Conditions(delay_ns=5_000_000)),)
        gc.collect()
        start = time.process_time()
        result = asyncio.run(run_local(LocalOptions(wanted=wanted, steps=steps)))
        taken = time.process_time() - start
    assert result.ok, "the session ends as it should"
    viewing = result.client.viewing
    shown = viewing.outcomes[Outcome.SHOWN]
    assert shown > 0.5 * seconds * FRAMES_PER_SECOND, "it streams"
    return Cost(100 * taken / seconds / PARTIES, shown, viewing.bytes * 8 / seconds / 1e6)


def measure(seconds: float, *, pairs: int) -> Iterator[str]:
    """A line for each step, of so many rounds in turns."""
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
        costs = zip(found[more], found[less], strict=True)
        differences = sorted(one.percent - other.percent for one, other in costs)
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
