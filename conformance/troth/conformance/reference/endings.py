"""How sessions and coroutines end: close, cancel, halt, a fault, the linger clock."""

from __future__ import annotations

from troth.conformance.reference.compute import size
from troth.conformance.reference.send import position
from troth.conformance.reference.world import (
    Coroutine,
    Edge,
    EdgeKey,
    Trap,
    World,
    edge_of,
    end_of,
    mine,
    program_of,
    say,
    sign,
    state_of,
    wake,
    wake_edge,
    with_coroutine,
    with_edge,
    with_end,
    with_session,
)
from troth.vm import statements
from troth.vm.events import (
    Cancelled,
    Faulted,
    Halted,
    Noticed,
    Receipted,
    Rejected,
    Status,
    StatusChanged,
    Undelivered,
)
from troth.vm.instructions import Cancel, Close
from troth.vm.types import StateKind
from troth.vm.values import Endpoint

LOST = "endpoint lost in transit"


# --- sessions ------------------------------------------------------------------------------


def end_session(world: World, session: bytes, status: Status, detail: str) -> World:
    """Ends a live session, and those whose endpoints travelled in its messages."""
    return cancel_lost(*_end_all(world, session, status, detail))


def _end_all(
    world: World, name: bytes, status: Status, detail: str, *, expired: bool = False
) -> tuple[World, tuple[Endpoint, ...]]:
    """Ends a session and then the others of its bundle."""
    together = world.sessions[name].together
    lost: tuple[Endpoint, ...] = ()
    for one in (name, *(other for other in together if other != name)):
        if world.sessions[one].live:
            said = _time_over(world, one) if expired else detail
            world, stranded = _end_one(world, one, status, said)
            lost += stranded
    return world, lost


def cancel_lost(world: World, lost: tuple[Endpoint, ...]) -> World:
    pending = list(lost)
    while pending:
        other = pending.pop(0).session
        if world.sessions[other].live:
            world = say(world, Cancelled(other, "", LOST, None, b"", b""))
            world, lost = _end_all(world, other, Status.CANCELLED, LOST)
            pending += lost
    return world


def _end_one(
    world: World, name: bytes, status: Status, detail: str
) -> tuple[World, tuple[Endpoint, ...]]:
    stranded: list[Endpoint] = []
    for pair, edge in world.sessions[name].edges.items():
        key = (name, *pair)
        for letter in edge.letters:
            for end in letter.endpoints:
                stranded.append(end)
                world = with_end(world, end, end_of(world, end)._replace(carrier=None))
            world = say(world, Undelivered(*key, letter.generation, letter.sequence))
        world = wake_edge(with_edge(world, key, edge._replace(letters=())), key)
    session = world.sessions[name]
    epoch = session.epoch + (status is Status.CLOSED)
    world = say(world, StatusChanged(name, status, epoch, detail))
    ended = session._replace(status=status, epoch=epoch, edges={}, deadline_ns=None)
    return with_session(world, ended), tuple(stranded)


def drain(world: World, name: bytes) -> World:
    """From now on the session only goes on to its end."""
    session = world.sessions[name]
    if session.status is not Status.ACTIVE:
        return world
    world = say(world, StatusChanged(name, Status.DRAINING, session.epoch, ""))
    return with_session(world, session._replace(status=Status.DRAINING))


def expire(world: World, name: bytes) -> World:
    """The linger time of a session, and of its bundle, is over."""
    return cancel_lost(*_end_all(world, name, Status.CLOSED, "", expired=True))


def _time_over(world: World, name: bytes) -> str:
    silent = [role for role, end in world.sessions[name].ends.items() if not end.noticed]
    return "linger time is over" + (f"; no notice of {', '.join(silent)}" if silent else "")


# --- one role ------------------------------------------------------------------------------


def close(world: World, me: Coroutine, instruction: Close) -> World:
    cell = me.registers[instruction.endpoint]
    if isinstance(cell, Endpoint) and end_of(world, cell).noticed:
        return world
    end = mine(world, me, instruction.endpoint)
    if world.sessions[end.session].live:
        return take_leave(world, me.id, end)
    if state_of(world, end).kind is not StateKind.END:
        raise Trap("channel", end)
    return give_up(world, me.id, end)


def take_leave(world: World, me: bytes, end: Endpoint) -> World:
    """A role is done: it signs what it got and what it sent, and the session drains.

    Raises:
        Trap: `close` or `key`.
    """
    if state_of(world, end).kind is not StateKind.END:
        raise Trap("close", end)
    session = world.sessions[end.session]
    name, role = end.session, end.role
    signer = end_of(world, end).signer
    for (sender, receiver), edge in session.edges.items():
        if receiver == role:
            numbers = (edge.consumed, edge.reliable, edge.discarded)
            counts = (edge.taken.generation, *numbers, edge.taken.root)
            statement = statements.receipt_statement(name, role, sender, *counts)
            signature = sign(world, end, statement)
            world = say(world, Receipted(name, role, sender, *counts, signature, signer))
    finals = tuple(
        (receiver, position(edge, max(0, edge.sent - 1))[0], edge.sent)
        for (sender, receiver), edge in session.edges.items()
        if sender == role
    )
    signature = sign(world, end, statements.notice_statement(name, role, finals))
    world = say(world, Noticed(name, role, finals, signature, signer))
    world = give_up(world, me, end)
    world = with_end(world, end, end_of(world, end)._replace(noticed=True))
    return count_notice(drain(world, name), end)


def count_notice(world: World, end: Endpoint) -> World:
    for (sender, receiver), edge in world.sessions[end.session].edges.items():
        # Its receivers will get nothing more, and its senders will find nobody.
        if sender == end.role and not edge.letters:
            world = wake_edge(world, (end.session, sender, receiver))
    for sender, receiver in world.sessions[end.session].edges:
        if receiver == end.role:
            world = wake_edge(world, (end.session, sender, receiver))
    together = [world.sessions[one] for one in world.sessions[end.session].together]
    if not all(other.noticed for one in together for other in one.ends.values()):
        return world
    if any(edge.letters for one in together for edge in one.edges.values()):
        return world._replace(lingering=(*world.lingering, end.session))
    return end_session(world, end.session, Status.CLOSED, "")


def give_up(world: World, me: bytes, end: Endpoint) -> World:
    world = with_end(world, end, end_of(world, end)._replace(owner=None))
    owner = world.coroutines[me]
    left = tuple(other for other in owner.owned if other != end)
    return with_coroutine(world, owner._replace(owned=left))


def cancel(world: World, me: Coroutine, instruction: Cancel) -> World:
    end = mine(world, me, instruction.endpoint)
    reason = me.registers[instruction.reason]
    if not isinstance(reason, str):
        raise Trap("type", end)
    if size(reason) > world.setup.limits.message_bytes_max:
        raise Trap("limit", end)
    if not world.sessions[end.session].live:
        return give_up(world, me.id, end)
    signature = sign(world, end, statements.cancel_statement(end.session, end.role, reason))
    signer = end_of(world, end).signer
    world = say(world, Cancelled(end.session, end.role, reason, None, signature, signer))
    return end_session(give_up(world, me.id, end), end.session, Status.CANCELLED, reason)


# --- coroutines ----------------------------------------------------------------------------


def halt(world: World, me: Coroutine) -> World:
    """
    Raises:
        Trap: `acquire` with a guard in hand, `close` with an endpoint that is not at its end.
    """
    if me.guards:
        raise Trap("acquire")
    for end in me.owned:
        if not world.sessions[end.session].live:
            world = give_up(world, me.id, end)
    for end in world.coroutines[me.id].owned:
        world = take_leave(world, me.id, end)
    world = say(world, Halted(me.id))
    return with_coroutine(world, world.coroutines[me.id]._replace(alive=False))


def fall(world: World, me: Coroutine, trap: Trap) -> World:
    """A coroutine has faulted in this world, in which the instruction has done nothing."""
    world = perish(world, me, trap)
    for end in me.owned:
        if world.sessions[end.session].live:
            world = end_session(world, end.session, Status.FAULTED, trap.code)
    return world


def perish(world: World, me: Coroutine, trap: Trap) -> World:
    """A coroutine has ended by a fault, and nobody has the endpoints that were its own."""
    world = abandon(world, me.id)
    if trap.refused is not None:
        world = _reject(world, *trap.refused, trap.code)
    about = trap.about or Endpoint(b"", "")
    name = program_of(world, me).name
    faulted = Faulted(me.id, trap.code, "", name, me.pc, about.session, about.role)
    world = say(world, faulted)
    for guard in me.guards:
        world = hand_guard_on(world, guard)
    for end in me.owned:
        world = give_up(world, me.id, end)
    return with_coroutine(world, world.coroutines[me.id]._replace(alive=False))


def _reject(world: World, key: EdgeKey, place: int, code: str) -> World:
    edge: Edge = edge_of(world, key)
    letter = edge.letters[place]
    kept = edge.letters[:place] + edge.letters[place + 1 :]
    world = with_edge(world, key, edge._replace(letters=kept, discarded=edge.discarded + 1))
    for end in letter.endpoints:
        world = with_end(world, end, end_of(world, end)._replace(carrier=None))
    world = say(world, Rejected(*key, code, statements.identity_digest(letter.statement)))
    return cancel_lost(world, letter.endpoints)


def abandon(world: World, me: bytes) -> World:
    """Nothing of what a coroutine speculated has been done."""
    while world.coroutines[me].levels:
        world = roll_back(world, me)
    return world


def roll_back(world: World, me: bytes) -> World:
    coroutine = world.coroutines[me]
    *outer, level = coroutine.levels
    for name, end in level.ends.items():
        now = end_of(world, name)
        world = with_end(world, name, now._replace(state=end.state, fresh=end.fresh))
    return with_coroutine(world, coroutine._replace(levels=tuple(outer), registers=level.registers))


def hand_guard_on(world: World, index: int) -> World:
    """The holder gives a guard back, and the first who waits has it."""
    guard = world.guards[index]
    assert guard.holder is not None
    holder = world.coroutines[guard.holder]
    left = tuple(held for held in holder.guards if held != index)
    world = with_coroutine(world, holder._replace(guards=left))
    guard = guard._replace(holder=None, handed=False)
    if guard.waiting:
        first, *rest = guard.waiting
        guard = guard._replace(holder=first, handed=True, waiting=tuple(rest))
        following = world.coroutines[first]
        world = with_coroutine(world, following._replace(guards=(*following.guards, index)))
        world = wake(world, first)
    guards = (*world.guards[:index], guard, *world.guards[index + 1 :])
    return world._replace(guards=guards)
