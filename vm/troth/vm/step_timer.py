"""`timer`: starts the clock of a timed choice; and what happens when it runs out."""

from __future__ import annotations

from troth.vm.coroutine import Coroutine, CoroutineStatus
from troth.vm.events import Status, TimerExpired, TimerStarted
from troth.vm.faults import fault
from troth.vm.instructions import Timer as TimerInstruction
from troth.vm.session import EndpointState
from troth.vm.step_common import Step, not_usable, session_over
from troth.vm.timer import Timer
from troth.vm.turn import Turn
from troth.vm.types import StateKind


def decode_timer(instruction: TimerInstruction, following: int) -> Step:
    """The endpoint goes on to the choice; when its clock runs out first, the program elsewhere."""
    register, target = instruction.endpoint, instruction.target

    def step(turn: Turn, coroutine: Coroutine) -> int:
        endpoint = coroutine.registers[register]
        if not isinstance(endpoint, EndpointState) or endpoint.owner is not coroutine:
            raise not_usable(endpoint, coroutine)
        if endpoint.session.status > Status.DRAINING:
            raise session_over(endpoint)
        state = endpoint.state
        if state.kind is not StateKind.TIMED:
            raise fault(
                "vm.fault.type",
                f"{endpoint.role} has no clock to start here",
                endpoint=endpoint,
                expected=state.describe(),
                actual="timer",
            )
        if coroutine.timer is not None and not coroutine.timer.void:
            raise fault(
                "vm.fault.timer",
                "a second clock is started while the first one runs",
                endpoint=endpoint,
                expected="one timed choice at a time",
                actual=f"the clock of {coroutine.timer.endpoint.role} runs",
            )
        _start(turn, coroutine, endpoint, target)
        return following

    return step


def _start(turn: Turn, coroutine: Coroutine, endpoint: EndpointState, target: int) -> None:
    context, state = turn.context, endpoint.state
    if context.substitutes.before_timer is not None:
        context.substitutes.before_timer()
    clock = context.clock
    deadline_ns = clock.now_ns + state.state.within_ns
    edge = endpoint.outgoing[state.peer]
    assert state.timed is not None, "a timed state has two ways on"
    timer = Timer(coroutine, endpoint, edge, state.timed, target, deadline_ns)
    coroutine.timer = timer
    endpoint.state = timer.in_time
    endpoint.fresh = False
    turn.start_timer(timer)
    turn.events.append(
        TimerStarted(
            endpoint.session.id, endpoint.role, clock.now_ns, clock.round_number, endpoint.signer
        )
    )


def expire(turn: Turn, timer: Timer) -> bytes | None:
    """The clock has run out: the coroutine stops waiting and goes on with the late choice.

    Returns the id of the effect that it waits for no longer, if it did.
    """
    coroutine, endpoint = timer.coroutine, timer.endpoint
    coroutine.timer = None
    coroutine.pc = timer.target
    endpoint.state = timer.late
    turn.events.append(
        TimerExpired(endpoint.session.id, endpoint.role, coroutine.id, endpoint.signer)
    )
    abandoned, coroutine.effect = coroutine.effect, None
    if coroutine.status is CoroutineStatus.BLOCKED:
        edge = coroutine.blocked_edge
        if edge is not None and edge.waiting_receiver is coroutine:
            edge.waiting_receiver = None
        turn.woken.append(coroutine)
    return abandoned
