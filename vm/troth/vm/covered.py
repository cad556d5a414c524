"""What a log's leaf covers: the signed statement of an event, where it has one."""

from __future__ import annotations

from troth.vm import events as ev
from troth.vm import statements
from troth.vm.events import Event


def statement_of(event: Event | None) -> bytes | None:
    """The statement that stands behind an event, rebuilt; None for one that nobody signs.

    A record whose event has a statement is covered by it in its log, all others by their bytes.
    """
    if type(event) is ev.Sent:  # Asked first, because nothing is stated as often.
        return statements.message_statement(*event[:7], event.commitment)
    match event:
        case ev.Noticed():
            return statements.notice_statement(*event[:3])
        case ev.Rotated():
            return statements.rotate_statement(*event[:5])
        case ev.Receipted():
            return statements.receipt_statement(*event[:8])
        case ev.Delegated():
            return statements.delegation_statement(*event[:4])
        case ev.Cancelled() if event.role:
            return statements.cancel_statement(*event[:3])
        case ev.Joined():
            return statements.join_statement(*event[:3])
        case ev.Failed():
            return statements.fail_statement(*event[:4])
        case ev.Arrived():
            return arrival_cover(event)
    return None


def arrival_cover(event: ev.Arrived) -> bytes:
    """What the receiver's log covers of a message of another machine.

    The sender's statement, which holds the commitment in the place of the payload, with what
    proves it and when it came.
    """
    proof = None if event.proof is None else tuple(event.proof)
    said = statements.message_statement(*event[:7], event.commitment)
    return statements.arrival(said, event.signature, proof, event.round_number)
