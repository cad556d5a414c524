"""Shapes: how a value becomes a plain array, and how a plain array is checked on its way back.

A `Shape` is a pair of functions that undo each other. Shapes are put together into tables that
can be read like a format page; `row_of` ties a row's items to a class's fields.
Reading refuses everything that writing cannot produce, and says where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, TypeAlias

from troth.vm.errors import Malformed, Place
from troth.vm.limits import NAME_BYTES_MAX
from troth.vm.value_ops import kind_name

Path: TypeAlias = tuple["Path | None", str]
"""Where a reader stands: the place above and one more step. Put into words only on refusal."""


@dataclass(frozen=True, slots=True)
class Shape:
    write: Callable[[object], object]
    read: Callable[[object, Path], object]


def refuse(path: Path, expected: str, actual: str) -> NoReturn:
    """Raises `Malformed` with `image.shape` and the place in words."""
    raise Malformed(
        "image.shape",
        "The image does not have the form of an image",
        place=Place(position=describe(path)),
        expected=expected,
        actual=actual,
    )


def describe(path: Path | None) -> str:
    """Such as `programs[2].code[17].endpoint`."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(step)
    return "".join(reversed(steps)).removeprefix(".")


def _same(value: object) -> object:
    return value


# --- scalars -------------------------------------------------------------------------------


def integer(smallest: int, largest: int) -> Shape:
    def read(raw: object, path: Path) -> int:
        if type(raw) is not int:
            refuse(path, "an int", kind_name(raw))
        if not smallest <= raw <= largest:
            refuse(path, f"an int from {smallest} to {largest}", str(raw))
        return raw

    return Shape(_same, read)


def text(bytes_max: int) -> Shape:
    def read(raw: object, path: Path) -> str:
        if type(raw) is not str:
            refuse(path, "a str", kind_name(raw))
        if len(raw.encode()) > bytes_max:
            refuse(path, f"at most {bytes_max} bytes of text", "more")
        return raw

    return Shape(_same, read)


def _read_name(raw: object, path: Path) -> str:
    if type(raw) is not str:
        refuse(path, "a name", kind_name(raw))
    if not 0 < len(raw.encode()) <= NAME_BYTES_MAX:
        refuse(path, f"a name of 1 to {NAME_BYTES_MAX} bytes", f"{len(raw.encode())} bytes")
    if not raw.isprintable() or " " in raw:
        refuse(path, "a name without blanks and control characters", ascii(raw))
    return raw


NAME = Shape(_same, _read_name)


def _read_flag(raw: object, path: Path) -> bool:
    if type(raw) is not bool:
        refuse(path, "true or false", kind_name(raw))
    return raw


FLAG = Shape(_same, _read_flag)


def enumeration(kinds: type[StrEnum]) -> Shape:
    members = {str(kind): kind for kind in kinds}

    def read(raw: object, path: Path) -> StrEnum:
        member = members.get(raw) if type(raw) is str else None
        if member is None:
            refuse(path, " or ".join(members), ascii(raw) if type(raw) is str else kind_name(raw))
        return member

    return Shape(str, read)


def numbered(kinds: tuple[object, ...]) -> Shape:
    """One of `kinds`, written as its place among them."""

    def write(value: object) -> object:
        return kinds.index(value)

    def read(raw: object, path: Path) -> object:
        if type(raw) is not int or not 0 <= raw < len(kinds):
            actual = str(raw) if type(raw) is int else kind_name(raw)
            refuse(path, f"an int from 0 to {len(kinds) - 1}", actual)
        return kinds[raw]

    return Shape(write, read)


# --- combinations --------------------------------------------------------------------------


def optional(inner: Shape) -> Shape:
    def write(value: object) -> object:
        return None if value is None else inner.write(value)

    def read(raw: object, path: Path) -> object:
        return None if raw is None else inner.read(raw, path)

    return Shape(write, read)


def array_of(inner: Shape, count_max: int, name: str = "") -> Shape:
    """A tuple of any number of items; `name` says what there are too many of."""

    def write(value: object) -> object:
        assert isinstance(value, tuple)
        return tuple([inner.write(item) for item in value])

    def read(raw: object, path: Path) -> tuple[object, ...]:
        items = _items(raw, path)
        if len(items) > count_max:
            refuse(path, f"at most {count_max} {name or 'items'}", str(len(items)))
        return tuple([inner.read(item, (path, f"[{place}]")) for place, item in enumerate(items)])

    return Shape(write, read)


def tuple_of(*shapes: Shape) -> Shape:
    """A plain tuple with one item for each shape."""

    def write(value: object) -> object:
        assert isinstance(value, tuple)
        return tuple([shape.write(item) for shape, item in zip(shapes, value, strict=True)])

    def read(raw: object, path: Path) -> tuple[object, ...]:
        items = _counted(raw, path, len(shapes))
        return tuple(
            [
                shape.read(item, (path, f"[{place}]"))
                for place, (shape, item) in enumerate(zip(shapes, items, strict=True))
            ]
        )

    return Shape(write, read)


def row_of(build: Callable[..., object], *columns: tuple[str, Shape]) -> Shape:
    """An object as an array of those of its fields that `columns` names, in that order."""
    names = tuple(name for name, _ in columns)
    shapes = tuple(shape for _, shape in columns)

    def write(value: object) -> object:
        return tuple([shape.write(getattr(value, name)) for name, shape in columns])

    def read(raw: object, path: Path) -> object:
        items = _counted(raw, path, len(shapes))
        read_items = {
            name: shape.read(item, (path, f".{name}"))
            for name, shape, item in zip(names, shapes, items, strict=True)
        }
        return build(**read_items)

    return Shape(write, read)


def tagged(rows: dict[type, Shape]) -> Shape:
    """One of several classes: its number in `rows` comes before the items of its row."""
    shapes = tuple(rows.values())
    tags = {kind: tag for tag, kind in enumerate(rows)}

    def write(value: object) -> object:
        row = rows[type(value)].write(value)
        assert isinstance(row, tuple)
        return (tags[type(value)], *row)

    def read(raw: object, path: Path) -> object:
        items = _items(raw, path)
        tag = items[0] if items else None
        if type(tag) is not int or not 0 <= tag < len(shapes):
            refuse(path, f"a tag from 0 to {len(shapes) - 1} first", ascii(tag)[:40])
        return shapes[tag].read(items[1:], path)

    return Shape(write, read)


def _items(raw: object, path: Path) -> tuple[object, ...]:
    if type(raw) is not tuple:
        refuse(path, "an array", kind_name(raw))
    return raw


def _counted(raw: object, path: Path, count: int) -> tuple[object, ...]:
    items = _items(raw, path)
    if len(items) != count:
        refuse(path, f"an array of {count}", f"one of {len(items)}")
    return items
