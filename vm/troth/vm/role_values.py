"""What a role in Python sends and receives: between its arguments and a message's fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

# What a field holds is up to the script, so no type can be given for it here.
from typing import Any, NamedTuple

from troth.vm.blobs import BlobStore
from troth.vm.codec import find_flaw
from troth.vm.errors import Unusable
from troth.vm.host_values import from_python, to_python
from troth.vm.session import Cell, EndpointElsewhere, EndpointState
from troth.vm.types import EndpointType, Field, ValueType
from troth.vm.value_ops import type_matches
from troth.vm.values import RegisterValue

_PLAIN = (type(None), bool, int, float, str, bytes)


class Message:
    """The fields of a message that has several: by name, by position, and in a `match`."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = dict(fields)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(f"the message has no field {name}: {self!r}") from None

    def __getitem__(self, key: str | int) -> Any:
        return self._fields[key] if isinstance(key, str) else tuple(self._fields.values())[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]  # its values may be lists

    def __repr__(self) -> str:
        return f"Message({', '.join(f'{name}={value!r}' for name, value in self._fields.items())})"


class Choice(NamedTuple):
    """What `recv_any` received: the label that the other side chose, and its content."""

    label: str
    value: Any


def content(fields: Sequence[Field], cells: Sequence[Cell], blobs: BlobStore) -> Any:
    """None for a message without fields, the value itself for one, a `Message` for several."""
    values = [to_python(_value(cell), blobs) for cell in cells]
    if len(values) == 1:
        return values[0]
    names = [field.name for field in fields]
    return Message(dict(zip(names, values, strict=True))) if values else None


def _value(cell: Cell) -> RegisterValue:
    assert not isinstance(cell, EndpointState | EndpointElsewhere), "endpoints do not travel"
    return cell


def arguments(
    fields: Sequence[Field],
    values: Sequence[object],
    named: Mapping[str, object],
    what: str,
    blobs: BlobStore,
) -> list[RegisterValue]:
    """The values for a message's fields, in their order.

    A value of another type than the field's is let through, for the machine to refuse; what is
    no value at all is not. Too many or too few by position are the machine's to refuse, too.

    Raises:
        Unusable: code `role.fields`, for names that do not fit; `role.value`.
        TrothError: `blob.…`.
    """
    given = list(values)
    if named:
        rest = [field.name for field in fields[len(given) :]]
        if set(named) != set(rest):
            raise Unusable(
                "role.fields",
                f"these are not the fields of {what}",
                expected=", ".join(field.name for field in fields) or "no fields",
                actual=", ".join([*(f.name for f in fields[: len(given)]), *named]),
                advice="Give each field once, by its name or in its place",
            )
        given += [named[name] for name in rest]
    types = [field.type for field in fields] + [None] * len(given)
    names = [field.name for field in fields] + ["a surplus field"] * len(given)
    return [
        _argument(value, type_, f"{name} of {what}", blobs)
        for value, type_, name in zip(given, types, names, strict=False)
    ]


def _argument(
    value: object, expected: ValueType | EndpointType | None, what: str, blobs: BlobStore
) -> RegisterValue:
    plain = type(value) in _PLAIN and find_flaw(value) is None
    if expected is None or isinstance(expected, EndpointType):
        return value if plain else None  # type: ignore[return-value]  # refused by the machine
    if plain and type_matches(value, expected):
        return value  # type: ignore[return-value]  # a plain value by its class
    try:
        return from_python(value, expected, what, blobs)
    except Unusable as error:
        if error.code != "effect.result":
            raise
        if plain:
            return value  # type: ignore[return-value]  # a plain value by its class
        raise Unusable(
            "role.value",
            error.message,
            expected=error.expected,
            actual=error.actual,
            advice="Give a value of the type that the script declares",
        ) from error
