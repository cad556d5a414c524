"""From the record of another machine's word back to the envelope that it came in."""

from __future__ import annotations

from troth.vm import events as ev
from troth.vm.envelope import (
    CancelEnvelope,
    DelegateEnvelope,
    Envelope,
    FailEnvelope,
    HeadEnvelope,
    JoinEnvelope,
    MessageEnvelope,
    NoticeEnvelope,
    ReceiptEnvelope,
    RotateEnvelope,
)
from troth.vm.events import Event


def envelope_of(event: Event) -> Envelope | None:
    """The envelope whose arrival was recorded as `event`; None for events of other kinds."""
    match event:
        case ev.Arrived():
            return MessageEnvelope(*event[:9], event.signature, event.proof)
        case ev.PeerHead():
            return HeadEnvelope(*event[:-1])
        case ev.PeerJoined():
            return JoinEnvelope(*event[:3])
        case ev.PeerDelegated():
            return DelegateEnvelope(*event[:-1])
        case ev.PeerNoticed():
            return NoticeEnvelope(*event[:-1])
        case ev.PeerReceipted():
            return ReceiptEnvelope(*event[:-1])
        case ev.PeerRotated():
            return RotateEnvelope(*event[:-1])
        case ev.PeerCancelled():
            return CancelEnvelope(*event[:-1])
        case ev.PeerFailed():
            return FailEnvelope(*event[:-1])
    return None
