"""Level 4, how sessions end: notices, receipts, cancellations, what was left undelivered.

A close is honest when every role has given notice at the end of its local type, with its true
final numbers, and every message was received; or when the linger time has run out and what was
not received is listed. Every ended session lists exactly what was sent and not received.
"""

from __future__ import annotations

from typing import Final

from troth.conformance.divergence import Divergence
from troth.conformance.tables import describe_state
from troth.conformance.world import Bundle, Edge, Session, World
from troth.vm.events import Status
from troth.vm.lifecycle import LIVE
from troth.vm.record_codec import Items
from troth.vm.step_end import linger_detail

_COUNTS: Final = "generation {}, {} received, {} of them reliable, {} discarded"


class Closing:
    """Judges the end of every session."""

    def __init__(self, world: World) -> None:
        self.world = world

    def notice(self, items: Items) -> None:
        _, _, role, rows, _ = items
        session = self.world.judged
        if session.skip:
            return
        tables = session.protocol.tables
        assert tables is not None
        name = session.protocol.roles[role]
        if session.ending:
            raise after_its_end(session, role)
        if role in session.in_transit or session.noticed[role]:
            raise broken(session, role, "protocol.notice", f"{name} cannot give notice now")
        if not tables.ends[role][session.states[role]]:
            raise broken(
                session,
                role,
                "protocol.notice",
                f"{name} gives notice before its protocol is over",
                expected="a role at its end",
                position=describe_state(tables, role, session.states[role]),
            )
        finals = tuple(
            (edge.receiver, edge.config.generation_of(edge.sent), edge.sent)
            for edge in session.edges_from.get(role, ())
        )
        if rows != finals:
            raise broken(
                session,
                role,
                "protocol.notice",
                f"{name} gives notice with wrong final numbers",
                expected=_finals(session, finals),
                actual=_finals(session, rows),
            )
        incoming = session.edges_to.get(role, ())
        for place, edge in enumerate(incoming, self.world.record.index - len(incoming)):
            if edge.receipted != (edge.received, edge.discarded):
                raise broken(
                    session,
                    role,
                    "protocol.receipt",
                    f"{name} gives notice without a receipt for {edge}",
                    expected=f"a receipt for {edge.received} received messages",
                    actual="none" if edge.receipted is None else f"one for {edge.receipted[0]}",
                )
            if edge.receipted_at != place:
                raise broken(
                    session,
                    role,
                    "protocol.receipt",
                    f"{name} signs its receipt for {edge} at another time than its notice",
                    expected=f"a receipt at record {place}: all of them right before the notice",
                    actual=f"record {edge.receipted_at}",
                )
        self.count_notice(session, role)

    def count_notice(self, session: Session, role: int) -> None:
        """A bundle waits for the last notice in any of its sessions."""
        session.noticed[role] = True
        self._start_drain(session)
        together = session.together
        if not all(all(one.noticed) for one in together):
            return
        latched = all(one.drained_edges for one in together)
        for one in together:
            if one.linger_from_ns is None:
                one.linger_from_ns = self.world.now_ns
            one.latched = latched

    def receipt(self, items: Items) -> None:
        _, _, role, _, *said, _, _ = items
        edge = self.world.edge
        assert edge is not None
        if edge.session.skip:
            return
        if edge.session.ending:
            raise after_its_end(edge.session, role)
        if role in edge.session.in_transit:
            raise broken(edge.session, role, "protocol.receipt", "nobody plays who signs for it")
        reliable = edge.received - edge.lossy_received
        counts = (edge.received, reliable, edge.discarded)
        generation = edge.config.generation_of(edge.received)
        if edge.renews:
            generation = edge.consumption.generation
        counted = [generation, *counts]
        if said != counted:
            raise broken(
                edge.session,
                role,
                "protocol.receipt",
                f"the receipt for {edge} does not count what was received",
                expected=_COUNTS.format(*counted),
                actual=_COUNTS.format(*said),
                edge=edge,
            )
        edge.receipted = (edge.received, edge.discarded)
        edge.receipted_at = self.world.record.index

    def reject(self, items: Items) -> None:  # noqa: ARG002 - level 3 has taken the message
        assert self.world.edge is not None
        self.world.edge.rejected += 1

    def rotate(self, items: Items) -> None:
        """A generation ends while its session goes on, and by who has not given notice."""
        edge = self.world.edge
        assert edge is not None
        session, role = edge.session, items[2]
        if session.skip:
            return
        if session.ending or session.noticed[role] or role in session.in_transit:
            raise after_its_end(session, role)

    def overwrite(self, items: Items) -> None:  # noqa: ARG002 - level 3 has taken the message
        edge = self.world.edge
        assert edge is not None
        if edge.session.ending and not edge.session.skip:
            raise after_its_end(edge.session, None)

    def cancel(self, items: Items) -> None:
        _, _, role, reason, _, _ = items
        session = self.world.judged
        if session.skip:
            session.cancelled = reason
            return
        if session.cancelled is not None:
            raise broken(session, role, "protocol.close", "the session is cancelled twice")
        if session.ending or session.latched:
            raise after_its_end(session, role)
        end_together(session, cancelled=reason)
        if role is not None and (role in session.in_transit or session.noticed[role]):
            raise broken(
                session, role, "protocol.close", "a role cancels that does not hold its endpoint"
            )

    def ask_end(self, items: Items) -> None:  # noqa: ARG002 - level 1 has read its time
        """The host asks for the session's end: its linger clock starts, once."""
        session = self.world.judged
        if session.skip:
            return
        if session.ending or session.latched:
            raise after_its_end(session, None)
        if session.linger_from_ns is not None:
            raise broken(
                session, None, "protocol.close", "the session's end is asked for, but its time runs"
            )
        place = self.world.record.index
        for one in session.together:
            one.end_asked = True
            one.linger_from_ns = self.world.now_ns
            # Each of them that was active says that it drains, one after the other.
            if one.drains_at is None:
                place += 1
                one.drains_at = place

    def _start_drain(self, session: Session) -> None:
        if session.drains_at is None:
            session.drains_at = self.world.record.index + 1

    def undelivered(self, items: Items) -> None:  # noqa: ARG002 - level 3 has taken the message
        edge = self.world.edge
        assert edge is not None
        edge.listed += 1
        edge.session.ending = True
        if edge.session.bundle is not None:
            edge.session.bundle.goes_on(self.world.record.index)

    # --- status ---

    def status(self, items: Items) -> None:
        _, _, number, epoch, detail = items
        session = self.world.judged
        status = Status(number)
        in_place = session.bundle is None or session.bundle.goes_on(self.world.record.index)
        if session.excused:
            return
        if not in_place:
            raise broken(
                session,
                None,
                "protocol.bundle",
                "something else is recorded before all sessions of the bundle have ended",
                expected="what is undelivered, and the status, of each session right behind",
                actual="a status that comes later",
            )
        wanted = 1 if status is Status.CLOSED else 0
        if epoch != wanted:
            raise broken(
                session,
                None,
                "protocol.epoch",
                f"the epoch of a session that is {status.name.lower()} is another",
                expected=str(wanted),
                actual=str(epoch),
            )
        drains = session.end_asked or any(session.noticed)
        if status is Status.DRAINING and not drains:
            raise broken(
                session, None, "protocol.close", "the session drains though no role gave notice"
            )
        if status is Status.DRAINING:
            session.drained = True
        elif drains and not session.drained:
            raise broken(
                session,
                None,
                "protocol.close",
                "the session ends after a notice, but never drained",
                expected="draining",
                actual=status.name.lower(),
            )
        self._way_out(session, status, detail)
        if status not in LIVE:
            self._nothing_left(session)
            if session.bundle is not None:
                _end_bundle(session, session.bundle, status, detail)

    def _way_out(self, session: Session, status: Status, detail: str) -> None:
        """The status is one that what came before leads to."""
        if status is not Status.CLOSED and session.latched:
            raise broken(
                session,
                None,
                "protocol.close",
                "every role gave notice and nothing was in flight, but it is not closed",
                expected="closed",
                actual=status.name.lower(),
            )
        if status is Status.DRAINING:
            self._drains(session, detail)
        elif status is Status.CLOSED:
            self._closed(session, detail)
        elif status is Status.FAULTED:
            self._faulted(session, detail)
        elif session.cancelled != detail:
            raise broken(
                session,
                None,
                "protocol.close",
                "the session is cancelled for a reason that nobody gave",
                expected="no cancellation" if session.cancelled is None else session.cancelled,
                actual=detail,
            )

    def _drains(self, session: Session, detail: str) -> None:
        if session.ending:
            raise after_its_end(session, None)
        if detail:
            raise broken(
                session,
                None,
                "protocol.close",
                "the session drains for a reason of its own",
                expected="no detail: a notice is the reason",
                actual=detail,
            )
        if session.drains_at != self.world.record.index:
            raise broken(
                session,
                None,
                "protocol.close",
                "the session drains later than at its first notice",
                expected=f"record {session.drains_at}",
                actual=f"record {self.world.record.index}",
            )

    def _faulted(self, session: Session, detail: str) -> None:
        """A fault ends its sessions in the step in which it happens, and nothing else does.

        At another machine it ends them when that machine's word for it arrives.
        """
        world = self.world
        if session.failed is not None and session.failed == detail:
            return
        fault = world.last_fault if world.fault_reaches == world.record.index + 1 else ""
        if session.cancelled is not None or not fault or detail != fault:
            raise broken(
                session,
                None,
                "protocol.close",
                "the session is faulted by a fault that did not happen right before",
                expected=fault or "no fault",
                actual=detail,
            )
        usable = (
            role not in session.in_transit and not noticed and role not in session.peers
            for role, noticed in enumerate(session.noticed)
        )
        if not any(usable):
            raise broken(
                session,
                None,
                "protocol.close",
                "the session is faulted though no coroutine held an endpoint of it",
                expected="a role that has not given notice and does not travel",
                actual="none",
            )

    def _closed(self, session: Session, detail: str) -> None:
        silent = silent_roles(session)
        everywhere = [role for one in session.together for role in silent_roles(one)]
        if (everywhere and not session.end_asked) or session.cancelled is not None:
            raise broken(
                session,
                None,
                "protocol.close",
                "the session is closed though not every role gave notice",
                expected=f"a notice of {', '.join(everywhere)}" if everywhere else "cancelled",
                actual="closed",
            )
        edges = [edge for one in session.together for edge in one.edges.values()]
        listed = sum(edge.listed for edge in edges)
        assert session.linger_from_ns is not None
        over_ns = session.linger_from_ns + session.linger_ns
        lingered = bool(listed or everywhere) or not all(edge.drained for edge in edges)
        wanted = linger_detail(silent) if lingered else ""
        if detail != wanted or (lingered and self.world.now_ns < over_ns):
            raise broken(
                session,
                None,
                "protocol.close",
                "the session is closed before its messages were received or its time was over",
                expected=f"nothing undelivered, or {wanted!r} from {over_ns} ns on",
                actual=f"{listed} undelivered at {self.world.now_ns} ns, detail {detail!r}",
            )

    def _nothing_left(self, session: Session) -> None:
        for edge in session.edges.values():
            if edge.in_flight and not edge.skip:
                raise broken(
                    session,
                    None,
                    "protocol.undelivered",
                    f"the session ends, and messages of {edge} are neither received nor listed",
                    expected=f"{len(edge.in_flight)} more undelivered messages listed",
                    actual="none",
                    edge=edge,
                )
            account(session, edge)

    def end(self) -> None:
        """At the end of the file no session is past the point where it had to be closed."""
        for session in self.world.sessions.values():
            if session.excused:
                continue
            if (session.end_asked or any(session.noticed)) and not session.drained:
                raise broken(session, None, "protocol.close", "a notice did not drain it")
            ended = session.cancelled is not None or session.failed is not None
            ended |= session.bundle is not None and session.bundle.ended is not None
            if ended or any(e.listed for e in session.edges.values()):
                raise broken(
                    session, None, "protocol.close", "the session has ended without a status"
                )
            if all(all(one.noticed) and one.drained_edges for one in session.together):
                raise broken(
                    session,
                    None,
                    "protocol.close",
                    "every role gave notice and nothing is in flight, but it is not closed",
                    expected="closed",
                    actual=session.status.name.lower(),
                )


def end_together(
    session: Session, *, cancelled: str | None = None, failed: str | None = None
) -> None:
    """What ends a session at once ends those of its bundle."""
    for one in session.together:
        one.cancelled, one.failed = cancelled, failed
        one.ending = True


def _end_bundle(session: Session, bundle: Bundle, status: Status, detail: str) -> None:
    """The first session that ends says how; the others follow before anything else happens."""
    if len(bundle.sessions) < bundle.expected or bundle.ended not in (None, status):
        raise broken(
            session,
            None,
            "protocol.bundle",
            "the sessions of a bundle do not end together",
            expected="all of them" if bundle.ended is None else bundle.ended.name.lower(),
            actual=status.name.lower(),
        )
    if bundle.ended is None:
        bundle.ended = status
        for one in bundle.sessions:
            one.ending = True
            if status is Status.FAULTED:
                one.failed = detail


def silent_roles(session: Session) -> list[str]:
    """The roles that have given no notice."""
    roles = zip(session.protocol.roles, session.noticed, strict=True)
    return [name for name, done in roles if not done]


def account(session: Session, edge: Edge) -> None:
    """Every message has one end: no more and no fewer came to one than there were.

    One view knows only its own side: of an edge to another machine what the receipts say, of one
    from there what arrived.
    """
    if edge.skip or edge.outbound or edge.elsewhere:
        return
    known = edge.arrived if edge.inbound else edge.sent
    undelivered = edge.listed + edge.unclaimed
    ended = edge.received + undelivered + edge.discarded + len(edge.in_flight)
    if known != ended:
        raise broken(
            session,
            None,
            "protocol.account",
            f"the messages of {edge} do not add up",
            expected=f"{known} messages",
            actual=f"{edge.received} received, {undelivered} undelivered, "
            f"{edge.rejected} rejected, {edge.overwritten} overwritten, "
            f"{len(edge.in_flight)} in flight",
            edge=edge,
        )


def _finals(session: Session, rows: tuple[tuple[int, int, int], ...]) -> str:
    roles = session.protocol.roles
    said = [f"{count} to {roles[receiver]}" for receiver, _, count in rows]
    return ", ".join(said) or "no edge"


def after_its_end(session: Session, role: int | None) -> Divergence:
    """Something other than its status follows what ends a session."""
    return broken(
        session,
        role,
        "protocol.close",
        "the session goes on after what ended it",
        expected="undelivered messages and the final status, nothing else",
        actual="something else",
    )


def broken(
    session: Session,
    role: int | None,
    code: str,
    message: str,
    *,
    expected: str | None = None,
    actual: str | None = None,
    edge: Edge | None = None,
    position: str | None = None,
) -> Divergence:
    session.skip = True
    return Divergence(
        code,
        message,
        expected=expected,
        actual=actual,
        session=session,
        edge=edge,
        role=None if role is None else session.protocol.roles[role],
        position=position,
    )
