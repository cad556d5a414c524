"""What a relay counts, and the text that Prometheus reads. No name of a party is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Final

from troth.streaming.relay.wire import Notice, Refusal

PREFIX: Final = "troth_relay_"


@dataclass(slots=True)
class RelayCounters:
    """Everything since the start.

    Attributes:
        packets_rx: datagrams that came.
        bytes_rx: their bytes.
        packets_forwarded: datagrams passed on to the other party.
        bytes_forwarded: bytes of what was passed on, without the relay's header.
        lease_present_packets: presentations of leases.
        lease_renew_packets: presentations that took over from an older lease of the holder.
        invalid_packets: datagrams that are none of a relay's.
        auth_reject_packets: datagrams whose code is wrong.
        replay_dropped_packets: datagrams that came a second time.
        session_not_found_packets: datagrams for a channel that there is not.
        session_not_active_packets: datagrams of a party whose place has ended.
        unknown_peer_packets: datagrams for a party that is not there.
        rate_limited_packets: datagrams over the lease's bytes or packets.
        nat_rebind_events: parties that went on from another address.
        nat_rebind_challenges: addresses that were asked to prove it.
        cleanup_expired_sessions: places that ended with their lease.
        cleanup_idle_sessions: places that ended in silence.
        revoked_sessions: places that ended by revocation.
        refused: presentations refused, by reason.
    """

    packets_rx: int = 0
    bytes_rx: int = 0
    packets_forwarded: int = 0
    bytes_forwarded: int = 0
    lease_present_packets: int = 0
    lease_renew_packets: int = 0
    invalid_packets: int = 0
    auth_reject_packets: int = 0
    replay_dropped_packets: int = 0
    session_not_found_packets: int = 0
    session_not_active_packets: int = 0
    unknown_peer_packets: int = 0
    rate_limited_packets: int = 0
    nat_rebind_events: int = 0
    nat_rebind_challenges: int = 0
    cleanup_expired_sessions: int = 0
    cleanup_idle_sessions: int = 0
    revoked_sessions: int = 0
    refused: Counter[Refusal] = field(default_factory=Counter)

    def ended(self, notice: Notice) -> None:
        """Counts the end of a place."""
        if notice is Notice.EXPIRED:
            self.cleanup_expired_sessions += 1
        elif notice is Notice.IDLE:
            self.cleanup_idle_sessions += 1
        elif notice is Notice.REVOKED:
            self.revoked_sessions += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayGauges:
    """What is so now.

    Attributes:
        active_sessions: sessions with a party.
        bound_parties: parties that have a place.
        sessions_max: sessions that it takes.
        draining: 1 when it takes no new ones.
        uptime_seconds: since the start.
    """

    active_sessions: int
    bound_parties: int
    sessions_max: int
    draining: bool
    uptime_seconds: int


def prometheus(counters: RelayCounters, gauges: RelayGauges) -> str:
    """The exposition format, version 0.0.4."""
    return "".join(f"{line}\n" for line in _lines(counters, gauges))


def _lines(counters: RelayCounters, gauges: RelayGauges) -> Iterator[str]:
    for item in fields(RelayCounters):
        if item.name == "refused":
            continue
        name = f"{PREFIX}{item.name}_total"
        yield f"# TYPE {name} counter"
        yield f"{name} {getattr(counters, item.name)}"
    name = f"{PREFIX}lease_rejects_total"
    yield f"# TYPE {name} counter"
    for refusal in Refusal:
        yield f'{name}{{reason="{refusal.name.lower()}"}} {counters.refused[refusal]}'
    for item in fields(RelayGauges):
        name = f"{PREFIX}{item.name}"
        yield f"# TYPE {name} gauge"
        yield f"{name} {int(getattr(gauges, item.name))}"
