"""The command `troth parity`: do all runners make the same of a script?"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any, Final

from troth.conformance import diff_render
from troth.conformance.codes import EXIT_INVALID, EXIT_VALID
from troth.conformance.parity import (
    BACKWARDS,
    Made,
    Parity,
    Part,
    Setting,
    compare,
    least_schedule,
    least_script,
)
from troth.conformance.run_diff import Comparison
from troth.conformance.shell_parity_run import PerturbedRounds, Subject, execute
from troth.conformance.shell_terminal import write
from troth.dsl import shell_load
from troth.dsl.compile import compile_source
from troth.dsl.shell_host_output import host_output_aside
from troth.vm.confluence import reasons_against
from troth.vm.errors import TrothError
from troth.vm.escape import PATH_CHARACTERS_MAX, escape, plain
from troth.vm.image import Image
from troth.vm.limits import Limits
from troth.vm.reader import ArtifactReader
from troth.vm.records import Kind
from troth.vm.scheduling import COOPERATIVE, ROUND_ROBIN, Priority
from troth.vm.shell_artifact import open_artifact
from troth.vm.shell_workers import WORKERS_MAX

Subparsers = Any  # argparse does not export the type of add_subparsers()

WORKERS: Final = (1, 2, 4, 8)
QUANTA: Final = (64, 1, 7)
PRIORITIES_MADE: Final = 6
_NUMBERS_MAX: Final = 16


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "parity", help="run a script on every runner and compare what they make of it"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what `troth run` takes")
    parser.add_argument("--effects", type=Path, metavar="MODULE.py", help="where effects are")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the seed of all runs")
    parser.add_argument(
        "--workers", type=_numbers, default=WORKERS, metavar="N,N", help="numbers of threads"
    )
    parser.add_argument(
        "--quanta", type=_numbers, default=QUANTA, metavar="N,N", help="instructions of a turn"
    )
    parser.add_argument(
        "--hash-seeds", type=int, default=2, metavar="N", help="how many hash seeds to try"
    )
    parser.add_argument(
        "--limit", type=_limit, action="append", default=[], metavar="NAME=N", help="as of `run`"
    )
    parser.set_defaults(run=parity_command)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("expected numbers with commas between them") from None
    if len(found) > _NUMBERS_MAX or not all(0 < number < 1 << 63 for number in found):
        raise argparse.ArgumentTypeError(f"expected at most {_NUMBERS_MAX} numbers from 1")
    return found


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in [field.name for field in fields(Limits)] or not number.isdecimal():
        raise argparse.ArgumentTypeError("expected NAME=N with the name of a limit")
    return name, int(number[:20])


def parity_command(arguments: argparse.Namespace) -> int:
    """0 when parity holds, 2 when it does not.

    Raises:
        TrothError: the script, its effects or the settings cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="troth-parity-") as folder:
        check = _Check(arguments, Path(folder))
        # What the host's functions print is not the result of this command.
        with host_output_aside():
            parity = check.compare()
            lines = [*_told(arguments.file, parity, check), *check.explain(parity)]
    write("\n".join(lines))
    return EXIT_VALID if parity.holds else EXIT_INVALID


class _Check:
    """One script and everything that is tried with it."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self._folder = folder
        self._path: Path = arguments.file
        self._image = shell_load.load_image(arguments.file)
        self._subject = Subject(
            file=str(arguments.file),
            keys=str(folder / "keys"),
            seed=arguments.seed,
            effects=None if arguments.effects is None else str(arguments.effects),
            limits=dict(arguments.limit),
        )
        self.reasons = reasons_against(self._image)
        self._schedules = [
            Setting(policy, quantum)
            for policy, quantum in product(_policies(self._image), arguments.quanta)
        ]
        counts = [min(count, WORKERS_MAX) for count in arguments.workers]
        self._runners = [Setting(workers=count) for count in (BACKWARDS, *counts)]
        seeds = range(1, max(0, min(arguments.hash_seeds, _NUMBERS_MAX)) + 1)
        self._once = [
            Setting(workers=workers, hash_seed=seed)
            for seed, workers in product(seeds, (None, counts[-1]))
        ]
        self._records: dict[Setting, Path] = {}
        self._bases: dict[str, bytes] = {}

    def compare(self) -> Parity:
        return compare(
            self._execute, self._schedules, self._runners, self._once, confluent=not self.reasons
        )

    def _execute(self, setting: Setting) -> Made:
        record = self._folder / f"{len(self._records)}.replay"
        self._records[setting] = record
        made = execute(self._subject, setting, record, image=self._image)
        # A record that is the same as its schedule's first is not looked at again.
        if self._bases.setdefault(setting.schedule, made.record) == made.record:
            base = setting._replace(workers=None, hash_seed=None)
            if setting != base:
                record.unlink()
        return made

    # --- a difference ------------------------------------------------------------------------

    def explain(self, parity: Parity) -> Iterator[str]:
        """Where the first difference is, and what is least of it."""
        if parity.holds:
            return
        part = parity.parted[0]
        yield ""
        yield f"first difference: {part.base.schedule}"
        yield f"  A {part.base.runner}"
        other = part.other
        changed = other.schedule if other.schedule != part.base.schedule else other.runner
        yield f"  B {changed}"
        yield from self._divergence(part)
        if part.base.schedule == part.other.schedule:
            yield from self._least_schedule(part.base)
        yield from self._least_script(part)

    def _divergence(self, part: Part) -> Iterator[str]:
        one, other = self._records[part.base], self._records[part.other]
        if not other.exists():
            yield "the records are the same; what was printed, or how the run ended, is not"
            return
        with open_artifact(one) as a, open_artifact(other) as b:
            report = Comparison(a, b).report("A", "B")
        if report.first is not None:
            yield diff_render.to_prose(report)
            return
        yield "every endpoint and coroutine does the same, in another order of events:"
        yield _first_apart(one, other)

    def _least_schedule(self, base: Setting) -> Iterator[str]:
        expected = execute(self._subject, base, self._folder / "base", image=self._image)
        every = PerturbedRounds()

        def parts(rounds: range, perturbed: PerturbedRounds | None = None) -> bool:
            made = execute(
                self._subject,
                base,
                self._folder / "least",
                image=self._image,
                perturbed=perturbed or PerturbedRounds(rounds),
            )
            return made.bytes_made != expected.bytes_made

        parts(range(0), every)
        least = least_schedule(parts, every.count) if every.count else None
        if least is None:
            yield "only threads show it: lanes that run last first, on one thread, do not"
            return
        alone = "it alone is enough" if least.alone else "those before it matter, too"
        yield (
            f"least schedule: round {least.round} of those with several lanes, executed last "
            f"first; {alone}"
        )

    def _least_script(self, part: Part) -> Iterator[str]:
        try:
            text = shell_load.read_script(self._path)
        except TrothError:
            return
        other = part.other._replace(hash_seed=None)
        if other == part.base:
            return
        if other.workers is not None:
            other = other._replace(workers=BACKWARDS)
        same_schedule = part.base.schedule == part.other.schedule

        def parts(script: str) -> bool:
            try:
                image = compile_source(script, str(self._path))
            except TrothError:
                return False
            one, two = (
                execute(self._subject, setting, self._folder / "less", image=image)
                for setting in (part.base, other)
            )
            if same_schedule:
                return one.bytes_made != two.bytes_made
            return one.fragment != two.fragment

        if "\nmain:\n" not in text or not parts(text):
            return
        yield "least script: what is left of its main"
        _, _, main = least_script(parts, text).rpartition("\nmain:\n")
        yield from (f"  {escape(line)}" for line in main.splitlines())


def _policies(image: Image) -> tuple[str, ...]:
    """Each policy; the priorities are made up, the later programs have the higher ones."""
    names = [p.name for p in image.programs if p.name.isidentifier() and len(p.name) < 32]
    ranked = {name: number for number, name in enumerate(names[-PRIORITIES_MADE:], 1)}
    return COOPERATIVE, ROUND_ROBIN, Priority(ranked, 2).text


def _told(path: Path, parity: Parity, check: _Check) -> Iterator[str]:
    runs = sum(1 + len(one.same) for one in parity.schedules) + len(parity.parted)
    status = "parity holds (exit 0)" if parity.holds else "parity does not hold (exit 2)"
    yield f"{plain(str(path), characters_max=PATH_CHARACTERS_MAX)}: {status}; {runs} runs"
    for number, one in enumerate(parity.schedules):
        ended = plain(one.made.ended, characters_max=80)
        yield f"{escape(one.base.schedule)}: {one.made.rounds} rounds, ended {ended}"
        yield f"  fragment {one.made.fragment.hex()}"
        yield f"  the same bytes on {len(one.same)} other runners"
        if number == 0:
            yield from (f"    {other.runner}" for other in one.same)
    for part in parity.parted:
        changed = part.other.schedule if part.other.schedule != part.base.schedule else ""
        yield f"  PARTED: {escape(changed or part.other.runner)} ({escape(part.base.schedule)})"
    if not check.reasons:
        yield "confluent: the fragment has to be the same under all policies and quanta"
    else:
        yield f"not known to be confluent: {parity.fragments} fragments, which is no difference"


def _first_apart(one: Path, other: Path) -> str:
    with open_artifact(one) as a, open_artifact(other) as b:
        for mine, theirs in zip(ArtifactReader(a), ArtifactReader(b), strict=False):
            if mine.data != theirs.data:
                kinds = (Kind(mine.items[0]).name, Kind(theirs.items[0]).name)
                return f"  record {mine.index}: A {kinds[0]}, B {kinds[1]}"
    return "  one of them goes on behind the end of the other"
