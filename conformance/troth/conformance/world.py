"""What the file has introduced so far: the shared state of the four levels.

Level 1 creates these objects and resolves every reference of a record to them; the other levels
keep their own fields here (grouped below), so that one look-up serves all. Sessions and
coroutines that have ended leave nothing behind but counts: memory grows with what is alive at
once, not with the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from troth.conformance.tables import INITIAL_STATE, TraceTables
from troth.vm.consumption import start
from troth.vm.events import EdgeConfig, Status
from troth.vm.instructions import ReplayMode
from troth.vm.limits import Limits
from troth.vm.loaded import LoadedImage
from troth.vm.merkle import EMPTY_ROOT, Frontier
from troth.vm.peer_heads import PeerHeads
from troth.vm.reader import RawRecord
from troth.vm.sent_history import SentHistory

ROLES_STRIDE: Final = 1 << 16
"""An edge is found under `sender * ROLES_STRIDE + receiver`."""


class Header(NamedTuple):
    """The header record's fields."""

    version: int
    image_id: bytes
    seed: bytes
    quantum: int
    policy: str
    limits: tuple[int, ...]
    runner: str
    replay: str | None
    seal: str | None
    entry: int | None
    anchor_unix_ns: int
    home: tuple[str, ...] | None
    observed: tuple[str, ...] | None

    def is_observed(self, protocol: str, role: str) -> bool:
        observed = self.observed or ()
        return role in observed or f"{protocol}.{role}" in observed


def program_name(number: int | None) -> str:
    """A program whose name is not known, or what ran where none did."""
    return "the host's own code" if number is None else f"program {number}"


class Principal:
    """One principal and its log, which is in this file when `here`.

    `offset` and `record` say where the file introduces it, `unsealed_from` is the first of its
    records that no seal covers yet.
    """

    __slots__ = (
        "final_sealed",
        "here",
        "index",
        "key",
        "log",
        "log_broken",
        "log_id",
        "name",
        "observed",
        "offset",
        "record",
        "roles",
        "sealed_root",
        "sealed_size",
        "unsealed_from",
    )

    def __init__(
        self, index: int, name: str, key: bytes, record: RawRecord, *, here: bool = True
    ) -> None:
        self.here = here
        self.index = index
        self.name = name
        self.key = key
        self.offset = record.offset
        self.record = record.index
        self.log_id = b""
        self.log = Frontier()
        self.sealed_size = 0
        self.sealed_root = EMPTY_ROOT
        self.unsealed_from: int | None = None
        self.log_broken = False
        self.final_sealed = False
        self.roles: set[str] = set()
        self.observed: set[str] = set()


@dataclass(slots=True)
class ProtocolEntry:
    """One PROTOCOL record. `tables` is None when nobody provides the protocol itself."""

    index: int
    id: bytes
    name: str
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    tables: TraceTables | None = None
    sessions: int = 0


class Coroutine:
    """A live coroutine and how many ids have been derived from its own.

    `asked` is the id of the last effect that it asked for.
    """

    __slots__ = ("asked", "children", "effects", "id", "index", "program", "sessions")

    def __init__(self, index: int, coroutine_id: bytes, program: int | None) -> None:
        self.index = index
        self.id = coroutine_id
        self.program = program
        self.children = 0
        self.sessions = 0
        self.effects = 0
        self.asked = b""


Message: TypeAlias = tuple[int, int, int, bytes]
"""A message in flight, as level 3 keeps it: generation, sequence, label index, statement.

A plain tuple, because one is made for every message of a file.
"""


class Edge:
    """One directed edge of one live session.

    Level 3 owns `in_flight`, `sent`, `received` and `consumption`, and for a round-sealed session
    `seals_due`: whose log has to be sealed up to which size before each message in flight may be
    received; and `rotated`, how many generations its sender has said to be over. `skip` is set
    when the edge has diverged there, so that one error does not cause the next. Level 4 owns the
    others:
    `rejected` counts refused messages, `overwritten` lost and `listed` undelivered ones,
    `receipted` is what the receiver has signed for, and `receipted_at` the number of that record,
    `carried` the endpoints that travel inside
    of messages, by generation and number.

    `listed` counts what was undelivered when its session ended, `unclaimed` what was because its
    receiver had crashed.

    `parted` says that the host has parted its roles, `corrupted` where the messages stand that it
    has changed, None before there is one.

    `inbound` and `outbound` say that only the sender or only the receiver is at another machine,
    `elsewhere` that both are. Of an
    inbound edge, level 3 counts in `arrived` the messages that came and level 4 keeps in `final`
    how many there are by the sender's notice. Of an outbound edge, level 3 keeps in
    `acknowledged` and `history` what the receiver has signed for, and in `reliable_acknowledged`
    how many of these may not be lost. `room_due` is the number of the record that has to make room
    for a message that arrived, -1 when there is room for all. `lossy_sent` and `lossy_received` are
    how many of those sent and received may be lost. `renews` says that its generations end on its
    sender's word, in the record `rotated_at`, and `generation_acknowledged` is the one of the last
    receipt.
    """

    __slots__ = (
        "acknowledged",
        "arrived",
        "carried",
        "config",
        "consumption",
        "corrupted",
        "elsewhere",
        "final",
        "generation_acknowledged",
        "history",
        "in_flight",
        "in_flight_max",
        "inbound",
        "listed",
        "lossy_received",
        "lossy_sent",
        "outbound",
        "overwritten",
        "parted",
        "receipted",
        "receipted_at",
        "received",
        "receiver",
        "rejected",
        "reliable_acknowledged",
        "renews",
        "room_due",
        "rotated",
        "rotated_at",
        "seals_due",
        "sender",
        "sent",
        "session",
        "skip",
        "unclaimed",
    )

    def __init__(self, session: Session, config: EdgeConfig, sender: int, receiver: int) -> None:
        self.session = session
        self.config = config
        self.sender = sender
        self.receiver = receiver
        self.in_flight: deque[Message] = deque()
        self.seals_due: deque[tuple[Principal, int]] = deque()
        self.in_flight_max = max(config.capacity, config.resize_max)
        self.sent = 0
        self.lossy_sent = 0
        self.received = 0
        self.lossy_received = 0
        self.renews = config.rotate > 0 and bool(config.lossy)
        self.consumption = start(ReplayMode(config.replay), config.rotate, lossy=bool(config.lossy))
        self.rotated = 0
        self.rotated_at = -1
        self.skip = False
        self.rejected = 0
        self.overwritten = 0
        self.listed = 0
        self.unclaimed = 0
        self.receipted: tuple[int, int] | None = None
        self.receipted_at = -1
        self.parted = False
        self.corrupted: frozenset[tuple[int, int]] | None = None
        self.carried: dict[tuple[int, int], tuple[tuple[Session, int], ...]] = {}
        away = sender in session.peers, receiver in session.peers
        self.inbound = away == (True, False)
        self.outbound = away == (False, True)
        self.elsewhere = away == (True, True)
        self.arrived = 0
        self.room_due = -1
        self.final: int | None = None
        self.acknowledged = 0
        self.reliable_acknowledged = 0
        self.generation_acknowledged = 0
        self.history: SentHistory | None = None
        if self.outbound and config.replay == ReplayMode.SEQUENCE:
            self.history = SentHistory()

    @property
    def drained(self) -> bool:
        """Nothing is in flight that could still be received here."""
        if self.inbound and (self.final is None or self.arrived < self.final):
            return self.final is not None and bool(self.config.lossy) and not self.in_flight
        return not self.in_flight

    @property
    def untaken(self) -> int:
        """Of an outbound edge, for how many messages its receiver has not signed.

        What may be lost is never waited for.
        """
        if self.config.lossy:
            return self.sent - self.lossy_sent - self.reliable_acknowledged
        return self.sent - self.acknowledged

    def waits_to_rotate(self, sent: int) -> bool:
        """After so many messages to another machine, whether the next generation cannot begin."""
        generation, sequence = self.config.position(sent)
        if not self.outbound or not self.renews or not sent or sequence:
            return False
        return self.generation_acknowledged < generation - 1

    @property
    def discarded(self) -> int:
        """What the receiver's receipts call so: refused, or overwritten."""
        return self.rejected + self.overwritten

    def may_lose(self, label: int) -> bool:
        """Whether the message with this label may be lost here."""
        return self.session.protocol.labels[label] in self.config.lossy

    def __str__(self) -> str:
        return f"{self.config.sender} -> {self.config.receiver}"


@dataclass(slots=True)
class Bundle:
    """Sessions that are opened and closed together.

    `sessions` are those that this file has, `expected` how many; `ended` is how the first of them
    ended, and all the others do. `reaches` is the number of the next record that can be a part of
    their end.
    """

    id: bytes
    expected: int
    sessions: list[Session] = field(default_factory=list)
    ended: Status | None = None
    reaches: int = -1

    def goes_on(self, index: int) -> bool:
        """Whether the record of one of its sessions is where it has to be, once one has ended.

        The machine writes the end of a bundle in one piece.
        """
        if self.ended is not None and index != self.reaches:
            return False
        self.reaches = index + 1
        return True


class ChildDue(NamedTuple):
    """A session of a bundle whose OPEN has to come: see `structure_head`."""

    bundle: Bundle
    coroutine: int
    protocol: int
    principals: tuple[int, ...]
    nonce: bytes
    peers: frozenset[int]
    shares: tuple[bytes, ...]
    observed: tuple[int, ...]


@dataclass(slots=True)
class Departures:
    """The roles of a session that have crashed while it goes on.

    `role_due` is one that has to depart, `discards_due` says that messages to one that has
    departed have to be listed; both with the number of the record that has to do so.
    """

    gone: set[int] = field(default_factory=set)
    role_due: tuple[int, int] | None = None
    discards_due: int | None = None

    @property
    def owed(self) -> bool:
        return self.role_due is not None or self.discards_due is not None


class Running(NamedTuple):
    """A clock: until the role has sent something on `edge` beyond its `sent` messages.

    `in_time` and `late` are states of the role's local type.
    """

    edge: Edge
    sent: int
    in_time: int
    late: int
    deadline_ns: int


class Session:
    """One live session.

    `round_sealed` says that its statements carry no signatures: the next head of their
    signer's log covers them. Level 1 owns `status`, level 2 `signers`, level 4 the others:
    `states` are positions in the local types by role, `in_transit` the roles whose endpoints
    travel inside a message (or are lost with one, or have crashed), and `skip` is set when the
    trace has diverged or cannot be judged. `ending` is set by what ends a session at once, before
    its status says so; `drains_at` is the record that has to say that it is draining, once
    something says why;
    `latched` when every role gave notice and nothing was in flight. `peers` are the roles
    that other machines hold, `nonces` what each role has added to the nonce then, `joined` the
    roles that have signed that they take part, `failed` why another machine has ended it.
    `silent` says until when roles are timed out, None before one is.
    `timers` are the clocks of timed choices that its roles have started, None before there is one.
    `departures` are of the roles that have crashed while it goes on, None before one has.
    `observed` are the roles whose principals watched them.
    `opener` is the coroutine that opened it, and `held` who has which endpoint if not that one,
    both with the record since which that is so.
    """

    __slots__ = (
        "acted",
        "bundle",
        "cancelled",
        "departures",
        "drained",
        "drains_at",
        "edges",
        "edges_from",
        "edges_to",
        "end_asked",
        "ending",
        "failed",
        "held",
        "id",
        "in_transit",
        "index",
        "joined",
        "latched",
        "linger_from_ns",
        "linger_ns",
        "nonces",
        "noticed",
        "observed",
        "opener",
        "peers",
        "protocol",
        "receives",
        "round_sealed",
        "sends",
        "signers",
        "silent",
        "skip",
        "states",
        "status",
        "timers",
    )

    def __init__(
        self,
        index: int,
        session_id: bytes,
        protocol: ProtocolEntry,
        signers: list[Principal],
        linger_ns: int,
        peers: frozenset[int] = frozenset(),
    ) -> None:
        self.peers = peers
        self.bundle: Bundle | None = None
        self.nonces: tuple[bytes, ...] = ()
        self.joined: set[int] = set()
        self.failed: str | None = None
        self.opener: tuple[int | None, int] = (None, 0)
        self.held: dict[int, tuple[int | None, int]] = {}
        self.index = index
        self.id = session_id
        self.protocol = protocol
        self.signers = signers
        self.linger_ns = linger_ns
        self.linger_from_ns: int | None = None
        self.round_sealed = False
        self.observed: frozenset[int] = frozenset()
        self.status = Status.ACTIVE
        self.edges: dict[int, Edge] = {}
        self.edges_from: dict[int, list[Edge]] = {}
        self.edges_to: dict[int, list[Edge]] = {}
        self.drained = False
        self.drains_at: int | None = None
        self.states = [INITIAL_STATE] * len(signers)
        self.noticed = [False] * len(signers)
        self.timers: dict[int, Running] | None = None
        self.silent: dict[int, int] | None = None
        self.in_transit: set[int] = set()
        self.departures: Departures | None = None
        self.cancelled: str | None = None
        self.ending = False
        self.end_asked = False
        self.latched = False
        self.acted: list[Principal | None] = [None] * len(signers)
        tables = protocol.tables
        self.skip = tables is None
        self.sends = tables.sends if tables is not None else ()
        self.receives = tables.receives if tables is not None else ()

    @property
    def name(self) -> str:
        """How findings name the session."""
        return f"{self.index} of {self.protocol.name}, id {self.id.hex()}"

    @property
    def together(self) -> Sequence[Session]:
        """The sessions that end when this one does."""
        return (self,) if self.bundle is None else self.bundle.sessions

    @property
    def excused(self) -> bool:
        """Whether its end cannot be judged, or that of a session that ends with it."""
        return self.skip or (self.bundle is not None and any(s.skip for s in self.bundle.sessions))

    @property
    def drained_edges(self) -> bool:
        """Whether nothing is in flight that could still be received here."""
        return all(edge.drained for edge in self.edges.values())

    def add_edge(self, config: EdgeConfig, sender: int, receiver: int) -> None:
        """Edges come sorted by the names of their roles, and so are the lists of each role."""
        edge = Edge(self, config, sender, receiver)
        self.edges[sender * ROLES_STRIDE + receiver] = edge
        self.edges_from.setdefault(sender, []).append(edge)
        self.edges_to.setdefault(receiver, []).append(edge)


@dataclass(slots=True)
class Tally:
    """Running totals for the verdict."""

    closed: int = 0
    cancelled: int = 0
    faulted: int = 0
    messages: int = 0
    received: int = 0
    undelivered: int = 0
    overwritten: int = 0
    dropped: int = 0
    delegations: int = 0
    rejects: int = 0
    refused: int = 0
    withheld: int = 0
    unprotected: int = 0
    faults: int = 0
    effects: int = 0
    prints: int = 0
    seals: int = 0

    def add_status(self, status: Status) -> None:
        if status is Status.CLOSED:
            self.closed += 1
        elif status is Status.CANCELLED:
            self.cancelled += 1
        elif status is Status.FAULTED:
            self.faulted += 1

    def add_edges(self, session: Session) -> None:
        """Counts what a session's edges have carried, once."""
        for edge in session.edges.values():
            self.messages += edge.sent
            self.received += edge.received


class World:
    """Everything alive, and the totals of everything that was.

    `record`, `session`, `edge`, `statement` and `message` belong to the record at hand: an
    earlier level sets them for the later ones. `handed` are the (session, role) pairs that were
    delegated and whose message has not come yet. `edges_off` are the first few edges whose
    replay protection was turned off. `keepers` are the principals whose logs are in the file,
    `met` the other machines of the sessions that coroutines are about to open, `heads` the heads
    of the logs that those keep. `children_due` are the sessions of a bundle that are still to be
    opened, and `children_reach` the number of the next record that can be about that.
    `last_fault` is a fault's code, and `fault_reaches` the number of the next record that can be
    a part of it.
    """

    def __init__(self) -> None:
        self.header: Header | None = None
        self.header_bytes = b""
        self.limits = Limits()
        self.image: LoadedImage | None = None
        self.principals: list[Principal] = []
        self.keepers: list[Principal] = []
        self.met: dict[int, tuple[tuple[str, bytes, bytes], ...]] = {}
        self.heads = PeerHeads()
        self.children_due: deque[ChildDue] = deque()
        self.children_reach = -1
        self.protocols: list[ProtocolEntry] = []
        self.sessions: dict[int, Session] = {}
        self.sessions_by_id: dict[bytes, Session] = {}
        self.coroutines: dict[int, Coroutine] = {}
        self.effects: dict[bytes, int] = {}
        self.sessions_opened = 0
        self.coroutines_spawned = 0
        self.round = 0
        self.now_ns = 0
        self.incarnations = 0
        self.outcome: str | None = None
        self.final_seals = 0
        self.edges_off: dict[str, None] = {}
        self.last_fault = ""
        self.fault_reaches = -1
        self.handed: dict[tuple[Session, int], None] = {}
        self.ended = False
        self.tally = Tally()
        self.record: RawRecord = NO_RECORD
        self.session: Session | None = None
        self.edge: Edge | None = None
        self.statement = b""
        self.message: Message | None = None
        self.effect: int | None = None

    @property
    def judged(self) -> Session:
        """The session of a record that is of one."""
        assert self.session is not None
        return self.session


NO_RECORD: Final = RawRecord(0, 0, b"", ())
