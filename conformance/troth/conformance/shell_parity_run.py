"""Runs an image under one setting of a parity check, here or in a process with a hash seed.

As a program it reads one line of JSON on standard input and answers with one on standard output;
both come from and go to its own parent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from troth.conformance.parity import BACKWARDS, Made, Setting
from troth.dsl import shell_load
from troth.vm.errors import TrothError, Unusable
from troth.vm.events import Event
from troth.vm.fragment import FragmentBuilder
from troth.vm.image import Image
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.shell_effects import load_effects_module
from troth.vm.shell_options import Runner, RunOptions, seed_from_number
from troth.vm.shell_run import Compared, Run

CHILD_SECONDS_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class Subject:
    """What is run: everything that is the same in all runs."""

    file: str
    keys: str
    seed: int = 1
    effects: str | None = None
    limits: dict[str, int] = field(default_factory=dict)


class PerturbedRounds:
    """Executes the lanes of some rounds last first, all others in order, on one thread.

    Only rounds with several lanes are told to it, and they are counted.
    """

    lanes = True

    def __init__(self, rounds: range | None = None) -> None:
        """`rounds` None for all."""
        self._rounds = rounds
        self.count = 0

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        self.count += 1
        backwards = self._rounds is None or self.count in self._rounds
        for job in reversed(jobs) if backwards else jobs:
            job()

    def share(self, count: int, work: Callable[[Iterator[int]], None]) -> None:
        """Whose signature is made first never shows."""
        work(iter(range(count)))


def execute(
    subject: Subject,
    setting: Setting,
    record: Path,
    *,
    image: Image | None = None,
    perturbed: PerturbedRounds | None = None,
) -> Made:
    """Runs and records; what stops the run is part of what it made.

    Raises:
        TrothError: the file, its effects or its keys cannot be used.
    """
    if setting.hash_seed is not None:
        return _in_child(subject, setting, record)
    if setting.workers == BACKWARDS and perturbed is None:
        perturbed = PerturbedRounds()
    threaded = setting.workers is not None and setting.workers != BACKWARDS
    options = RunOptions(
        effects=None if subject.effects is None else load_effects_module(Path(subject.effects)),
        effects_from=str(subject.effects or "this check, which has no --effects"),
        keys=subject.keys,
        record=record,
        seed=seed_from_number(subject.seed),
        limits=replace(DEFAULT_LIMITS, **subject.limits),
        quantum=setting.quantum,
        policy=setting.policy,
        runner=Runner.THREADED if threaded else Runner.COOPERATIVE,
        workers=setting.workers if threaded else None,
    )
    return _run(image or shell_load.load_image(subject.file), options, record, perturbed)


def _run(
    image: Image, options: RunOptions, record: Path, perturbed: PerturbedRounds | None
) -> Made:
    fragment = FragmentBuilder()
    printed: list[str] = []

    def take(events: list[Event]) -> None:
        for event in events:
            fragment.add(event)

    one = Run(image, options, printed.append, take, anchor_unix_ns=0, compared=Compared(perturbed))
    one.begin()
    ended = "failed"
    try:
        if one.to_the_end().ok:
            ended = "ok"
    except Unusable:
        raise
    except (TrothError, AssertionError) as error:
        # An assertion that fails is what a check of the runners has to find.
        ended = getattr(error, "code", "") or f"{type(error).__name__}: {error}"
    digest = blake3(record.read_bytes()).digest()
    return Made(digest, fragment.digest(), tuple(printed), ended, one.machine.rounds)


# --- in another process ----------------------------------------------------------------------


def _in_child(subject: Subject, setting: Setting, record: Path) -> Made:
    request = {
        "subject": asdict(subject),
        "setting": setting._replace(hash_seed=None)._asdict(),
        "record": str(record),
    }
    done = subprocess.run(
        [sys.executable, "-m", "troth.conformance.shell_parity_run"],
        input=json.dumps(request),
        env={**os.environ, "PYTHONHASHSEED": str(setting.hash_seed)},
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise Unusable(
            "parity.process",
            "a process of this check did not end well",
            expected="exit 0",
            actual=f"exit {done.returncode}: {done.stderr[-300:]}",
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return Made(
        bytes.fromhex(answer["record"]),
        bytes.fromhex(answer["fragment"]),
        tuple(answer["printed"]),
        answer["ended"],
        answer["rounds"],
    )


def main() -> int:
    """The other process."""
    request = json.loads(sys.stdin.readline())
    out = sys.stdout
    with redirect_stdout(sys.stderr):
        made = execute(
            Subject(**request["subject"]), Setting(**request["setting"]), Path(request["record"])
        )
    answer = {
        "record": made.record.hex(),
        "fragment": made.fragment.hex(),
        "printed": made.printed,
        "ended": made.ended,
        "rounds": made.rounds,
    }
    out.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
