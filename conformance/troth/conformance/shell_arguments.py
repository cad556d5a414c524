"""Numbers on the command line, with messages that say what is expected."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Final

from troth.vm.escape import plain

_SHOWN_CHARACTERS_MAX: Final = 40


def number(text: str) -> int:
    """A number of 0 or more."""
    return _at_least(0, text)


def positive(text: str) -> int:
    """A number of 1 or more."""
    return _at_least(1, text)


def _at_least(least: int, text: str) -> int:
    """
    Raises:
        ArgumentTypeError: the text is not such a number.
    """
    # Not int alone: it takes blanks, underscores, signs and the digits of all scripts.
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS_MAX or int(text) < least:
        shown = plain(text, characters_max=_SHOWN_CHARACTERS_MAX)
        raise ArgumentTypeError(f"expected a number of {least} or more, not {shown!r}")
    return int(text)


_DIGITS_MAX: Final = 1000
