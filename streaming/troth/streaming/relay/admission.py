"""Whether a presented lease is taken, in the order in which it costs least to refuse it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from troth.streaming.paths.addresses import Address
from troth.streaming.relay.buckets import BucketTable, TokenBucket
from troth.streaming.relay.lease import (
    Codes,
    ExchangeKey,
    Lease,
    codes_of,
    read_unverified,
    signed_by,
)
from troth.streaming.relay.limits import MILLISECOND_NS, SECOND_NS, RelayLimits
from troth.streaming.relay.wire import Packet, Refusal, code_of
from troth.vm.errors import Malformed


class Admitted(NamedTuple):
    lease: Lease
    codes: Codes


class NotAdmitted(NamedTuple):
    """`codes` are there when the presentation came from the lease's holder."""

    refusal: Refusal
    wait_ms: int = 0
    codes: Codes | None = None


@dataclass(slots=True)
class Forgotten:
    """Entries that are kept until a time, at most so many: the oldest goes first."""

    entries_max: int
    _until_s: dict[bytes, int]

    def __contains__(self, key: bytes) -> bool:
        return key in self._until_s

    def __len__(self) -> int:
        return len(self._until_s)

    def add(self, key: bytes, until_s: int) -> None:
        while len(self._until_s) >= self.entries_max and key not in self._until_s:
            del self._until_s[next(iter(self._until_s))]
        self._until_s[key] = until_s

    def drop_until(self, now_s: int) -> None:
        for key in [key for key, until_s in self._until_s.items() if until_s < now_s]:
            del self._until_s[key]


class Admission:
    """Holds what has to be known about leases beside the places themselves."""

    def __init__(
        self,
        name: str,
        key: ExchangeKey,
        gateway_keys: tuple[bytes, ...],
        limits: RelayLimits,
        now_ns: int,
    ) -> None:
        self._name = name
        self._key = key
        self._gateway_keys = gateway_keys
        self._limits = limits
        self._all = TokenBucket(limits.presents_per_s, limits.presents_per_s, now_ns)
        per_source = limits.presents_per_source_s
        self._sources = BucketTable(per_source, per_source, limits.sources_max)
        self.spent = Forgotten(limits.spent_max, {})
        self.denied = Forgotten(limits.denied_max, {})

    def examine(
        self, packet: Packet, source: Address, now_ns: int, unix_s: int
    ) -> Admitted | NotAdmitted:
        """Reads, believes and authenticates a presentation. What is free is the caller's part."""
        if not self._sources.take(source.host, now_ns):
            wait_ns = self._sources.wait_ns(source.host, now_ns)
            return NotAdmitted(Refusal.TOO_OFTEN, _milliseconds(wait_ns))
        try:
            lease = read_unverified(packet.body)
        except Malformed:
            return NotAdmitted(Refusal.MALFORMED)
        refusal = self._stated(lease, unix_s)
        if refusal is not None:
            return NotAdmitted(refusal)
        if not self._all.take(1, now_ns):
            return NotAdmitted(Refusal.BUSY, _milliseconds(self._all.wait_ns(1, now_ns)))
        if not any(signed_by(packet.body, key) for key in self._gateway_keys):
            return NotAdmitted(Refusal.SIGNATURE)
        try:
            codes = codes_of(self._key, lease.holder_key, lease)
        except Malformed:
            return NotAdmitted(Refusal.MALFORMED)
        if code_of(codes.to_relay, packet.signed) != packet.code:
            return NotAdmitted(Refusal.HOLDER)
        if lease.session in self.denied:
            return NotAdmitted(Refusal.REVOKED, codes=codes)
        if lease.lease_id in self.spent:
            return NotAdmitted(Refusal.SPENT, codes=codes)
        return Admitted(lease, codes)

    def _stated(self, lease: Lease, unix_s: int) -> Refusal | None:
        """What can be refused without believing the token: nobody gains by saying such a thing."""
        if lease.relay != self._name or lease.relay_key != self._key.public:
            return Refusal.WRONG_RELAY
        if lease.expires_s <= unix_s:
            return Refusal.EXPIRED
        if lease.not_before_s > unix_s + self._limits.clock_skew_s:
            return Refusal.NOT_YET
        if lease.expires_s > unix_s + self._limits.lease_horizon_s + self._limits.clock_skew_s:
            return Refusal.TOO_LONG
        return None

    def drop_old(self, unix_s: int) -> None:
        self.spent.drop_until(unix_s)
        self.denied.drop_until(unix_s)


def _milliseconds(duration_ns: int) -> int:
    return min(-(-duration_ns // MILLISECOND_NS), 60 * SECOND_NS // MILLISECOND_NS)
