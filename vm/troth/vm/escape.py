"""Text from outside is hostile: shown, it must not move a cursor, hide a name or break a line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

TEXT_CHARACTERS_MAX: Final = 240
PATH_CHARACTERS_MAX: Final = 1000
MARKS_MAX: Final = 4
"""So many combining marks may follow each other; more would reach into the lines around."""

_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)
"""Characters that Unicode counts as printable, or may once do, and that show nothing."""

_MARKS: Final = ("Mn", "Me")


def escape(text: str, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """`text` with everything but printable characters written as `\\u{…}`, and cut to length.

    Control characters, ANSI escapes, line ends, bidirectional controls, zero-width characters
    and surrogates are not printable in the sense of Unicode, so all of them are written out.
    So are fillers, variation selectors and the like, which show nothing, and combining marks
    that follow more than `MARKS_MAX` others.
    A backslash is doubled, so that what was escaped can be told from what looks like it.
    """
    return _shown(text, characters_max, "\\\\")


def plain(text: str, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """As `escape`, for prose that may have been escaped in part: a backslash stays as it is."""
    return _shown(text, characters_max, "\\")


def _shown(text: str, characters_max: int, backslash: str) -> str:
    cut = text[:characters_max]
    if cut.isascii() and cut.isprintable():
        shown = cut.replace("\\", backslash)
    else:
        shown = "".join(_written(cut, backslash))
    rest = len(text) - len(cut)
    return shown if not rest else f"{shown}… (+{rest} characters)"


def _written(text: str, backslash: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        if character == "\\":
            yield backslash
        elif marks <= MARKS_MAX and _shows(character):
            yield character
        else:
            yield f"\\u{{{ord(character):x}}}"


def _shows(character: str) -> bool:
    return character.isprintable() and _INVISIBLE.match(character) is None


def is_plain(text: str) -> bool:
    """Whether every character of `text` can be seen, so that `plain` leaves it as it is."""
    return "".join(_written(text, "\\")) == text


def quote(text: str) -> str:
    """`text` escaped and in double quotes."""
    return '"' + escape(text).replace('"', '\\"') + '"'
