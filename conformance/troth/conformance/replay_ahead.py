"""The record as level 5 reads it: a little ahead of the program, and as the program's signer.

The program runs in step with the file. Whatever it did so far has been compared, so when it
wants something signed, the record of that is the next one in the file, or nearly: an instruction
may ask for several signatures before it does what they are for, and some changes of status may
come in between. So little is read ahead, however long the file is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from troth.conformance.divergence import Divergence
from troth.conformance.verdict import Finding
from troth.conformance.world import ProtocolEntry, World
from troth.vm.coroutine import Coroutine
from troth.vm.errors import TrothError, Unusable
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items
from troth.vm.records import STATED, Kind
from troth.vm.statements import SALT_BYTES, SIGNATURE_BYTES

BATCH_RECORDS: Final = 128
BATCH_BYTES: Final = 1 << 18
"""How much is read at a time."""

RECOMPUTED: Final = "recomputed by running the image"
KEY_FAULT: Final = "vm.fault.key"
_NO_SALT: Final = bytes(SALT_BYTES)
_NO_SIGNATURE: Final = bytes(SIGNATURE_BYTES)
_SEND: Final = int(Kind.SEND)
_OVERWRITE: Final = int(Kind.OVERWRITE)
_RETIRE: Final = int(Kind.RETIRE)
_BEFORE_SEND: Final = frozenset((int(Kind.DELEGATE), int(Kind.ROTATE), _RETIRE, _OVERWRITE))
_STATUS: Final = int(Kind.STATUS)
_STATED: Final = frozenset(map(int, STATED))
_INTRODUCTIONS: Final = frozenset((int(Kind.PRINCIPAL), int(Kind.PEER), int(Kind.PROTOCOL)))
_OPENING: Final = _INTRODUCTIONS | {int(Kind.BUNDLE)}


class Parted(Divergence):
    """What the program does cannot come of `record`, the next one."""

    def __init__(self, record: RawRecord, message: str, expected: str, actual: str) -> None:
        super().__init__(
            "replay.divergence",
            message,
            expected=expected,
            expected_side=RECOMPUTED,
            actual=actual,
        )
        self.record = record


class FileEnds(Exception):
    """There is no further record."""


class Withheld(Exception):
    """What another machine sent is not in the file, so what came of it cannot be found out."""

    def __init__(self, record: RawRecord) -> None:
        super().__init__(record.index)
        self.record = record


class Refuted(Exception):
    """An earlier level has found something wrong with the record that was read."""


class Unreadable(Exception):
    """The file cannot be read; the machine must not take that for a fault of the program."""

    def __init__(self, error: TrothError) -> None:
        super().__init__(error.message)
        self.error = error


class Ahead:
    """The records that come next. Levels 1 to 4 have looked at each before it is here.

    `answered` counts those at the front whose signatures the program has got already.
    """

    def __init__(self, records: Iterator[RawRecord], findings: list[Finding]) -> None:
        self.answered = 0
        self._records = records
        self._findings = findings
        self._refuted = False
        self._waiting: deque[RawRecord] = deque()

    def peek(self, place: int = 0) -> RawRecord | None:
        """The record after `place` others; None when the file ends before it."""
        waiting = self._waiting
        while len(waiting) <= place:
            if not self._read():
                return None
        return waiting[place]

    def take(self) -> RawRecord:
        """The next record.

        Raises:
            FileEnds: there is none.
        """
        if self.answered:
            self.answered -= 1
        if not self._waiting and not self._read():
            raise FileEnds
        return self._waiting.popleft()

    def _read(self) -> bool:
        """Some more records, as going to and fro between the levels costs time; False at the end.

        A record in which an earlier level finds something wrong, and all after it, stay out.
        """
        if self._refuted:
            raise Refuted
        waiting, before, size = self._waiting, len(self._waiting), 0
        try:
            for record in self._records:
                if self._findings:
                    break
                waiting.append(record)
                size += len(record.data)
                if len(waiting) - before >= BATCH_RECORDS or size >= BATCH_BYTES:
                    break
        except TrothError as error:
            raise Unreadable(error) from error
        if len(waiting) == before and self._findings:
            raise Refuted
        self._refuted = bool(self._findings)
        return len(waiting) > before


class RecordedSigner:
    """Answers for the principals of a record with what it holds: a `Signer` and a `Roster`.

    There are no private keys. What the record does not hold is answered with zeros, so that the
    event that comes of it shows where program and record part.

    Attributes:
        coroutine: whose turn it is.
        number_of: says a coroutine's number in the file, None when it has none.
        protocol_of: says which protocol a live session follows, by its number in the file.
        refused: the record says that the host refused its keys here.
        unseen: the edges some of whose payloads are not in the file, with their protocol.
    """

    def __init__(self, ahead: Ahead, world: World) -> None:
        self.coroutine: Coroutine | None = None
        self.number_of: Callable[[Coroutine], int | None] = _unknown
        self.protocol_of: Callable[[int], ProtocolEntry | None] = _unknown
        self.refused = False
        self.unseen: dict[tuple[str, str, str], None] = {}
        self._ahead = ahead
        self._world = world
        self._names: dict[bytes, str] = {}

    def salt(self, principal: bytes, position: bytes) -> bytes:  # noqa: ARG002 - the door's shape
        """The message's salt; its whole commitment where the salt is not in the file."""
        ahead = self._ahead
        place = self._after_receives(ahead.answered)
        record = ahead.peek(place)
        while record is not None and record.items[0] in _BEFORE_SEND:
            # Certificates of endpoints that travel in the message, and what makes room for it.
            place += 1
            record = ahead.peek(place)
        if record is None or record.items[0] != _SEND:
            return _NO_SALT
        if not record.items[-1]:
            # It is sealed by round: nobody asks for its signature.
            ahead.answered = place + 1
        salt, commitment = record.items[8], record.items[10]
        if salt is None:
            self._miss(record)
            assert isinstance(commitment, bytes), "a message has a salt or a commitment"
            return commitment
        assert isinstance(salt, bytes), "the reader has checked the record's shape"
        return salt

    def sign(self, principal: bytes, statement: bytes) -> bytes:  # noqa: ARG002 - likewise
        record = self._next_stated()
        if record is None:
            return _NO_SIGNATURE
        self._ahead.answered += 1
        signature = record.items[-1]
        assert isinstance(signature, bytes), "the reader has checked the record's shape"
        return signature

    def principal(self, protocol: str, role: str) -> bytes:
        """The key that the next OPEN or BUNDLE names for the role."""
        place, world = 0, self._world
        while (record := self._ahead.peek(place)) is not None:
            if record.items[0] not in _INTRODUCTIONS or place > world.limits.roles_max:
                break
            place += 1
        if record is None:
            raise FileEnds
        if record.items[0] == Kind.BUNDLE:
            _, _, name, roles, principals, *_ = record.items
            if name != protocol or role not in roles:
                raise _no_session(protocol, record, name)
            player: bytes = world.principals[principals[roles.index(role)]].key
            return player
        if record.items[0] != Kind.OPEN:
            self._refuse(record)
            raise _no_session(protocol, record)
        entry = world.protocols[record.items[2]]
        if entry.name != protocol or role not in entry.roles:
            raise _no_session(protocol, record, entry.name)
        key: bytes = world.principals[record.items[3][entry.roles.index(role)]].key
        return key

    def name_of(self, principal: bytes) -> str:
        """The name that the file gives to the key."""
        names, principals = self._names, self._world.principals
        for known in principals[len(names) :]:
            names[known.key] = known.name
        return names.get(principal, "")

    def _next_stated(self) -> RawRecord | None:
        """The next record that carries a signature which has not been asked for."""
        ahead = self._ahead
        place = self._after_receives(ahead.answered)
        record = ahead.peek(place)
        opens = 1
        while record is not None and (_unsigned(record.items) or _opens(record.items, opens)):
            if record.items[0] == Kind.BUNDLE:
                opens = len(record.items[5])
            opens -= record.items[0] == Kind.OPEN
            place += 1
            record = ahead.peek(place)
        if record is None:
            return None
        ahead.answered = place
        if record.items[0] in _STATED:
            return record
        self._refuse(record)
        return None

    def _after_receives(self, place: int) -> int:
        """A join signs all its messages before the first of its acts is recorded.

        So what it received lies between them, and what was sent to who has crashed is listed:
        never more records than one for each of its acts.
        """
        speculation = None if self.coroutine is None else self.coroutine.speculation
        if speculation is None:
            return place
        for _ in speculation.acts:
            record = self._ahead.peek(place)
            if record is None or record.items[0] not in (Kind.RECEIVE, Kind.UNDELIVERED):
                break
            place += 1
        return place

    def _refuse(self, record: RawRecord) -> None:
        """Does as the host did, when the record says that it had no key for this coroutine."""
        items = record.items
        if items[0] != Kind.FAULT or items[2] != KEY_FAULT or self.coroutine is None:
            return
        if items[1] == self.number_of(self.coroutine):
            self.refused = True
            raise Unusable("key.missing", "as recorded")

    def _miss(self, record: RawRecord) -> None:
        _, number, sender, receiver, *_ = record.items
        protocol = self.protocol_of(number)
        if protocol is not None:
            edge = protocol.name, protocol.roles[sender], protocol.roles[receiver]
            self.unseen[edge] = None


def _unknown(what: object) -> None:
    """Nothing is known before the run has begun."""


def _unsigned(items: Items) -> bool:
    """Whether the record may come before one that the program has signed in one instruction."""
    if items[0] in (_STATUS, _OVERWRITE, _RETIRE):
        return True
    return items[0] in _STATED and items[0] != _SEND and not items[-1]


def _opens(items: Items, opens: int) -> bool:
    """Whether the record opens a session whose roles sign next that they join it.

    `opens` is how many there still can be: those of a bundle are opened before any of them is
    joined.
    """
    return items[0] in _OPENING or (items[0] == Kind.OPEN and opens > 0)


def _no_session(protocol: str, record: RawRecord, other: str | None = None) -> Parted:
    kind = Kind(record.items[0]).name
    return Parted(
        record,
        "the program opens a session here, and the file says something else",
        f"a session of {protocol}",
        f"a {kind} record" if other is None else f"a session of {other}",
    )
