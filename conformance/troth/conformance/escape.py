"""Text out of an artifact is hostile: it must not move a cursor, hide a name or break a line."""

from __future__ import annotations

from typing import Final

TEXT_CHARACTERS_MAX: Final = 240


def escape(text: str, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """`text` with everything but printable characters written as `\\u{…}`, and cut to length.

    Control characters, ANSI escapes, line ends, bidirectional controls, zero-width characters
    and surrogates are not printable in the sense of Unicode, so all of them are written out.
    A backslash is doubled, so that what was escaped can be told from what looks like it.
    """
    cut = text[:characters_max]
    shown = "".join(_shown(character) for character in cut)
    rest = len(text) - len(cut)
    return shown if not rest else f"{shown}… (+{rest} characters)"


def _shown(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    return f"\\u{{{ord(character):x}}}"


def quote(text: str) -> str:
    """`text` escaped and in double quotes."""
    return '"' + escape(text).replace('"', '\\"') + '"'


def short_hex(data: bytes) -> str:
    """Enough of an id to tell it from the others of a file."""
    return data[:8].hex() + ("…" if len(data) > 8 else "")
