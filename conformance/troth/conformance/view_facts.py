"""What one party's record says of its sessions, kept small enough to be held beside others.

Collected while the file is verified. Of a message only its number, its identity and its record's
number are kept; a proof is made later by reading the file again at that record.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

from troth.conformance.claims import said_in
from troth.conformance.proving import descriptor_of_session
from troth.conformance.statement_words import read_covered
from troth.conformance.world import World
from troth.vm import events as ev
from troth.vm import statements
from troth.vm.errors import TrothError
from troth.vm.events import Event, Status
from troth.vm.instructions import ReplayMode
from troth.vm.reader import RawRecord
from troth.vm.record_events import EventDecoder
from troth.vm.records import Kind
from troth.vm.statements import DIGEST_BYTES, identity_digest

MESSAGES_MAX: Final = 2_000_000
"""Messages of one record that are compared one by one with those of others."""

STATEMENTS_MAX: Final = 200_000
"""Notices, receipts and the like of one record, and refusals."""

HEADS_MAX: Final = 200_000
"""Signed heads of logs in one record."""

COROUTINES_MAX: Final = 100_000
"""Coroutines of one record that are known to have opened sessions."""

SESSIONS_MAX: Final = 100_000
"""Sessions of one record that are compared with those of others."""

TEXT_CHARACTERS_MAX: Final = 400
"""Characters of what one of them says."""

EdgeKey: TypeAlias = tuple[str, str]
MessageKey: TypeAlias = tuple[int, int]
"""Generation and number."""


class Messages:
    """The messages of one edge in one record, 56 bytes each, in the order of the file."""

    __slots__ = ("_digests", "_generations", "_numbers", "_records")

    def __init__(self) -> None:
        self._generations = array("Q")
        self._numbers = array("Q")
        self._records = array("Q")
        self._digests = bytearray()

    def add(self, generation: int, number: int, record: int, digest: bytes) -> None:
        self._generations.append(generation)
        self._numbers.append(number)
        self._records.append(record)
        self._digests += digest

    def __len__(self) -> int:
        return len(self._numbers)

    def ordered(self, until: int) -> Iterator[tuple[MessageKey, int, bytes]]:
        """Key, record and identity of those whose record comes before `until`, by key."""
        numbers, generations = self._numbers, self._generations
        places: Sequence[int] = range(len(numbers))
        if any(
            (generations[place], numbers[place]) < (generations[place - 1], numbers[place - 1])
            for place in places[1:]
        ):
            places = sorted(places, key=lambda place: (generations[place], numbers[place]))
        for place in places:
            if self._records[place] < until:
                at = place * DIGEST_BYTES
                key = (generations[place], numbers[place])
                yield key, self._records[place], bytes(self._digests[at : at + DIGEST_BYTES])


class Statement(NamedTuple):
    """A statement other than a message; `own` says that this machine made it."""

    record: int
    role: str
    text: str
    slot: tuple[object, ...] | None
    own: bool


class HeadFact(NamedTuple):
    """A head in the record; `own` says that the log is kept there."""

    record: int
    root: bytes
    own: bool


class SessionFacts:
    """One session as one record has it.

    Attributes:
        here: the roles that the recording machine held.
        sent: by edge, what its roles said.
        arrived: by edge, what came to them from other machines.
        keys: by role, who had authority for it at first.
        nonces: by role, what it added to the session's nonce; empty where one machine has all.
        joined: by role of another machine, the record that says that it takes part.
        taken: by edge to another machine or from one, what its receiver has signed for in all.
        noticed: by role and receiver, how many messages a notice counts.
        refused: identities of messages that did not pass on arrival, with their codes.
        statements: by the digests of their bytes.
    """

    def __init__(self, event: ev.Opened, index: int, record: int, peers: frozenset[int]) -> None:
        self.id = event.session
        self.descriptor = descriptor_of_session(event)
        self.protocol = event.protocol
        self.index = index
        self.record = record
        self.roles = event.roles
        self.keys = dict(zip(event.roles, event.principals, strict=True))
        self.nonces: dict[str, bytes] = {}
        self.joined: dict[str, int] = {}
        self.here = frozenset(
            role for number, role in enumerate(event.roles) if number not in peers
        )
        self.modes = {(e.sender, e.receiver): ReplayMode(e.replay) for e in event.edges}
        self.sent: dict[EdgeKey, Messages] = {}
        self.arrived: dict[EdgeKey, Messages] = {}
        self.taken: dict[EdgeKey, tuple[int, int]] = {}
        self.noticed: dict[EdgeKey, tuple[int, int]] = {}
        self.refused: dict[bytes, str] = {}
        self.statements: dict[bytes, Statement] = {}
        self.status = Status.ACTIVE
        self.detail = ""

    @property
    def is_spread(self) -> bool:
        return len(self.here) < len(self.roles)


class ViewFacts:
    """An observer of the verification of one record; see the attributes afterwards.

    Attributes:
        sessions: by id.
        logs: the ids of the logs that the record holds, with the principals' keys.
        peers: the same of logs at other machines, as far as heads of them came.
        heads: by log id and size, those in the record: of its own logs and of others'.
        seed, image_id: of the run.
        openers: by coroutine, how many sessions it opened.
        digest: of all records, to tell two copies of one file.
        is_cut: a limit kept something from being compared.
    """

    def __init__(self, *, messages_max: int = MESSAGES_MAX) -> None:
        self.sessions: dict[bytes, SessionFacts] = {}
        self.logs: dict[bytes, bytes] = {}
        self.peers: dict[bytes, bytes] = {}
        self.heads: dict[tuple[bytes, int], list[HeadFact]] = {}
        self.seed = b""
        self.image_id = b""
        self.openers: dict[bytes, int] = {}
        self.is_cut = False
        self.records = 0
        self._messages_left = messages_max
        self._statements_left = STATEMENTS_MAX
        self._heads_left = HEADS_MAX
        self._hash = sha256()
        self._decoder: EventDecoder | None = EventDecoder()
        self._header = b""
        self._log_ids: list[bytes] = []
        self._keys: list[bytes] = []

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def __call__(self, record: RawRecord, world: World) -> None:
        self.records += 1
        self._hash.update(record.data)
        kind = record.items[0]
        if kind == Kind.HEADER:
            self._header = record.data
            if world.header is not None:
                self.seed, self.image_id = world.header.seed, world.header.image_id
        elif kind in (Kind.PRINCIPAL, Kind.PEER):
            self._principal(record)
        elif kind == Kind.SEAL:
            self._seal(record)
        if self._decoder is None:
            return
        try:
            event = self._decoder.decode(record)
            self._take(event, record.index, world)
        except (TrothError, IndexError, KeyError, ValueError, OverflowError):
            # Level 1 has refused the record: nothing after it can be interpreted.
            self._decoder = None

    # --- logs ------------------------------------------------------------------------------

    def _principal(self, record: RawRecord) -> None:
        _, _, key = record.items
        log_id = statements.log_id(self._header, key)
        self._keys.append(key)
        self._log_ids.append(log_id)
        if record.items[0] == Kind.PRINCIPAL:
            self.logs[log_id] = key

    def _seal(self, record: RawRecord) -> None:
        _, number, size, root, *_ = record.items
        if number < len(self._log_ids):
            self._head(self._log_ids[number], size, HeadFact(record.index, root, own=True))

    def _head(self, log_id: bytes, size: int, fact: HeadFact) -> None:
        if self._heads_left <= 0:
            self.is_cut = True
            return
        self._heads_left -= 1
        self.heads.setdefault((log_id, size), []).append(fact)

    # --- sessions --------------------------------------------------------------------------

    def _take(self, event: Event | None, record: int, world: World) -> None:
        match event:
            case None:
                return
            case ev.Spawned():
                if len(self.openers) < COROUTINES_MAX:
                    self.openers[event.coroutine] = 0
            case ev.Opened():
                self._open(event, record, world)
            case ev.Sent() | ev.Arrived():
                self._message(event, record)
            case ev.PeerHead():
                fact = HeadFact(record, event.root, own=False)
                self.peers.setdefault(event.log_id, event.principal)
                self._head(event.log_id, event.size, fact)
            case ev.Refused():
                session = self.sessions.get(event.session)
                if session is not None and self._spend():
                    session.refused[event.digest] = event.code
            case ev.StatusChanged():
                session = self.sessions.get(event.session)
                if session is not None:
                    session.status, session.detail = event.status, event.detail
            case _:
                self._state(event, record)

    def _open(self, event: ev.Opened, record: int, world: World) -> None:
        if event.coroutine in self.openers:
            self.openers[event.coroutine] += 1
        session = world.session
        if session is None or session.id != event.session or len(self.sessions) >= SESSIONS_MAX:
            self.is_cut = True
            return
        facts = SessionFacts(event, session.index, record, session.peers)
        if session.nonces:
            facts.nonces = dict(zip(event.roles, session.nonces, strict=True))
        self.sessions.setdefault(event.session, facts)

    def _message(self, event: ev.Sent | ev.Arrived, record: int) -> None:
        session = self.sessions.get(event.session)
        if session is None:
            return
        if self._messages_left <= 0:
            self.is_cut = True
            return
        self._messages_left -= 1
        said = said_in(event)
        assert said is not None, "a message is a statement"
        by_edge = session.sent if said.own else session.arrived
        messages = by_edge.setdefault((event.sender, event.receiver), Messages())
        digest = identity_digest(said.statement)
        messages.add(event.generation, event.sequence, record, digest)

    def _state(self, event: Event, record: int) -> None:
        said = said_in(event)
        session = None if said is None else self.sessions.get(said.session)
        if said is None or session is None or not self._spend():
            return
        covered = read_covered(said.statement, record, None)
        text = covered.text[:TEXT_CHARACTERS_MAX]
        fact = Statement(record, said.role, text, covered.slot, said.own)
        session.statements.setdefault(identity_digest(said.statement), fact)
        if isinstance(event, ev.PeerJoined):
            session.joined[event.role] = record
        if isinstance(event, ev.Receipted | ev.PeerReceipted):
            taken = event.consumed + event.discarded
            edge = (event.sender, event.role)
            if taken >= session.taken.get(edge, (0, 0))[0]:
                session.taken[edge] = (taken, record)
        if isinstance(event, ev.Noticed | ev.PeerNoticed):
            for receiver, _, count in event.finals:
                session.noticed[event.role, receiver] = (count, record)

    def _spend(self) -> bool:
        if self._statements_left <= 0:
            self.is_cut = True
            return False
        self._statements_left -= 1
        return True
