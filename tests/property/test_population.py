"""A population of random protocols: their programs run to the end, wrong ones never do silently.

The numbers are printed (`pytest -s`, or `-rP`). `python -m population_campaign` in `tests` takes
thousands.
"""

from __future__ import annotations

from random import Random
from typing import Final

import pytest

from population_campaign import (
    CODE_MUTANTS,
    SEED,
    TEXT_MUTANTS,
    WORDS,
    Tally,
    features,
    image_of,
    member,
    run_member,
    spread_member,
    try_code,
    try_text,
    verify_member,
)

MEMBERS: Final = range(60)
MUTATED: Final = range(100, 140)


def _told(tally: Tally) -> None:
    print(*tally.lines(), sep="\n")
    assert not tally.problems, tally.problems[0]


@pytest.mark.slow
def test_every_member_runs_to_its_end() -> None:
    tally = Tally()
    texts = set()
    for number in MEMBERS:
        thrown_away: list[str] = []
        drawn = member(number, thrown_away)
        tally.members += 1
        tally.thrown_away.update(thrown_away)
        tally.features.update(features(drawn))
        texts.add(drawn.protocol)
        image = run_member(drawn.script(), tally)
        if number % 5 == 0:
            verify_member(image, number // 5, tally)
            spread_member(drawn, image, number, tally)
    _told(tally)
    assert len(texts) > 0.95 * len(MEMBERS)
    assert set(WORDS) <= set(tally.features), "the population has everything in it"
    assert tally.spread > len(MEMBERS) // 10
    assert all(tally.happened.values()), "clocks run out, and messages are lost"


@pytest.mark.parametrize("number", [3340, 7032])
def test_members_that_once_showed_something(number: int) -> None:
    """A buffer that was full of what may be lost; a bundle that closes around what waits in it."""
    tally = Tally()
    drawn = member(number, [])
    spread_member(drawn, run_member(drawn.script(), tally), number, tally)
    assert (tally.spread, tally.problems) == (1, [])


@pytest.mark.slow
def test_no_mistake_in_a_program_is_accepted_silently() -> None:
    tally = Tally()
    for number in MUTATED:
        try_text(Random(SEED + number), member(number, []), TEXT_MUTANTS, tally)
    _told(tally)
    assert tally.text_tried.total() == TEXT_MUTANTS * len(MUTATED)
    assert tally.text_refused.total() > 0.8 * tally.text_tried.total()


@pytest.mark.slow
def test_no_mistake_in_bytecode_is_accepted_silently() -> None:
    """The loader refuses it; a machine that is made to run it all the same does not end well."""
    tally = Tally()
    for number in MUTATED:
        image = image_of(member(number, []).script())
        try_code(Random(SEED + number), image, CODE_MUTANTS, tally)
    _told(tally)
    assert tally.code["did not end well"] > 0.5 * tally.code["tried"]


@pytest.mark.parametrize(
    ("before", "instead"),
    [
        ("    send s.", '    fail "no"\n    send s.'),
        ("    spawn run1(s1, 1)", '    cancel s1 "no"'),
    ],
)
def test_a_member_that_ends_badly_is_found(before: str, instead: str) -> None:
    """A fault, and a session that is cancelled."""
    script = member(0, []).script()
    assert before in script
    tally = Tally()
    run_member(script.replace(before, instead, 1), tally)
    assert len(tally.problems) == 1
