"""Reads the words of assembly text: names, strings, types and constants.

The inverse of `assembly_words`. What it gives is what an image may hold: everything that a
decoder of images would refuse is refused here, with its place in the text.
"""

from __future__ import annotations

import re
from typing import Final

from troth.vm.assembly_cursor import Cursor, Spot, Token, shorten
from troth.vm.assembly_words import write_text
from troth.vm.codec import find_flaw
from troth.vm.image_codec import ITEMS_MAX
from troth.vm.limits import IMAGE_BYTES_MAX, NAME_BYTES_MAX, NESTING_DEPTH_MAX
from troth.vm.types import (
    CRASH,
    EndpointType,
    Field,
    ListType,
    Primitive,
    RecordType,
    ValueType,
)
from troth.vm.value_types import TYPE_NODES_MAX, is_small
from troth.vm.values import INT_MAX, INT_MIN, Blob, Record, Value

_PRIMITIVES: Final = {kind.value: kind for kind in Primitive}

# --- strings -------------------------------------------------------------------------------

_PLAIN_ESCAPES: Final = {"\\": "\\", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE: Final = re.compile(
    r'\\(?:(?P<plain>[\\"nrt])|x(?P<byte>[0-9a-fA-F]{2})|u\{(?P<code>[0-9a-fA-F]{1,6})\}|(?P<bad>.))'
)


def read_text(cursor: Cursor, bytes_max: int = IMAGE_BYTES_MAX) -> str:
    """A string in quotes."""
    if cursor.kind is not Token.TEXT:
        cursor.refuse_token("text in double quotes")
    spot = cursor.spot
    text = _unescape(cursor, cursor.text[1:-1], 1)
    cursor.advance()
    size = len(text.encode())
    if size > bytes_max:
        expected = f"at most {bytes_max} bytes of text"
        cursor.refuse("assembly.text", expected=expected, actual=str(size), spot=spot)
    cursor.spend(size)
    return text


def _unescape(cursor: Cursor, body: str, prefix: int, largest: int = 0x10FFFF) -> str:
    """`prefix` is how many characters of the token stand before the body."""
    line, column = cursor.spot

    def replace(match: re.Match[str]) -> str:
        if match["plain"] is not None:
            return _PLAIN_ESCAPES[match["plain"]]
        number = int(match["byte"] or match["code"] or "110000", 16)
        if number > largest or 0xD800 <= number <= 0xDFFF:
            spot = Spot(line, column + prefix + match.start())
            cursor.refuse("assembly.escape", actual=shorten(match[0]), spot=spot)
        return chr(number)

    return _ESCAPE.sub(replace, body) if "\\" in body else body


def _read_bytes(cursor: Cursor) -> bytes:
    body = cursor.text[2:-1]
    if not body.isascii():
        cursor.refuse("assembly.escape", expected="ASCII characters and \\xHH", actual="others")
    data = _unescape(cursor, body, 2, 0xFF).encode("latin-1")
    cursor.advance()
    cursor.spend(len(data))
    return data


def read_word(cursor: Cursor, bytes_max: int) -> str:
    """A bare word, or any text in quotes."""
    if cursor.kind is Token.TEXT:
        return read_text(cursor, bytes_max)
    spot, word = cursor.spot, cursor.bare("a name")
    if len(word) > bytes_max:
        expected = f"at most {bytes_max} bytes"
        cursor.refuse("assembly.name", expected=expected, actual=str(len(word)), spot=spot)
    return word


def read_name(cursor: Cursor) -> str:
    """A name as images know them: short, printable, without blanks."""
    spot, name = cursor.spot, read_word(cursor, IMAGE_BYTES_MAX)
    if 0 < len(name.encode()) <= NAME_BYTES_MAX and name.isprintable() and " " not in name:
        return name
    return cursor.refuse("assembly.name", actual=shorten(name), spot=spot)


def read_label(cursor: Cursor) -> str:
    """What a message is called, or `CRASH` in quotes, which is no name."""
    if cursor.kind is Token.TEXT and cursor.text == write_text(CRASH):
        cursor.advance()
        return CRASH
    return read_name(cursor)


# --- types ---------------------------------------------------------------------------------


def read_type(cursor: Cursor) -> ValueType:
    spot = cursor.spot
    kind = _read_inner_type(cursor, NESTING_DEPTH_MAX)
    if not is_small(kind):
        expected = f"a type of at most {TYPE_NODES_MAX} parts"
        cursor.refuse("assembly.type", expected=expected, actual="more", spot=spot)
    return kind


def _read_inner_type(cursor: Cursor, depth_max: int) -> ValueType:
    spot, is_bare = cursor.spot, cursor.kind is Token.NAME
    name = "" if cursor.sees("{") else read_name(cursor)
    if is_bare and name in _PRIMITIVES and not cursor.sees("."):
        return _PRIMITIVES[name]
    if depth_max == 0:
        expected = f"at most {NESTING_DEPTH_MAX} levels of nesting"
        cursor.refuse("assembly.type", expected=expected, actual="more", spot=spot)
    if not name:
        return _read_record_type(cursor, depth_max - 1)
    if is_bare and name == "list" and cursor.takes("["):
        item = _read_inner_type(cursor, depth_max - 1)
        cursor.expect("]")
        return ListType(item)
    cursor.expect(".")
    return EndpointType(name, read_name(cursor))


def _read_record_type(cursor: Cursor, depth_max: int) -> RecordType:
    def read(at: Cursor) -> Field:
        name = read_name(at)
        at.expect(":")
        return Field(name, _read_inner_type(at, depth_max))

    spot = cursor.spot
    fields = sorted(cursor.list_of("{", "}", read, TYPE_NODES_MAX), key=lambda field: field.name)
    _refuse_repeated(cursor, [field.name for field in fields], "assembly.type", spot)
    return RecordType(tuple(fields))


def _refuse_repeated(cursor: Cursor, names: list[str], code: str, spot: Spot) -> None:
    """`names` are sorted."""
    for place in range(1, len(names)):
        if names[place] == names[place - 1]:
            actual = f"the field {shorten(names[place])} twice"
            cursor.refuse(code, expected="each field once", actual=actual, spot=spot)


def read_fields(cursor: Cursor) -> tuple[Field, ...]:
    """Parameters, or the fields of a message."""
    return cursor.list_of("(", ")", _read_field, ITEMS_MAX)


def _read_field(cursor: Cursor) -> Field:
    name = read_name(cursor)
    cursor.expect(":")
    return Field(name, read_type(cursor))


# --- constants -----------------------------------------------------------------------------


_FLOAT_CHARACTERS_MAX: Final = 400


def read_value(cursor: Cursor) -> Value:
    spot = cursor.spot
    value = _read_inner_value(cursor, NESTING_DEPTH_MAX)
    flaw = find_flaw(value)
    if flaw is not None:
        cursor.refuse("assembly.value", expected=flaw.expected, actual=flaw.actual, spot=spot)
    return value


def _read_inner_value(cursor: Cursor, depth_max: int) -> Value:
    if cursor.kind is Token.TEXT:
        return read_text(cursor)
    if cursor.kind is Token.BYTES:
        return _read_bytes(cursor)
    if cursor.kind is Token.NUMBER:
        return _read_number(cursor)
    if cursor.takes("("):
        cursor.expect(")")
        return None
    if cursor.sees("true") or cursor.sees("false"):
        return cursor.advance() == "true"
    if cursor.sees("blob"):
        return _read_blob(cursor)
    if not cursor.sees("[") and not cursor.sees("{"):
        cursor.refuse_token("a value")
    if depth_max == 0:
        expected = f"at most {NESTING_DEPTH_MAX} levels of nesting"
        cursor.refuse("assembly.value", expected=expected, actual="more")
    if cursor.sees("{"):
        return _read_record(cursor, depth_max - 1)

    def read(at: Cursor) -> Value:
        return _read_inner_value(at, depth_max - 1)

    return cursor.list_of("[", "]", read, IMAGE_BYTES_MAX)


def _read_number(cursor: Cursor) -> int | float:
    text = cursor.text
    if text.lstrip("-").isdigit():
        return cursor.integer(INT_MIN, INT_MAX)
    if len(text) > _FLOAT_CHARACTERS_MAX:
        expected = f"at most {_FLOAT_CHARACTERS_MAX} characters"
        cursor.refuse("assembly.number", expected=expected, actual=str(len(text)))
    cursor.advance()
    return float(text)


def _read_blob(cursor: Cursor) -> Blob:
    cursor.advance()
    cursor.expect("(")
    length = cursor.integer(0, INT_MAX)
    cursor.expect(",")
    if cursor.kind is not Token.HEX or len(cursor.text) % 2 == 0:
        cursor.refuse_token('a digest such as x"00…", with two hex digits a byte')
    digest = bytes.fromhex(cursor.advance()[2:-1])
    cursor.expect(")")
    return Blob(length, digest)


def _read_record(cursor: Cursor, depth_max: int) -> Record:
    def read(at: Cursor) -> tuple[str, Value]:
        name = read_word(at, IMAGE_BYTES_MAX)
        at.expect(":")
        return name, _read_inner_value(at, depth_max)

    spot = cursor.spot
    pairs = sorted(cursor.list_of("{", "}", read, IMAGE_BYTES_MAX), key=lambda pair: pair[0])
    _refuse_repeated(cursor, [name for name, _ in pairs], "assembly.value", spot)
    return Record(tuple(pairs))
