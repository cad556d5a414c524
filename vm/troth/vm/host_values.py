"""Values at the border to Python: what an effect function receives and may return.

A list is a `list`, a record a `dict`, everything else is itself. What comes back is checked
against the declared type; a wrong type is an error that names both.
"""

from __future__ import annotations

from typing import Any, cast

from troth.vm.errors import Unusable
from troth.vm.types import ListType, Primitive, RecordType, ValueType
from troth.vm.value_ops import type_matches
from troth.vm.values import Record, RegisterValue


def to_python(value: RegisterValue) -> object:
    """A fresh Python object for `value`; changing it changes nothing in the machine."""
    if isinstance(value, tuple):
        return [to_python(item) for item in value]
    if isinstance(value, Record):
        return {name: to_python(item) for name, item in value.fields}
    return value


def from_python(value: object, expected: ValueType, what: str) -> RegisterValue:
    """The machine's value for what a host function returned as `what`.

    Raises:
        Unusable: code `effect.result`, when it is not an `expected`.
    """
    converted = _convert(value, expected)
    if not type_matches(converted, expected):
        raise Unusable(
            "effect.result",
            f"{what} has the wrong type",
            expected=str(expected),
            actual=_describe(value),
            advice="Return a value of the type that the script declares",
        )
    return cast(RegisterValue, converted)


def _convert(value: Any, expected: ValueType) -> Any:
    if isinstance(expected, ListType) and isinstance(value, list | tuple):
        return tuple(_convert(item, expected.item) for item in value)
    if isinstance(expected, RecordType) and isinstance(value, dict):
        types = {field.name: field.type for field in expected.fields}
        if set(value) != set(types):
            return value
        names = sorted(types, key=lambda name: name.encode())
        return Record(tuple((name, _convert(value[name], types[name])) for name in names))
    if expected is Primitive.FLOAT and type(value) is float:
        return value + 0.0
    return value


def _describe(value: object) -> str:
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} of type {type(value).__name__}"
