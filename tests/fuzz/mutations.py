"""Changes that lead somewhere: to bytes, and to records whose form stays what it was."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from artifact_surgery import Record

BYTES_MAX: Final = 1 << 16
RECORDS_MAX: Final = 400

MARKERS: Final = (
    b"\x90", b"\x9f", b"\xdc\xff\xff", b"\xdd\x00\x01\x00\x00", b"\xc4\xff", b"\xc5\xff\xff",
    b"\xc6\x01\x00\x00\x00", b"\xc6\xff\xff\xff\xff", b"\xd9\xff", b"\xdb\x7f\xff\xff\xff",
    b"\xc0", b"\xc1", b"\xc2", b"\xc3", b"\x80", b"\xdf\xff\xff\xff\xff", b"\xca\x7f\xc0\x00\x00",
    b"\xcc\xff", b"\xcd\xff\xff", b"\xce\xff\xff\xff\xff", b"\xcf" + b"\xff" * 8, b"\xd3\x80" +
    bytes(7), b"\xff", b"\x7f", b"\xd4\x01\x00", b"\xd6\xff" + bytes(4), b"\xc7\x00\x01", b"\x92",
)  # fmt: skip
"""First bytes of msgpack's items with lengths at their ends, and items that no record may hold."""

VALUES: Final[tuple[object, ...]] = (
    None, True, False, 0, 1, 2, 3, 255, 256, 1 << 16, (1 << 31) - 1, 1 << 32, (1 << 63) - 1, "",
    "a", "x" * 300, "\x1b[31m\u202e", "sequence", "nullifier", "off", "round", "message", b"",
    bytes(16), bytes(32), bytes(64), b"\xff" * 32, b"\x90", b"\x91\x01", (), ((),), (0,), (0, 1),
)  # fmt: skip


def changed_bytes(data: bytes, other: bytes, rng: Random) -> bytes:
    """One to four small changes; `other` is another input to take a piece from."""
    for _ in range(1 << rng.randrange(3)):
        data = _one_change(data, other, rng)
    return data[:BYTES_MAX]


def _one_change(data: bytes, other: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    end = min(len(data), place + (1 << rng.randrange(8)))
    match rng.randrange(8):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + data[end:]
        case 2:
            return data[:end] + data[place:end] * (1 << rng.randrange(4)) + data[end:]
        case 3:
            return data[:place] + rng.choice(MARKERS) + data[place:]
        case 4:
            marker = rng.choice(MARKERS)
            return data[:place] + marker + data[place + len(marker) :]
        case 5:
            start = rng.randrange(len(other) + 1)
            piece = other[start : start + (1 << rng.randrange(9))]
            return data[:place] + piece + data[end if rng.random() < 0.5 else place :]
    if place == len(data):
        return data + bytes([rng.randrange(256)])
    value = data[place] ^ (1 << rng.randrange(8)) if rng.random() < 0.7 else rng.randrange(256)
    return data[:place] + bytes([value]) + data[place + 1 :]


def changed_records(
    records: Sequence[Record], other: Sequence[Record], rng: Random
) -> list[Record]:
    """One or two records changed, dropped, repeated, moved, or taken from another artifact."""
    found = list(records)
    for _ in range(rng.choice((1, 1, 2))):
        if not found:
            return list(other)
        place = rng.randrange(len(found))
        match rng.randrange(8):
            case 0:
                del found[place]
            case 1:
                found.insert(rng.randrange(len(found) + 1), found[place])
            case 2:
                found.insert(rng.randrange(len(found)), found.pop(place))
            case 3 if other:
                found.insert(place, rng.choice(other))
            case _:
                found[place] = _changed_record(found[place], other, rng)
    return found[:RECORDS_MAX]


def _changed_record(record: Record, other: Sequence[Record], rng: Random) -> Record:
    if len(record) < 2:
        return record
    field = rng.randrange(1, len(record))
    value = _changed_item(record[field], rng)
    alike = [entry for entry in other if entry[0] == record[0] and len(entry) == len(record)]
    if alike and rng.random() < 0.3:
        value = rng.choice(alike)[field]
    return (*record[:field], value, *record[field + 1 :])


def _changed_item(item: object, rng: Random) -> object:
    if rng.random() < 0.15:
        return rng.choice(VALUES)
    if type(item) is int:
        return max(0, item + rng.choice((-2, -1, 1, 2, 16)))
    if isinstance(item, bytes) and item:
        place = rng.randrange(len(item))
        return item[:place] + bytes([item[place] ^ (1 << rng.randrange(8))]) + item[place + 1 :]
    if isinstance(item, str) and item:
        place = rng.randrange(len(item))
        return item[:place] + rng.choice("abX0 \x00é") + item[place + rng.randrange(2) :]
    if isinstance(item, tuple) and item:
        place = rng.randrange(len(item))
        if rng.random() < 0.2:
            return item[:place] + item[place + 1 :]
        if rng.random() < 0.2:
            return (*item, item[place])
        return (*item[:place], _changed_item(item[place], rng), *item[place + 1 :])
    return rng.choice(VALUES)
