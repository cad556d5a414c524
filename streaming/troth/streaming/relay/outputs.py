"""What the cores of relay and party ask their shell to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from troth.streaming.paths.addresses import Address
from troth.streaming.relay.wire import Notice, Refusal


class Transmit(NamedTuple):
    """Send this datagram there."""

    address: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class LegBound:
    """The relay has taken the lease."""

    lasts_s: int
    peer_bound: bool


@dataclass(frozen=True, slots=True)
class LegRefused:
    """The relay has refused it, for good: another lease or another relay is needed."""

    refusal: Refusal
    text: str


@dataclass(frozen=True, slots=True)
class LegNoticed:
    """The relay says something."""

    notice: Notice
    text: str


@dataclass(frozen=True, slots=True)
class LegSilent:
    """The relay does not answer."""


@dataclass(frozen=True, slots=True)
class LeaseWanted:
    """Most of the lease's time is over: ask the gateway for the next one, give it to `renew`."""

    session: bytes
    generation: int


LegOutput = Transmit | LegBound | LegRefused | LegNoticed | LegSilent | LeaseWanted
