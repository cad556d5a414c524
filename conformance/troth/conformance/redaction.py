"""Takes payloads out of an artifact, and checks that nothing else was taken or changed.

A log's leaf covers a message's statement, which holds the commitment to the payload and not the
payload. So a SEND record may lose its salt and payload, and gets the commitment in their place,
and so may an ARRIVE, the same message in the record of the machine that received it;
every root, seal and signature stays as it is. Records that are covered by their own bytes (the
image, prints, effects, faults, statuses) cannot lose anything, and stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import BinaryIO, Final, NamedTuple

import msgpack

from troth.vm import events as ev
from troth.vm.errors import Malformed, Place, Unusable
from troth.vm.reader import ArtifactReader, RawRecord
from troth.vm.record_codec import Items
from troth.vm.record_events import EventDecoder
from troth.vm.records import MAGIC, Kind
from troth.vm.statements import payload_commitment

_SALT: Final = 8
_PAYLOAD: Final = 9
_COMMITMENT: Final = 10
_IN_CLEAR: Final = {
    Kind.IMAGE: "image",
    Kind.PRINT: "prints",
    Kind.INVOKE: "arguments_of_effects",
    Kind.COMPLETE: "results_of_effects",
    Kind.CANCEL: "reasons_of_cancellations",
    Kind.PEER_CANCEL: "reasons_of_cancellations",
    Kind.FAIL: "reasons_of_cancellations",
    Kind.PEER_FAIL: "reasons_of_cancellations",
    Kind.FAULT: "messages_of_faults",
}
"""Records that hold content and cannot be redacted, by how the report calls it."""


class MessagePlace(NamedTuple):
    """Where messages of one kind go: what a report counts them under."""

    protocol: str
    edge: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which payloads to take out: those that fit one of each kind that is given.

    `edges` are `Sender->Receiver`, `sessions` numbers as `inspect` shows them. With nothing given,
    all of them.
    """

    edges: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    sessions: frozenset[int] = frozenset()

    def fits(self, session: int, edge: str, label: str) -> bool:
        return (
            (not self.edges or edge in self.edges)
            and (not self.labels or label in self.labels)
            and (not self.sessions or session in self.sessions)
        )


@dataclass(frozen=True, slots=True)
class RedactedPart:
    """So many messages of one label on one edge of a protocol, and bytes of their payloads."""

    protocol: str
    edge: str
    label: str
    messages: int
    payload_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What was taken out, and what is still there.

    Attributes:
        records: how many records both files have.
        redacted: what lost its payload, in the order of first appearance.
        kept: messages whose payload is still in the file.
        absent: messages whose payload was not in the file before.
        in_clear: by name, how many records hold content that cannot be taken out.
        cut: the file stopped inside of a record, and what was there of it was left out.
    """

    records: int
    redacted: tuple[RedactedPart, ...]
    kept: int
    absent: int
    in_clear: tuple[tuple[str, int], ...]
    cut: bool = False

    @property
    def messages(self) -> int:
        return sum(part.messages for part in self.redacted)


class _Account:
    """Collects what becomes a `Redaction`."""

    def __init__(self) -> None:
        self.records = 0
        self.kept = 0
        self.absent = 0
        self.cut = False
        self._messages: Counter[MessagePlace] = Counter()
        self._bytes: Counter[MessagePlace] = Counter()
        self._in_clear: Counter[str] = Counter()

    def record(self, items: Items) -> None:
        self.records += 1
        name = _IN_CLEAR.get(items[0])
        if name is not None:
            self._in_clear[name] += 1

    def redacted(self, place: MessagePlace, payload: bytes) -> None:
        self._messages[place] += 1
        self._bytes[place] += len(payload)

    def result(self) -> Redaction:
        return Redaction(
            records=self.records,
            redacted=tuple(
                RedactedPart(*place, count, self._bytes[place])
                for place, count in self._messages.items()
            ),
            kept=self.kept,
            absent=self.absent,
            in_clear=tuple(
                (name, self._in_clear[name])
                for name in dict.fromkeys(_IN_CLEAR.values())
                if self._in_clear[name]
            ),
            cut=self.cut,
        )


class _Sessions:
    """Names the places of messages; sessions are counted as their records come."""

    def __init__(self) -> None:
        self._decoder = EventDecoder()
        self._protocols: dict[bytes, str] = {}

    def place(self, record: RawRecord) -> MessagePlace | None:
        """The place of a message; None for every other record."""
        event = self._decoder.decode(record)
        if isinstance(event, ev.Opened):
            self._protocols[event.session] = event.protocol
        elif isinstance(event, ev.StatusChanged) and event.status in _ENDED:
            self._protocols.pop(event.session, None)
        elif isinstance(event, ev.Sent | ev.Arrived):
            protocol = self._protocols.get(event.session, "")
            return MessagePlace(protocol, f"{event.sender}->{event.receiver}", event.label)
        return None


_ENDED: Final = frozenset((ev.Status.CLOSED, ev.Status.CANCELLED, ev.Status.FAULTED))


class Redactor:
    """Iterate over it for the bytes of the redacted artifact; `result` is there afterwards."""

    def __init__(self, stream: BinaryIO, selection: Selection) -> None:
        self._reader = ArtifactReader(stream)
        self._selection = selection
        self._account = _Account()

    def __iter__(self) -> Iterator[bytes]:
        """
        Raises:
            Malformed, LimitExceeded: the file is not an artifact.
            Unusable: code `artifact.io`.
        """
        sessions, account = _Sessions(), self._account
        yield MAGIC
        for record in self._reader:
            account.record(record.items)
            place = sessions.place(record)
            yield record.data if place is None else self._message(record, place)
        torn = self._reader.torn
        if torn is not None:
            # It may hold a part of a payload.
            account.cut = True

    def _message(self, record: RawRecord, place: MessagePlace) -> bytes:
        items, account = record.items, self._account
        if items[_PAYLOAD] is None:
            account.absent += 1
            return record.data
        if not self._selection.fits(items[1], place.edge, place.label):
            account.kept += 1
            return record.data
        account.redacted(place, items[_PAYLOAD])
        return redacted_record(items)

    def result(self) -> Redaction:
        return self._account.result()


def redacted_record(items: Items) -> bytes:
    """A SEND or ARRIVE record with the commitment to its payload in the place of the payload."""
    commitment = payload_commitment(items[_SALT], items[_PAYLOAD])
    packed: bytes = msgpack.packb((*items[:_SALT], None, None, commitment, *items[11:]))
    return packed


def check_redaction(original: BinaryIO, redacted: BinaryIO) -> Redaction:
    """What was taken out, when nothing else was.

    Raises:
        Malformed: code `redact.differs`, where the files differ otherwise, or as `ArtifactReader`.
        LimitExceeded, Unusable: as `ArtifactReader`.
    """
    sessions, account = _Sessions(), _Account()
    before, after = ArtifactReader(original), ArtifactReader(redacted)
    for one, other in zip_longest(before, after):
        if one is None or other is None:
            raise _differs(
                one or other,
                "one file goes on where the other one ends",
                "as many records in both",
                f"the {'redacted' if one is None else 'original'} file goes on",
            )
        account.record(one.items)
        place = sessions.place(one)
        if place is None or one.data == other.data:
            _require_same(one, other)
            if place is not None:
                account.absent += one.items[_PAYLOAD] is None
                account.kept += one.items[_PAYLOAD] is not None
        elif one.items[_PAYLOAD] is None or redacted_record(one.items) != other.data:
            raise _differs(
                one,
                "a message was changed otherwise than by taking its payload out",
                "the message, or its commitment in the place of salt and payload",
                f"{len(other.data)} other bytes",
            )
        else:
            account.redacted(place, one.items[_PAYLOAD])
    if after.torn is not None:
        raise Malformed(
            "redact.differs",
            "the redacted file stops inside of a record",
            place=Place(offset=after.torn.offset, record=after.torn.record),
            advice="A redacted file ends with a whole record; get another copy",
        )
    account.cut = before.torn is not None
    return account.result()


def _require_same(one: RawRecord, other: RawRecord) -> None:
    if one.data != other.data:
        raise _differs(
            one,
            f"a {Kind(one.items[0]).name} record is another in the redacted file",
            f"the same {len(one.data)} bytes in both",
            f"{len(other.data)} other bytes",
        )


def _differs(record: RawRecord | None, message: str, expected: str, actual: str) -> Malformed:
    assert record is not None, "one of the files has a record here"
    return Malformed(
        "redact.differs",
        message,
        place=Place(offset=record.offset, record=record.index),
        expected=expected,
        actual=actual,
        advice="This is no redaction of that artifact; do not take one for the other",
    )


def nothing_fits(selection: Selection) -> Unusable:
    """For a selection that no message of the file fits: a name in it may be misspelt."""
    given = [*sorted(selection.edges), *sorted(selection.labels)]
    given += [f"session {number}" for number in sorted(selection.sessions)]
    return Unusable(
        "redact.nothing",
        "no message with a payload fits what is to be redacted",
        expected="an edge, label or session of the artifact",
        actual=", ".join(given) or "an artifact without payloads",
        advice="`troth inspect --events` shows the messages; write an edge as Sender->Receiver",
    )
