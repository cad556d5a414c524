"""Level 4, timed choices: clocks are started where the type says, and run out no sooner."""

from __future__ import annotations

from troth.conformance.closing import after_its_end
from troth.conformance.delegation import Delegations
from troth.conformance.divergence import Divergence
from troth.conformance.tables import describe_state
from troth.conformance.world import ROLES_STRIDE, Running, Session, World
from troth.vm.record_codec import Items


class Timers:
    """The checks of level 4 on TIMER and EXPIRE."""

    def __init__(self, world: World, delegations: Delegations) -> None:
        self.world = world
        self._delegations = delegations

    def start(self, items: Items) -> None:
        session, role = self._session(items), items[2]
        if session.skip:
            return
        self._require_here(session, role)
        tables = session.protocol.tables
        state = session.states[role]
        clock = None if tables is None else tables.timed[role].get(state)
        if clock is None:
            raise self._refuse(session, role, "a clock is started where the type has none")
        edge = session.edges[role * ROLES_STRIDE + clock.peer]
        deadline_ns = items[3] + clock.within_ns
        running = Running(edge, edge.sent, clock.in_time, clock.late, deadline_ns)
        if session.timers is None:
            session.timers = {}
        session.timers[role] = running
        session.states[role] = clock.in_time

    def expire(self, items: Items) -> None:
        session, role = self._session(items), items[2]
        if session.skip:
            return
        self._require_here(session, role)
        running = session.timers.pop(role, None) if session.timers else None
        if (
            running is None
            or session.states[role] != running.in_time
            or running.edge.sent != running.sent
        ):
            raise self._refuse(session, role, "a clock runs out that does not run")
        holder = self._delegations.holder_of(session, role)
        if holder not in (None, items[3]):
            raise self._refuse(session, role, "a clock runs out for who does not have its endpoint")
        if self.world.now_ns < running.deadline_ns:
            session.skip = True
            raise Divergence(
                "protocol.timer",
                "a clock has run out too soon",
                expected=f"a time of at least {running.deadline_ns} ns",
                expected_side="local type",
                actual=f"{self.world.now_ns} ns",
                session=session,
                role=session.protocol.roles[role],
            )
        session.states[role] = running.late

    def _session(self, items: Items) -> Session:
        return self.world.sessions[items[1]]

    def _require_here(self, session: Session, role: int) -> None:
        if session.ending:
            raise after_its_end(session, role)
        if session.in_transit and role in session.in_transit:
            raise self._delegations.in_transit(session, role)

    def _refuse(self, session: Session, role: int, message: str) -> Divergence:
        session.skip = True
        tables = session.protocol.tables
        position = None
        if tables is not None:
            position = describe_state(tables, role, session.states[role])
        return Divergence(
            "protocol.timer",
            message,
            expected="what the local type allows here",
            expected_side="local type",
            actual=f"a clock of {session.protocol.roles[role]}",
            session=session,
            role=session.protocol.roles[role],
            position=position,
        )
