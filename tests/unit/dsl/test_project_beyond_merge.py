"""Protocols that full merge, as it is written in textbooks, refuses and that are sound.

Each is projected, and every interleaving of its local types over queues is tried.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from projection_oracle import CannotTellError, project_term
from protocol_helpers import check, sound
from protocol_semantics import explore, follow
from strategies_protocol import protocols
from troth.dsl.protocols import CheckedProtocol

EXAMPLES = {
    "learns in a later round which branch was taken": """
        protocol P(A, B, C):
            choice at A:
                A -> B: few()
                rec X:
                    B -> C: item()
                    C -> B: taken()
                    choice at B:
                        B -> C: more()
                        B -> A: more()
                        continue X
                    or:
                        B -> C: few()
                        B -> A: few()
            or:
                A -> B: many()
                B -> C: item()
                C -> B: taken()
                rec Y:
                    choice at B:
                        B -> C: more()
                        B -> A: more()
                        B -> C: item()
                        C -> B: taken()
                        continue Y
                    or:
                        B -> C: many()
                        B -> A: many()
    """,
    "one branch is unfolded once more than the other": """
        protocol P(A, B, C):
            choice at A:
                A -> B: left()
                B -> C: item()
                rec X:
                    B -> C: item()
                    choice at B:
                        B -> C: on()
                        B -> A: on()
                        B -> C: item()
                        continue X
                    or:
                        B -> C: off()
                        B -> A: off()
            or:
                A -> B: right()
                rec Y:
                    B -> C: item()
                    B -> C: item()
                    choice at B:
                        B -> C: on()
                        B -> A: on()
                        continue Y
                    or:
                        B -> C: off()
                        B -> A: off()
    """,
    "loops of two and of three steps": """
        protocol P(A, B, C):
            choice at A:
                A -> B: two()
                rec X:
                    B -> C: tick()
                    B -> C: tick()
                    continue X
            or:
                A -> B: three()
                rec Y:
                    B -> C: tick()
                    B -> C: tick()
                    B -> C: tick()
                    continue Y
    """,
    "a round that says nothing to a role": """
        protocol P(A, B, C):
            rec X:
                choice at A:
                    A -> B: again()
                    continue X
                or:
                    A -> B: ask()
                    B -> C: ask()
                    C -> B: answer()
                    B -> A: answer()
                    continue X
                or:
                    A -> B: enough()
                    B -> C: enough()
    """,
    "odd and even": """
        protocol P(A, B, C):
            choice at A:
                A -> B: odd()
                rec X:
                    B -> C: one()
                    choice at B:
                        B -> C: go()
                        B -> A: go()
                        B -> C: one()
                        B -> C: go()
                        continue X
                    or:
                        B -> C: odd()
                        B -> A: odd()
            or:
                A -> B: even()
                rec Y:
                    B -> C: one()
                    B -> C: go()
                    B -> C: one()
                    choice at B:
                        B -> C: go()
                        B -> A: go()
                        continue Y
                    or:
                        B -> C: even()
                        B -> A: even()
    """,
}


def _textbook_refuses(checked: CheckedProtocol) -> bool:
    try:
        for role in checked.roles:
            project_term(checked.global_type, role)
    except CannotTellError:
        return True
    return False


def _is_sound(checked: CheckedProtocol) -> str | None:
    types = dict(zip(checked.roles, checked.image.local_types, strict=True))
    return follow(checked.global_type, types) or explore(
        types, capacity=3, configurations_max=5_000
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_full_merge_refuses_what_is_projected_here(name: str) -> None:
    checked = sound(EXAMPLES[name])
    assert _textbook_refuses(checked)
    assert _is_sound(checked) is None


def test_how_much_more_is_projected() -> None:
    """The numbers are printed (`pytest -s`)."""
    tally: Counter[str] = Counter()

    @settings(
        max_examples=300,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(protocols())
    def draw(script: str) -> None:
        outcome = check(script)
        if outcome.codes:
            tally["refused"] += 1
            return
        checked = outcome.protocols.checked["P"]
        tally["only here" if _textbook_refuses(checked) else "by full merge, too"] += 1

    draw()
    print(dict(tally))
    assert tally["only here"] * 50 > tally["by full merge, too"]
