"""How sessions end: close, cancel, linger, and the wreckage of a fault.

Ending a session early strands what lies in its buffers. Every such message is listed, and an
endpoint that travelled inside one is lost: its session is cancelled in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from troth.vm import statements
from troth.vm.buffer import Envelope
from troth.vm.coroutine import Coroutine, CoroutineStatus
from troth.vm.envelope import FailEnvelope, NoticeEnvelope, Outgoing, ReceiptEnvelope
from troth.vm.errors import Fault
from troth.vm.events import (
    ENDED_BY_HOST,
    Cancelled,
    Event,
    Failed,
    Faulted,
    Noticed,
    Receipted,
    Rejected,
    Status,
    StatusChanged,
    Undelivered,
)
from troth.vm.faults import fault, summary
from troth.vm.guards import give_back
from troth.vm.lifecycle import LIVE, Action, LifeEvent, next_status
from troth.vm.session import Custody, Edge, EndpointState, Session, prune
from troth.vm.speculation import abandon
from troth.vm.step_common import LOST_IN_TRANSIT, sign
from troth.vm.turn import Turn
from troth.vm.types import StateKind

LINGER_OVER: Final = "linger time is over"


# --- the whole session ---------------------------------------------------------------------


def end_session(turn: Turn, session: Session, event: LifeEvent, detail: str, by: str = "") -> None:
    """Ends `session` by `event`, and those whose endpoints are stranded in its buffers.

    A session that has ended already stays as it is.
    """
    cancel_stranded(turn, _end_together(turn, session, event, detail, by))


def _end_together(
    turn: Turn, session: Session, event: LifeEvent, detail: str, by: str
) -> list[EndpointState]:
    """Ends a session, and with it those of its bundle. Returns what that strands."""
    stranded = _end_one(turn, session, event, detail, by)
    for other in session.bundle:
        if other is not session:
            if event is LifeEvent.LINGER_EXPIRED:
                detail = linger_detail(_silent(other))
            stranded += _end_one(turn, other, event, detail, "")
    return stranded


def expire(turn: Turn, session: Session) -> None:
    """Closes a session whose linger clock has run out, whoever has yet to give notice."""
    end_session(turn, session, LifeEvent.LINGER_EXPIRED, linger_detail(_silent(session)))


def _silent(session: Session) -> list[str]:
    """The roles that have given no notice."""
    return [end.role for end in session.endpoints.values() if not end.noticed]


def linger_detail(silent: Sequence[str]) -> str:
    """What the evidence says of such a close. `silent` are the roles that gave no notice."""
    return f"{LINGER_OVER}; no notice of {', '.join(silent)}" if silent else LINGER_OVER


def ask_end(turn: Turn, session: Session) -> None:
    """The host asks for the session's end: it drains, and its linger clock starts."""
    for one in session.together:
        transition = next_status(one.status, LifeEvent.END_ASKED)
        assert transition is not None, "the end of a live session can be asked for"
        one.status, action = transition
        if action is Action.ANNOUNCE_AND_START:
            turn.events.append(StatusChanged(one.id, one.status, one.epoch, ""))
    turn.linger(session)


def cancel_stranded(turn: Turn, lost: list[EndpointState]) -> None:
    """Cancels the sessions of endpoints that are lost, and what that strands in turn."""
    pending = deque(lost)
    while pending:
        session = pending.popleft().session
        if session.status in LIVE:
            turn.events.append(Cancelled(session.id, "", LOST_IN_TRANSIT, None, b"", b""))
            pending += _end_together(turn, session, LifeEvent.CANCEL, LOST_IN_TRANSIT, "")


def _end_one(
    turn: Turn, session: Session, event: LifeEvent, detail: str, by: str
) -> list[EndpointState]:
    """Returns the endpoints that its undelivered messages carried."""
    transition = next_status(session.status, event)
    if transition is None:
        return []
    status, action = transition
    assert status not in LIVE, "this event does not end a session"
    if session.peers and action is not Action.RETIRE:
        tell_end(turn, session, event, detail, by)
    stranded = []
    for edge in session.edges:
        for envelope in edge.buffer.drain():
            assert action is not Action.RETIRE, "a drained session holds no messages"
            stranded += strand(edge, envelope)
            turn.events.append(undelivered(edge, envelope.generation, envelope.sequence))
        edge.own = None
        turn.wake_edge(edge)
    session.status = status
    session.detail = detail
    session.ended_by = by
    session.linger_deadline_ns = None
    if status is Status.CLOSED:
        session.epoch += 1
    turn.events.append(StatusChanged(session.id, status, session.epoch, detail))
    turn.end(session)
    prune(session)
    return stranded


def tell_end(turn: Turn, session: Session, event: LifeEvent, detail: str, by: str) -> None:
    """Tells the other machines that this one has ended the session, unless they know it.

    A view whose roles have all given notice ends by itself: there is nothing to tell.
    """
    if by in session.peers or (event is LifeEvent.CANCEL and by):
        return
    here = [e for e in session.endpoints.values() if e.role not in session.peers]
    if event is LifeEvent.LINGER_EXPIRED:
        here = [endpoint for endpoint in here if not endpoint.noticed]
        if not here:
            return
    endpoint = next((e for e in here if e.role == by), here[0])
    code = detail if event is LifeEvent.FAULT else ENDED_BY_HOST
    reason = "" if event is LifeEvent.FAULT else detail
    try:
        statement = statements.fail_statement(session.id, endpoint.role, code, reason)
        signature = sign(turn, endpoint, statement)
    except Fault:
        # Without the key there is nothing to say; the others find out by its silence.
        return
    turn.events.append(Failed(session.id, endpoint.role, code, reason, signature, endpoint.signer))
    envelope = FailEnvelope(session.id, endpoint.role, code, reason, signature)
    turn.tell(Outgoing(session.id, session.peers, envelope))


def strand(edge: Edge, envelope: Envelope) -> list[EndpointState]:
    """The endpoints that travel inside a message which nobody will take: they are lost.

    A forged copy of a message carries nothing: only the real one's endpoints are in transit.
    """
    lost = [
        endpoint
        for endpoint in envelope.endpoints
        if endpoint.custody is Custody.IN_TRANSIT and endpoint.carrier is edge
    ]
    for endpoint in lost:
        endpoint.custody = Custody.LOST
        endpoint.carrier = None
        del edge.sender.session.cargo[endpoint]
    return lost


def undelivered(edge: Edge, generation: int, sequence: int) -> Undelivered:
    sender, receiver = edge.sender, edge.receiver
    return Undelivered(sender.session.id, sender.role, receiver.role, generation, sequence)


# --- close ---------------------------------------------------------------------------------


class Farewell(NamedTuple):
    """What one role signs when it is done: receipts of its in-edges, then its notice."""

    endpoint: EndpointState
    events: tuple[Event, ...]


def prepare_close(turn: Turn, endpoint: EndpointState) -> Farewell:
    """Checks that the role is done, and signs. Changes nothing.

    Raises:
        Fault: `vm.fault.close`, when the protocol is not over for the role; `vm.fault.key`.
    """
    if endpoint.state.kind is not StateKind.END:
        raise fault(
            "vm.fault.close",
            f"{endpoint.role} of {endpoint.session.protocol} has not finished its protocol",
            endpoint=endpoint,
            expected=endpoint.state.describe(),
            actual="close",
        )
    receipts = [
        _receipt(turn, endpoint, sender, edge) for sender, edge in sorted(endpoint.incoming.items())
    ]
    return Farewell(endpoint, (*receipts, _notice(turn, endpoint)))


def _receipt(turn: Turn, endpoint: EndpointState, sender: str, edge: Edge) -> Receipted:
    reliable = edge.consumed - edge.lossy_consumed
    counts = (edge.consumption.generation, edge.consumed, reliable, edge.discarded)
    root = edge.consumption.root
    session = endpoint.session.id
    statement = statements.receipt_statement(session, endpoint.role, sender, *counts, root)
    signature = sign(turn, endpoint, statement)
    return Receipted(session, endpoint.role, sender, *counts, root, signature, endpoint.signer)


def _notice(turn: Turn, endpoint: EndpointState) -> Noticed:
    session = endpoint.session.id
    finals = tuple(
        (receiver, edge.config.generation_of(edge.sent), edge.sent)
        for receiver, edge in sorted(endpoint.outgoing.items())
    )
    signature = sign(turn, endpoint, statements.notice_statement(session, endpoint.role, finals))
    return Noticed(session, endpoint.role, finals, signature, endpoint.signer)


def acknowledge(turn: Turn, edge: Edge, *, at_once: bool = False) -> None:
    """Signs a receipt once half of what the sender may have in flight was taken, or `at_once`.

    The sender, at another machine, counts on it to go on.
    """
    taken = edge.consumed + edge.discarded
    if taken - edge.receipted < max(1, edge.buffer.capacity // 2) and not at_once:
        return
    try:
        receipt = _receipt(turn, edge.receiver, edge.sender.role, edge)
    except Fault:
        # A receipt is a courtesy here: the notice at the end, which needs the key, will fail.
        return
    turn.events.append(receipt)
    tell_receipt(turn, edge, receipt)


def tell_receipt(turn: Turn, edge: Edge, receipt: Receipted) -> None:
    edge.receipted = receipt.consumed + receipt.discarded
    envelope = ReceiptEnvelope(*receipt[:9])
    turn.tell(Outgoing(receipt.session, (receipt.sender,), envelope))


def _tell_farewell(turn: Turn, farewell: Farewell) -> None:
    """Receipts go to the senders, the notice to everybody."""
    endpoint = farewell.endpoint
    session = endpoint.session
    for event in farewell.events:
        if isinstance(event, Receipted) and event.sender in session.peers:
            tell_receipt(turn, endpoint.incoming[event.sender], event)
        elif isinstance(event, Noticed):
            turn.tell(Outgoing(session.id, session.peers, NoticeEnvelope(*event[:4])))


def commit_close(turn: Turn, coroutine: Coroutine, farewell: Farewell) -> None:
    """The role's notice counts: the session drains, and closes when the latch is zero."""
    endpoint = farewell.endpoint
    turn.events += farewell.events
    if endpoint.session.peers:
        _tell_farewell(turn, farewell)
    release(coroutine, endpoint)
    count_notice(turn, endpoint)


def count_notice(turn: Turn, endpoint: EndpointState) -> None:
    """A role, of this machine or of another, has given notice."""
    session = endpoint.session
    endpoint.noticed = True
    session.notices_missing -= 1
    transition = next_status(session.status, LifeEvent.NOTICE)
    assert transition is not None, "a role of a live session can give notice"
    session.status, action = transition
    if action is Action.ANNOUNCE:
        turn.events.append(StatusChanged(session.id, session.status, session.epoch, ""))
    _wake_peers(turn, endpoint)
    if session.notices_missing == 0:
        _latch(turn, session)


def _latch(turn: Turn, session: Session) -> None:
    """Every role has given notice. A bundle waits for the last notice in any of its sessions."""
    together = session.together
    if any(one.notices_missing for one in together):
        return
    if all(one.drained for one in together):
        end_session(turn, session, LifeEvent.LATCH_ZERO, "")
    elif next_status(session.status, LifeEvent.LAST_NOTICE) is not None:
        turn.linger(session)


def _wake_peers(turn: Turn, endpoint: EndpointState) -> None:
    """Whoever waits for this role to send, or to make space, learns that it never will."""
    for edge in endpoint.outgoing.values():
        # What another machine sent may be there, and not be what its receiver waits for.
        if edge.complete and (edge.inbound or not edge.buffer.messages):
            turn.wake_edge(edge)
    for edge in endpoint.incoming.values():
        turn.wake_edge(edge)


def release(coroutine: Coroutine, endpoint: EndpointState) -> None:
    """The coroutine owns the endpoint no longer, and nobody else does."""
    del coroutine.owned[endpoint]
    endpoint.owner = None
    endpoint.custody = Custody.DONE


# --- fault ---------------------------------------------------------------------------------


def end_by_fault(
    turn: Turn, coroutine: Coroutine, error: Fault, refused: tuple[Edge, int] | None
) -> None:
    """Ends a coroutine that faulted, and every live session in which it owns an endpoint."""
    for endpoint in end_coroutine(turn, coroutine, error, refused):
        fail_session(turn, endpoint, error.code)


def fail_session(turn: Turn, endpoint: EndpointState, code: str) -> None:
    """Ends the session of an endpoint whose coroutine has faulted, unless it has ended."""
    if endpoint.session.status in LIVE:
        end_session(turn, endpoint.session, LifeEvent.FAULT, code, endpoint.role)


def end_coroutine(
    turn: Turn, coroutine: Coroutine, error: Fault, refused: tuple[Edge, int] | None
) -> tuple[EndpointState, ...]:
    """Ends a coroutine that faulted; returns the endpoints that it owned.

    What it did speculatively was never done. The guards it holds go to those who wait for them.
    `refused` is the message that made it fault: its edge, and its place in the buffer.
    """
    abandon(coroutine)
    place = error.place
    turn.fault(error)
    if refused is not None:
        reject(turn, *refused, error.code)
    turn.events.append(
        Faulted(
            coroutine.id,
            error.code,
            summary(error),
            place.program or "",
            place.pc or 0,
            bytes.fromhex(place.session or ""),
            place.role or "",
        )
    )
    coroutine.status = CoroutineStatus.ENDED
    for guard in coroutine.guards:
        give_back(turn, guard)
    owned = tuple(coroutine.owned)
    for endpoint in owned:
        release(coroutine, endpoint)
    return owned


def reject(turn: Turn, edge: Edge, place: int, code: str) -> None:
    """Moves a message of an edge out of the buffer, as evidence of what was wrong.

    The first few of an edge and code are listed, later ones only counted, so that nobody can
    flood the record.
    """
    envelope = edge.take(place)
    edge.discarded += 1
    lost = strand(edge, envelope)
    seen = edge.rejects.get(code, 0)
    edge.rejects[code] = seen + 1
    if seen < turn.context.limits.rejects_listed_max:
        turn.events.append(_rejected(edge, envelope, code))
    cancel_stranded(turn, lost)


def _rejected(edge: Edge, envelope: Envelope, code: str) -> Rejected:
    sender, receiver = edge.sender, edge.receiver
    statement = statements.message_statement(
        sender.session.id,
        sender.role,
        receiver.role,
        envelope.kind,
        envelope.label,
        envelope.generation,
        envelope.sequence,
        envelope.commitment,
    )
    digest = statements.identity_digest(statement)
    return Rejected(sender.session.id, sender.role, receiver.role, code, digest)
