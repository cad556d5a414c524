"""Level 4, trouble from outside: what a crash, a partition, a corruption or a timeout leads to.

The host says that trouble came; nobody can check that it did. What the file shows is whether the
run goes on as it must: who crashed is gone at once, nothing passes a partition, what was corrupted
is not received, and who is timed out does nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from troth.conformance.closing import after_its_end, broken
from troth.conformance.delegation import Delegations
from troth.conformance.divergence import Divergence
from troth.conformance.world import ROLES_STRIDE, Edge, Session, World
from troth.vm.record_codec import Items
from troth.vm.trouble import CRASHED
from troth.vm.trouble_kind import Trouble


class Crash(NamedTuple):
    """A crash whose fault has to be the record with this number."""

    record: int
    session: Session
    role: int
    coroutine: int | None


class Troubles:
    """The checks of level 4 on TROUBLE, and on what it forbids."""

    def __init__(self, world: World, delegations: Delegations) -> None:
        self._world = world
        self._delegations = delegations
        self._due: Crash | None = None

    def trouble(self, items: Items) -> None:
        self._require_done()
        _, _, number, role, peer, until_ns, _ = items
        session, trouble = self._world.judged, Trouble(number)
        if session.skip:
            return
        if session.ending or session.latched:
            raise after_its_end(session, role)
        if trouble in (Trouble.CRASH, Trouble.TIMEOUT):
            self._of_role(session, trouble, role, until_ns)
        elif trouble is Trouble.CORRUPT:
            edge = session.edges[role * ROLES_STRIDE + peer]
            if not edge.in_flight:
                raise _refused(session, role, "a message is corrupted where none is in flight")
            edge.corrupted = (edge.corrupted or frozenset()) | {edge.in_flight[0][:2]}
        else:
            parts = trouble is Trouble.PARTITION
            edges = [
                session.edges.get(role * ROLES_STRIDE + peer),
                session.edges.get(peer * ROLES_STRIDE + role),
            ]
            for edge in (one for one in edges if one is not None):
                if edge.parted == parts:
                    what = "parted twice" if parts else "healed, and were not parted"
                    raise _refused(session, role, f"two roles are {what}")
                edge.parted = parts

    def _of_role(self, session: Session, trouble: Trouble, role: int, until_ns: int | None) -> None:
        if role in session.in_transit or session.noticed[role]:
            raise _refused(session, role, "trouble comes over a role that nobody plays")
        if trouble is Trouble.CRASH:
            holder = self._delegations.holder_of(session, role)
            self._due = Crash(self._world.record.index + 1, session, role, holder)
            return
        assert until_ns is not None
        if session.silent is None:
            session.silent = {}
        if until_ns <= max(self._world.now_ns, session.silent.get(role, 0)):
            raise _refused(session, role, "a role is timed out until a time that is over")
        session.silent[role] = until_ns

    def fault(self, items: Items) -> Crash | None:
        """The code of a crash is that of the fault right behind it, and of no other.

        Returns the crash, if it is of one.
        """
        _, coroutine, code, _, _, _, number, role = items
        due, self._due = self._due, None
        if due is None and code != CRASHED:
            return None
        meant = due is not None and (
            due.record == self._world.record.index
            and code == CRASHED
            and (due.session.index, due.role) == (number, role)
            and due.coroutine in (None, coroutine)
        )
        if not meant:
            raise Divergence(
                "protocol.trouble",
                "a fault is no crash that was said to come, or is not the one that was",
                expected="another code" if due is None else f"{CRASHED} of the role that crashed",
                expected_side="the record before",
                actual=code,
            )
        return due

    def arrives(self, edge: Edge) -> None:
        """A message of another machine is taken into its buffer through a partition."""
        raise _refused(edge.session, edge.receiver, f"a message passes the parted edge {edge}")

    def received(self, edge: Edge, position: tuple[int, int]) -> None:
        """Before a message of an edge with trouble is taken."""
        if edge.parted:
            raise _refused(edge.session, edge.receiver, f"a message passes the parted edge {edge}")
        if edge.corrupted is not None and position in edge.corrupted:
            raise _refused(edge.session, edge.receiver, "a message is received that was corrupted")

    def acts(self, session: Session, role: int) -> None:
        """Before a role of a session with a timeout does anything."""
        assert session.silent is not None
        until_ns = session.silent.get(role, 0)
        if self._world.now_ns < until_ns:
            raise _refused(
                session,
                role,
                "a role acts while it is timed out",
                expected=f"nothing before {until_ns} ns",
                actual=f"an action at {self._world.now_ns} ns",
            )

    def end(self) -> None:
        self._require_done()

    def _require_done(self) -> None:
        due, self._due = self._due, None
        if due is not None:
            raise _refused(due.session, due.role, "a role has crashed, and its program goes on")


def _refused(
    session: Session,
    role: int,
    message: str,
    *,
    expected: str = "what can happen to it now",
    actual: str | None = None,
) -> Divergence:
    return broken(session, role, "protocol.trouble", message, expected=expected, actual=actual)
