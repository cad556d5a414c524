"""A role has crashed, and its session goes on without it where somebody else can."""

from __future__ import annotations

from troth.conformance.reference.endings import (
    cancel_lost,
    count_notice,
    drain,
    end_session,
    perish,
)
from troth.conformance.reference.world import (
    EdgeKey,
    Trap,
    World,
    edge_of,
    end_of,
    protocol_of,
    say,
    state_of,
    with_edge,
    with_end,
)
from troth.vm.events import CrashDetected, Departed, Status, Undelivered
from troth.vm.types import CRASH, LocalType
from troth.vm.values import Endpoint


def crash(world: World, coroutine: bytes, end: Endpoint) -> World:
    """The coroutine that has `end` is gone. That session is the first to hear of it."""
    me = world.coroutines[coroutine]
    owned = (end, *(other for other in me.owned if other != end))
    trap = Trap("crash", end)
    world = perish(world, me, trap)
    for one in owned:
        if not world.sessions[one.session].live:
            continue
        if _goes_on_without(world, one, owned):
            world = _depart(world, one)
        else:
            world = end_session(world, one.session, Status.FAULTED, trap.code)
    return world


def _goes_on_without(world: World, one: Endpoint, owned: tuple[Endpoint, ...]) -> bool:
    """In no session that ends with this one is a role missed that is needed, or more than one."""
    for session in world.sessions[one.session].together:
        gone = [end for end in owned if end.session == session and not end_of(world, end).noticed]
        if len(gone) > 1 or not all(_is_survived(world, end) for end in gone):
            return False
    return True


def _is_survived(world: World, gone: Endpoint) -> bool:
    """Whether the type of another role has, from where it is, a state that meets the crash."""
    session = world.sessions[gone.session]
    protocol = protocol_of(world, session)
    return any(
        _meets(protocol.local_types[protocol.roles.index(role)], end.state, gone.role)
        for role, end in session.ends.items()
        if role != gone.role and not end.noticed
    )


def _meets(local: LocalType, start: int, gone: str) -> bool:
    seen, pending = {start}, [start]
    while pending:
        state = local.states[pending.pop()]
        for move in state.transitions:
            if move.label == CRASH and state.peer == gone:
                return True
            if move.next not in seen:
                seen.add(move.next)
                pending.append(move.next)
    return False


def _depart(world: World, gone: Endpoint) -> World:
    world = with_end(world, gone, end_of(world, gone)._replace(noticed=True, crashed=True))
    world = say(world, Departed(gone.session, gone.role))
    lost: tuple[Endpoint, ...] = ()
    for sender, receiver in world.sessions[gone.session].edges:
        if receiver == gone.role:
            world, stranded = _discard(world, (gone.session, sender, receiver))
            lost += stranded
    return cancel_lost(count_notice(drain(world, gone.session), gone), lost)


def clear(world: World, key: EdgeKey) -> World:
    """What was just sent to a role that has crashed is not received by anybody."""
    if not end_of(world, Endpoint(key[0], key[2])).crashed:
        return world
    return cancel_lost(*_discard(world, key))


def _discard(world: World, key: EdgeKey) -> tuple[World, tuple[Endpoint, ...]]:
    edge = edge_of(world, key)
    lost: list[Endpoint] = []
    for letter in edge.letters:
        for end in letter.endpoints:
            lost.append(end)
            world = with_end(world, end, end_of(world, end)._replace(carrier=None))
        world = say(world, Undelivered(*key, letter.generation, letter.sequence))
    return with_edge(world, key, edge._replace(letters=())), tuple(lost)


def is_missed(world: World, waiting: Endpoint, peer: str) -> bool:
    """Whether somebody waits for who has crashed where the type says what follows that."""
    moves = state_of(world, waiting).transitions
    gone = end_of(world, Endpoint(waiting.session, peer)).crashed
    return gone and any(move.label == CRASH for move in moves)


def go_on_without(world: World, waiting: Endpoint, peer: str) -> World:
    move = next(move for move in state_of(world, waiting).transitions if move.label == CRASH)
    now = end_of(world, waiting)
    world = with_end(world, waiting, now._replace(state=move.next, fresh=False))
    return say(world, CrashDetected(waiting.session, waiting.role, peer, now.signer))
