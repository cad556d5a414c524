"""How sessions end: notices, receipts, cancellations, statuses, what was not delivered.

The page: "NOTICE" and what follows, level 4; "The table" of the page on sessions.
"""

from __future__ import annotations

from second_verifier.second_crashes import could_go_on
from second_verifier.second_crypto import require_signature, statement
from second_verifier.second_image import END
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_state import Edge, File, Role, Session
from second_verifier.second_wire import Record

DRAINING, CLOSED, CANCELLED, FAULTED = 1, 2, 3, 4


class Endings(Part):
    def on_notice(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.local(session, facts["role"])
        require(not session.causes, "the session is about to end")
        self.may_act(role)
        said = self._notice(session, role, facts)
        self.stated(record, session, role.signer, said, facts["signature"])
        require(role.at.kind == END, "its local type has not ended")
        for receiver, _, count in facts["finals"]:
            sent = session.edges[role.name, session.protocol.roles[receiver]].sent
            require(count == sent, "does not count what was sent")
        incoming = sorted(_incoming(session, role), key=lambda one: one.sender)
        for place, edge in enumerate(incoming, record.number - len(incoming)):
            signed = edge.signed_for and edge.receipt == (edge.consumed, edge.discarded)
            require(signed, "closes without a receipt")
            require(edge.signed_at == place, "a receipt that is not right before the notice")
        count_notice(self.file, session, role)

    def on_peer_notice(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.remote(session, facts["role"])
        self.round(facts["round"])
        said = self._notice(session, role, facts)
        require_signature(self.principal(role.signer).key, said, facts["signature"])
        self.tell(session, said, own=False)
        count_notice(self.file, session, role)
        self.leaf(record)

    def _notice(self, session: Session, role: Role, facts: Facts) -> bytes:
        require(not role.noticed, "has given notice already")
        names = session.protocol.roles
        require(all(row[0] < len(names) for row in facts["finals"]), "no such role")
        finals = [[names[row[0]], row[1], row[2]] for row in facts["finals"]]
        outgoing = [receiver for sender, receiver in session.edges if sender == role.name]
        require([row[0] for row in finals] == sorted(outgoing), "not the edges of the role")
        for receiver, generation, count in finals:
            edge = session.edges[role.name, receiver]
            require(generation == edge.last_generation(count), "no such generation")
        return statement("notice", session.id, role.name, finals)

    def on_ask_end(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        require(session.clock is None, "the linger clock runs already")
        require(facts["now"] >= self.file.now, "time runs backwards")
        self.round(facts["round"])
        self.file.now = facts["now"]
        for one in session.together:
            one.clock = self.file.now
            if one.status == 0:
                one.causes.add(DRAINING)
        self.leaf(record)

    def on_receipt(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        receiver = self.local(session, facts["receiver"])
        edge = self.edge(session, self.role(session, facts["sender"]), receiver)
        said = self._receipt(session, edge, facts)
        self.stated(record, session, receiver.signer, said, facts["signature"])
        counted = (facts["consumed"], facts["discarded"])
        require(counted == (edge.consumed, edge.discarded), "does not count what was received")
        require(facts["reliable"] == edge.reliable, "does not count what may not be lost")
        require(facts["root"] == edge.root, "not the consumption root")
        edge.receipt, edge.signed_for, edge.signed_at = counted, True, record.number

    def on_peer_receipt(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        receiver = self.remote(session, facts["receiver"])
        sender = self.role(session, facts["sender"])
        require(sender.here, "a receipt for somebody else")
        edge = self.edge(session, sender, receiver)
        self.round(facts["round"])
        said = self._receipt(session, edge, facts)
        require_signature(self.principal(receiver.signer).key, said, facts["signature"])
        self.tell(session, said, own=False)
        counted = (facts["consumed"], facts["discarded"])
        require(
            counted[0] >= edge.receipt[0] and counted[1] >= edge.receipt[1],
            "a receipt that takes something back",
        )
        require(sum(counted) <= edge.sent, "a receipt for what was not sent")
        reliable = facts["reliable"]
        require(edge.lossy or reliable == counted[0], "something may be lost on such an edge")
        require(reliable <= min(counted[0], edge.reliable_sent), "a receipt for what was not sent")
        require(reliable >= edge.reliable_signed, "a receipt that takes something back")
        edge.reliable_signed = reliable
        if edge.replay == "sequence":
            require(facts["root"] == edge.sent_roots[counted[0]], "not the root of what was sent")
        del edge.flight[: sum(counted) - sum(edge.receipt)]
        edge.receipt = counted
        self.leaf(record)

    def _receipt(self, session: Session, edge: Edge, facts: Facts) -> bytes:
        generation = edge.last_generation(facts["consumed"])
        if edge.renews and session.roles[edge.receiver].here:
            generation = edge.retired
        elif edge.renews:
            generation = facts["generation"]
            signed = edge.generation_signed <= generation <= edge.rotated
            require(signed, "a receipt of no such generation")
            edge.generation_signed = generation
        require(facts["generation"] == generation, "not the generation of the last message")
        names = ("generation", "consumed", "reliable", "discarded", "root")
        said = (facts[name] for name in names)
        return statement("receipt", session.id, edge.receiver, edge.sender, *said)

    # --- leaving early -------------------------------------------------------------------

    def on_cancel(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        require(not session.causes, "the session is about to end")
        if facts["round"] is not None:
            self.round(facts["round"])
        self._end_with(session, CANCELLED, reason=facts["reason"])
        if facts["role"] is None:
            require(facts["signature"] == b"", "nobody signs what the host does")
            if facts["round"] is None:
                self._goes_on_from_fault(record)
            self.leaf(record)
            return
        require(facts["round"] is None, "a role cancels in its turn")
        role = self.local(session, facts["role"])
        require(not role.noticed, "a role that is done")
        said = statement("cancel", session.id, role.name, facts["reason"])
        self.stated(record, session, role.signer, said, facts["signature"])

    def on_peer_cancel(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.remote(session, facts["role"])
        self.round(facts["round"])
        said = statement("cancel", session.id, role.name, facts["reason"])
        require_signature(self.principal(role.signer).key, said, facts["signature"])
        self.tell(session, said, own=False)
        self._ended_elsewhere(session, reason=facts["reason"])
        self.leaf(record)

    def _ended_elsewhere(
        self, session: Session, *, reason: str | None = None, failure: str | None = None
    ) -> None:
        cause = FAULTED if reason is None else CANCELLED
        self._end_with(session, cause, reason=reason, failure=failure)

    def on_fail(self, record: Record, facts: Facts) -> None:
        session = self.session(facts, ended=True)
        role = self.local(session, facts["role"])
        said = statement("fail", session.id, role.name, facts["code"], facts["reason"])
        require_signature(self.principal(role.signer).key, said, facts["signature"])
        self.tell(session, said, own=True)
        self._goes_on_from_fault(record)
        _goes_on_ending(session, record)
        self.leaf(record, role.signer, said)

    def on_peer_fail(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.remote(session, facts["role"])
        self.round(facts["round"])
        said = statement("fail", session.id, role.name, facts["code"], facts["reason"])
        require_signature(self.principal(role.signer).key, said, facts["signature"])
        self.tell(session, said, own=False)
        if facts["code"] == "cancelled":
            self._ended_elsewhere(session, reason=facts["reason"])
        else:
            self._ended_elsewhere(session, failure=facts["code"])
        self.leaf(record)

    def _end_with(
        self,
        session: Session,
        cause: int,
        *,
        reason: str | None = None,
        failure: str | None = None,
    ) -> None:
        """The sessions of a bundle end together."""
        for one in session.together:
            one.causes.add(cause)
            one.reason, one.failure = reason, failure

    # --- the end -------------------------------------------------------------------------

    def on_undelivered(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        sender = self.role(session, facts["sender"])
        edge = self.edge(session, sender, self.role(session, facts["receiver"]))
        place = (facts["generation"], facts["sequence"])
        require(edge.room_due < 0, "nothing made room for what arrived")
        require(bool(edge.flight), "nothing is in flight on the edge")
        first = edge.flight.pop(0)
        require(place == (first.generation, first.sequence), "not the first in flight")
        self._goes_on_from_fault(record)
        if self.file.discards:
            require(edge is self.file.discards[0], "another message was sent to who has crashed")
            if not edge.flight:
                del self.file.discards[0]
            self.leaf(record)
            return
        session.listed = True
        _goes_on_ending(session, record)
        self.leaf(record)

    def on_status(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        status: int = facts["status"]
        require(status != 0, "a session is active from the beginning")
        require(facts["epoch"] == (1 if status == CLOSED else 0), "not the epoch")
        if status == DRAINING:
            require(session.status == 0 and DRAINING in session.causes, "nobody gave notice")
            session.causes.discard(DRAINING)
        else:
            found = self._may_end(session, status, record.number, facts["detail"])
            require(found, "nothing ended the session like this")
            left = any(edge.flight for edge in session.edges.values() if _ends_here(session, edge))
            require(not left, "a message is neither received nor listed")
            self._bundle_ends(session, status, record.number)
        if status in (DRAINING, CLOSED):
            require(facts["detail"] == self._detail(session, status), "not the detail")
        session.status = status
        self._goes_on_from_fault(record)
        self.leaf(record)

    def _goes_on_from_fault(self, record: Record) -> None:
        """What a fault brings about stands right behind it, and nothing between."""
        if self.file.fault_reaches == record.number:
            self.file.fault_reaches += 1

    def _bundle_ends(self, session: Session, status: int, number: int) -> None:
        """The first session that ends says how the others do, before anything else happens."""
        if session.bundle is None:
            return
        bundle = session.bundle
        require(len(bundle.sessions) == bundle.size, "not all of the bundle was opened")
        ended = {one.status for one in bundle.sessions if not one.alive and one is not session}
        require(not ended or bundle.reaches == number, "a bundle ends in several pieces")
        bundle.reaches = number + 1
        require(ended <= {status}, "the sessions of a bundle end in different ways")
        for one in bundle.sessions:
            one.causes.add(status)

    def _detail(self, session: Session, status: int) -> str:
        missing = [role.name for role in session.roles.values() if not role.noticed]
        if status == DRAINING or all(map(_has_all, session.together)):
            return ""
        return "linger time is over" + ("; no notice of " + ", ".join(missing) if missing else "")

    def _may_end(self, session: Session, status: int, number: int, detail: str) -> bool:
        if status == CLOSED:
            done = all(map(_has_all, session.together))
            over = session.clock is not None and self.file.now >= session.clock + session.linger
            return session.status == DRAINING and (done or over) and session.causes <= {CLOSED}
        if status == CANCELLED:
            return CANCELLED in session.causes and detail == session.reason
        behind = self.file.fault_reaches == number and session.reason is None
        if behind and session.failure is None:
            require(not could_go_on(self.file, session), "the session goes on without who crashed")
        return detail == (self.file.fault if behind else session.failure)


def count_notice(file: File, session: Session, role: Role) -> None:
    """The role is done."""
    role.noticed = True
    if session.status == 0:
        session.causes.add(DRAINING)
    if all(_is_done(one) for one in session.together):
        for one in session.together:
            if one.clock is None:
                one.clock = file.now


def _goes_on_ending(session: Session, record: Record) -> None:
    if session.bundle is not None and session.bundle.reaches == record.number:
        session.bundle.reaches += 1


def _is_done(session: Session) -> bool:
    return all(role.noticed for role in session.roles.values())


def _has_all(session: Session) -> bool:
    """All roles are done, and nothing that could still be received was listed or waits.

    Of a bundle each session lists its own, when it ends, so another's may still wait.
    """
    waits = any(edge.flight for edge in session.edges.values() if _ends_here(session, edge))
    return _is_done(session) and not session.listed and not waits


def _ends_here(session: Session, edge: Edge) -> bool:
    """What is in flight to another machine, its view lists, if anybody's."""
    return session.roles[edge.receiver].here


def _incoming(session: Session, role: Role) -> list[Edge]:
    return [edge for edge in session.edges.values() if edge.receiver == role.name]
