"""One coroutine's turn in a round, and everything machine-wide that it causes.

A turn touches its own coroutine and the sessions of its lane. What concerns the whole machine
(events, wake-ups, new coroutines, effect requests, sessions that come and go) is collected in
the `Turn` and takes effect when the round commits it, in queue order. So turns of different
lanes commute, and a runner is free to execute them side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from troth.vm.buffer import Envelope
from troth.vm.coroutine import Coroutine, CoroutineStatus
from troth.vm.envelope import Outgoing
from troth.vm.errors import Fault
from troth.vm.events import Event
from troth.vm.guards import Guard
from troth.vm.limits import Limits
from troth.vm.loaded import LoadedImage
from troth.vm.session import Edge, Session
from troth.vm.settings import Overrides
from troth.vm.signer import Roster, Signer
from troth.vm.timer import Clock, Timer
from troth.vm.values import RegisterValue

if TYPE_CHECKING:
    from troth.vm.step_code import ProgramCode
    from troth.vm.step_tables import StateTable
    from troth.vm.substitutes import Substitutes

# What a step returns instead of the next instruction's index.
BLOCKED: Final = -1
YIELDED: Final = -2
ENDED: Final = -3
DEFERRED: Final = -4


class EffectRequest(NamedTuple):
    """What the host is asked to do. `effect_id` has 16 bytes and is an idempotency key."""

    effect_id: bytes
    coroutine: bytes
    effect: int
    name: str
    arguments: tuple[RegisterValue, ...]


class Meeting(NamedTuple):
    """What the host is asked to do so that a session can be opened: find the other machines.

    `terms` are the canonical bytes of what every machine must have the same: the protocol's id
    and name, the roles, the edges, the seal and the linger time, as `Descriptor` has them.
    `here` are the roles of this machine, each with its fresh nonce of 16 bytes; `elsewhere` are
    those whose keys and nonces `Machine.meet` is to be given. `id` is the same on every machine
    that runs the same program.
    """

    id: bytes
    coroutine: bytes
    protocol: str
    terms: bytes
    here: tuple[tuple[str, bytes], ...]
    elsewhere: tuple[str, ...]


class Context(NamedTuple):
    """What every turn may read and none may change.

    What it refers to may change: a guard is the state of the lane of those that name it, and the
    `clock` goes on from round to round.
    `coroutines` are those alive at the start of the round; `keeps_logs` says whether the machine
    has principals' logs to seal, without which no session can be sealed by round. `home` are the
    roles that this machine holds, as `Role` or `Protocol.Role`; None for all. `observed` are those
    that it does not play but watches, in the same way.
    """

    loaded: LoadedImage
    initial_states: tuple[tuple[StateTable, ...], ...]
    programs: tuple[ProgramCode, ...]
    seed: bytes
    signer: Signer
    roster: Roster
    limits: Limits
    overrides: Overrides
    coroutines: Mapping[bytes, Coroutine]
    keeps_logs: bool
    substitutes: Substitutes
    guards: tuple[Guard, ...]
    clock: Clock
    home: frozenset[str] | None = None
    observed: frozenset[str] = frozenset()

    def is_home(self, protocol: str, role: str) -> bool:
        home = self.home
        return home is None or role in home or f"{protocol}.{role}" in home

    def is_observed(self, protocol: str, role: str) -> bool:
        return role in self.observed or f"{protocol}.{role}" in self.observed


class Unsigned(NamedTuple):
    """A message to be signed: its place among its turn's events, and what is signed by whom."""

    event: int
    edge: Edge
    envelope: Envelope
    statement: bytes


class Turn:
    """The collected effects of one turn.

    Attributes:
        left_out: coroutines of other machines, which end here before they begin.
        woken: coroutines that become ready at commit, new ones included, in order.
        unusual: whether there is anything to commit besides events, wake-ups and seals to come.
        lingering: sessions whose linger clock starts.
        timers: clocks of timed choices that were started.
        awaiting_seal: edges with messages that are received once the round is sealed.
        outgoing: what the session's other machines are told.
        meetings: sessions to be opened with other machines.
        coroutines_left, sessions_left: how many this turn may still start and open.
        exact: these two are the machine's real headroom, not this turn's share of it.
        unsigned: messages that are signed when all turns of the round are over; None when each
            is signed as it is sent.
    """

    __slots__ = (
        "awaiting_seal",
        "context",
        "coroutines_left",
        "ended",
        "events",
        "exact",
        "faults",
        "left_out",
        "lingering",
        "meetings",
        "opened",
        "outgoing",
        "requests",
        "sessions_left",
        "spawned",
        "timers",
        "unsigned",
        "unusual",
        "woken",
    )

    def __init__(self, context: Context) -> None:
        self.context = context
        events = context.substitutes.events
        self.events: list[Event] = [] if events is None else events
        self.woken: list[Coroutine] = []
        self.unusual = False
        self.spawned: dict[bytes, Coroutine] = {}
        self.opened: list[Session] = []
        self.ended: list[Session] = []
        self.lingering: list[Session] = []
        self.timers: list[Timer] = []
        self.awaiting_seal: list[Edge] = []
        self.requests: list[EffectRequest] = []
        self.faults: list[Fault] = []
        self.outgoing: list[Outgoing] = []
        self.meetings: list[Meeting] = []
        self.left_out: list[Coroutine] = []
        self.coroutines_left = 0
        self.sessions_left = 0
        self.exact = False
        self.unsigned: list[Unsigned] | None = None

    def wake_edge(self, edge: Edge) -> None:
        """Wakes both sides of an edge: what they wait for will never come."""
        if edge.waiting_receiver is not None:
            self.woken.append(edge.waiting_receiver)
            edge.waiting_receiver = None
        if edge.waiting_sender is not None:
            self.woken.append(edge.waiting_sender)
            edge.waiting_sender = None

    def find_coroutine(self, identity: bytes) -> Coroutine | None:
        return self.spawned.get(identity) or self.context.coroutines.get(identity)

    def spawn(self, coroutine: Coroutine) -> None:
        self.unusual = True
        self.coroutines_left -= 1
        self.spawned[coroutine.id] = coroutine

    def open(self, session: Session) -> None:
        self.unusual = True
        self.sessions_left -= 1
        self.opened.append(session)

    def end(self, session: Session) -> None:
        self.unusual = True
        self.ended.append(session)

    def linger(self, session: Session) -> None:
        self.unusual = True
        self.lingering.append(session)

    def start_timer(self, timer: Timer) -> None:
        self.unusual = True
        self.timers.append(timer)

    def request(self, request: EffectRequest) -> None:
        self.unusual = True
        self.requests.append(request)

    def leave_out(self, coroutine: Coroutine) -> None:
        self.unusual = True
        coroutine.status = CoroutineStatus.ENDED
        self.left_out.append(coroutine)

    def tell(self, outgoing: Outgoing) -> None:
        self.unusual = True
        self.outgoing.append(outgoing)

    def meet(self, meeting: Meeting) -> None:
        self.unusual = True
        self.meetings.append(meeting)

    def fault(self, error: Fault) -> None:
        self.unusual = True
        self.faults.append(error)
