"""Text from outside is hostile: shown, it must not move a cursor, hide a name or break a line."""

from __future__ import annotations

from typing import Final

TEXT_CHARACTERS_MAX: Final = 240
PATH_CHARACTERS_MAX: Final = 1000


def escape(text: str, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """`text` with everything but printable characters written as `\\u{…}`, and cut to length.

    Control characters, ANSI escapes, line ends, bidirectional controls, zero-width characters
    and surrogates are not printable in the sense of Unicode, so all of them are written out.
    A backslash is doubled, so that what was escaped can be told from what looks like it.
    """
    return _shown(text, characters_max, "\\\\")


def plain(text: str, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """As `escape`, for prose that may have been escaped in part: a backslash stays as it is."""
    return _shown(text, characters_max, "\\")


def _shown(text: str, characters_max: int, backslash: str) -> str:
    cut = text[:characters_max]
    shown = "".join(
        backslash
        if character == "\\"
        else character
        if character.isprintable()
        else f"\\u{{{ord(character):x}}}"
        for character in cut
    )
    rest = len(text) - len(cut)
    return shown if not rest else f"{shown}… (+{rest} characters)"


def quote(text: str) -> str:
    """`text` escaped and in double quotes."""
    return '"' + escape(text).replace('"', '\\"') + '"'


def short_hex(data: bytes) -> str:
    """Enough of an id to tell it from the others of a file."""
    return data[:8].hex() + ("…" if len(data) > 8 else "")
