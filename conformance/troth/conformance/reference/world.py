"""What there is: coroutines, sessions with their ends and edges, guards. All of it is frozen.

A register that holds an endpoint holds its name, an `Endpoint`; what is known about the endpoint
is in its session. Sessions that have ended stay, without their edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from troth.conformance.reference.consume import Taken
from troth.vm.errors import Unusable
from troth.vm.events import EdgeConfig, Event, Opened, Status
from troth.vm.image import Image, Program, Protocol
from troth.vm.lifecycle import LIVE
from troth.vm.limits import Limits
from troth.vm.settings import NO_OVERRIDES, Overrides
from troth.vm.signer import Roster, Signer
from troth.vm.statements import StepKind
from troth.vm.types import Field, State
from troth.vm.values import Endpoint, RegisterValue

EdgeKey: TypeAlias = tuple[bytes, str, str]
"""Session, sender, receiver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a run is made of and never changes.

    `policy` is a scheduling policy's text; `seals_rounds` says that somebody keeps the logs
    without which no session can be sealed by round.
    """

    image: Image
    seed: bytes
    signer: Signer
    roster: Roster
    limits: Limits
    quantum: int = 64
    policy: str = "cooperative"
    overrides: Overrides = NO_OVERRIDES
    seals_rounds: bool = False


class Trap(Exception):
    """An instruction faults. `about` is the endpoint concerned, `refused` a message that its
    receiver does not take: its edge, and its place in the buffer."""

    def __init__(
        self, code: str, about: Endpoint | None = None, refused: tuple[EdgeKey, int] | None = None
    ) -> None:
        super().__init__(code)
        self.code = f"vm.fault.{code}"
        self.about = about
        self.refused = refused


class Letter(NamedTuple):
    """A message in a buffer. `sealed` says that its receiver may take it, `corrupt` that it is not
    what was signed."""

    kind: StepKind
    label: str
    generation: int
    sequence: int
    payload: bytes
    statement: bytes
    lossy: bool
    sealed: bool
    endpoints: tuple[Endpoint, ...]
    corrupt: bool = False


class Edge(NamedTuple):
    """`receiver`, `sender`: the coroutine that waits here for a message, or for space.

    Of the messages `consumed` so many are `reliable`: they may not be lost.

    Nothing passes while it is `parted`.
    """

    config: EdgeConfig
    capacity: int
    taken: Taken
    letters: tuple[Letter, ...] = ()
    sent: int = 0
    consumed: int = 0
    reliable: int = 0
    discarded: int = 0
    receiver: bytes | None = None
    sender: bytes | None = None
    parted: bool = False


class End(NamedTuple):
    """One role's end of a session.

    `owner` is the coroutine that may use it. `carrier` is the edge in a message of which it
    travels. `fresh`: it was never used. `noticed`: its role is done. `crashed`: by a crash.
    """

    state: int
    signer: bytes
    owner: bytes | None
    carrier: EdgeKey | None = None
    fresh: bool = True
    noticed: bool = False
    crashed: bool = False


class Session(NamedTuple):
    """`protocol` is an index into the image, `bundle` names all sessions of its bundle."""

    opened: Opened
    protocol: int
    ends: Mapping[str, End]
    edges: Mapping[tuple[str, str], Edge]
    status: Status = Status.ACTIVE
    epoch: int = 0
    deadline_ns: int | None = None
    timer: int = 0
    bundle: tuple[bytes, ...] = ()

    @property
    def together(self) -> tuple[bytes, ...]:
        """The sessions that end when this one does, itself among them."""
        return self.bundle or (self.opened.session,)

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def sealed_by_round(self) -> bool:
        return self.opened.seal == "round"


class HeldSend(NamedTuple):
    end: Endpoint
    edge: EdgeKey
    kind: StepKind
    label: str
    lossy: bool
    payload: bytes


class HeldRead(NamedTuple):
    end: Endpoint
    edge: EdgeKey


Act: TypeAlias = HeldSend | HeldRead


class Level(NamedTuple):
    """One speculation: how everything of the speculator was at the fork, and what it did since."""

    target: int
    registers: tuple[RegisterValue, ...]
    ends: Mapping[Endpoint, End]
    acts: tuple[Act, ...] = ()


class Answer(NamedTuple):
    """What the host says about an effect: its value, or why it failed."""

    failed: bool
    value: RegisterValue


class Clock(NamedTuple):
    """Of a timed choice, until its endpoint has sent more than `sent` on `edge`.

    `chooses` and `late` are states of the endpoint `end`; at `target` the program goes on when
    the clock has run out. `number` counts the clocks that were started before.
    """

    end: Endpoint
    edge: EdgeKey
    sent: int
    chooses: int
    late: int
    target: int
    runs_out_ns: int
    number: int


class Coroutine(NamedTuple):
    """`holes` are parameters that a transfer has yet to fill; `alive` until it halts or faults."""

    id: bytes
    parent: bytes
    program: int
    registers: tuple[RegisterValue, ...]
    birth: int
    pc: int = 0
    waited: int = 0
    spent: int = 0
    alive: bool = True
    owned: tuple[Endpoint, ...] = ()
    children: int = 0
    opened: int = 0
    invoked: int = 0
    guards: tuple[int, ...] = ()
    effect: bytes | None = None
    answer: Answer | None = None
    levels: tuple[Level, ...] = ()
    holes: tuple[int, ...] = ()
    clock: Clock | None = None


class Guard(NamedTuple):
    """`handed`: the holder has got it from a release, and has yet to go on with its acquire."""

    holder: bytes | None = None
    handed: bool = False
    waiting: tuple[bytes, ...] = ()


class World(NamedTuple):
    """Everything, at one moment.

    Attributes:
        events: what happened since somebody took them.
        woken: who becomes ready when the turn is over.
        lingering: sessions whose linger clock starts when the turn is over.
        unsealed: edges with messages that are sealed at the end of the round, in order.
        coroutines_left, sessions_left: how many this turn may start and open.
        exact: these two are what is really left, not the turn's share of it.
        answers: effects that were completed, as (id, answer, recorded bytes).
        paused: until when who is timed out gets no turn; `aside` are those who would have had one.
        now_ns: the time last recorded; `clock_ns` is the time now.
    """

    setup: Setup
    coroutines: Mapping[bytes, Coroutine]
    sessions: Mapping[bytes, Session]
    guards: tuple[Guard, ...]
    ready: tuple[bytes, ...] = ()
    events: tuple[Event, ...] = ()
    woken: tuple[bytes, ...] = ()
    lingering: tuple[bytes, ...] = ()
    unsealed: tuple[EdgeKey, ...] = ()
    coroutines_left: int = 0
    sessions_left: int = 0
    exact: bool = False
    answers: tuple[tuple[bytes, Answer, bytes], ...] = ()
    births: int = 0
    timers: int = 0
    clocks: int = 0
    rounds: int = 0
    in_round: bool = False
    now_ns: int = 0
    clock_ns: int = 0
    paused: Mapping[bytes, int] = MappingProxyType({})
    aside: tuple[bytes, ...] = ()


# --- looking -------------------------------------------------------------------------------


def program_of(world: World, coroutine: Coroutine) -> Program:
    return world.setup.image.programs[coroutine.program]


def protocol_of(world: World, session: Session) -> Protocol:
    return world.setup.image.protocols[session.protocol]


def state_of(world: World, end: Endpoint) -> State:
    """Where an endpoint is in its local type."""
    session = world.sessions[end.session]
    protocol = protocol_of(world, session)
    local = protocol.local_types[protocol.roles.index(end.role)]
    return local.states[session.ends[end.role].state]


def end_of(world: World, end: Endpoint) -> End:
    return world.sessions[end.session].ends[end.role]


def edge_of(world: World, key: EdgeKey) -> Edge:
    return world.sessions[key[0]].edges[key[1:]]


def mine(world: World, me: Coroutine, register: int) -> Endpoint:
    """The endpoint in a register, which the coroutine owns.

    Raises:
        Trap: `register` or `channel`.
    """
    cell = me.registers[register]
    if not isinstance(cell, Endpoint):
        raise Trap("register")
    if end_of(world, cell).owner != me.id:
        raise Trap("channel", cell)
    return cell


def named(world: World, end: Endpoint) -> str:
    return f"{world.sessions[end.session].opened.protocol}.{end.role}"


def require_of_type(world: World, end: Endpoint, field: Field) -> None:
    """
    Raises:
        Trap: `type`, unless the endpoint is of the protocol and role that a field names.
    """
    if named(world, end) != str(field.type):
        raise Trap("type", end)


# --- another world -------------------------------------------------------------------------


def say(world: World, *events: Event) -> World:
    return world._replace(events=(*world.events, *events))


def with_coroutine(world: World, coroutine: Coroutine) -> World:
    return world._replace(coroutines={**world.coroutines, coroutine.id: coroutine})


def with_session(world: World, session: Session) -> World:
    return world._replace(sessions={**world.sessions, session.opened.session: session})


def with_end(world: World, name: Endpoint, end: End) -> World:
    session = world.sessions[name.session]
    return with_session(world, session._replace(ends={**session.ends, name.role: end}))


def with_edge(world: World, key: EdgeKey, edge: Edge) -> World:
    session = world.sessions[key[0]]
    return with_session(world, session._replace(edges={**session.edges, key[1:]: edge}))


def with_register(world: World, me: bytes, register: int, value: RegisterValue) -> World:
    coroutine = world.coroutines[me]
    cells = list(coroutine.registers)
    cells[register] = value
    return with_coroutine(world, coroutine._replace(registers=tuple(cells)))


def wake(world: World, *coroutines: bytes | None) -> World:
    return world._replace(woken=(*world.woken, *[c for c in coroutines if c is not None]))


def wake_edge(world: World, key: EdgeKey) -> World:
    """Both sides learn that what they wait for will never come."""
    edge = edge_of(world, key)
    world = wake(world, edge.receiver, edge.sender)
    return with_edge(world, key, edge._replace(receiver=None, sender=None))


def sign(world: World, end: Endpoint, statement: bytes) -> bytes:
    """Nothing where the round's seal covers it.

    Raises:
        Trap: `key`.
    """
    if world.sessions[end.session].sealed_by_round:
        return b""
    return signed_by_itself(world, end, statement)


def signed_by_itself(world: World, end: Endpoint, statement: bytes) -> bytes:
    """
    Raises:
        Trap: `key`.
    """
    try:
        return world.setup.signer.sign(end_of(world, end).signer, statement)
    except Unusable as error:
        raise Trap("key", end) from error
