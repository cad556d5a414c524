"""What a link asks its shell to send, and what it tells whoever uses it. All values are frozen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from troth.streaming.link.congestion import Decision, Feedback
from troth.streaming.link.report import Report
from troth.vm.errors import TrothError
from troth.vm.keys import VerifierKey

Address = tuple[str, int]


class Datagram(NamedTuple):
    """Bytes for that address."""

    address: Address
    data: bytes


class CloseReason(IntEnum):
    """Why a link ended. The numbers are on the wire."""

    USER = 1
    PROCESS_EXIT = 2
    REVOKED = 3
    POLICY = 4
    REPLACED = 5
    IDENTITY_REFUSED = 6
    PROTOCOL_ERROR = 7
    LIMIT = 8
    HANDSHAKE_TIMEOUT = 9
    VERSION_MISMATCH = 10
    CONNECTION_LOST = 11
    UNKNOWN = 12


class PathState(Enum):
    """How long nothing authentic has come."""

    GOOD = "good"
    DEGRADED = "degraded"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Established:
    """Both ends have the keys. `hash` binds other statements to this handshake."""

    peer: VerifierKey
    hash: bytes
    address: Address


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """A message of the reliable control stream, in order."""

    data: bytes


@dataclass(frozen=True, slots=True)
class InputEdge:
    """A message of the reliable input stream, in order: a key or a button."""

    data: bytes


@dataclass(frozen=True, slots=True)
class InputState:
    """The newest of the latest-wins lane: older ones that come later are dropped."""

    number: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A whole frame. Of each lane the numbers only go up, and no frame needs one that is missing.

    `shown_ns` is when it left in its order, after those before it and after its playout delay.
    `repaired` is the count of fragments that parity or a retransmission brought.
    """

    lane: int
    number: int
    key: bool
    data: bytes
    captured_ns: int
    first_ns: int
    completed_ns: int
    repaired: int
    shown_ns: int = 0


@dataclass(frozen=True, slots=True)
class KeyFrameWanted:
    """The peer cannot show more of that lane until it gets a key frame after `last_good`."""

    lane: int
    last_good: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """A frame of that lane was given up: nothing of it is shown until the next key frame."""

    lane: int
    number: int


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What happened in the last 250 ms, by our own counts and by the peer's."""

    own: Report
    peer: Report | None


@dataclass(frozen=True, slots=True)
class Adapted:
    """A report of the peer came, and this is what the controller made of it."""

    feedback: Feedback
    decision: Decision


@dataclass(frozen=True, slots=True)
class PathSuspect:
    """Nothing authentic came for a while, or a segment was repeated too often."""

    state: PathState
    silent_ns: int


@dataclass(frozen=True, slots=True)
class PathProbed:
    """A probe of that address was answered from there."""

    address: Address
    path: int
    rtt_ns: int


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """The peer speaks from another address, which has proved that it gets what is sent there."""

    address: Address
    path: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A datagram changed nothing; only told for what somebody with the keys must have sent."""

    error: TrothError


@dataclass(frozen=True, slots=True)
class Closed:
    """The link is over. Nothing comes after this."""

    reason: CloseReason
    text: str
    by_peer: bool
    error: TrothError | None = None


Event = (
    Established
    | ControlMessage
    | InputEdge
    | InputState
    | Frame
    | KeyFrameWanted
    | Freeze
    | EpochReport
    | Adapted
    | PathSuspect
    | PathProbed
    | PeerMoved
    | Refused
    | Closed
)
