"""Numbers on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from troth.conformance.shell_arguments import number, positive


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("7", 7), ("0012", 12)])
def test_a_number(text: str, value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1_0", " 1", "1.0", "x", "\u0661", "9" * 5000, "\x1b[2J"]
)
def test_what_is_no_number_is_refused_in_words(text: str) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        number(text)
    said = str(caught.value)
    assert said.startswith("expected a number of 0 or more, not ")
    assert said.isprintable()
    assert len(said) < 120


def test_a_positive_number_is_no_zero() -> None:
    assert positive("1") == 1
    with pytest.raises(ArgumentTypeError, match="expected a number of 1 or more, not '0'"):
        positive("0")
