"""What can be asked of any value: does it have a type, how big is it, how is it shown."""

from __future__ import annotations

from typing import Final

from troth.vm.types import EndpointType, ListType, Primitive, ValueType
from troth.vm.values import Blob, CoroutineHandle, Endpoint, Record, RegisterValue

PRIMITIVE_OF: Final[dict[type, Primitive]] = {
    type(None): Primitive.UNIT,
    int: Primitive.INT,
    float: Primitive.FLOAT,
    bool: Primitive.BOOL,
    str: Primitive.STR,
    bytes: Primitive.BYTES,
    Blob: Primitive.BLOB,
}
"""The type of every value that is not a list or a record, by its exact Python type."""

_KIND_NAME: Final[dict[type, str]] = {
    type(None): "unit",
    int: "an int",
    float: "a float",
    bool: "a bool",
    str: "a str",
    bytes: "bytes",
    tuple: "a list",
    Record: "a record",
    Blob: "a blob",
    Endpoint: "an endpoint",
    CoroutineHandle: "a coroutine handle",
}


def kind_name(value: object) -> str:
    """What `value` is, in words, without its content: `a str`, `an endpoint`."""
    return _KIND_NAME.get(type(value), f"a {type(value).__name__}")


def type_matches(value: object, expected: ValueType) -> bool:
    """Whether `value` has exactly the type. An endpoint's protocol cannot be seen in it."""
    if isinstance(expected, Primitive):
        return PRIMITIVE_OF.get(type(value)) is expected
    if isinstance(expected, ListType):
        item_type = expected.item
        if type(value) is not tuple:
            return False
        for item in value:  # noqa: SIM110  # twice as fast as all(...) over a generator
            if not type_matches(item, item_type):
                return False
        return True
    if isinstance(expected, EndpointType):
        return isinstance(value, Endpoint) and value.role == expected.role
    if not isinstance(value, Record) or len(value.fields) != len(expected.fields):
        return False
    for (name, item), field in zip(value.fields, expected.fields, strict=True):
        type_ = field.type
        if name != field.name:
            return False
        # Most fields are primitive: these are not worth a call.
        if PRIMITIVE_OF.get(type(item)) is not type_ and not type_matches(item, type_):
            return False
    return True


# --- size ----------------------------------------------------------------------------------


def size_of(value: RegisterValue, stop_after: int | None = None) -> int:
    """The number of canonical bytes of a value.

    With `stop_after` counting ends as soon as the number is greater, and the result is then
    some number greater than `stop_after`: so a value that shares its parts costs no more.
    """
    kind = type(value)
    if isinstance(value, bool) or value is None:
        return 1
    if isinstance(value, int):
        return _int_size(value)
    if kind is float:
        return 9
    if isinstance(value, str):
        return text_size(len(value) if value.isascii() else len(value.encode()))
    if isinstance(value, bytes):
        return bytes_size(len(value))
    if isinstance(value, tuple):
        return _items_size(value, stop_after)
    if isinstance(value, Record):
        return _fields_size(value, stop_after)
    if isinstance(value, Blob):
        # Extension: array head, length, 32-byte digest with its 2-byte head.
        return _extension_size(1 + _int_size(value.length) + 2 + 32)
    if isinstance(value, Endpoint):
        role = len(value.role.encode())
        return _extension_size(1 + bytes_size(len(value.session)) + text_size(role))
    return 0


def _int_size(value: int) -> int:
    if -32 <= value <= 127:
        return 1
    for limit, size in ((8, 2), (16, 3), (32, 5)):
        if -(1 << (limit - 1)) <= value < (1 << limit):
            return size
    return 9


def text_size(length: int) -> int:
    """Canonical bytes of a string that has `length` bytes of UTF-8."""
    if length <= 31:
        return length + 1
    return bytes_size(length)


def bytes_size(length: int) -> int:
    """Canonical bytes of a byte string."""
    return length + (2 if length <= 0xFF else 3 if length <= 0xFFFF else 5)


def container_size(count: int) -> int:
    """Canonical bytes of the head of a list or record with `count` items."""
    return 1 if count <= 15 else 3 if count <= 0xFFFF else 5


def _extension_size(length: int) -> int:
    if length in (1, 2, 4, 8, 16):
        return length + 2
    return length + (3 if length <= 0xFF else 4 if length <= 0xFFFF else 6)


def _items_size(items: tuple[RegisterValue, ...], stop_after: int | None) -> int:
    total = container_size(len(items))
    for item in items:
        if stop_after is not None and total > stop_after:
            break
        total += size_of(item, None if stop_after is None else stop_after - total)
    return total


def _fields_size(record: Record, stop_after: int | None) -> int:
    total = container_size(len(record.fields))
    for name, item in record.fields:
        if stop_after is not None and total > stop_after:
            break
        total += text_size(len(name.encode()))
        total += size_of(item, None if stop_after is None else stop_after - total)
    return total


# --- showing -------------------------------------------------------------------------------


def show(value: RegisterValue) -> str:
    """What `print` and `str()` show: a str is itself, everything else is written out."""
    if isinstance(value, str):
        return value
    return _show_inner(value)


def _show_inner(value: RegisterValue) -> str:
    if value is None:
        return "()"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return '"' + "".join(_show_character(character) for character in value) + '"'
    if isinstance(value, bytes):
        return 'b"' + "".join(_show_byte(byte) for byte in value) + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_show_inner(item) for item in value) + "]"
    if isinstance(value, Record):
        fields = (f"{name}: {_show_inner(item)}" for name, item in value.fields)
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, Blob):
        return f"blob({value.length} bytes, {value.digest.hex()})"
    if isinstance(value, Endpoint):
        return f"endpoint({value.role} of {value.session.hex()})"
    return f"coroutine({value.id.hex()})"


_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _show_character(character: str) -> str:
    escaped = _ESCAPES.get(character)
    if escaped is not None:
        return escaped
    if character < " " or character == "\x7f":
        return f"\\x{ord(character):02x}"
    return character


def _show_byte(byte: int) -> str:
    if byte < 0x80:
        return _show_character(chr(byte))
    return f"\\x{byte:02x}"
