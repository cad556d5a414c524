"""A party's place at a relay: what is held for it from its lease to its end.

A place ends once, for one reason, and for some time after that it still tells its party the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from troth.streaming.paths.addresses import Address
from troth.streaming.relay.buckets import TokenBucket
from troth.streaming.relay.lease import Codes, Lease
from troth.streaming.relay.limits import RelayLimits
from troth.streaming.relay.window import Window
from troth.streaming.relay.wire import Notice


class PlaceState(Enum):
    BOUND = "bound"
    HANDED_OVER = "handed over"
    """A newer lease of the same holder took over; datagrams under way are still forwarded."""
    TELLING = "telling"
    GONE = "gone"


class PlaceSignal(Enum):
    RENEWED = "the holder presents a newer lease"
    REPLACED = "somebody else presents a newer lease"
    RELEASED = "the party is done"
    EXPIRED = "the lease expires"
    REVOKED = "the session is revoked"
    IDLE = "nothing came for too long"
    TIME_IS_UP = "the time of this state is over"


_S, _E = PlaceState, PlaceSignal

PLACE_TRANSITIONS: Final[
    Mapping[tuple[PlaceState, PlaceSignal], tuple[PlaceState, Notice | None]]
] = {
    (_S.BOUND, _E.RENEWED): (_S.HANDED_OVER, None),
    (_S.BOUND, _E.REPLACED): (_S.TELLING, Notice.SUPERSEDED),
    (_S.BOUND, _E.RELEASED): (_S.TELLING, Notice.RELEASED),
    (_S.BOUND, _E.EXPIRED): (_S.TELLING, Notice.EXPIRED),
    (_S.BOUND, _E.REVOKED): (_S.TELLING, Notice.REVOKED),
    (_S.BOUND, _E.IDLE): (_S.TELLING, Notice.IDLE),
    (_S.HANDED_OVER, _E.EXPIRED): (_S.GONE, None),
    (_S.HANDED_OVER, _E.REVOKED): (_S.TELLING, Notice.REVOKED),
    (_S.HANDED_OVER, _E.RELEASED): (_S.GONE, None),
    (_S.HANDED_OVER, _E.TIME_IS_UP): (_S.GONE, None),
    (_S.TELLING, _E.TIME_IS_UP): (_S.GONE, None),
}
"""What is not listed changes nothing. The notice is what the party is told from then on."""

FORWARDING: Final = (PlaceState.BOUND, PlaceState.HANDED_OVER)


@dataclass(slots=True, eq=False)
class Place:
    """`address` is where the party was heard last and answered; `expires_ns` is on our clock."""

    lease: Lease
    codes: Codes
    channel: int
    address: Address
    expires_ns: int
    heard_ns: int
    bytes_bucket: TokenBucket
    packets_bucket: TokenBucket
    sequence: int
    state: PlaceState = PlaceState.BOUND
    ended_by: Notice | None = None
    until_ns: int = 0
    window: Window = field(default_factory=Window)
    new_address: Address | None = None
    challenge: bytes = b""
    challenged_ns: int = 0
    noticed_ns: dict[Notice, int] = field(default_factory=dict)

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence


def buckets(lease: Lease, limits: RelayLimits, now_ns: int) -> tuple[TokenBucket, TokenBucket]:
    """What a lease allows in bytes and in packets: its rate, and a burst of some of it."""
    at_once = lease.bytes_per_s * limits.burst_ms // 1_000
    packets_at_once = lease.packets_per_s * limits.burst_ms // 1_000
    return (
        TokenBucket(lease.bytes_per_s, max(at_once, limits.burst_bytes_min), now_ns),
        TokenBucket(lease.packets_per_s, max(packets_at_once, limits.burst_packets_min), now_ns),
    )
