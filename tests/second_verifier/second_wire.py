"""Bytes of the file, taken apart: records, and canonical msgpack.

The page: "Conventions", "Canonical msgpack", "The file".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgpack

MAGIC: Final = b"\x89TROTH\r\n"
RECORD_BYTES_MAX: Final = 8 * 1024 * 1024
DEPTH_MAX: Final = 4
"""Arrays in a record, itself counted."""
ARRAY_ITEMS_MAX: Final = 1 << 17
ITEMS_MAX: Final = 1 << 20

Item: TypeAlias = Any
"""An item of a record; `second_shapes` says for each kind what it may be."""


class Refused(Exception):
    """The record at hand contradicts the page."""


class Torn(Exception):
    """The bytes end before the record does."""


@dataclass(frozen=True)
class Record:
    """One record: its number, its bytes, and what they decode to."""

    number: int
    data: bytes
    items: list[Item]


def records(data: bytes) -> Iterator[Record]:
    """The records behind the magic; `Torn` when the file stops inside of one."""
    position, number = len(MAGIC), 0
    while position < len(data):
        end = end_of(data, position)
        raw = data[position:end]
        items = decoded(raw)
        if not isinstance(items, list) or not items:
            raise Refused("a record is an array whose first item is its kind")
        yield Record(number, raw, items)
        position, number = end, number + 1


def decoded(raw: bytes) -> Item:
    """The value of canonical bytes."""
    try:
        value: Item = msgpack.unpackb(raw, raw=False, strict_map_key=True, use_list=True)
    except (ValueError, msgpack.UnpackException, TypeError, RecursionError) as problem:
        raise Refused(f"not msgpack: {problem}") from problem
    if encoded(value) != raw:
        raise Refused("not in the one form that canonical msgpack has")
    return value


def encoded(value: object) -> bytes:
    """Canonical bytes; what cannot be written in UTF-8 is refused."""
    try:
        packed: bytes = msgpack.packb(_sorted(value), use_bin_type=True)
    except UnicodeEncodeError as problem:
        raise Refused("text is not UTF-8") from problem
    return packed


def _sorted(value: object) -> object:
    """The same value with the keys of each map in order."""
    if isinstance(value, list | tuple) and not isinstance(value, msgpack.ExtType):
        return [_sorted(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise Refused("the key of a map is not text")
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda k: k.encode())}
    return value


# --- where a record ends ---------------------------------------------------------------------

# First byte: how many bytes say the length, or, of what has no length, how many follow.
# Neither maps nor extensions are here: they occur only in values, and those are bytes of a record.
_SIZED: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_TEXTS: Final = (0xD9, 0xDA, 0xDB)
_FIXED: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
    0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
}  # fmt: skip
_ARRAYS: Final = {0xDC: 2, 0xDD: 4}


def end_of(data: bytes, start: int) -> int:
    """The offset behind the record at `start`."""
    if not (0x90 <= data[start] <= 0x9F or data[start] in _ARRAYS):
        raise Refused("a record is an array")
    return _Walk(data, start).value(start, 0)


@dataclass
class _Walk:
    data: bytes
    start: int
    count: int = 0

    def value(self, at: int, depth: int) -> int:
        self.count += 1
        if self.count > ITEMS_MAX:
            raise Refused("too many items")
        first = self.number(at, 1)
        at += 1
        if first <= 0x7F or first >= 0xE0:
            return at
        if first <= 0x8F:
            raise Refused("a map that is no value")
        if first <= 0x9F:
            return self.items(at, first & 0x0F, depth)
        if first <= 0xBF:
            return self.text(at, first & 0x1F)
        return self.headed(first, at, depth)

    def headed(self, first: int, at: int, depth: int) -> int:
        if first in _FIXED:
            return self.skip(at, _FIXED[first])
        if first in _SIZED:
            width = _SIZED[first]
            content = self.text if first in _TEXTS else self.skip
            return content(at + width, self.number(at, width))
        if first in _ARRAYS:
            width = _ARRAYS[first]
            return self.items(at + width, self.number(at, width), depth)
        raise Refused("a map, an extension, or a byte that msgpack does not use")

    def text(self, at: int, count: int) -> int:
        end = self.skip(at, count)
        try:
            self.data[at:end].decode()
        except UnicodeDecodeError as problem:
            raise Refused("text is not UTF-8") from problem
        return end

    def items(self, at: int, count: int, depth: int) -> int:
        if depth >= DEPTH_MAX:
            raise Refused("nested too deeply")
        if count > ARRAY_ITEMS_MAX:
            raise Refused("an array of too many items")
        for _ in range(count):
            at = self.value(at, depth + 1)
        return at

    def number(self, at: int, width: int) -> int:
        self.skip(at, width)
        return int.from_bytes(self.data[at : at + width], "big")

    def skip(self, at: int, count: int) -> int:
        end = at + count
        if end - self.start > RECORD_BYTES_MAX:
            raise Refused("a record of more than 8 MiB")
        if end > len(self.data):
            raise Torn
        return end
