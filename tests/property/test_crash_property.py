"""Crashes at drawn moments of drawn protocols: each run ends in order or by a fault that is right.

`python -m crash_population` in `tests` runs many more, and prints what happened.
"""

from __future__ import annotations

import os

import pytest

from crash_population import NAMES, Tally, crash_text, try_member
from population import projected
from troth.vm.types import CRASH

MEMBERS = int(os.environ.get("TROTH_CRASH_MEMBERS", "14"))


def test_every_run_ends_and_both_verifiers_and_the_reference_agree() -> None:
    tally = Tally()
    for number in range(MEMBERS):
        try_member(number, tally, moments=4)
    print(f"{tally.members} members: {dict(tally.happened)}")
    assert not tally.problems, tally.problems[0]
    for what in ("departed, closed", "departed, faulted", "not provided for, faulted"):
        assert tally.happened[what] > 0, what
    assert tally.happened["went on without"] > 0
    assert tally.happened["undelivered"] > 0


@pytest.mark.parametrize("after", NAMES)
def test_every_construct_can_follow_a_crash(after: str) -> None:
    """And every one can come before the choice, and within it."""
    for other in NAMES:
        drawn = projected(crash_text(other, after, after, loops=True, greets=False), "P")
        moves = [move for state in drawn.types["A"].states for move in state.transitions]
        assert sum(move.label == CRASH for move in moves) == 1
