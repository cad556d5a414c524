"""The operators, and what values look like as text."""

from __future__ import annotations

import math
import operator as python
from collections.abc import Callable
from typing import Final

from troth.conformance.reference.world import Trap
from troth.vm.codec import encode
from troth.vm.errors import TrothError
from troth.vm.instructions import Op, Operator
from troth.vm.limits import Limits
from troth.vm.types import EndpointType, ListType, Primitive, RecordType, ValueType
from troth.vm.values import Blob, CoroutineHandle, Endpoint, Record, RegisterValue, Value

_INT_END: Final = 2**63


def size(value: RegisterValue) -> int:
    """Canonical bytes: those that there are."""
    return len(encode(value))


def has_type(value: RegisterValue, expected: ValueType) -> bool:
    match expected:
        case Primitive():
            return type(value) is _PYTHON[expected]
        case ListType(item=item):
            return type(value) is tuple and all(has_type(part, item) for part in value)
        case RecordType(fields=fields):
            return (
                isinstance(value, Record)
                and [name for name, _ in value.fields] == [field.name for field in fields]
                and all(
                    has_type(part, field.type)
                    for (_, part), field in zip(value.fields, fields, strict=True)
                )
            )
        case EndpointType():
            return False


_PYTHON: Final[dict[Primitive, type]] = {
    Primitive.UNIT: type(None),
    Primitive.BOOL: bool,
    Primitive.INT: int,
    Primitive.FLOAT: float,
    Primitive.STR: str,
    Primitive.BYTES: bytes,
    Primitive.BLOB: Blob,
}


def compute(instruction: Op, cells: list[RegisterValue], limits: Limits) -> Value:
    """What an operator gives; not of `print` and `fail`, which act.

    Raises:
        Trap: `type`, `arithmetic`, `index` or `limit`.
    """
    values: list[Value] = []
    for cell in cells:
        if isinstance(cell, Endpoint | CoroutineHandle):
            raise Trap("type")
        values.append(cell)
    result = _result(instruction, values)
    if instruction.operator in _GROWING:
        try:
            fits = size(result) <= limits.value_bytes_max
        except TrothError as error:
            raise Trap("limit") from error
        if not fits:
            raise Trap("limit")
    return result


_GROWING: Final = (Operator.ADD, Operator.STR, Operator.LIST, Operator.RECORD)


def _result(instruction: Op, values: list[Value]) -> Value:
    match instruction.operator, values:
        case Operator.LIST, _:
            return tuple(values)
        case Operator.RECORD, _:
            return Record(tuple(zip(instruction.names, values, strict=True)))
        case Operator.STR, [value]:
            return shown(value)
        case Operator.LEN, [str() | bytes() | tuple() as value]:
            return len(value)
        case Operator.LEN, [Blob(length=length)]:
            return length
        case Operator.FIELD, [Record(fields=fields)]:
            return dict(fields)[instruction.names[0]]
        case Operator.INDEX, [str() | bytes() | tuple() as items, place] if type(place) is int:
            if not 0 <= place < len(items):
                raise Trap("index")
            return items[place]
        case Operator.NOT, [bool() as value]:
            return not value
        case Operator.NEG, [value] if type(value) in (int, float):
            return _number(python.mul, value, -1)
        case Operator.EQ, [left, right]:
            return left == right
        case Operator.NE, [left, right]:
            return left != right
        case _, [left, right] if instruction.operator in _ORDER:
            return _compare(_ORDER[instruction.operator], left, right)
        case Operator.ADD, [str() as left, str() as right]:
            return left + right
        case Operator.ADD, [bytes() as left, bytes() as right]:
            return left + right
        case Operator.ADD, [tuple() as left, tuple() as right]:
            return left + right
        case _, [left, right] if instruction.operator in _NUMBERS:
            return _number(_NUMBERS[instruction.operator], left, right)
    raise Trap("type")


_ORDER: Final[dict[Operator, Callable[..., bool]]] = {
    Operator.LT: python.lt,
    Operator.LE: python.le,
    Operator.GT: python.gt,
    Operator.GE: python.ge,
}
_NUMBERS: Final[dict[Operator, Callable[..., int | float]]] = {
    Operator.ADD: python.add,
    Operator.SUB: python.sub,
    Operator.MUL: python.mul,
    Operator.DIV: python.truediv,
    Operator.FLOORDIV: python.floordiv,
    Operator.MOD: python.mod,
}


def _compare(compare: Callable[..., bool], left: Value, right: Value) -> bool:
    numbers = type(left) in (int, float) and type(right) in (int, float)
    if numbers or (type(left) is type(right) and type(left) in (str, bytes)):
        return compare(left, right)
    raise Trap("type")


def _number(apply: Callable[..., int | float], left: Value, right: Value) -> Value:
    if type(left) not in (int, float) or type(right) not in (int, float):
        raise Trap("type")
    try:
        result = apply(left, right)
    except ArithmeticError as error:
        raise Trap("arithmetic") from error
    if type(result) is int:
        if -_INT_END <= result < _INT_END:
            return result
    elif math.isfinite(result):
        # There is one zero.
        return 0.0 if result == 0 else result
    raise Trap("arithmetic")


# --- text ----------------------------------------------------------------------------------


def shown(value: Value) -> str:
    return value if isinstance(value, str) else _written(value)


def _written(value: Value) -> str:
    match value:
        case None:
            return "()"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return '"' + "".join(map(_character, value)) + '"'
        case bytes():
            return 'b"' + "".join(map(_byte, value)) + '"'
        case tuple():
            return "[" + ", ".join(map(_written, value)) + "]"
        case Record(fields=fields):
            return "{" + ", ".join(f"{name}: {_written(part)}" for name, part in fields) + "}"
        case Blob(length=length, digest=digest):
            return f"blob({length} bytes, {digest.hex()})"


_NAMED: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _character(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    return f"\\x{ord(character):02x}" if ord(character) in (*range(32), 127) else character


def _byte(byte: int) -> str:
    return _character(chr(byte)) if byte < 128 else f"\\x{byte:02x}"
