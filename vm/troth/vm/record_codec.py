"""The check of a record against the table of all records.

A record that passes `validate` has the right number of fields, each of the right type and
within its bounds (`record_fields`); whether an index names something that exists is a question
for the reader of the whole file (see `record_events`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from troth.vm.errors import Malformed, Place
from troth.vm.record_fields import (
    FIELDS,
    LIST_ITEMS_MAX,
    NIL_TOGETHER,
    PATH_BYTES_MAX,
    Field,
)
from troth.vm.records import Kind

__all__ = [
    "FIELDS",
    "LIST_ITEMS_MAX",
    "NIL_TOGETHER",
    "PATH_BYTES_MAX",
    "Field",
    "Items",
    "fit_together",
    "fits",
    "validate",
]

Items: TypeAlias = tuple[Any, ...]
"""A decoded record. `Any`, because only the table, not a type checker, knows its shape."""


class _Checks(NamedTuple):
    """What is left to check when the types of a record's items are right."""

    integers: tuple[tuple[int, int, int], ...]
    bytestrings: tuple[tuple[int, int, int], ...]
    others: tuple[tuple[int, Field], ...]


def _checks(fields: tuple[Field, ...], nil: frozenset[str]) -> _Checks:
    numbered = [(i, f) for i, f in enumerate(fields, start=1) if f.name not in nil]
    return _Checks(
        tuple((i, f.low, f.high) for i, f in numbered if f.type is int),
        tuple((i, f.low, f.high) for i, f in numbered if f.type is bytes),
        tuple((i, f) for i, f in numbered if f.type in (str, tuple)),
    )


def _variants(kind: Kind) -> dict[tuple[type, ...], _Checks]:
    found = {}
    for nil in NIL_TOGETHER.get(kind, (frozenset(),)):
        types = tuple(type(None) if f.name in nil else f.type for f in FIELDS[kind])
        found[int, *types] = _checks(FIELDS[kind], nil)
    return found


_VARIANTS: Final = {int(kind): _variants(kind) for kind in Kind}
"""By kind, then by the types of all items: one look-up checks them together."""


def validate(items: Items, record: int, offset: int) -> None:
    """Checks a decoded record against the table; `record` and `offset` are for messages.

    Raises:
        Malformed: `artifact.record` for an unknown kind, else `structure.shape`.
    """
    variants = _VARIANTS.get(items[0]) if items and type(items[0]) is int else None
    if variants is None:
        raise _unknown_kind(items, record, offset)
    checks = variants.get(tuple(map(type, items)))
    if checks is None:
        raise _misfit(items, record, offset)
    # Every record of a file passes here: no attribute look-ups, no calls that can be spared.
    integers, sizes, others = checks
    for i, low, high in integers:
        if not low <= items[i] <= high:
            raise _misfit(items, record, offset)
    for i, low, high in sizes:
        if not low <= len(items[i]) <= high:
            raise _misfit(items, record, offset)
    for i, field in others:
        if not fits(field, items[i]):
            raise _misfit(items, record, offset)


def fit_together(records: Iterable[Items]) -> bool:
    """Whether `validate` lets all of the records pass; asks whole columns and not single items."""
    kinds: dict[int, list[Items]] = {}
    for items in records:
        if not items or type(items[0]) is not int:
            return False
        kinds.setdefault(items[0], []).append(items)
    return all(kind in _VARIANTS and _rows_fit(kind, rows) for kind, rows in kinds.items())


def _rows_fit(kind: int, rows: list[Items]) -> bool:
    variants = _VARIANTS[kind]
    try:
        columns = list(zip(*rows, strict=True))
    except ValueError:
        return False
    types = [set(map(type, column)) for column in columns]
    if all(len(found) == 1 for found in types):
        return _columns_fit(columns, variants.get(tuple(found.pop() for found in types)))
    by_types: dict[tuple[type, ...], list[Items]] = {}
    for items in rows:
        by_types.setdefault(tuple(map(type, items)), []).append(items)
    return all(
        _columns_fit(list(zip(*alike, strict=True)), variants.get(types_found))
        for types_found, alike in by_types.items()
    )


def _columns_fit(columns: Sequence[Items], checks: _Checks | None) -> bool:
    if checks is None:
        return False
    return (
        all(low <= min(columns[i]) and max(columns[i]) <= high for i, low, high in checks.integers)
        and all(_sizes_fit(columns[i], low, high) for i, low, high in checks.bytestrings)
        and all(fits(field, item) for i, field in checks.others for item in columns[i])
    )


def _sizes_fit(column: Items, low: int, high: int) -> bool:
    sizes = set(map(len, column))
    return low <= min(sizes) and max(sizes) <= high


def fits(field: Field, value: Any) -> bool:
    """Whether a decoded value has the type of a field and is within its bounds."""
    kind = type(value)
    if kind is not field.type:
        return False
    if field.choices:
        return value in field.choices
    if field.type is int:
        return bool(field.low <= value <= field.high)
    if field.type is bool:
        return True
    if field.type is str:
        # No character takes more than four bytes, so most texts need no encoding here.
        longest = field.high >= 4 * len(value) or field.high >= len(value.encode())
        return longest and len(value) >= min(field.low, 1)
    if not field.low <= len(value) <= field.high:
        return False
    return field.type is not tuple or all(_row_fits(field.row, item) for item in value)


def _row_fits(row: tuple[Field, ...], item: Any) -> bool:
    if len(row) == 1 and not row[0].name:
        return fits(row[0], item)
    if type(item) is not tuple or len(item) != len(row):
        return False
    return all(fits(field, value) for field, value in zip(row, item, strict=True))


def _unknown_kind(items: Items, record: int, offset: int) -> Malformed:
    return Malformed(
        "artifact.record",
        "this record is of no known kind",
        place=Place(offset=offset, record=record),
        expected=f"a kind from 0 to {max(Kind)}",
        actual=_found(items[0]) if items else "an empty array",
        advice="The file was damaged or changed here; get another copy",
    )


def _misfit(items: Items, record: int, offset: int) -> Malformed:
    """Names the first field that does not fit: only called when one is known not to."""
    kind = Kind(items[0])
    fields = FIELDS[kind]
    place = Place(offset=offset, record=record)
    name, expected, actual = "", "", ""
    if len(items) != len(fields) + 1:
        name, expected, actual = "all", f"{len(fields)}", f"{len(items) - 1} fields"
    else:
        name, expected, actual = _first_misfit(kind, items)
    return Malformed(
        "structure.shape",
        f"a {kind.name} record has a wrong shape, field: {name}",
        place=place,
        expected=expected,
        actual=actual,
        advice="The file was damaged or changed here; get another copy",
    )


def _first_misfit(kind: Kind, items: Items) -> tuple[str, str, str]:
    nil_sets = NIL_TOGETHER.get(kind, (frozenset[str](),))
    may_be_nil = frozenset[str]().union(*nil_sets)
    for field, value in zip(FIELDS[kind], items[1:], strict=True):
        if value is None and field.name in may_be_nil:
            continue
        if not fits(field, value):
            if field.row and type(value) is tuple:
                return field.name, "an array of items of its shape", "another item"
            return field.name, field.described, _found(value)
    sets = " or ".join("{" + ", ".join(sorted(names)) + "}" for names in nil_sets)
    nil = [f.name for f, v in zip(FIELDS[kind], items[1:], strict=True) if v is None]
    return "all", f"nil fields {sets}", "nil fields {" + ", ".join(nil) + "}"


def _found(value: object) -> str:
    """A short, safe description: the value itself may be hostile and long."""
    match value:
        case None:
            return "nil"
        case bool():
            return str(value).lower()
        case int():
            return f"the integer {value}"
        case float():
            return "a float"
        case str():
            return f"text of {len(value)} characters"
        case bytes():
            return f"{len(value)} bytes"
        case tuple():
            return f"an array of {len(value)} items"
    return "a value of another type"
