"""How value types relate: which takes which, what two have in common, what a constant has.

Types are compared by equality, with one exception. The empty list is a list of every type, so
`LIST` without arguments has the type `EMPTY_LIST`: a list of nothing. It is taken wherever a
list is expected, and gives way to the other type where two paths join. It never stands in an
image: no source form names it, and the loader refuses its item type.
"""

from __future__ import annotations

from typing import Final

from troth.vm.limits import NESTING_DEPTH_MAX
from troth.vm.types import EndpointType, Field, ListType, RecordType, ValueType
from troth.vm.value_ops import PRIMITIVE_OF
from troth.vm.values import Record, Value

NOTHING: Final = EndpointType("", "")
"""The item type of the empty list. No value has it: an endpoint is never part of a value."""

TYPE_NODES_MAX: Final = 1_024
"""Parts of one type. Programs can build types out of types; comparing them has to stay cheap."""

EMPTY_LIST: Final = ListType(NOTHING)


def accepts(expected: ValueType, actual: ValueType) -> bool:
    """Whether a value of type `actual` can stand where one of type `expected` is wanted."""
    if expected is actual:
        return True
    if isinstance(expected, ListType):
        if not isinstance(actual, ListType):
            return False
        return actual.item == NOTHING or accepts(expected.item, actual.item)
    if isinstance(expected, RecordType):
        return (
            isinstance(actual, RecordType)
            and len(expected.fields) == len(actual.fields)
            and all(
                wanted.name == given.name and accepts(wanted.type, given.type)
                for wanted, given in zip(expected.fields, actual.fields, strict=True)
            )
        )
    return expected == actual


def join(left: ValueType, right: ValueType) -> ValueType | None:
    """The one type that takes values of both, or None."""
    if accepts(left, right):
        return left
    if accepts(right, left):
        return right
    if isinstance(left, ListType) and isinstance(right, ListType):
        item = join(left.item, right.item)
        return None if item is None else ListType(item)
    if not isinstance(left, RecordType) or not isinstance(right, RecordType):
        return None
    if len(left.fields) != len(right.fields):
        return None
    fields: list[Field] = []
    for one, other in zip(left.fields, right.fields, strict=True):
        common = join(one.type, other.type) if one.name == other.name else None
        if common is None:
            return None
        fields.append(Field(one.name, common))
    return RecordType(tuple(fields))


def type_of(value: Value) -> ValueType | None:
    """The type of a value, or None for a list whose items have no type in common."""
    if isinstance(value, Record):
        fields: list[Field] = []
        for name, item in value.fields:
            kind = type_of(item)
            if kind is None:
                return None
            fields.append(Field(name, kind))
        return RecordType(tuple(fields))
    if not isinstance(value, tuple):
        return PRIMITIVE_OF[type(value)]
    common: ValueType = NOTHING
    for item in value:
        kind = type_of(item)
        joined = kind if common == NOTHING or kind is None else join(common, kind)
        if joined is None:
            return None
        common = joined
    return ListType(common)


def type_depth(kind: ValueType) -> int:
    """How many lists and records are nested in values of the type."""
    if isinstance(kind, ListType):
        return 1 + type_depth(kind.item)
    if isinstance(kind, RecordType):
        return 1 + max((type_depth(field.type) for field in kind.fields), default=0)
    return 0


def is_small(kind: ValueType) -> bool:
    """Whether a type is nested no deeper and has no more parts than types may."""
    return _nodes(kind, NESTING_DEPTH_MAX, TYPE_NODES_MAX) <= TYPE_NODES_MAX


def _nodes(kind: ValueType, depth_max: int, nodes_max: int) -> int:
    """The parts of a type, or some number above `nodes_max` when a bound is passed."""
    if isinstance(kind, ListType):
        inner: tuple[ValueType, ...] = (kind.item,)
    elif isinstance(kind, RecordType):
        inner = tuple([field.type for field in kind.fields])
    else:
        return 1
    if depth_max == 0:
        return nodes_max + 1
    total = 1
    for part in inner:
        total += _nodes(part, depth_max - 1, nodes_max - total)
        if total > nodes_max:
            break
    return total


def has_endpoint(kind: ValueType) -> bool:
    """Whether an endpoint is, or is part of, what the type describes. A list of nothing counts."""
    if isinstance(kind, ListType):
        return has_endpoint(kind.item)
    if isinstance(kind, RecordType):
        return any(has_endpoint(field.type) for field in kind.fields)
    return isinstance(kind, EndpointType)
