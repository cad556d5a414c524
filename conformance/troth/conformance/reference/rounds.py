"""Rounds, turns, and what the host can do between two of them."""

from __future__ import annotations

import re
from typing import Final

from troth.conformance.reference.clocks import interrupt, late_answers, next_ns
from troth.conformance.reference.endings import drain, end_session, expire
from troth.conformance.reference.ownership import newborn
from troth.conformance.reference.step import Stop, spend_too_much, step
from troth.conformance.reference.troubles import hold, let_go, suffer
from troth.conformance.reference.world import (
    Answer,
    Guard,
    Setup,
    World,
    edge_of,
    program_of,
    say,
    with_coroutine,
    with_edge,
    with_session,
)
from troth.vm.events import Cancelled, Completed, EndAsked, Spawned, Status, TimeSet, Troubled

_NAMED: Final = re.compile(r"(\S+)=(\d+)")


def start(setup: Setup) -> World:
    """The world in which the image's entry is about to run."""
    entry = setup.image.entry
    assert entry is not None, "there is a main"
    world = World(setup, {}, {}, tuple(Guard() for _ in setup.image.guards))
    first = newborn(world, None, entry)
    world = say(with_coroutine(world, first), Spawned(first.id, b"", entry))
    return world._replace(ready=(first.id,), births=1)


# --- the host ------------------------------------------------------------------------------


def complete(world: World, effect: bytes, answer: Answer, recorded: bytes) -> World:
    """The host has finished an effect; the next round brings the answer."""
    return world._replace(answers=(*world.answers, (effect, answer, recorded)))


def cancel(world: World, session: bytes, reason: str) -> World:
    """The host ends a live session."""
    world = say(world, Cancelled(session, "", reason, world.rounds, b"", b""))
    return _commit(end_session(world, session, Status.CANCELLED, reason))


def ask_end(world: World, session: bytes, now_ns: int) -> World:
    """The host asks for the end of a live session: its linger clock starts, unless it runs."""
    if world.sessions[session].deadline_ns is not None:
        return world
    now_ns = max(now_ns, world.now_ns)
    world = world._replace(clock_ns=now_ns, now_ns=now_ns)
    world = say(world, EndAsked(session, now_ns, world.rounds))
    for one in world.sessions[session].together:
        world = drain(world, one)
    return _commit(world._replace(lingering=(session,)))


def trouble(world: World, what: Troubled) -> World:
    """Trouble that can come comes."""
    return _commit(suffer(world, what))


# --- rounds --------------------------------------------------------------------------------


def deadline_of(world: World) -> int | None:
    """When the next clock runs out."""
    clocks = [
        next_ns(world),
        *world.paused.values(),
        *(session.deadline_ns for session in world.sessions.values()),
    ]
    return min((clock for clock in clocks if clock is not None), default=None)


def run_round(world: World, now_ns: int) -> World | None:
    """The world after another round, None when there is nothing to do."""
    deadline_ns = deadline_of(world)
    due = deadline_ns is not None and now_ns >= deadline_ns
    world = hold(world)
    if not (world.ready or world.answers or due):
        return None
    world = world._replace(in_round=True, clock_ns=max(now_ns, world.now_ns))
    if deadline_ns is not None:
        world = _note_time(world)
    late = late_answers(world) if due else ()
    withheld = [one for one in world.answers if one[0] in late]
    world = world._replace(answers=tuple(one for one in world.answers if one[0] not in late))
    world = _commit(_expire(_bring_answers(world)))
    if due:
        world = interrupt(world)
        # Nothing was interrupted where the session of the clock has ended: it was not late.
        asked = {who.effect for who in world.coroutines.values()}
        world = world._replace(answers=tuple(one for one in withheld if one[0] in asked))
        world = let_go(world)
    world = hold(world)
    if world.ready:
        world = _run_turns(world)
    world = world._replace(in_round=False, rounds=world.rounds + 1)
    return _seal(world) if world.setup.seals_rounds else world


def _note_time(world: World) -> World:
    if world.clock_ns == world.now_ns:
        return world
    world = say(world, TimeSet(world.clock_ns, world.rounds + world.in_round))
    return world._replace(now_ns=world.clock_ns)


def _bring_answers(world: World) -> World:
    for effect, answer, recorded in world.answers:
        world = say(world, Completed(effect, answer.failed, recorded, world.rounds + 1))
        (asker,) = [c for c in world.coroutines.values() if c.effect == effect]
        world = with_coroutine(world, asker._replace(answer=answer))
        world = world._replace(ready=(*world.ready, asker.id))
    return world._replace(answers=())


def _expire(world: World) -> World:
    while True:
        running = [s for s in world.sessions.values() if s.deadline_ns is not None]
        due = [s for s in running if s.deadline_ns is not None and s.deadline_ns <= world.clock_ns]
        if not due:
            return world
        first = min(due, key=lambda s: (s.deadline_ns or 0, s.timer))
        world = expire(world, first.opened.session)


def _run_turns(world: World) -> World:
    batch, left = _take(world)
    world = world._replace(ready=left)
    coroutines_left = (world.setup.limits.coroutines_max - _alive(world)) // len(batch)
    sessions_left = (world.setup.limits.sessions_max - _open(world)) // len(batch)
    world = _forget_waiting(world, batch, left)
    deferred = []
    for identity in batch:
        world = world._replace(coroutines_left=coroutines_left, sessions_left=sessions_left)
        world, stop = _turn(world, identity, world.setup.quantum)
        world = _after(_commit(world), identity, stop)
        if stop is Stop.DEFERRED:
            deferred.append(identity)
    # Their shares were too small: now what is left is known exactly.
    world = world._replace(exact=True)
    for identity in deferred:
        coroutines_left = world.setup.limits.coroutines_max - _alive(world)
        sessions_left = world.setup.limits.sessions_max - _open(world)
        world = world._replace(coroutines_left=coroutines_left, sessions_left=sessions_left)
        world, stop = _turn(world, identity, 1)
        world = _after(_commit(world), identity, stop)
    return world._replace(exact=False)


def _after(world: World, identity: bytes, stop: Stop | None) -> World:
    goes_on = stop in (None, Stop.YIELDED)
    return world._replace(ready=(*world.ready, identity)) if goes_on else world


def _turn(world: World, identity: bytes, quantum: int) -> tuple[World, Stop | None]:
    budget = world.setup.limits.instructions_max
    for _ in range(quantum):
        if world.coroutines[identity].spent >= budget:
            return spend_too_much(world, identity)
        world, stop = step(world, identity)
        if stop is not None:
            return world, stop
    return world, None


def _alive(world: World) -> int:
    return sum(coroutine.alive for coroutine in world.coroutines.values())


def _open(world: World) -> int:
    return sum(session.live for session in world.sessions.values())


def _commit(world: World) -> World:
    """A turn is over: who was woken is ready, and clocks start."""
    for name in world.lingering:
        session = world.sessions[name]
        if session.live and session.deadline_ns is None:
            world = _note_time(world)
            deadline_ns = world.now_ns + session.opened.linger_ns
            others = (one for one in session.together if one != name)
            for one in (name, *others):
                timed = world.sessions[one]._replace(deadline_ns=deadline_ns, timer=world.timers)
                world = with_session(world, timed)._replace(timers=world.timers + 1)
    return world._replace(lingering=(), ready=(*world.ready, *world.woken), woken=())


def _seal(world: World) -> World:
    """What was sent in the round can be received in the next."""
    for key in world.unsealed:
        if not world.sessions[key[0]].live:
            continue
        edge = edge_of(world, key)
        letters = tuple(letter._replace(sealed=True) for letter in edge.letters)
        waits = () if edge.receiver is None else (edge.receiver,)
        world = with_edge(world, key, edge._replace(letters=letters, receiver=None))
        world = world._replace(ready=(*world.ready, *waits))
    return world._replace(unsealed=())


# --- policies ------------------------------------------------------------------------------


def _take(world: World) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Who of the ready ones has a turn, in order, and who has not."""
    policy, ready = world.setup.policy, world.ready
    if policy == "cooperative":
        return ready, ()
    if policy == "round-robin":
        return tuple(sorted(ready, key=lambda who: world.coroutines[who].birth)), ()
    (_, aging), *named = _NAMED.findall(policy)
    priorities = {name: int(number) for name, number in named}

    def level(who: bytes) -> int:
        coroutine = world.coroutines[who]
        own = priorities.get(program_of(world, coroutine).name, 0)
        return own + coroutine.waited // int(aging)

    top = max(map(level, ready))
    return (
        tuple(who for who in ready if level(who) == top),
        tuple(who for who in ready if level(who) != top),
    )


def _forget_waiting(world: World, batch: tuple[bytes, ...], left: tuple[bytes, ...]) -> World:
    """Who has a turn has waited no longer, who has none one round more."""
    if not world.setup.policy.startswith("priority"):
        return world
    for who in batch:
        world = with_coroutine(world, world.coroutines[who]._replace(waited=0))
    for who in left:
        waited = world.coroutines[who].waited + 1
        world = with_coroutine(world, world.coroutines[who]._replace(waited=waited))
    return world
