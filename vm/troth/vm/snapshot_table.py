"""What a snapshot of a machine is made of: the classes that may be in one, in a literal order.

A class is named by its place here. Of a value all fields are written; of a state (`STATES`) the
slots are, but for those in `LEFT_OUT`, which begin anew.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, get_args

from troth.vm import consumption, envelope, events
from troth.vm.buffer import EdgeBuffer, Envelope, LossyBuffer
from troth.vm.coroutine import Blocked, Completion, Coroutine, CoroutineStatus
from troth.vm.descriptor import Descriptor
from troth.vm.errors import Place
from troth.vm.instructions import Policy, ReplayMode
from troth.vm.pauses import Pauses
from troth.vm.peer_heads import PeerHeads
from troth.vm.scheduler import Answer
from troth.vm.sent_history import SentHistory
from troth.vm.session import (
    Custody,
    Edge,
    EdgeTrouble,
    EndpointElsewhere,
    EndpointState,
    Session,
)
from troth.vm.speculation import HeldReceive, HeldSend, Speculation
from troth.vm.statements import StepKind
from troth.vm.store import SessionEnd, SessionStore
from troth.vm.timer import Timer
from troth.vm.trouble_kind import Trouble
from troth.vm.turn import EffectRequest, Meeting
from troth.vm.values import Blob, CoroutineHandle, Endpoint, Record

ENUMERATIONS: Final[tuple[type[Enum], ...]] = (
    *(CoroutineStatus, Blocked, Custody, events.Status, StepKind, Policy, Trouble),
)

VALUES: Final[tuple[type, ...]] = (
    *(Record, Blob, Endpoint, CoroutineHandle, Place),
    *(Completion, EndpointElsewhere, Descriptor, Envelope, SessionEnd, EffectRequest, Meeting),
    *(HeldSend, HeldReceive, Answer, EdgeTrouble),
    *(events.EdgeConfig, events.ChildRow, events.Proof),
    *get_args(events.Event),
    *get_args(envelope.Envelope),
    envelope.Outgoing,
)

STATES: Final[tuple[type, ...]] = (
    *(Coroutine, Session, EndpointState, Edge, EdgeBuffer, LossyBuffer, Speculation),
    *(SessionStore, PeerHeads, SentHistory, Timer, Pauses),
    *(type(consumption.start(mode, 0)) for mode in ReplayMode),
    type(consumption.start(ReplayMode.NULLIFIER, 1, lossy=True)),
)

SHARED: Final[tuple[type, ...]] = (Envelope,)
"""Values of which it matters that two places have the very same one."""

LEFT_OUT: Final[dict[str, dict[str, object]]] = {
    "_Nullifier": {"_tagged": b"", "_tag": b""},
    "Edge": {"own": None},
}
"""Slots that only save time, by the name of their class, and what they are at first."""

SCHEDULED: Final = (
    *("coroutines", "ready", "births", "sessions", "timers", "timer_count", "rounds", "now_ns"),
    *("round_now_ns", "events", "recorded", "requests", "effects", "answers", "fault_count"),
    *("choices", "overdue", "abandoned", "pauses"),
    *("outgoing", "meetings", "asked", "peers", "heads", "awaiting_seal"),
)
"""What a snapshot has of the scheduler; its faults and guards are written on their own."""

NOT_SCHEDULED: Final = (
    *("context", "evidence", "lanes", "quantum", "scheduling", "turn", "in_round"),
    *("faults",),
)
"""What it has not: the host's, the header's, or empty between two rounds."""
