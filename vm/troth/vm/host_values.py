"""Values at the border to Python: what an effect function receives and may return.

A list is a `list`, a record a `dict`, a blob a `BlobValue`, everything else is itself. What
comes back is checked against the declared type; a wrong type is an error that names both.

What a host gives may be of a class of its own, so its content is taken past that class's methods.
"""

from __future__ import annotations

import reprlib
from collections.abc import Collection
from itertools import islice
from typing import Any, Final, NamedTuple, cast

from troth.vm.blobs import BlobStore, BlobValue
from troth.vm.codec import find_flaw
from troth.vm.errors import Unusable
from troth.vm.types import ListType, Primitive, RecordType, ValueType
from troth.vm.value_ops import type_matches
from troth.vm.values import INT_MAX, INT_MIN, Blob, Record, RegisterValue

TEXT_SHOWN_MAX: Final = 60
FIELDS_SHOWN_MAX: Final = 8


def to_python(value: RegisterValue, blobs: BlobStore | None = None) -> object:
    """A fresh Python object for `value`; changing it changes nothing in the machine.

    With `blobs` a blob comes with the way to its content, without as a bare reference.
    """
    if isinstance(value, tuple):
        return [to_python(item, blobs) for item in value]
    if isinstance(value, Record):
        return {name: to_python(item, blobs) for name, item in value.fields}
    if isinstance(value, Blob) and blobs is not None:
        return BlobValue(value, blobs)
    return value


def from_python(
    value: object, expected: ValueType, what: str, blobs: BlobStore | None = None
) -> RegisterValue:
    """The machine's value for what a host function returned as `what`.

    Where a blob is expected, bytes are put into `blobs`, and a reference has to be held there.

    Raises:
        Unusable: code `effect.result`, when it is not an `expected`; it says which part is not.
        TrothError: `blob.…`, when the store cannot keep its content.
    """
    converted = _convert(value, expected, blobs)
    if type_matches(converted, expected) and find_flaw(converted) is None:
        return cast(RegisterValue, converted)
    misfit = _find_misfit(converted, expected, what)
    if misfit is None:
        return cast(RegisterValue, converted)
    raise Unusable(
        "effect.result",
        misfit.message,
        expected=misfit.expected,
        actual=misfit.actual,
        advice="Return a value of the type that the script declares",
    )


def _convert(value: Any, expected: ValueType, blobs: BlobStore | None) -> Any:
    if isinstance(expected, ListType) and isinstance(value, list | tuple):
        items = list.copy(value) if isinstance(value, list) else tuple.__getitem__(value, _ALL)
        return tuple(_convert(item, expected.item, blobs) for item in items)
    if isinstance(expected, RecordType) and isinstance(value, dict):
        found = dict(dict.items(value))
        types = {field.name: field.type for field in expected.fields}
        if set(found) != set(types):
            return found
        names = sorted(types, key=lambda name: name.encode())
        return Record(tuple((name, _convert(found[name], types[name], blobs)) for name in names))
    if expected is Primitive.FLOAT and type(value) is float:
        return value + 0.0
    if expected is Primitive.BLOB and blobs is not None:
        return _keep(value, blobs)
    return value


_ALL: Final = slice(None)


def _keep(value: object, blobs: BlobStore) -> object:
    """The reference to a blob's content, which the store holds from now on."""
    if isinstance(value, bytes | bytearray | memoryview):
        return blobs.put(bytes(value))
    if type(value) is BlobValue:
        if value.store is blobs or blobs.holds(value.reference):
            return value.reference
        return blobs.put(value.read())
    if type(value) is Blob and find_flaw(value) is None and not blobs.holds(value):
        return _Unheld(value)
    return value


class _Unheld(NamedTuple):
    """A reference to content that the host's store does not hold."""

    blob: Blob


class _Misfit(NamedTuple):
    message: str
    expected: str
    actual: str


def _find_misfit(value: object, expected: ValueType, what: str) -> _Misfit | None:
    """The first part of `value` that is not what the type asks for; `what` names it."""
    if isinstance(expected, ListType) and type(value) is tuple:
        for number, item in enumerate(value):
            misfit = _find_misfit(item, expected.item, f"item {number} of {what}")
            if misfit is not None:
                return misfit
        return None
    if isinstance(expected, RecordType):
        return _find_misfit_in_record(value, expected, what)
    if type(value) is _Unheld:
        text = "a reference to content that its store does not hold"
        return _Misfit(f"{what} is not a blob of this host", "bytes, or a blob of its store", text)
    if not type_matches(value, expected):
        return _Misfit(f"{what} has the wrong type", str(expected), _describe(value))
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        bits = value.bit_length() + 1
        return _Misfit(
            f"{what} is out of range",
            str(expected),
            f"an integer of {bits} bits with its sign, which does not fit 64",
        )
    flaw = find_flaw(value)
    return None if flaw is None else _Misfit(f"{what} is no value", flaw.expected, flaw.actual)


def _find_misfit_in_record(value: object, expected: RecordType, what: str) -> _Misfit | None:
    if isinstance(value, Record):
        for (name, item), field in zip(value.fields, expected.fields, strict=True):
            misfit = _find_misfit(item, field.type, f"the field {name} of {what}")
            if misfit is not None:
                return misfit
        return None
    if not isinstance(value, dict):
        return _Misfit(f"{what} has the wrong type", str(expected), _describe(value))
    names = [field.name for field in expected.fields]
    missing = [name for name in names if name not in value]
    if missing:
        return _Misfit(
            f"{what} lacks the field {missing[0]}", str(expected), _fields_of(value.keys())
        )
    surplus = next(key for key in value if key not in names)
    return _Misfit(
        f"{what} has the field {_describe_text(surplus)}, which is not declared",
        str(expected),
        _fields_of(value.keys()),
    )


def _fields_of(keys: Collection[object]) -> str:
    shown = ", ".join(_describe_text(key) for key in islice(keys, FIELDS_SHOWN_MAX))
    rest = len(keys) - FIELDS_SHOWN_MAX
    return f"a dict with {shown or 'nothing'}" + (f" and {rest} more" if rest > 0 else "")


def _describe(value: object) -> str:
    return f"{_describe_text(value)} of type {type(value).__name__}"


def _describe_text(value: object) -> str:
    """A short repr: whatever it is, looking at it must neither fail nor take long."""
    try:
        text = reprlib.repr(value)
    except Exception:  # noqa: BLE001
        # A repr is the host's own code, and may fail as it likes.
        text = "something"
    return text if len(text) <= TEXT_SHOWN_MAX else text[: TEXT_SHOWN_MAX - 3] + "..."
