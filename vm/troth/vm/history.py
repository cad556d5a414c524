"""What a record says of a run that is to be gone on with: how it was made, and its inputs.

`survey` reads the whole file once, in bounded memory, and says what is needed before anything
runs. `Inputs` reads it a second time, a little ahead of the machine that runs the recorded part
again, and gives what came from outside. Nothing here is verified: running the image again and
comparing every byte does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from troth.vm.errors import Malformed
from troth.vm.events import Event
from troth.vm.reader import ArtifactReader, RawRecord
from troth.vm.record_codec import FIELDS, Items
from troth.vm.record_events import EventDecoder
from troth.vm.records import PEER_INPUTS, Kind
from troth.vm.statements import child_nonce

_ZEROS_READ: Final = 1 << 16

ROUND_OF: Final = {
    Kind.TIME: 2,
    Kind.TIMER: 4,
    Kind.COMPLETE: 4,
    Kind.CANCEL: 4,
    Kind.ASK_END: 3,
    Kind.TROUBLE: 6,
    Kind.INCARNATION: 2,
    Kind.END: 1,
    **{kind: len(FIELDS[kind]) for kind in PEER_INPUTS},
}
"""Records that say what the host did, and which item is the round.

TIME, TIMER and COMPLETE count into the round they name, the others come after it.
"""

BEFORE_ROUND: Final = frozenset({Kind.TIME, Kind.COMPLETE})
"""Before anything else of the round; where nothing else of it follows, they do not bind."""

INTO_ROUND: Final = BEFORE_ROUND | {Kind.TIMER}
"""What the round has to know; a TIMER says when the round began, in the middle of it."""


class Survey(NamedTuple):
    """What is in a record.

    Attributes:
        header: the HEADER's items; None when the file stops before its end.
        image: the image's bytes; None when they are not in the file.
        principals: the public key behind each role for which a session was opened.
        peers: the names that other machines' public keys have.
        records: how many whole records there are.
        whole: where the last whole record ends, in bytes.
        loose_from: where the inputs begin after which there is nothing else, or `whole`.
        incarnations: how often the run was resumed.
        ended: the file has its end and all final seals.
    """

    header: Items | None
    image: bytes | None
    principals: dict[str, bytes]
    peers: dict[bytes, str]
    records: int
    whole: int
    loose_from: int
    incarnations: int
    ended: bool


def survey(stream: BinaryIO) -> Survey:
    """Reads a record to its end. A torn tail, or one of zeros, does not count.

    A file system that lost power may leave zeros where bytes were not written yet.

    Raises:
        Malformed, LimitExceeded, Unusable: as `ArtifactReader`.
    """
    reader = ArtifactReader(stream)
    surveyor = _Surveyor(reader)
    try:
        for record in reader:
            surveyor.take(record)
    except Malformed:
        if not surveyor.whole or not _only_zeros(stream, surveyor.whole):
            raise
    return surveyor.result()


def _only_zeros(stream: BinaryIO, start: int) -> bool:
    stream.seek(start)
    while data := stream.read(_ZEROS_READ):
        if data.count(0) != len(data):
            return False
    return True


class _Surveyor:
    def __init__(self, reader: ArtifactReader) -> None:
        self.records = 0
        self.whole = 0
        self._reader = reader
        self._header: Items | None = None
        self._image: bytes | None = None
        self._keys: list[bytes | None] = []
        self._logs = 0
        self._peers: dict[bytes, str] = {}
        self._roles: list[tuple[str, ...]] = []
        self._principals: dict[str, bytes] = {}
        self._children: set[bytes] = set()
        self._loose_from = 0
        self._incarnations = 0
        self._seals_after_end: int | None = None

    def take(self, record: RawRecord) -> None:
        items = record.items
        kind = items[0]
        self.records = record.index + 1
        self.whole = self._reader.offset
        if kind not in BEFORE_ROUND:
            self._loose_from = self.whole
        if kind == Kind.HEADER:
            self._header = items
        elif kind == Kind.IMAGE:
            self._image = items[1]
        elif kind == Kind.PRINCIPAL:
            self._keys.append(items[2])
            self._logs += 1
        elif kind == Kind.PEER:
            # They are numbered together; its key is kept elsewhere.
            self._keys.append(None)
            self._peers[items[2]] = items[1]
        elif kind == Kind.PROTOCOL:
            self._roles.append(items[3])
        elif kind == Kind.OPEN:
            # Whoever stands behind a role of a bundle stands behind those it plays in it.
            if items[7] not in self._children:
                self._opened(items[2], items[3])
        elif kind == Kind.BUNDLE:
            self._children = {child_nonce(items[1], row[0]) for row in items[5]}
            self._signed_for(items[3], items[4])
        elif kind == Kind.INCARNATION:
            self._incarnations += 1
        elif kind == Kind.END:
            self._seals_after_end = 0
        elif kind == Kind.SEAL and self._seals_after_end is not None:
            self._seals_after_end += 1

    def _opened(self, protocol: int, principals: tuple[int, ...]) -> None:
        """An index that leads nowhere is left for the comparison to find."""
        if protocol < len(self._roles):
            self._signed_for(self._roles[protocol], principals)

    def _signed_for(self, roles: tuple[str, ...], principals: tuple[int, ...]) -> None:
        for role, principal in zip(roles, principals, strict=False):
            key = self._keys[principal] if principal < len(self._keys) else None
            if key is not None:
                self._principals.setdefault(role, key)

    def result(self) -> Survey:
        seals = self._seals_after_end
        return Survey(
            self._header,
            self._image,
            self._principals,
            self._peers,
            self.records,
            self.whole,
            self._loose_from,
            self._incarnations,
            ended=seals is not None and seals >= self._logs,
        )


class Input(NamedTuple):
    """What the host did, or what came from another machine: its record and what it says."""

    record: RawRecord
    event: Event | None


class Inputs:
    """What came from outside, in order, up to the byte `whole` of the file."""

    def __init__(self, stream: BinaryIO, whole: int) -> None:
        self._records = _inputs(stream, whole)
        self._next: Input | None = next(self._records, None)

    def peek(self) -> Input | None:
        """The next; None when there is none."""
        return self._next

    def take(self) -> Input:
        """The next, which there is."""
        one = self._next
        assert one is not None, "who takes an input has looked at it"
        self._next = next(self._records, None)
        return one


def _inputs(stream: BinaryIO, whole: int) -> Iterator[Input]:
    """
    Raises:
        Malformed: as `EventDecoder.decode`, for records that do not follow from one another.
    """
    reader, decoder = ArtifactReader(stream), EventDecoder()
    for record in reader:
        kind = record.items[0]
        event = decoder.decode(record)
        # A role's own CANCEL is what a program did; only the host's has a round.
        if kind in ROUND_OF and record.items[ROUND_OF[kind]] is not None:
            yield Input(record, event)
        if reader.offset >= whole:
            return
