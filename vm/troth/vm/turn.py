"""One coroutine's turn in a round, and everything machine-wide that it causes.

A turn touches its own coroutine and the sessions of its lane. What concerns the whole machine
(events, wake-ups, new coroutines, effect requests, sessions that come and go) is collected in
the `Turn` and takes effect when the round commits it, in queue order. So turns of different
lanes commute, and a runner is free to execute them side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from troth.vm.coroutine import Blocked, Coroutine, CoroutineStatus
from troth.vm.errors import Fault, TrothError
from troth.vm.events import Event
from troth.vm.faults import MessageRefused, fault, trap
from troth.vm.limits import Limits
from troth.vm.loaded import LoadedImage
from troth.vm.session import Edge, Session
from troth.vm.settings import Overrides
from troth.vm.signer import Roster, Signer
from troth.vm.values import RegisterValue

if TYPE_CHECKING:
    from troth.vm.step_code import ProgramCode
    from troth.vm.step_tables import StateTable

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


class Context(NamedTuple):
    """What every turn may read and none may change.

    `coroutines` are those alive at the start of the round.
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


class Turn:
    """The collected effects of one turn.

    Attributes:
        woken: coroutines that become ready at commit, new ones included, in order.
        lingering: sessions whose linger clock starts.
        coroutines_left, sessions_left: how many this turn may still start and open.
        exact: these two are the machine's real headroom, not this turn's share of it.
    """

    __slots__ = (
        "context",
        "coroutines_left",
        "ended",
        "events",
        "exact",
        "faults",
        "lingering",
        "opened",
        "requests",
        "sessions_left",
        "spawned",
        "woken",
    )

    def __init__(self, context: Context) -> None:
        self.context = context
        self.events: list[Event] = []
        self.woken: list[Coroutine] = []
        self.spawned: dict[bytes, Coroutine] = {}
        self.opened: list[Session] = []
        self.ended: list[Session] = []
        self.lingering: list[Session] = []
        self.requests: list[EffectRequest] = []
        self.faults: list[Fault] = []
        self.coroutines_left = 0
        self.sessions_left = 0
        self.exact = False

    def wake(self, coroutine: Coroutine) -> None:
        coroutine.blocked = None
        coroutine.blocked_edge = None
        self.woken.append(coroutine)

    def wake_edge(self, edge: Edge) -> None:
        """Wakes both sides of an edge: what they wait for will never come, or has."""
        if edge.waiting_receiver is not None:
            self.wake(edge.waiting_receiver)
            edge.waiting_receiver = None
        if edge.waiting_sender is not None:
            self.wake(edge.waiting_sender)
            edge.waiting_sender = None

    def find_coroutine(self, identity: bytes) -> Coroutine | None:
        return self.spawned.get(identity) or self.context.coroutines.get(identity)


class TurnEnd(Enum):
    """Why a turn ended."""

    READY = "its quantum is used up, or it yielded"
    BLOCKED = "it waits"
    ENDED = "it halted or faulted"
    DEFERRED = "its next instruction needs the machine's exact headroom"


_END_OF: Final = {
    BLOCKED: TurnEnd.BLOCKED,
    YIELDED: TurnEnd.READY,
    ENDED: TurnEnd.ENDED,
    DEFERRED: TurnEnd.DEFERRED,
}


def block(coroutine: Coroutine, why: Blocked, edge: Edge | None = None) -> int:
    """Marks the coroutine as waiting; for a step to return."""
    coroutine.blocked = why
    coroutine.blocked_edge = edge
    return BLOCKED


class Trapped(NamedTuple):
    """A fault with its place; `refused` is the edge whose oldest message caused it, if one did."""

    fault: Fault
    refused: Edge | None


def execute(turn: Turn, coroutine: Coroutine, quantum: int) -> TurnEnd | Trapped:
    """Runs the coroutine until it blocks, yields, ends, or has used `quantum` instructions.

    A fault is returned with its place, and the faulting instruction has changed nothing: each
    step makes all its checks, and signs all it has to sign, before it writes anything. Only
    instructions that make progress are charged to the budget.
    """
    steps = coroutine.code.steps
    left = turn.context.limits.instructions_max - coroutine.spent
    allowed = min(quantum, left)
    pc = coroutine.pc
    done = 0
    end = TurnEnd.READY
    try:
        while done < allowed:
            outcome = steps[pc](turn, coroutine)
            if outcome >= 0:
                pc = outcome
                done += 1
                continue
            end = _END_OF[outcome]
            if outcome == YIELDED:
                pc += 1
                done += 1
            elif outcome == ENDED:
                done += 1
            break
        else:
            if left < quantum:
                raise _spent(turn.context.limits)
    except TrothError as error:
        coroutine.pc = pc
        coroutine.spent += done
        code = coroutine.code
        located = trap(
            error, coroutine=coroutine.id, program=code.name, pc=pc, line=code.line_of(pc)
        )
        return Trapped(located, error.edge if isinstance(error, MessageRefused) else None)
    coroutine.pc = pc
    coroutine.spent += done
    if end is TurnEnd.BLOCKED:
        coroutine.status = CoroutineStatus.BLOCKED
    return end


def _spent(limits: Limits) -> Fault:
    return fault(
        "vm.fault.credits",
        "the coroutine has spent its instruction budget",
        expected=f"at most instructions_max = {limits.instructions_max} instructions",
        actual="one more",
    )
