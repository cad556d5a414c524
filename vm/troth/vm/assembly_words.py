"""The words of assembly text: names, strings, types and constants as they are written.

Whatever a name or a string holds, what is written here is printable, fits on one line, and is
read back as the same value. `assembly_parts` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from troth.vm.types import EndpointType, Field, ListType, Primitive, RecordType, ValueType
from troth.vm.values import Blob, Record, Value

FIRST_WORD: Final = "troth-assembly"
"""How a text begins, so that it can be told from a script."""

VERSION: Final = 1

_BARE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def write_name(name: str) -> str:
    """A name as it is, or in quotes when it is not made of ASCII letters, digits and `_`."""
    return name if _BARE.fullmatch(name) else write_text(name)


def write_text(text: str) -> str:
    return '"' + "".join([_character(character) for character in text]) + '"'


def _character(character: str) -> str:
    escaped = _ESCAPES.get(character)
    if escaped is not None:
        return escaped
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{{{number:x}}}"


def write_bytes(data: bytes) -> str:
    return 'b"' + "".join([_byte(byte) for byte in data]) + '"'


def _byte(byte: int) -> str:
    return _character(chr(byte)) if byte < 0x80 else f"\\x{byte:02x}"


def write_type(kind: ValueType) -> str:
    if isinstance(kind, Primitive):
        return kind.value
    if isinstance(kind, ListType):
        return f"list[{write_type(kind.item)}]"
    if isinstance(kind, RecordType):
        return "{" + ", ".join(map(_field, kind.fields)) + "}"
    assert isinstance(kind, EndpointType)
    return f"{write_name(kind.protocol)}.{write_name(kind.role)}"


def _field(field: Field) -> str:
    return f"{write_name(field.name)}: {write_type(field.type)}"


def write_fields(fields: Sequence[Field]) -> str:
    """Parameters of a program or an effect, or the fields of a message: `(n: int, s: str)`."""
    return "(" + ", ".join(map(_field, fields)) + ")"


def write_value(value: Value) -> str:
    """A constant: `()`, `true`, `12`, `1.5`, `"text"`, `b"bytes"`, `[…]`, `{n: 1}`, `blob(…)`."""
    if value is None:
        return "()"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return write_text(value)
    if isinstance(value, bytes):
        return write_bytes(value)
    if isinstance(value, Blob):
        return f'blob({value.length}, x"{value.digest.hex()}")'
    if isinstance(value, Record):
        pairs = [f"{write_name(name)}: {write_value(item)}" for name, item in value.fields]
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(map(write_value, value)) + "]"
