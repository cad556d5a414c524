"""The named limits of a relay and of a party's way through it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from troth.vm.errors import Unusable

SECOND_NS: Final = 1_000_000_000
MILLISECOND_NS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLimits:
    """What a relay holds, and how long. Each is above 0.

    Attributes:
        sessions_max: sessions at once, two parties each.
        spent_max: leases remembered as used up until they would have expired.
        denied_max: revoked sessions remembered.
        sources_max: addresses whose presentations are counted.
        presents_per_source_s: presentations of one IP address in a second.
        presents_per_s: presentations of all addresses in a second.
        lease_horizon_s: the furthest expiry that is believed.
        clock_skew_s: how far the gateway's clock may be off.
        idle_ns: nanoseconds without a packet after which a party's place is given up.
        told_ns: nanoseconds for which an ended place still says why it ended.
        burst_ms: milliseconds of its rate that a lease may use at once.
        burst_bytes_min: bytes that every lease may use at once.
        burst_packets_min: packets that every lease may use at once.
        notice_every_ns: nanoseconds between two notices of one kind to one party.
    """

    sessions_max: int = 1_000
    spent_max: int = 65_536
    denied_max: int = 65_536
    sources_max: int = 4_096
    presents_per_source_s: int = 20
    presents_per_s: int = 1_000
    lease_horizon_s: int = 3_600
    clock_skew_s: int = 5
    idle_ns: int = 60 * SECOND_NS
    told_ns: int = 30 * SECOND_NS
    burst_ms: int = 500
    burst_bytes_min: int = 65_536
    burst_packets_min: int = 64
    notice_every_ns: int = SECOND_NS

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise Unusable(
                    "relay.limits",
                    f"the limit {field.name} is {getattr(self, field.name)}",
                    expected="a number above 0",
                    actual=str(getattr(self, field.name)),
                    advice="Leave it out to get the default",
                )
