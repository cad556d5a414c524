"""Sessions, their directed edges and their endpoints: the only place where types live.

An `EndpointState` is what a register holds for an endpoint. It belongs to its session, knows
its position in its local type, and says who may use it: exactly one coroutine, or nobody while
it travels inside a message and once it is done.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from troth.vm import consumption
from troth.vm.buffer import Envelope, buffer_of
from troth.vm.consumption import Consumption
from troth.vm.descriptor import Descriptor
from troth.vm.events import EdgeConfig, Status
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.loaded import ProtocolTables
from troth.vm.sent_history import SentHistory
from troth.vm.values import Endpoint, RegisterValue

if TYPE_CHECKING:
    from troth.vm.coroutine import Coroutine
    from troth.vm.step_tables import StateTable

"""The generation of every edge: rotation of nullifier sets starts new ones."""


class Custody(Enum):
    """Where an endpoint is."""

    HELD = "held by a coroutine"
    IN_TRANSIT = "in transit inside a message"
    DONE = "done"
    LOST = "lost with the message that carried it"
    CRASHED = "gone: who played it has crashed"
    ELSEWHERE = "held by another machine"


class EndpointState:
    """One role's end of one session.

    Attributes:
        state: the position in the local type.
        signer: the public key that signs for the role.
        owner: the coroutine that may use it; None unless `custody` is HELD.
        fresh: neither sent nor received yet, so it can still be delegated.
        carrier: the edge on which it travels while IN_TRANSIT.
        noticed: its role is done: it has given notice, or has crashed and is done without.
        outgoing, incoming: its edges, by the peer's role; empty once the session has ended.
        handle: how values and evidence name it.
    """

    __slots__ = (
        "carrier",
        "custody",
        "fresh",
        "handle",
        "incoming",
        "noticed",
        "outgoing",
        "owner",
        "role",
        "session",
        "signer",
        "state",
    )

    def __init__(
        self, session: Session, role: str, state: StateTable, signer: bytes, owner: Coroutine
    ) -> None:
        self.session = session
        self.role = role
        self.state = state
        self.signer = signer
        self.owner: Coroutine | None = owner
        self.custody = Custody.HELD
        self.carrier: Edge | None = None
        self.fresh = True
        self.noticed = False
        self.outgoing: dict[str, Edge] = {}
        self.incoming: dict[str, Edge] = {}
        self.handle = Endpoint(session.id, role)


class EndpointElsewhere(NamedTuple):
    """What `open` gives for a role that another machine holds: it can only be spawned with."""

    protocol: str
    role: str


Cell: TypeAlias = RegisterValue | EndpointState | EndpointElsewhere
"""What a register can hold. A bare `Endpoint` never is in a register."""


OwnMessage: TypeAlias = tuple[Envelope, bytes]
"""A message that this machine has made, as it is in the buffer, and its statement. One without a
signature is not signed yet; one with a signature was verified as its receiver would do it."""


class EdgeTrouble(NamedTuple):
    """What a host says is wrong with an edge.

    Attributes:
        parted: nothing passes from the sender to the receiver.
        corrupted: messages that were changed after they had been signed.
    """

    parted: bool
    corrupted: tuple[Envelope, ...]


class Edge:
    """A directed pair of roles inside one session.

    Attributes:
        sent: messages signed so far, so the next one's number: spent at signing, never before.
        consumption: the replay protection and history of the receiving side.
        sealed: of a round-sealed session, the messages in the buffer that are sealed, each with
            its statement: what a log's signed head covers, so what the receiver checks against.
        unsealed: the same for the newest messages of the buffer, whose seal is to come.
        consumed: messages taken by the receiver.
        discarded: messages that left the buffer otherwise, refused or overwritten.
        rejects: per fault code, how many messages were refused.
        waiting_receiver, waiting_sender: the coroutine blocked here, if any.
        inbound: only the sender is at another machine: messages arrive through `deliver`.
        outbound: only the receiver is: messages leave by the outbox.
        rotated: of an inbound edge, how many generations the sender has said to be over.
        arrived: messages that were accepted from another machine.
        final: how many messages the sender's notice says there are, None before it.
        lossy_sent, lossy_consumed: how many of those sent and taken may be lost.
        acknowledged: of an outbound edge, how many messages the receiver's receipts cover.
        reliable_acknowledged: of these, the ones taken that may not be lost.
        generation_acknowledged: if it loses messages and has generations, that of the last receipt.
        receipted: of an inbound edge, how many the last receipt covered.
        receipts: of an outbound edge, how many receipts came.
        history: of an outbound edge in mode `sequence`, what receipts are checked against.
        waiting: of an inbound edge, the statements of the messages in the buffer; else None.
        trouble: what the host says is wrong with it; None when nothing is.
        own: what this machine has made of the messages in the buffer that are signed one by one,
            by generation and number, if they are signed late (`unsigned`); None for none. Nothing
            but a short way: snapshots leave it out.
    """

    __slots__ = (
        "acknowledged",
        "arrived",
        "buffer",
        "config",
        "consumed",
        "consumption",
        "discarded",
        "final",
        "generation_acknowledged",
        "history",
        "inbound",
        "lossy_consumed",
        "lossy_sent",
        "outbound",
        "own",
        "receipted",
        "receipts",
        "receiver",
        "rejects",
        "reliable_acknowledged",
        "rotated",
        "sealed",
        "sender",
        "sent",
        "trouble",
        "unsealed",
        "waiting",
        "waiting_receiver",
        "waiting_sender",
    )

    def __init__(self, config: EdgeConfig, sender: EndpointState, receiver: EndpointState) -> None:
        self.config = config
        self.sender = sender
        self.receiver = receiver
        self.buffer = buffer_of(config)
        self.sent = 0
        self.consumption: Consumption = consumption.start(
            ReplayMode(config.replay), config.rotate, lossy=bool(config.lossy)
        )
        self.sealed: list[tuple[Envelope, bytes]] = []
        self.unsealed: list[tuple[Envelope, bytes]] = []
        self.consumed = 0
        self.discarded = 0
        self.rejects: dict[str, int] = {}
        self.waiting_receiver: Coroutine | None = None
        self.waiting_sender: Coroutine | None = None
        away = sender.custody is Custody.ELSEWHERE, receiver.custody is Custody.ELSEWHERE
        self.inbound = away == (True, False)
        self.outbound = away == (False, True)
        self.history: SentHistory | None = None
        if self.outbound and config.replay == ReplayMode.SEQUENCE:
            self.history = SentHistory()
        self.arrived = 0
        self.rotated = 0
        self.final: int | None = None
        self.lossy_sent = 0
        self.lossy_consumed = 0
        self.acknowledged = 0
        self.reliable_acknowledged = 0
        self.generation_acknowledged = 0
        self.receipted = 0
        self.receipts = 0
        self.waiting: set[bytes] | None = set() if self.inbound else None
        self.own: dict[tuple[int, int], OwnMessage] | None = None
        self.trouble: EdgeTrouble | None = None

    @property
    def parted(self) -> bool:
        """Nothing passes from the sender to the receiver."""
        return self.trouble is not None and self.trouble.parted

    @property
    def in_flight(self) -> int:
        """Messages sent that the receiver, here or at another machine, has not taken.

        What may be lost on the way to another machine is not waited for.
        """
        if not self.outbound:
            return len(self.buffer.messages)
        if self.may_lose:
            return self.sent - self.lossy_sent - self.reliable_acknowledged
        return self.sent - self.acknowledged

    @property
    def renews(self) -> bool:
        """Its generations end on its sender's word: messages of them may have been lost."""
        return self.config.rotate > 0 and self.may_lose

    @property
    def waits_to_rotate(self) -> bool:
        """The next message begins a generation, and it is not time.

        Another machine's receiver ends the one before on the sender's word alone. So all of it
        that may not be lost has to be taken, and the word before that to be heard.
        """
        if not self.outbound or not self.renews or not self.sent:
            return False
        generation, sequence = self.config.position(self.sent)
        if sequence:
            return False
        return self.in_flight > 0 or self.generation_acknowledged < generation - 1

    @property
    def complete(self) -> bool:
        """The sender is done, and everything that it sent is in the buffer or was taken."""
        if not self.inbound:
            return self.sender.noticed
        # Where nothing is refused, a message can come more than once.
        return self.final is not None and self.arrived >= self.final

    @property
    def drained(self) -> bool:
        """The sender is done and nothing is left to take; what may be lost may never come."""
        if self.buffer.messages:
            return False
        return not self.inbound or self.complete or (self.sender.noticed and self.may_lose)

    @property
    def abandoned(self) -> bool:
        """Its receiver has crashed, and the session goes on: whatever is sent is discarded."""
        return self.receiver.custody is Custody.CRASHED

    @property
    def may_lose(self) -> bool:
        return bool(self.config.lossy)

    def __str__(self) -> str:
        return f"{self.sender.role} -> {self.receiver.role}"

    def take(self, place: int = 0) -> Envelope:
        """A message leaves the buffer, the oldest if no other, and its sealed statement with it."""
        if self.sealed:
            self.sealed.pop(0)
        envelope = self.buffer.messages.pop(place)
        if self.own is not None:
            self.forget_own(envelope)
        return envelope

    def take_overwritten(self, place: int) -> Envelope:
        """A message makes room for another; its statement goes with it, sealed or not."""
        if place < len(self.sealed):
            del self.sealed[place]
        elif self.unsealed:
            del self.unsealed[place - len(self.sealed)]
        envelope = self.buffer.take(place)
        if self.own is not None:
            self.forget_own(envelope)
        return envelope

    def forget_own(self, envelope: Envelope) -> None:
        assert self.own is not None, "the caller has looked"
        self.own.pop((envelope.generation, envelope.sequence), None)
        if not self.own:
            self.own = None

    def seal(self) -> None:
        """What was sent in this round can be received from now on."""
        self.sealed += self.unsealed
        self.unsealed.clear()


class Session:
    """One session, from open to its end; afterwards a husk that says how it ended.

    Attributes:
        cargo: the endpoints of other sessions that travel inside its messages, in order.
        endpoints: in the order of the protocol's roles.
        edges: in the order of the descriptor, sorted by (sender, receiver).
        notices_missing: the first count of the draining latch.
        detail: why it was cancelled or faulted.
        ended_by: the role that cancelled or faulted it, "" for the host or the clock.
        linger_deadline_ns: when the linger clock runs out, None while it does not run.
        round_sealed: what its roles say is covered by their logs' heads, not signed one by one.
        nonces: what each role has added to the nonce, where several machines hold the session.
        peers: the roles that other machines hold.
        joined: those of them that have signed that they take part.
        bundle: all sessions of its bundle, itself among them; empty for one by itself.
    """

    __slots__ = (
        "bundle",
        "cargo",
        "descriptor",
        "detail",
        "edges",
        "ended_by",
        "endpoints",
        "epoch",
        "id",
        "joined",
        "linger_deadline_ns",
        "nonces",
        "notices_missing",
        "peers",
        "round_sealed",
        "status",
        "tables",
    )

    def __init__(self, descriptor: Descriptor, tables: ProtocolTables) -> None:
        self.id = descriptor.session
        self.descriptor = descriptor
        self.tables = tables
        self.status = Status.ACTIVE
        self.epoch = 0
        self.detail = ""
        self.ended_by = ""
        self.cargo: dict[EndpointState, None] = {}
        self.endpoints: dict[str, EndpointState] = {}
        self.edges: tuple[Edge, ...] = ()
        self.notices_missing = len(descriptor.roles)
        self.linger_deadline_ns: int | None = None
        self.round_sealed = descriptor.seal == Seal.ROUND
        self.nonces: tuple[bytes, ...] = ()
        self.peers: tuple[str, ...] = ()
        self.joined: set[str] = set()
        self.bundle: tuple[Session, ...] = ()

    @property
    def together(self) -> tuple[Session, ...]:
        """The sessions that end when this one does."""
        return self.bundle or (self,)

    @property
    def protocol(self) -> str:
        return self.descriptor.protocol

    @property
    def drained(self) -> bool:
        """Nothing is in its buffers, and nothing more will come."""
        return all(edge.drained for edge in self.edges)


def build(
    descriptor: Descriptor,
    tables: ProtocolTables,
    initial: tuple[StateTable, ...],
    owner: Coroutine,
    peers: tuple[str, ...] = (),
) -> Session:
    """A session in its first state; `owner` holds all endpoints that `peers` do not.

    Changes nothing else.
    """
    session = Session(descriptor, tables)
    session.peers = peers
    for role, principal, state in zip(
        descriptor.roles, descriptor.principals, initial, strict=True
    ):
        endpoint = EndpointState(session, role, state, principal, owner)
        session.endpoints[role] = endpoint
        if role in peers:
            endpoint.owner = None
            endpoint.custody = Custody.ELSEWHERE
    edges = []
    for config in descriptor.edges:
        sender, receiver = session.endpoints[config.sender], session.endpoints[config.receiver]
        edge = Edge(config, sender, receiver)
        sender.outgoing[config.receiver] = edge
        receiver.incoming[config.sender] = edge
        edges.append(edge)
    session.edges = tuple(edges)
    return session


def prune(session: Session) -> None:
    """Forgets the buffers, counters and histories of a session that has ended."""
    session.edges = ()
    for endpoint in session.endpoints.values():
        endpoint.outgoing = {}
        endpoint.incoming = {}
