"""Level 4, roles that have crashed in a session that goes on: who departs, and who goes on.

A role departs right behind the fault of the crash that ended its program, where somebody else can
still come to where the type says what follows that crash. What was sent to it, and is sent to it
later, is listed at once as undelivered. Somebody takes that way on only when nothing is left to
receive from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from troth.conformance.closing import Closing, after_its_end, broken
from troth.conformance.delegation import Delegations
from troth.conformance.divergence import Divergence
from troth.conformance.tables import describe_state
from troth.conformance.world import Departures, Edge, Session, World
from troth.vm.record_codec import Items
from troth.vm.trouble import CRASHED


class Crashes:
    """The checks of level 4 on DEPART and DETECT, and on what a crash leaves behind."""

    def __init__(self, world: World, delegations: Delegations, closing: Closing) -> None:
        self._world = world
        self._delegations = delegations
        self._closing = closing
        self._crashed: int | None = None
        """The coroutine of the last crash."""

    def crashed(self, session: Session, role: int, coroutine: int) -> None:
        """The program of a role has crashed: the next record is its departure, if there is one."""
        self._crashed = coroutine
        if not session.skip and self._must_go_on(session, role, coroutine):
            _departures(session).role_due = (role, self._world.record.index + 1)

    def _must_go_on(self, session: Session, role: int | None, coroutine: int) -> bool:
        """As far as the file shows who has which endpoint; the coroutine has that of `role`."""
        concerned = False
        for one in session.together:
            held = self._held(one, coroutine, role if one is session else None)
            if held is None or one.skip or not _can_go_on(one, held):
                return False
            concerned |= bool(held)
        return concerned

    def _held(self, session: Session, coroutine: int, known: int | None) -> list[int] | None:
        """The roles of a coroutine that has crashed; None where it may have had others."""
        held = []
        for role, noticed in enumerate(session.noticed):
            if noticed or role in session.in_transit:
                continue
            holder = self._delegations.holder_of(session, role)
            if role == known or holder == coroutine:
                held.append(role)
            elif holder is None:
                return None
        return held

    def require_no_survivor(self, session: Session) -> None:
        """Before a session is faulted by a crash: none of its roles could have departed."""
        coroutine = self._crashed
        world = self._world
        recent = world.fault_reaches == world.record.index + 1 and world.last_fault == CRASHED
        if coroutine is not None and recent and self._must_go_on(session, None, coroutine):
            raise _refuse(session, None, "a session is faulted that can go on after a crash")

    def depart(self, items: Items) -> None:
        session, role = self._world.sessions[items[1]], items[2]
        if session.skip:
            return
        world, index = self._world, self._world.record.index
        departures = _departures(session)
        due, departures.role_due = departures.role_due, None
        self.settled(session)
        if session.ending or session.latched:
            raise after_its_end(session, role)
        if world.fault_reaches != index + 1 or world.last_fault != CRASHED:
            raise _refuse(session, role, "a role departs that has not crashed right before")
        if due is not None and due != (role, index):
            raise _refuse(session, due[0], "another role departs than the one that has crashed")
        if session.noticed[role] or role in session.in_transit:
            raise _refuse(session, role, "a role departs that nobody plays")
        if self._delegations.holder_of(session, role) not in (None, self._crashed):
            raise _refuse(session, role, "a role departs whose program has not crashed")
        for one in session.together:
            known = role if one is session else None
            held = () if self._crashed is None else self._held(one, self._crashed, known)
            if held is not None and not _can_go_on(one, held):
                raise _refuse(session, role, "a role departs that nobody can be without")
        if not _survived(session, role):
            raise _refuse(session, role, "a role departs that nobody can be without")
        waiting = sum(len(edge.in_flight) for edge in session.edges_to.get(role, ()))
        self._closing.count_notice(session, role)
        if session.drains_at == index + 1:
            session.drains_at += waiting
        session.in_transit.add(role)
        departures.gone.add(role)
        departures.discards_due = index + 1 if waiting else None

    def sent(self, edge: Edge) -> None:
        """A message to a role that has departed has to be listed right behind it."""
        departures = edge.session.departures
        if departures is not None and edge.receiver in departures.gone:
            departures.discards_due = self._world.record.index + 1

    def undelivered(self, edge: Edge) -> bool:
        """Whether a message is listed because its receiver has departed."""
        departures, index = edge.session.departures, self._world.record.index
        if departures is None or departures.discards_due != index or edge.session.skip:
            return False
        waiting = [one for one in edge.session.edges.values() if one.receiver in departures.gone]
        if edge.receiver not in departures.gone or any(
            one.in_flight for one in waiting[: waiting.index(edge)]
        ):
            return False
        edge.unclaimed += 1
        left = any(one.in_flight for one in waiting)
        departures.discards_due = index + 1 if left else None
        return True

    def detect(self, items: Items) -> None:
        session, receiver, sender = self._world.sessions[items[1]], items[2], items[3]
        if session.skip:
            return
        self.settled(session)
        if session.ending:
            raise after_its_end(session, receiver)
        if receiver in session.in_transit:
            raise self._delegations.in_transit(session, receiver)
        departures, tables = session.departures, session.protocol.tables
        edge = self._world.edge
        assert tables is not None
        assert edge is not None
        if departures is None or sender not in departures.gone:
            raise _refuse(session, receiver, "a role goes on as after a crash that did not come")
        way = tables.crashes[receiver].get(session.states[receiver])
        if way is None or way.peer != sender:
            raise _refuse(
                session, receiver, "a role goes on after a crash where its type has no way on"
            )
        if edge.in_flight or edge.parted:
            raise _refuse(
                session,
                receiver,
                "a role goes on after a crash before it has received what was sent",
                actual=f"{len(edge.in_flight)} messages of {edge} in flight"
                + (", parted" if edge.parted else ""),
            )
        session.states[receiver] = way.next

    def settled(self, session: Session) -> None:
        """Before anything else happens in a session: what a crash leads to has been recorded."""
        departures = session.departures
        if departures is None or not departures.owed:
            return
        role = None if departures.role_due is None else departures.role_due[0]
        what = "the role that has crashed departs" if role is not None else "it is undelivered"
        departures.role_due = departures.discards_due = None
        raise _refuse(
            session,
            role,
            "a crash is hidden"
            if role is not None
            else "a message to a role that has departed is not listed",
            expected=f"right behind it: {what}",
            actual="something else",
        )

    def end(self) -> None:
        for session in self._world.sessions.values():
            if not session.skip:
                self.settled(session)


def _departures(session: Session) -> Departures:
    if session.departures is None:
        session.departures = Departures()
    return session.departures


def _can_go_on(session: Session, gone: Sequence[int]) -> bool:
    return len(gone) < 2 and all(_survived(session, role) for role in gone)


def _survived(session: Session, role: int) -> bool:
    """Whether another role that is not done can come to where it is without this one."""
    tables = session.protocol.tables
    if tables is None or session.peers:
        return False
    name = session.protocol.roles[role]
    return any(
        name in tables.survives[other][state]
        for other, state in enumerate(session.states)
        if other != role and not session.noticed[other]
    )


def _refuse(
    session: Session,
    role: int | None,
    message: str,
    *,
    expected: str = "what its crash, or that of another role, leads to",
    actual: str | None = None,
) -> Divergence:
    position, tables = None, session.protocol.tables
    if tables is not None and role is not None:
        position = describe_state(tables, role, session.states[role])
    return broken(
        session,
        role,
        "protocol.trouble",
        message,
        expected=expected,
        actual=actual,
        position=position,
    )
