"""What the core that keeps the paths asks its owner to do, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass

from troth.streaming.liveness import Liveness
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.candidates import CandidateKind
from troth.streaming.paths.path import PathState
from troth.streaming.relay.outputs import (
    LeaseWanted,
    LegBound,
    LegNoticed,
    LegRefused,
    LegSilent,
    Transmit,
)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A datagram that is neither a check nor a relay's own: the secure link's.

    `path` is the number of the path it came over, or 0 when it came from nowhere known.
    """

    data: bytes
    path: int


@dataclass(frozen=True, slots=True)
class CandidateMet:
    """An address of the other party. `refused` says why it is not tried; "" when it is."""

    kind: CandidateKind
    address: Address
    refused: str


@dataclass(frozen=True, slots=True)
class PathTaken:
    """From now on this path is in use. `gap_ns` is for how long the one before was silent."""

    path: int
    kind: CandidateKind
    address: Address
    reason: str
    gap_ns: int


@dataclass(frozen=True, slots=True)
class PathChanged:
    """A path's state is another."""

    path: int
    kind: CandidateKind
    state: PathState
    rtt_ns: int | None


@dataclass(frozen=True, slots=True)
class LivenessChanged:
    """How long the other party has been silent has another name. `ENDED` is the last."""

    state: Liveness


PathOutput = (
    Transmit
    | Inbound
    | CandidateMet
    | PathTaken
    | PathChanged
    | LivenessChanged
    | LegBound
    | LegRefused
    | LegNoticed
    | LegSilent
    | LeaseWanted
)
