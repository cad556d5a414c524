"""A population of random protocols: their programs run to the end, wrong ones never do silently.

The numbers are printed (`pytest -s`, or `-rP`). With `TROTH_LONG=1` in the environment the
population has 5,000 members.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import pytest

import builders
from artifact_surgery import record_image
from population import Conversation, conversations
from population_mutants import code_mutants, text_mutants
from troth.conformance import verify
from troth.dsl.compile import ScriptErrors, compile_source
from troth.vm.errors import TrothError
from troth.vm.image import Image
from troth.vm.instructions import Seal
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Overrides
from troth.vm.report import Report
from troth.vm.shell_options import RunOptions, seed_from_number
from troth.vm.shell_run import run
from troth.vm.types import StateKind

LONG: Final = os.environ.get("TROTH_LONG") == "1"
MEMBERS: Final = 5_000 if LONG else 40
SEED: Final = 20240607
TEXT_MUTANTS: Final = 6
CODE_MUTANTS: Final = 4
RECORDED_EVERY: Final = 20
"""One member in so many is recorded and verified at all levels."""
ROUNDS_MAX: Final = 5_000
LIMITS: Final = replace(DEFAULT_LIMITS, rounds_max=ROUNDS_MAX)
"""Far more than any member needs: a run that does not end is found."""


def _population(salt: int) -> list[Conversation]:
    thrown_away: list[str] = []
    members = list(conversations(Random(SEED + salt), MEMBERS, thrown_away))
    print(f"seed {SEED + salt}: {len(members)} members; thrown away: {Counter(thrown_away)}")
    assert len(members) == MEMBERS
    assert len({member.protocol for member in members}) > 0.95 * MEMBERS
    return members


def _image(script: str) -> Image:
    return compile_source(script, "population.troth")


def _run(image: Image) -> Report:
    options = RunOptions(seed=seed_from_number(1), limits=LIMITS)
    return run(image, options=options, write_line=lambda _: None).report


def _features(member: Conversation) -> set[str]:
    text = member.protocol
    words = {"choice", "rec", "loop at", "continue", "do", "foreach", "-> *", "[*]"}
    found = {word for word in words if word in text}
    if any(
        state.kind is StateKind.RECV and len(state.transitions) > 1
        for local in member.types.values()
        for state in local.states
    ):
        found.add("branch")
    return found | {f"{len(member.types)} roles"}


@pytest.mark.slow
def test_every_member_runs_to_its_end(tmp_path: Path) -> None:
    features: Counter[str] = Counter()
    verified = 0
    for number, member in enumerate(_population(0)):
        features.update(_features(member))
        image = _image(member.script())
        report = _run(image)
        assert report.ok, f"{member.script()}\n{report.describe()}"
        assert report.fault_count == 0
        if number % RECORDED_EVERY == 0:
            folder = tmp_path / str(number)
            folder.mkdir()
            sample = record_image(image, folder)
            verdict = verify(io.BytesIO(sample.data), trust=sample.trust)
            assert verdict.exit_code == 0, f"{member.script()}\n{verdict.findings}"
            verified += 1
    print(f"{MEMBERS} ran to the end, {verified} of them recorded and verified")
    print(dict(sorted(features.items())))
    assert len(features) >= 11, "the population has everything in it"


@pytest.mark.slow
def test_no_mistake_in_a_program_is_accepted_silently() -> None:
    tried: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    rng = Random(SEED)
    for member in _population(1):
        for mutant in text_mutants(rng, member, TEXT_MUTANTS):
            script = member.script({mutant.role: mutant.lines})
            tried[mutant.kind] += 1
            try:
                image = _image(script)
            except ScriptErrors:
                refused[mutant.kind] += 1
                continue
            assert not mutant.is_wrong, f"{mutant.kind} was accepted\n{script}"
            # Another right program, by chance: it must be right.
            report = _run(image)
            assert report.ok, f"{mutant.kind} was accepted\n{script}\n{report.describe()}"
    print(f"{tried.total()} mutants, {refused.total()} refused, the others still right:")
    print({kind: f"{refused[kind]} of {count}" for kind, count in sorted(tried.items())})
    assert refused.total() > 0.8 * tried.total()


@pytest.mark.slow
def test_no_mistake_in_bytecode_is_accepted_silently() -> None:
    """The loader refuses it; a machine that is made to run it all the same does not end well."""
    tally: Counter[str] = Counter()
    rng = Random(SEED)
    for member in _population(2):
        image = _image(member.script())
        for mutant in code_mutants(rng, image, CODE_MUTANTS):
            tally["tried"] += 1
            try:
                load(mutant.image)
            except TrothError:
                tally["refused"] += 1
            else:
                assert mutant.kind == "nothing", f"the loader took another {mutant.kind}"
                tally["left out and still right"] += 1
                continue
            if _ends_well(mutant.image):
                assert _ends_well(mutant.marked), f"{mutant.kind}\n{member.script()}"
                tally["never reached"] += 1
            else:
                tally["did not end well"] += 1
    print(dict(tally))
    assert tally["did not end well"] > 0.5 * tally["tried"]


def _ends_well(image: Image) -> bool:
    machine = builders.make_machine(image, overrides=Overrides(seal=Seal.MESSAGE))
    builders.run(machine, rounds_max=ROUNDS_MAX)
    return machine.report().ok
