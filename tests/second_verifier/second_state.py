"""What the file has said so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from second_verifier.second_crypto import derived, history, log_root, set_root
from second_verifier.second_image import Image, Protocol, State

NOTHING: Final = bytes(32)
OPEN_STATUSES: Final = (0, 1)


@dataclass
class Principal:
    """A key; a peer's log is kept elsewhere, so it has no leaves here."""

    name: str
    key: bytes
    peer: bool
    leaves: list[bytes] = field(default_factory=list)
    sealed_size: int = 0
    sealed_root: bytes = field(default_factory=lambda: log_root([]))
    heads: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Coroutine:
    id: bytes
    program: int | None = None
    alive: bool = True
    spawned: int = 0
    opened: int = 0
    invoked: int = 0
    waits: bytes | None = None
    guards: set[int] = field(default_factory=set)
    meeting: dict[str, tuple[bytes, bytes]] | None = None


@dataclass
class Crash:
    """What the fault right behind it has to be about."""

    session: int
    role: int
    coroutine: int | None


@dataclass
class Message:
    generation: int
    sequence: int
    label: str
    said: bytes
    payload: bytes | None
    leaf: int | None
    """Its place in its signer's log; None when it came from another machine."""
    signer: int
    endpoints: list[Role] = field(default_factory=list)


@dataclass
class Edge:
    sender: str
    receiver: str
    replay: str
    capacity: int
    digest: bool
    lossy: bool = False
    latest: bool = False
    rotate: int = 0
    """How many messages a generation has; 0 where there is one only."""
    rotated: int = 0
    """Generations that the sender has ended."""
    retired: int = 0
    """Generations that the receiver has ended."""
    sent: int = 0
    arrived: set[tuple[int, int]] = field(default_factory=set)
    flight: list[Message] = field(default_factory=list)
    consumed: int = 0
    reliable: int = 0
    """Of those consumed, the ones that may not be lost."""
    reliable_sent: int = 0
    reliable_signed: int = 0
    """Of those sent to another machine, what its receipts cover."""
    generation_signed: int = 0
    """Of the last receipt of another machine."""
    rotated_at: int = -1
    """The number of the last ROTATE's or PEER_ROTATE's record."""
    room_due: int = -1
    """The number of the record that has to make room for what arrived."""
    discarded: int = 0
    root: bytes = NOTHING
    nullifiers: list[bytes] = field(default_factory=list)
    receipt: tuple[int, int] = (0, 0)
    signed_for: bool = False
    signed_at: int = -1
    """The number of the last RECEIPT's record."""
    sent_roots: list[bytes] = field(default_factory=lambda: [NOTHING])
    final: int | None = None
    refused: dict[str, int] = field(default_factory=dict)
    parted: bool = False
    corrupted: set[tuple[int, int]] = field(default_factory=set)
    """Where the messages stand that were changed in flight."""

    def place_of(self, count: int) -> tuple[int, int]:
        """Generation and number of the message before which there were so many."""
        return divmod(count, self.rotate) if self.rotate else (0, count)

    def last_generation(self, count: int) -> int:
        return self.place_of(max(0, count - 1))[0]

    def room(self, receiver_here: bool) -> int:
        """For how many messages more there is a place, as far as the sender can know."""
        if self.lossy and not receiver_here:
            return self.capacity - (self.reliable_sent - self.reliable_signed)
        return self.capacity - len(self.flight)

    @property
    def renews(self) -> bool:
        """Its generations end when its sender says so, whatever was lost."""
        return self.lossy and self.rotate > 0

    def may_begin(self, receiver_here: bool) -> bool:
        """Whether the next message may, if it is the first of a generation."""
        generation, number = self.place_of(self.sent)
        if receiver_here or not self.renews or number or not self.sent:
            return True
        heard = self.generation_signed >= generation - 1
        return heard and self.reliable_sent == self.reliable_signed

    def overwrite(self, message: Message) -> None:
        """It is not accepted again, and counts as discarded."""
        self.discarded += 1
        if self.replay == "nullifier":
            self.nullifiers.append(derived("nullifier", message.said))
            self.root = set_root(sorted(self.nullifiers))

    def consume(self, message: Message) -> None:
        self.consumed += 1
        if self.replay == "nullifier":
            self.nullifiers.append(derived("nullifier", message.said))
            self.root = set_root(sorted(self.nullifiers))
        else:
            self.root = history(self.root, message.said)


@dataclass(frozen=True)
class Clock:
    """Runs in the state `chooses`, until its role has sent more than `sent` on the edge."""

    runs_out: int
    chooses: int
    late: int
    receiver: str
    sent: int


@dataclass
class Role:
    name: str
    states: list[State]
    signer: int
    here: bool
    owner: int | None
    """The coroutine that has the endpoint, when it is known."""
    opened_by: int = -1
    """Who signed for it when the session was opened."""
    nonce: bytes = b""
    state: int = 0
    moved: bool = False
    joined: bool = False
    noticed: bool = False
    clock: Clock | None = None
    """Of its timed choice, whether it runs or not."""
    crashed: bool = False
    """Who played it has crashed, and the session goes on."""
    travels: bool = False
    """Its endpoint is in a message."""
    silent_until: int = 0
    """It is timed out until then."""

    @property
    def at(self) -> State:
        return self.states[self.state]


@dataclass
class Together:
    """The sessions of one bundle; `size` is how many this file has.

    `reaches` is the number of the next record that can be a part of their end.
    """

    size: int = 0
    sessions: list[Session] = field(default_factory=list)
    reaches: int = -1


@dataclass
class Due:
    """A session of a bundle that has to be opened next."""

    together: Together
    coroutine: int
    protocol: int
    principals: list[int]
    nonce: bytes
    shares: list[bytes]
    """What the players of its roles have added to the bundle's nonce; empty where all are here."""
    observed: list[Any]


@dataclass
class Session:
    id: bytes
    protocol: Protocol
    roles: dict[str, Role]
    edges: dict[tuple[str, str], Edge]
    seal: str
    spread: bool
    linger: int
    status: int = 0
    clock: int | None = None
    """When its linger clock started."""
    listed: bool = False
    """Whether a message was listed as undelivered."""
    causes: set[int] = field(default_factory=set)
    """Statuses that a record has given a reason for."""
    reason: str | None = None
    """Why it is cancelled."""
    failure: str | None = None
    """The code of the fault that ended it at another machine."""
    bundle: Together | None = None

    @property
    def together(self) -> list[Session]:
        """The sessions that end when this one does."""
        return [self] if self.bundle is None else self.bundle.sessions

    @property
    def alive(self) -> bool:
        return self.status in OPEN_STATUSES


@dataclass(frozen=True)
class Told:
    """A statement in the file; `own` says that it is one of this machine."""

    session: bytes
    said: bytes
    own: bool


@dataclass
class File:
    """Everything; the parts of the verifier share it."""

    trust: Mapping[str, bytes]
    header: bytes = b""
    facts: dict[str, Any] = field(default_factory=dict)
    image: Image | None = None
    principals: list[Principal] = field(default_factory=list)
    loose: list[bytes] = field(default_factory=list)
    """Leaves before the first principal."""
    protocols: list[Protocol] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    coroutines: list[Coroutine] = field(default_factory=list)
    due: list[Due] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    heads: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    """Of logs that are kept elsewhere: the log's id, its size, its root."""
    guards: dict[int, int] = field(default_factory=dict)
    effects: dict[bytes, int] = field(default_factory=dict)
    round: int = 0
    sealed_round: int = 0
    now: int = 0
    incarnations: int = 0
    crash: Crash | None = None
    """Was said by the record before."""
    crashed: int | None = None
    """The coroutine that has crashed last."""
    departs: tuple[int, int] | None = None
    """Session and role of who has to depart next."""
    discards: list[Edge] = field(default_factory=list)
    """Edges to who has crashed, with messages that have to be listed next."""
    fault: str = ""
    """The code of the last one."""
    fault_reaches: int = -1
    """The number of the record that can be what the last fault brought about."""
    ended: bool = False
    final_seals: int = 0
    last_kind: str = ""
    last_sealed: int = -1

    @property
    def ended_sessions(self) -> int:
        return sum(not session.alive for session in self.sessions)
