"""Literals: from the characters of a token to its value."""

from __future__ import annotations

import math
import re
from typing import Final

from lark import Token

from troth.dsl.ast import Span
from troth.dsl.parser_report import Reporter, quoted, token_span

DIGITS_MAX: Final = 100
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)")
_SINGLE: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
_KNOWN_STRING: Final = r"`\n \t \r \0 \a \b \f \v \\ \" \' \xHH \uHHHH \UHHHHHHHH`"
_KNOWN_BYTES: Final = r"`\n \t \r \0 \a \b \f \v \\ \" \' \xHH`"


def integer(token: Token, reporter: Reporter) -> int | None:
    """The value of an INT token; its range is checked where its type is."""
    if len(token) > DIGITS_MAX:
        _refuse_number(token, reporter, f"more than {DIGITS_MAX} digits")
        return None
    text = token.replace("_", "")
    prefix = text[:2].lower()
    if prefix in ("0x", "0o", "0b"):
        return int(text[2:], {"0x": 16, "0o": 8, "0b": 2}[prefix])
    if len(text) > 1 and text.startswith("0"):
        _refuse_number(token, reporter, "a leading zero", "remove the zeros in front")
        return None
    return int(text)


def floating(token: Token, reporter: Reporter) -> float | None:
    """The value of a FLOAT token; every float of the language is finite."""
    if len(token) > DIGITS_MAX:
        _refuse_number(token, reporter, f"more than {DIGITS_MAX} digits")
        return None
    value = float(token)
    if not math.isfinite(value):
        _refuse_number(token, reporter, "more than a 64-bit float can hold")
        return None
    return value


def _refuse_number(
    token: Token, reporter: Reporter, found: str, fix: str = "write a number in range"
) -> None:
    reporter.error(
        "parse.number",
        f"{quoted(token)} is not a number of the language",
        token_span(token),
        expected="a 64-bit integer without leading zeros, or a finite 64-bit float",
        found=found,
        fix=fix,
    )


def string(token: Token, reporter: Reporter) -> str | None:
    """The value of a STRING token, or None after reporting an escape it cannot have."""
    return _unescape(token, 1, reporter, known=_KNOWN_STRING, largest=0x10FFFF)


def byte_string(token: Token, reporter: Reporter) -> bytes | None:
    """The value of a BYTES token, or None after reporting what it cannot have."""
    for offset, character in enumerate(token):
        if not character.isascii():
            _refuse_escape(
                token, offset, 1, reporter, expected="ASCII characters and `\\xHH` in bytes"
            )
            return None
    text = _unescape(token, 2, reporter, known=_KNOWN_BYTES, largest=0xFF)
    return None if text is None else text.encode("latin-1")


def _unescape(
    token: Token, skip: int, reporter: Reporter, *, known: str, largest: int
) -> str | None:
    """The characters of `token` after its `skip` opening and before its closing character."""
    out: list[str] = []
    position, end = skip, len(token) - 1
    for match in _ESCAPE.finditer(token, skip, end):
        value = _escaped(match.group(1), largest)
        if value is None:
            _refuse_escape(token, match.start(), len(match.group()), reporter, expected=known)
            return None
        out.extend((token[position : match.start()], value))
        position = match.end()
    out.append(token[position:end])
    return "".join(out)


def _escaped(body: str, largest: int) -> str | None:
    if len(body) == 1:
        return _SINGLE.get(body)
    number = int(body[1:], 16)
    surrogate = 0xD800 <= number <= 0xDFFF
    if surrogate or number > largest or (largest == 0xFF and body[0] != "x"):
        return None
    return chr(number)


def _refuse_escape(
    token: Token, offset: int, width: int, reporter: Reporter, *, expected: str
) -> None:
    line, column = token.line or 1, (token.column or 1) + offset
    piece = token[offset : offset + width]
    reporter.error(
        "parse.escape",
        f"{quoted(piece)} cannot stand in this literal",
        Span(line, column, line, column + width),
        expected=expected,
        found=quoted(piece),
        fix="write `\\\\` for a backslash" if piece.startswith("\\") else "write it as `\\xHH`",
    )
