"""Walks over assembly text token by token, and refuses with line and column.

Tokens are made when they are asked for, so a hostile text costs no more memory than what is
read from it, and that is bounded by `Cursor.spend`: an image has only so many bytes.

A statement ends with its line; a line that begins with `|` continues the one before. Comments
run from `;` to the end of the line. Indentation is for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple, NoReturn, TypeVar

from troth.vm.assembly_codes import CODES
from troth.vm.errors import Place
from troth.vm.image_codec import ITEMS_MAX
from troth.vm.limits import IMAGE_BYTES_MAX

Item = TypeVar("Item")


class Token(StrEnum):
    NAME = "name"
    NUMBER = "number"
    TEXT = "text"
    BYTES = "bytes"
    HEX = "hex"
    SIGN = "sign"
    LINE_END = "line_end"


# Possessive throughout: no text makes the search go back.
_TOKEN: Final = re.compile(
    r"""
      (?P<bytes>b"(?:[^"\\\n]++|\\[^\n])*+")
    | (?P<hex>x"[0-9a-f]*+")
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*+)
    | (?P<number>-?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)
    | (?P<text>"(?:[^"\\\n]++|\\[^\n])*+")
    | (?P<sign>->|[][(){},:.!?=|#@-])
    """,
    re.VERBOSE,
)
_BLANKS: Final = re.compile(r"[ \t\r]*+(?:;[^\n]*+)?+")
_LINE_ENDS: Final = re.compile(r"(?:\n[ \t\r]*+(?:;[^\n]*+)?+)++")

_SHOWN_CHARACTERS_MAX: Final = 40
_NUMBER_CHARACTERS_MAX: Final = 40


class Spot(NamedTuple):
    """A place in the text; both count from 1."""

    line: int
    column: int


class Reference(NamedTuple):
    """Something called by its name, to be found when all names are known.

    `program` is the number of the program in which it stands, which matters to labels.
    """

    kind: str
    name: str
    program: int
    spot: Spot


class Cursor:
    """Stands before one token of the text.

    Attributes:
        kind, text: the token; a `LINE_END` has the text "".
        spot: where it begins.
        program: the number of the program that is being read.
        references: what `refer` was asked for.
    """

    def __init__(self, text: str, file: str, bytes_max: int = IMAGE_BYTES_MAX) -> None:
        self.program = -1
        self.references: list[Reference] = []
        self._source = text
        self._file = file
        self._budget = bytes_max
        self._offset = 0
        self._line = 1
        self._line_start = 0
        self._pass_blanks()
        self._pass_lines()
        self._read()

    # --- moving ------------------------------------------------------------------------------

    def advance(self) -> str:
        """Goes behind the token; returns its text."""
        text = self.text
        self._offset += len(text)
        self._pass_blanks()
        if self.kind is Token.LINE_END:
            self._pass_lines()
        self._read()
        return text

    @property
    def is_at_end(self) -> bool:
        return self._offset >= len(self._source)

    def _pass_blanks(self) -> None:
        found = _BLANKS.match(self._source, self._offset)
        assert found is not None
        self._offset = found.end()

    def _pass_lines(self) -> None:
        found = _LINE_ENDS.match(self._source, self._offset)
        if found is not None:
            self._line += self._source.count("\n", self._offset, found.end())
            self._line_start = self._source.rfind("\n", 0, found.end()) + 1
            self._offset = found.end()

    def _read(self) -> None:
        source, offset = self._source, self._offset
        if source.startswith("\n", offset):
            found = _LINE_ENDS.match(source, offset)
            assert found is not None
            if not source.startswith("|", found.end()):
                self.kind, self.text, self.spot = Token.LINE_END, "", self._spot()
                return
            self._pass_lines()
            offset = self._offset
        self.spot = self._spot()
        if offset >= len(source):
            self.kind, self.text = Token.LINE_END, ""
            return
        token = _TOKEN.match(source, offset)
        if token is None:
            self.refuse("assembly.character", actual=ascii(source[offset]))
        assert token.lastgroup is not None
        self.kind, self.text = Token(token.lastgroup), token.group()

    def _spot(self) -> Spot:
        return Spot(self._line, self._offset - self._line_start + 1)

    # --- asking ------------------------------------------------------------------------------

    def sees(self, text: str) -> bool:
        """Whether the token is this sign or bare word."""
        return self.text == text and self.kind in (Token.NAME, Token.SIGN)

    def takes(self, text: str) -> bool:
        """Goes behind the token when it is this sign or bare word."""
        if not self.sees(text):
            return False
        self.advance()
        return True

    def expect(self, text: str) -> None:
        if not self.takes(text):
            self.refuse_token(f"`{text}`")

    def end_line(self) -> None:
        if self.kind is not Token.LINE_END:
            self.refuse_token("the end of the line")
        self.advance()

    def bare(self, expected: str) -> str:
        """A word without quotes."""
        if self.kind is not Token.NAME:
            self.refuse_token(expected)
        return self.advance()

    def integer(self, smallest: int, largest: int) -> int:
        if self.kind is not Token.NUMBER or not self.text.lstrip("-").isdigit():
            self.refuse_token("an integer")
        spot, text = self.spot, self.advance()
        number = int(text) if len(text) <= _NUMBER_CHARACTERS_MAX else None
        if number is None or not smallest <= number <= largest:
            expected = f"an integer from {smallest} to {largest}"
            self.refuse("assembly.number", expected=expected, actual=shorten(text), spot=spot)
        return number

    def list_of(
        self, opening: str, closing: str, read: Callable[[Cursor], Item], count_max: int
    ) -> tuple[Item, ...]:
        """Items with commas between them, within two signs."""
        self.expect(opening)
        if self.takes(closing):
            return ()
        found = self.row_of(read, count_max)
        self.expect(closing)
        return found

    def row_of(self, read: Callable[[Cursor], Item], count_max: int) -> tuple[Item, ...]:
        """At least one item, with commas between them."""
        found = [self._item(read)]
        while self.takes(","):
            if len(found) == count_max:
                self.refuse("assembly.limit", expected=f"at most {count_max} items here")
            found.append(self._item(read))
        return tuple(found)

    def offers(self, read: Callable[[Cursor], Item]) -> tuple[Item, ...]:
        """Items with `|` between them, up to the end of the line; there may be none."""
        found: list[Item] = []
        while self.kind is not Token.LINE_END:
            if found:
                self.expect("|")
            if len(found) == ITEMS_MAX:
                self.refuse("assembly.limit", expected=f"at most {ITEMS_MAX} items here")
            found.append(self._item(read))
        return tuple(found)

    def _item(self, read: Callable[[Cursor], Item]) -> Item:
        self.spend(1)
        return read(self)

    # --- noting ------------------------------------------------------------------------------

    def spend(self, size_bytes: int) -> None:
        """Notes that what was read takes at least so many bytes of the image."""
        self._budget -= size_bytes
        if self._budget < 0:
            self.refuse("assembly.limit", expected=f"at most {IMAGE_BYTES_MAX} bytes of image")

    def refer(self, kind: str, name: str, spot: Spot) -> int:
        """A number that stands for what has this name: negative, so that it is nothing else."""
        self.references.append(Reference(kind, name, self.program, spot))
        return -len(self.references)

    # --- refusing ----------------------------------------------------------------------------

    def refuse_token(self, expected: str) -> NoReturn:
        actual = "the end of the line" if self.kind is Token.LINE_END else shorten(self.text)
        self.refuse("assembly.syntax", expected=expected, actual=actual)

    def refuse(
        self,
        code: str,
        *,
        expected: str | None = None,
        actual: str | None = None,
        spot: Spot | None = None,
    ) -> NoReturn:
        """Raises the error of the code, at `spot` or else at the token."""
        refuse_at(self._file, spot or self.spot, code, expected, actual)


def refuse_at(
    file: str, spot: Spot, code: str, expected: str | None = None, actual: str | None = None
) -> NoReturn:
    """Raises the error that belongs to the code."""
    row = CODES[code]
    raise row.error(
        code,
        row.message,
        place=Place(file=file, line=spot.line, column=spot.column),
        expected=expected,
        actual=actual,
        advice=row.advice,
    )


def shorten(text: str) -> str:
    """Part of the text, fit to be shown."""
    more = "…" if len(text) > _SHOWN_CHARACTERS_MAX else ""
    return ascii(text[:_SHOWN_CHARACTERS_MAX]) + more
