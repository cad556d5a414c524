"""The clocks of timed choices."""

from __future__ import annotations

from troth.conformance.reference.world import (
    Clock,
    Coroutine,
    Trap,
    World,
    edge_of,
    end_of,
    mine,
    program_of,
    say,
    state_of,
    with_coroutine,
    with_edge,
    with_end,
)
from troth.vm.events import TimerExpired, TimerStarted
from troth.vm.instructions import Branch, Invoke, Recv, Timer, Yield
from troth.vm.types import IN_TIME, LATE, StateKind


def start_clock(world: World, me: Coroutine, instruction: Timer) -> World:
    """The endpoint goes on to its choice."""
    name = mine(world, me, instruction.endpoint)
    if not world.sessions[name.session].live:
        raise Trap("channel", name)
    state = state_of(world, name)
    if state.kind is not StateKind.TIMED:
        raise Trap("type", name)
    if runs(world, me):
        raise Trap("timer", name)
    key = (name.session, name.role, state.peer)
    clock = Clock(
        end=name,
        edge=key,
        sent=edge_of(world, key).sent,
        chooses=state.after(IN_TIME),
        late=state.after(LATE),
        target=instruction.target,
        runs_out_ns=world.clock_ns + state.within_ns,
        number=world.clocks,
    )
    end = end_of(world, name)
    world = with_end(world, name, end._replace(state=clock.chooses, fresh=False))
    world = with_coroutine(world, me._replace(clock=clock))
    said = TimerStarted(name.session, name.role, world.clock_ns, world.rounds + 1, end.signer)
    world = world._replace(now_ns=world.clock_ns, clocks=world.clocks + 1)
    return say(world, said)


def runs(world: World, coroutine: Coroutine) -> bool:
    """Whether the coroutine has a clock, and its choice is still to be made."""
    clock = coroutine.clock
    if clock is None or not coroutine.alive or not world.sessions[clock.end.session].live:
        return False
    end = end_of(world, clock.end)
    unsent = edge_of(world, clock.edge).sent == clock.sent
    return end.owner == coroutine.id and end.state == clock.chooses and unsent


def next_ns(world: World) -> int | None:
    """When a clock runs out; now, when one has and its coroutine can be interrupted."""
    running = _running(world)
    if any(_is_over(world, who) and _can_be_interrupted(world, who) for who in running):
        return world.now_ns
    return min(
        (who.clock.runs_out_ns for who in running if who.clock and not _is_over(world, who)),
        default=None,
    )


def late_answers(world: World) -> tuple[bytes, ...]:
    """The effects that end in the round in which the time is over: too late."""
    late = {
        who.effect
        for who in _running(world)
        if who.clock and who.clock.runs_out_ns <= world.clock_ns and _can_be_interrupted(world, who)
    }
    return tuple(effect for effect, *_ in world.answers if effect in late)


def interrupt(world: World) -> World:
    """Those whose clock has run out stop waiting, in the order in which the clocks did."""
    for one in _running(world):
        who = world.coroutines[one.id]
        clock = who.clock
        if clock is None or clock.runs_out_ns > world.clock_ns:
            continue
        if not runs(world, who) or not _can_be_interrupted(world, who):
            continue
        end = end_of(world, clock.end)
        waits_at = program_of(world, who).code[who.pc]
        if isinstance(waits_at, Recv | Branch) and not _is_ready(world, who):
            read = mine(world, who, waits_at.endpoint)
            key = (read.session, waits_at.peer, read.role)
            world = with_edge(world, key, edge_of(world, key)._replace(receiver=None))
        world = with_end(world, clock.end, end._replace(state=clock.late))
        world = with_coroutine(
            world, who._replace(pc=clock.target, clock=None, effect=None, answer=None)
        )
        world = say(world, TimerExpired(clock.end.session, clock.end.role, who.id, end.signer))
        if not _is_ready(world, who):
            world = world._replace(ready=(*world.ready, who.id))
    return world


def _running(world: World) -> list[Coroutine]:
    """Those whose clock runs, in the order in which their clocks run out."""
    clocks = [
        (who.clock.runs_out_ns, who.clock.number, who)
        for who in world.coroutines.values()
        if who.clock is not None and runs(world, who)
    ]
    return [who for _, _, who in sorted(clocks, key=lambda one: one[:2])]


def _is_over(world: World, who: Coroutine) -> bool:
    """Its time was over by the last round."""
    return who.clock is not None and who.clock.runs_out_ns <= world.clock_ns


def _is_ready(world: World, who: Coroutine) -> bool:
    """Also one that is timed out."""
    return who.id in world.ready or who.id in world.aside


def _can_be_interrupted(world: World, who: Coroutine) -> bool:
    code = program_of(world, who).code
    if who.levels or who.pc >= len(code):
        return False
    if _is_ready(world, who):
        return who.answer is None and who.pc > 0 and isinstance(code[who.pc - 1], Yield)
    return isinstance(code[who.pc], Recv | Branch | Invoke)
