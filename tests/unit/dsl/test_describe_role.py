"""`troth project` answers for local types of any size."""

from __future__ import annotations

from troth.dsl import compile_module

CHOICES = 24


def test_a_type_too_long_as_a_term_is_shown_as_states() -> None:
    """What follows a choice is shared by its branches: as a term it would double each time."""
    steps = []
    for number in range(CHOICES):
        steps += [
            "choice at A:",
            f"    A -> B: left{number}()",
            "or:",
            f"    A -> B: right{number}()",
        ]
    text = "protocol Long(A, B):\n" + "".join(f"    {line}\n" for line in steps)
    shown = compile_module(text, "long.troth").protocol("Long").describe("A")
    assert shown.startswith("Long.A\n")
    assert len(shown.split("\n")) == CHOICES + 2
