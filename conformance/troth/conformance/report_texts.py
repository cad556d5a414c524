"""Texts of a page, each kept once, escaped, and within a limit for all of them together."""

from __future__ import annotations

from typing import Final

from troth.conformance.report_model import TEXT_BYTES_MAX, TEXT_CHARACTERS_MAX
from troth.vm.escape import escape

LEFT_OUT: Final = "(left out: the page holds no more text)"


class Texts:
    """Gives each text a number; number 0 is the empty text."""

    def __init__(self, bytes_max: int = TEXT_BYTES_MAX) -> None:
        self.kept: list[str] = [""]
        self.is_full = False
        self._numbers: dict[str, int] = {"": 0}
        self._bytes_left = bytes_max
        self._left_out: int | None = None

    def number(self, text: str) -> int:
        """The number of a text as it comes from the file."""
        known = self._numbers.get(text)
        if known is not None:
            return known
        shown = escape(text, characters_max=TEXT_CHARACTERS_MAX)
        # The original is kept, too, as the key: both count.
        size = len(shown.encode()) + len(text)
        if size > self._bytes_left:
            return self._full()
        self._bytes_left -= size
        self._numbers[text] = len(self.kept)
        self.kept.append(shown)
        return len(self.kept) - 1

    def _full(self) -> int:
        self.is_full = True
        if self._left_out is None:
            self._left_out = len(self.kept)
            self.kept.append(LEFT_OUT)
        return self._left_out
