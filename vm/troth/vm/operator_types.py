"""Which types every operator takes, and what it gives: one rule each, in one table."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final, TypeAlias

from troth.vm.instructions import Operator
from troth.vm.types import Field, ListType, Primitive, RecordType, ValueType
from troth.vm.value_types import EMPTY_LIST, NOTHING, has_endpoint, is_small, join

Types: TypeAlias = tuple[ValueType, ...]
Rule: TypeAlias = Callable[[Types, tuple[str, ...]], ValueType | None]

_NUMBERS: Final = (Primitive.INT, Primitive.FLOAT)
_SIZED: Final = (Primitive.STR, Primitive.BYTES, Primitive.BLOB)
_ORDERED: Final = (*_NUMBERS, Primitive.STR, Primitive.BYTES)


def result_type(
    operator: Operator, argument_types: Types, names: tuple[str, ...] = ()
) -> ValueType | None:
    """The type of the operator's result, or None when it does not take these arguments.

    `LIST` without arguments gives `EMPTY_LIST`, which every list type accepts. `RECORD` wants
    its names in ascending order. `PRINT` and `FAIL` give unit.
    """
    rule = _RULES.get((operator, len(argument_types)))
    if rule is None:
        rule = _ANY_NUMBER.get(operator)
    if rule is None or (names and operator not in (Operator.RECORD, Operator.FIELD)):
        return None
    return rule(argument_types, names)


def _arithmetic(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    left, right = types
    if left not in _NUMBERS or right not in _NUMBERS:
        return None
    return Primitive.INT if left is right is Primitive.INT else Primitive.FLOAT


def _add(types: Types, names: tuple[str, ...]) -> ValueType | None:
    left, right = types
    if isinstance(left, ListType) and isinstance(right, ListType):
        return join(left, right)
    if left is right and left in (Primitive.STR, Primitive.BYTES):
        return left
    return _arithmetic(types, names)


def _divide(types: Types, names: tuple[str, ...]) -> ValueType | None:
    return None if _arithmetic(types, names) is None else Primitive.FLOAT


def _negate(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    return types[0] if types[0] in _NUMBERS else None


def _equal(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    left, right = types
    if left in _NUMBERS and right in _NUMBERS:
        return Primitive.BOOL
    if not (_is_value(left) and _is_value(right)) or join(left, right) is None:
        return None
    return Primitive.BOOL


def _ordered(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    left, right = types
    if left in _NUMBERS and right in _NUMBERS:
        return Primitive.BOOL
    return Primitive.BOOL if left is right and left in _ORDERED else None


def _not(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    return Primitive.BOOL if types[0] is Primitive.BOOL else None


def _text(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    return Primitive.STR if _is_value(types[0]) else None


def _length(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    sized = isinstance(types[0], ListType) or types[0] in _SIZED
    return Primitive.INT if sized else None


def _list(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    item: ValueType | None = types[0] if types else NOTHING
    for kind in types[1:]:
        item = None if item is None else join(item, kind)
    if item is None or (types and not _is_value(item)):
        return None
    return _bounded(ListType(item)) if types else EMPTY_LIST


def _index(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    collection, place = types
    if place is not Primitive.INT:
        return None
    if isinstance(collection, ListType):
        return None if collection.item == NOTHING else collection.item
    if collection is Primitive.STR:
        return Primitive.STR
    return Primitive.INT if collection is Primitive.BYTES else None


def _record(types: Types, names: tuple[str, ...]) -> ValueType | None:
    if len(types) != len(names) or not all(_is_value(kind) for kind in types):
        return None
    if any(second <= first for first, second in pairwise(names)):
        return None
    fields = (Field(name, kind) for name, kind in zip(names, types, strict=True))
    return _bounded(RecordType(tuple(fields)))


def _field(types: Types, names: tuple[str, ...]) -> ValueType | None:
    record = types[0]
    if not isinstance(record, RecordType) or len(names) != 1:
        return None
    return next((field.type for field in record.fields if field.name == names[0]), None)


def _print(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    return Primitive.UNIT if _is_value(types[0]) else None


def _fail(types: Types, _names: tuple[str, ...]) -> ValueType | None:
    return Primitive.UNIT if types[0] is Primitive.STR else None


def _is_value(kind: ValueType) -> bool:
    """Whether values have the type; the empty list is one, an endpoint is none."""
    if isinstance(kind, ListType) and kind.item == NOTHING:
        return True
    if isinstance(kind, ListType):
        return _is_value(kind.item)
    if isinstance(kind, RecordType):
        return all(_is_value(field.type) for field in kind.fields)
    return not has_endpoint(kind)


def _bounded(kind: ValueType) -> ValueType | None:
    return kind if is_small(kind) else None


_RULES: Final[dict[tuple[Operator, int], Rule]] = {
    (Operator.ADD, 2): _add,
    (Operator.SUB, 2): _arithmetic,
    (Operator.MUL, 2): _arithmetic,
    (Operator.DIV, 2): _divide,
    (Operator.FLOORDIV, 2): _arithmetic,
    (Operator.MOD, 2): _arithmetic,
    (Operator.NEG, 1): _negate,
    (Operator.EQ, 2): _equal,
    (Operator.NE, 2): _equal,
    (Operator.LT, 2): _ordered,
    (Operator.LE, 2): _ordered,
    (Operator.GT, 2): _ordered,
    (Operator.GE, 2): _ordered,
    (Operator.NOT, 1): _not,
    (Operator.STR, 1): _text,
    (Operator.LEN, 1): _length,
    (Operator.INDEX, 2): _index,
    (Operator.FIELD, 1): _field,
    (Operator.PRINT, 1): _print,
    (Operator.FAIL, 1): _fail,
}

_ANY_NUMBER: Final[dict[Operator, Rule]] = {Operator.LIST: _list, Operator.RECORD: _record}
