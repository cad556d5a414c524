"""Trouble from outside: crash, partition and heal, corruption, timeout."""

from __future__ import annotations

from troth.conformance.reference.crashes import crash
from troth.conformance.reference.world import (
    Coroutine,
    World,
    end_of,
    say,
    wake_edge,
    with_coroutine,
    with_edge,
)
from troth.vm.events import Troubled
from troth.vm.trouble_kind import Trouble
from troth.vm.values import Endpoint


def suffer(world: World, trouble: Troubled) -> World:
    """What the trouble leads to, all at once; it is one that can happen."""
    world = say(world, trouble)
    match trouble.trouble:
        case Trouble.CRASH:
            return _crash(world, Endpoint(trouble.session, trouble.role))
        case Trouble.CORRUPT:
            key = (trouble.session, trouble.role, trouble.peer)
            edge = world.sessions[trouble.session].edges[key[1:]]
            oldest = edge.letters[0]._replace(corrupt=True)
            return with_edge(world, key, edge._replace(letters=(oldest, *edge.letters[1:])))
        case Trouble.TIMEOUT:
            owner = end_of(world, Endpoint(trouble.session, trouble.role)).owner
            assert owner is not None
            assert trouble.until_ns is not None
            return world._replace(paused={**world.paused, owner: trouble.until_ns})
    return _part(world, trouble, parted=trouble.trouble is Trouble.PARTITION)


def _part(world: World, trouble: Troubled, *, parted: bool) -> World:
    pair = {trouble.role, trouble.peer}
    for roles, edge in world.sessions[trouble.session].edges.items():
        if set(roles) == pair:
            key = (trouble.session, *roles)
            world = with_edge(world, key, edge._replace(parted=parted))
            if not parted:
                world = wake_edge(world, key)
    return world


def _crash(world: World, end: Endpoint) -> World:
    owner = end_of(world, end).owner
    assert owner is not None, "somebody plays the role"
    return crash(_nowhere(world, owner), owner, end)


def _nowhere(world: World, gone: bytes) -> World:
    """It waits nowhere, and nothing is to wake it."""
    for session in list(world.sessions.values()):
        for roles, edge in session.edges.items():
            if gone in (edge.receiver, edge.sender):
                receiver = None if edge.receiver == gone else edge.receiver
                sender = None if edge.sender == gone else edge.sender
                key = (session.opened.session, *roles)
                world = with_edge(world, key, edge._replace(receiver=receiver, sender=sender))
    who: Coroutine = world.coroutines[gone]
    guards = tuple(
        guard._replace(waiting=tuple(one for one in guard.waiting if one != gone))
        for guard in world.guards
    )
    world = with_coroutine(world, who._replace(effect=None, answer=None))
    return world._replace(
        guards=guards,
        ready=tuple(one for one in world.ready if one != gone),
        aside=tuple(one for one in world.aside if one != gone),
        paused={one: until for one, until in world.paused.items() if one != gone},
        answers=tuple(one for one in world.answers if one[0] != who.effect),
    )


def hold(world: World) -> World:
    """Who is timed out gets no turn."""
    if not world.paused:
        return world
    held = tuple(one for one in world.ready if one in world.paused)
    ready = tuple(one for one in world.ready if one not in world.paused)
    return world._replace(ready=ready, aside=(*world.aside, *held))


def let_go(world: World) -> World:
    """Timeouts are over."""
    paused = {one: until for one, until in world.paused.items() if until > world.clock_ns}
    back = tuple(one for one in world.aside if one not in paused)
    aside = tuple(one for one in world.aside if one in paused)
    return world._replace(paused=paused, aside=aside, ready=(*world.ready, *back))
