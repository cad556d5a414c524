"""Reads an artifact record by record, from a stream, in bounded memory.

Nothing about the file is believed: every record must be the canonical encoding of itself and
have a shape of `record_codec`. A file that stops in the middle of a record is not an error
here; reading ends and `ArtifactReader.torn` says where. What the records mean together is for
the verifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, count
from operator import itemgetter
from typing import BinaryIO, Final, NamedTuple

from troth.vm.errors import Malformed, Place, Unusable
from troth.vm.record_codec import Items, fit_together, validate
from troth.vm.record_frames import Framer, Frames
from troth.vm.records import FORMAT_VERSION, MAGIC, Kind

CHUNK_BYTES: Final = 1 << 16
CHUNK_BYTES_MAX: Final = 1 << 20
_HEADER: Final = int(Kind.HEADER)


class RawRecord(NamedTuple):
    """One record of the file; `data` are its bytes there, `items` what they decode to."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    offset: int
    data: bytes
    items: Items


class Torn(NamedTuple):
    """The file stops inside of record `record`, which starts at `offset`."""

    offset: int
    record: int
    reason: str


class UnsupportedVersion(Malformed):
    """The file is of a format version that this reader does not know."""


class ArtifactReader:
    """Iterate over it once, to the end.

    Attributes:
        offset: where the record starts that has not been read yet, in bytes.
        torn: after the iteration, how the file stops early; None when it ends with a record.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.offset = 0
        self.torn: Torn | None = None
        self._stream = stream

    def __iter__(self) -> Iterator[RawRecord]:
        """
        Raises:
            Malformed: codes `artifact.magic`, `artifact.record`, `structure.shape`,
                `structure.order`, and `artifact.version` as `UnsupportedVersion`.
            LimitExceeded: code `artifact.limit`.
            Unusable: code `artifact.io`, when the stream cannot be read.
        """
        for batch in self.batches():
            for record in batch:
                self.offset = record.offset + len(record.data)
                yield record

    def batches(self) -> Iterator[Sequence[RawRecord]]:
        """The same, many records at a time; `offset` is then where the batch ends.

        Records that come before one that is refused are handed out before it is.
        """
        if not self._read_magic():
            return
        framer = Framer(self.offset)
        index = 0
        while chunk := self._read(_chunk_bytes(framer.pending_bytes)):
            for frames in framer.feed(chunk):
                batch = _raw_records(frames, index, self.offset)
                if index == 0 or not frames.canonical or not _all_fit(frames.items):
                    yield from self._checked_singly(batch, canonical=frames.canonical)
                else:
                    last = batch[-1]
                    self.offset = last.offset + len(last.data)
                    yield batch
                index += len(batch)
        left = framer.finish()
        if left:
            reason = f"{left} bytes of a record whose rest is missing"
            self.torn = Torn(self.offset, index, reason)

    def _checked_singly(
        self, batch: Sequence[RawRecord], *, canonical: bool
    ) -> Iterator[Sequence[RawRecord]]:
        for record in batch:
            _check(record, canonical=canonical)
            self.offset = record.offset + len(record.data)
            yield (record,)

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            raise Unusable(
                "artifact.io",
                f"the artifact cannot be read: {error.strerror or 'input error'}",
                place=Place(offset=self.offset),
                advice="Check the file and the disk it is on",
            ) from error

    def _read_magic(self) -> bool:
        magic = b""
        while len(magic) < len(MAGIC) and (more := self._read(len(MAGIC) - len(magic))):
            magic += more
        if not MAGIC.startswith(magic):
            raise Malformed(
                "artifact.magic",
                "this is not a Troth artifact",
                place=Place(offset=0),
                expected=f"the bytes {MAGIC.hex()}",
                actual=magic.hex(),
                advice="Check that it is a .replay file and was copied in binary mode",
            )
        if magic != MAGIC:
            reason = "the file is empty" if not magic else "the file stops inside of its magic"
            self.torn = Torn(0, 0, reason)
            return False
        self.offset = len(MAGIC)
        return True


def _chunk_bytes(pending: int) -> int:
    """More at a time while a long record is being collected, so that it costs little copying."""
    return min(max(CHUNK_BYTES, pending), CHUNK_BYTES_MAX)


def read(stream: BinaryIO) -> Iterator[RawRecord]:
    """The records of an artifact; use `ArtifactReader` to learn whether the file is torn."""
    return iter(ArtifactReader(stream))


def _raw_records(frames: Frames, index: int, offset: int) -> list[RawRecord]:
    offsets = accumulate(map(len, frames.data), initial=offset)
    # A named tuple's own constructor costs a call more for each record.
    rows = zip(count(index), offsets, frames.data, frames.items, strict=False)
    return list(map(_make_record, rows))


_make_record: Final[Callable[[Iterable[object]], RawRecord]] = partial(tuple.__new__, RawRecord)


def _all_fit(records: list[Items]) -> bool:
    """None of them is a header, and all have a shape of the table."""
    return fit_together(records) and _HEADER not in map(itemgetter(0), records)


def _check(record: RawRecord, *, canonical: bool) -> None:
    index, offset, _, items = record
    if index == 0:
        _check_version(items, index, offset)
    validate(items, index, offset)
    if (items[0] == _HEADER) is not (index == 0):
        raise _misplaced_header(index, offset, Kind(items[0]).name)
    if not canonical:
        raise _not_canonical(index, offset)


def _check_version(items: Items, index: int, offset: int) -> None:
    """The version comes before everything else: another one may have other shapes."""
    if len(items) < 2 or type(items[0]) is not int or items[0] != Kind.HEADER:
        return
    version = items[1]
    if type(version) is int and version != FORMAT_VERSION:
        raise UnsupportedVersion(
            "artifact.version",
            "this artifact has a format that this version of Troth does not read",
            place=Place(offset=offset, record=index),
            expected=f"format version {FORMAT_VERSION}",
            actual=f"format version {version}",
            advice="Use a Troth that reads this version",
        )


def _misplaced_header(index: int, offset: int, found: str) -> Malformed:
    return Malformed(
        "structure.order",
        "the header is not where it belongs",
        place=Place(offset=offset, record=index),
        expected="a HEADER as the first record and nowhere else",
        actual=f"{found} as record {index}",
        advice="The file was damaged or changed here; get another copy",
    )


def _not_canonical(index: int, offset: int) -> Malformed:
    return Malformed(
        "artifact.record",
        "this record is not the canonical encoding of its content",
        place=Place(offset=offset, record=index),
        expected="the shortest msgpack form of every item",
        actual="another encoding of the same items",
        advice="The file was damaged or changed here; get another copy",
    )
