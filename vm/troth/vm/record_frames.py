"""Cuts a stream of msgpack arrays into records without trusting any length in it.

The fast way takes many records at a time: msgpack's own streaming decoder with tight limits, and
then what it decoded is packed again. Where that gives the bytes of the stream, they are the
canonical encodings of the records, one after the other, and nothing else has to be measured.
What does not come back the same, or is refused, is looked at again by `measure`, which is slow
and exact: it knows how long the record is, lets through the few that are legal and larger (a
protocol with very many labels), and says precisely what is wrong with the others. Records hold
no maps, extensions or deeply nested arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

import msgpack

from troth.vm.errors import LimitExceeded, Malformed, Place
from troth.vm.limits import RECORD_BYTES_MAX
from troth.vm.record_codec import LIST_ITEMS_MAX, Items

DEPTH_MAX: Final = 4
"""Arrays within arrays; the deepest legal record is a list of rows, 3."""

ITEMS_MAX: Final = 1 << 20
"""Items of one record, at all depths."""

BATCH_RECORDS_MAX: Final = 256
"""Decoded at a time: a chunk of the shortest records would make very many objects."""

_ARRAY_MAX_FAST: Final = 4096
_FED_BYTES_MAX: Final = 4 * RECORD_BYTES_MAX

_LENGTH_BYTES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4}
"""First bytes of bin, str and array whose length follows in so many bytes."""

_TEXTS: Final = (0xD9, 0xDA, 0xDB)

_FIXED_BYTES: Final = {
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **dict.fromkeys((0xCC, 0xD0), 1),
    **dict.fromkeys((0xCD, 0xD1), 2),
    **dict.fromkeys((0xCA, 0xCE, 0xD2), 4),
    **dict.fromkeys((0xCB, 0xCF, 0xD3), 8),
}
"""First bytes of nil, booleans and numbers, and how many bytes follow."""


class Frames(NamedTuple):
    """Records that follow one another: their bytes, and what these decode to.

    `canonical` is False for a single record whose bytes are another encoding of its items.
    """

    data: list[bytes]
    items: list[Items]
    canonical: bool


class Framer:
    """Push chunks in with `feed`; it yields what they complete, many records at a time."""

    def __init__(self, offset: int) -> None:
        """`offset` is where the stream begins in the file, for messages."""
        self._unpacker = _unpacker()
        self._pack = msgpack.Packer(autoreset=True).pack
        self._buffer = b""
        self._start = 0
        """Where in the buffer the first record starts that has not been yielded."""
        self._offset = offset
        self._record = 0
        self._doubtful = False
        """The fast way ends before the next record, and `measure` has to look at it."""

    @property
    def pending_bytes(self) -> int:
        """The bytes of a record that is not complete."""
        return len(self._buffer) - self._start

    def feed(self, chunk: bytes) -> Iterator[Frames]:
        """Every record that the chunk completes, in order.

        Raises:
            Malformed: code `artifact.record`.
            LimitExceeded: code `artifact.limit`.
        """
        self._advance(chunk)
        more = True
        while more:
            if not self._doubtful:
                frames = self._quickly()
                more = len(frames.items) == BATCH_RECORDS_MAX
                if frames.items:
                    yield frames
            if self._doubtful:
                slow = self._slowly()
                more = slow is not None
                if slow is not None:
                    yield slow
        if self.pending_bytes > RECORD_BYTES_MAX:
            raise _too_long(self._place(), self.pending_bytes)

    def _quickly(self) -> Frames:
        """Records up to one that is in doubt or not complete, or `BATCH_RECORDS_MAX` of them."""
        items: list[Items] = []
        data: list[bytes] = []
        # Loops that append keep what they have when something is refused.
        try:
            for record in islice(self._unpacker, BATCH_RECORDS_MAX):
                items.append(record)
        except ValueError:
            self._doubtful = True
        pack = self._pack
        try:
            for record in items:
                data.append(pack(record))
        except ValueError:
            # Nested so deeply that it can be decoded, but not be encoded.
            self._pack = msgpack.Packer(autoreset=True).pack
        return self._undoubted(data, items)

    def _undoubted(self, data: list[bytes], items: list[Items]) -> Frames:
        """Those of the records that are arrays of a legal length in their canonical encoding."""
        joined = b"".join(data)
        if (
            len(data) < len(items)
            or len(joined) > RECORD_BYTES_MAX
            or not self._buffer.startswith(joined, self._start)
            or not set(map(type, items)) <= {tuple}
        ):
            count = self._count_undoubted(data, items)
            self._doubtful = self._doubtful or count < len(items)
            data, items = data[:count], items[:count]
            joined = b"".join(data)
        self._start += len(joined)
        self._record += len(items)
        return Frames(data, items, canonical=True)

    def _count_undoubted(self, data: list[bytes], items: list[Items]) -> int:
        start = self._start
        for number, packed in enumerate(data):
            legal = type(items[number]) is tuple and len(packed) <= RECORD_BYTES_MAX
            if not legal or not self._buffer.startswith(packed, start):
                return number
            start += len(packed)
        return len(data)

    def finish(self) -> int:
        """At the end of the stream: how many bytes of a record are left whose rest is missing.

        Raises:
            Malformed, LimitExceeded: as `feed`, when no rest could make them a record.
        """
        if self.pending_bytes:
            measure(self._buffer, self._start, self._place())
        return self.pending_bytes

    def _advance(self, chunk: bytes) -> None:
        self._offset += self._start
        self._buffer = self._buffer[self._start :] + chunk
        self._start = 0
        if not self._doubtful:
            self._unpacker.feed(chunk)

    def _slowly(self) -> Frames | None:
        """The record in doubt if it is legal; None when the buffer stops before its end."""
        end = measure(self._buffer, self._start, self._place())
        if end is None:
            return None
        if end - self._start > RECORD_BYTES_MAX:
            raise _too_long(self._place(), end - self._start)
        data = self._buffer[self._start : end]
        items = msgpack.unpackb(data, use_list=False, max_array_len=LIST_ITEMS_MAX)
        self._start = end
        self._record += 1
        self._doubtful = False
        # The old decoder stopped somewhere else; a new one goes on behind the record.
        self._unpacker = _unpacker()
        self._unpacker.feed(self._buffer[end:])
        return Frames([data], [items], canonical=self._pack(items) == data)

    def _place(self) -> Place:
        return Place(offset=self._offset + self._start, record=self._record)


def _unpacker() -> Any:
    return msgpack.Unpacker(
        use_list=False,
        max_buffer_size=_FED_BYTES_MAX,
        max_str_len=RECORD_BYTES_MAX,
        max_bin_len=RECORD_BYTES_MAX,
        max_array_len=_ARRAY_MAX_FAST,
        max_map_len=0,
        max_ext_len=0,
    )


def measure(data: bytes, start: int, place: Place) -> int | None:
    """Where the record that starts at `start` ends; None when `data` stops before that.

    Raises:
        Malformed: code `artifact.record`, for what no record can be.
        LimitExceeded: code `artifact.limit`.
    """
    position, items = start, 0
    open_arrays = [1]
    while open_arrays:
        if not open_arrays[-1]:
            open_arrays.pop()
            continue
        open_arrays[-1] -= 1
        items += 1
        if items > ITEMS_MAX:
            raise _limit(place, "too many items", f"{ITEMS_MAX} items (ITEMS_MAX)")
        if position >= len(data):
            return None
        first = data[position]
        width = _LENGTH_BYTES.get(first, 0)
        if position + 1 + width > len(data):
            return None
        length = int.from_bytes(data[position + 1 : position + 1 + width], "big")
        position += 1 + width
        if first in (0xDC, 0xDD) or 0x90 <= first <= 0x9F:
            length = first & 0x0F if first <= 0x9F else length
            _check_array(length, len(open_arrays), place)
            open_arrays.append(length)
            continue
        if position == start + 1 + width:
            raise _malformed(place, "an array", f"an item that begins with 0x{first:02x}")
        begin = position
        position += length + _scalar_bytes(first, place)
        if position - start > RECORD_BYTES_MAX:
            raise _too_long(place, position - start)
        # Also in a record whose rest is missing: no rest makes a record of these bytes.
        if (first in _TEXTS or 0xA0 <= first <= 0xBF) and position <= len(data):
            _check_text(data[begin:position], place)
    return position if position <= len(data) else None


def _check_array(length: int, depth: int, place: Place) -> None:
    if length > LIST_ITEMS_MAX:
        raise _limit(place, "an array is too long", f"{LIST_ITEMS_MAX} items (LIST_ITEMS_MAX)")
    if depth > DEPTH_MAX:
        raise _limit(place, "arrays are nested too deeply", f"{DEPTH_MAX} levels (DEPTH_MAX)")


def _check_text(data: bytes, place: Place) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        raise _malformed(place, "texts in UTF-8", "other bytes") from None


def _scalar_bytes(first: int, place: Place) -> int:
    """The bytes after the first of an item that has no length of its own."""
    if first <= 0x7F or first >= 0xE0 or first in _LENGTH_BYTES:
        return 0
    if 0xA0 <= first <= 0xBF:
        return first & 0x1F
    if first in _FIXED_BYTES:
        return _FIXED_BYTES[first]
    kind = "the reserved byte 0xc1" if first == 0xC1 else "a map or an extension"
    raise _malformed(place, "nil, booleans, numbers, text, bytes and arrays only", kind)


def _malformed(place: Place, expected: str, actual: str) -> Malformed:
    return Malformed(
        "artifact.record",
        "these bytes are not a record",
        place=place,
        expected=expected,
        actual=actual,
        advice="The file was damaged or changed here; get another copy",
    )


def _limit(place: Place, what: str, limit: str) -> LimitExceeded:
    return LimitExceeded(
        "artifact.limit",
        f"this record is beyond any limit: {what}",
        place=place,
        expected=f"at most {limit}",
        advice="Do not rely on the file; no runner writes such a record",
    )


def _too_long(place: Place, least: int) -> LimitExceeded:
    limit = f"{RECORD_BYTES_MAX} bytes in a record (RECORD_BYTES_MAX)"
    return _limit(place, f"it has at least {least} bytes", limit)
