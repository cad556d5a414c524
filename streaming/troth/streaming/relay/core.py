"""The relay, without a socket or a clock: it passes datagrams between the two parties of a session.

It is blind: it has a key for each party's own packets, which says who sent them, and none for what
is in them. It keeps no datagram: one is passed on at once or dropped and counted.

A party is known by its channel and its code, never by its address. When it comes from another
address, that address has to say a challenge back before anything is sent there, so that whoever
copies a packet cannot turn a stream on somebody else.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from troth.streaming.happenings import Happenings
from troth.streaming.paths.addresses import Address
from troth.streaming.relay.admission import Admission, Admitted, NotAdmitted
from troth.streaming.relay.lease import ExchangeKey, Lease, RandomBytes, Role
from troth.streaming.relay.limits import SECOND_NS, RelayLimits
from troth.streaming.relay.metrics import RelayCounters, RelayGauges, prometheus
from troth.streaming.relay.outputs import Transmit
from troth.streaming.relay.places import (
    FORWARDING,
    PLACE_TRANSITIONS,
    Place,
    PlaceSignal,
    PlaceState,
    buckets,
)
from troth.streaming.relay.wire import (
    CHALLENGE_BYTES,
    NO_CHANNEL,
    OVERHEAD_BYTES,
    Kind,
    Notice,
    Packet,
    Refusal,
    bound_body,
    code_of,
    notice_body,
    parse,
    refused_body,
    seal,
    unsealed_refusal,
)
from troth.vm.errors import Malformed

SWEEP_NS: Final = SECOND_NS // 4
HANDOVER_NS: Final = 3 * SECOND_NS
CHALLENGE_EVERY_NS: Final = SECOND_NS // 5
_CHANNEL_BYTES: Final = 4
_DRAWS_MAX: Final = 64


class RelayCore:
    """Feed it with `receive` and `tick`; send what `poll` gives."""

    def __init__(
        self,
        *,
        name: str,
        key: ExchangeKey,
        gateway_keys: tuple[bytes, ...],
        random: RandomBytes,
        now_ns: int,
        unix_offset_ns: int,
        limits: RelayLimits | None = None,
    ) -> None:
        """`unix_offset_ns` is what the Unix time has over the clock of `now_ns`."""
        self.limits = limits or RelayLimits()
        self.counters = RelayCounters()
        self.happenings = Happenings()
        self.unix_offset_ns = unix_offset_ns
        self.draining = False
        self._admission = Admission(name, key, gateway_keys, self.limits, now_ns)
        self._random = random
        self._started_ns = now_ns
        self._sweep_ns = now_ns + SWEEP_NS
        self._places: dict[tuple[bytes, Role], Place] = {}
        self._channels: dict[int, Place] = {}
        self._out: list[Transmit] = []

    @property
    def deadline_ns(self) -> int:
        return self._sweep_ns

    @property
    def sessions(self) -> int:
        return len({session for session, _ in self._places})

    def poll(self) -> list[Transmit]:
        out, self._out = self._out, []
        return out

    # --- datagrams --------------------------------------------------------------------------

    def receive(self, datagram: bytes, source: Address, now_ns: int) -> None:
        """Takes one datagram, whatever it is. Never raises."""
        counters = self.counters
        counters.packets_rx += 1
        counters.bytes_rx += len(datagram)
        try:
            packet = parse(datagram)
        except Malformed:
            counters.invalid_packets += 1
            return
        if packet.kind is Kind.PRESENT:
            self._present(packet, source, now_ns)
            return
        place = self._channels.get(packet.channel)
        if place is None:
            self._unknown(packet, source)
        elif not compare_digest(packet.code, code_of(place.codes.to_relay, packet.signed)):
            counters.auth_reject_packets += 1
        elif not place.window.fresh(packet.sequence):
            counters.replay_dropped_packets += 1
        else:
            place.window.note(packet.sequence)
            self._authentic(place, packet, source, now_ns)

    def _unknown(self, packet: Packet, source: Address) -> None:
        """A party of before a restart has to present its lease again, and is told so.

        The answer is no longer than the question, so it is of no use against a third.
        """
        self.counters.session_not_found_packets += 1
        answer = unsealed_refusal(packet.sequence, Refusal.UNKNOWN_CHANNEL)
        if packet.kind is Kind.FORWARD and len(packet.body) + OVERHEAD_BYTES >= len(answer):
            self._out.append(Transmit(source, answer))

    def _authentic(self, place: Place, packet: Packet, source: Address, now_ns: int) -> None:
        place.heard_ns = now_ns
        if packet.kind is Kind.CHALLENGE_REPLY:
            self._rebind(place, packet.body, source)
            return
        if source != place.address:
            self._challenge(place, source, now_ns)
        if packet.kind is Kind.FORWARD:
            self._forward(place, packet.body, now_ns)
        elif packet.kind is Kind.RELEASE:
            self._signal(place, PlaceSignal.RELEASED, now_ns)
        else:
            self.counters.invalid_packets += 1

    def _forward(self, place: Place, body: bytes, now_ns: int) -> None:
        counters = self.counters
        if place.state not in FORWARDING or now_ns >= place.expires_ns:
            counters.session_not_active_packets += 1
            self._signal(place, PlaceSignal.EXPIRED, now_ns)
            if place.ended_by is not None:
                self._notice(place, place.ended_by, now_ns)
            return
        peer = self._places.get((place.lease.session, place.lease.role.other))
        if peer is None or peer.state not in FORWARDING or now_ns >= peer.expires_ns:
            counters.unknown_peer_packets += 1
            self._notice(place, Notice.PEER_GONE, now_ns)
            return
        if not place.packets_bucket.take(1, now_ns):
            counters.rate_limited_packets += 1
            self._notice(place, Notice.PACKETS_LIMITED, now_ns)
            return
        if not place.bytes_bucket.take(len(body), now_ns):
            counters.rate_limited_packets += 1
            self._notice(place, Notice.BYTES_LIMITED, now_ns)
            return
        counters.packets_forwarded += 1
        counters.bytes_forwarded += len(body)
        self._send(peer, Kind.FORWARD, body)

    def _challenge(self, place: Place, source: Address, now_ns: int) -> None:
        """One challenge for one new address; a lost one is asked again after a while."""
        if place.new_address != source:
            place.new_address, place.challenge = source, self._random(CHALLENGE_BYTES)
        elif now_ns < place.challenged_ns + CHALLENGE_EVERY_NS:
            return
        place.challenged_ns = now_ns
        self.counters.nat_rebind_challenges += 1
        data = self._sealed(place, Kind.CHALLENGE, place.challenge)
        self._out.append(Transmit(source, data))

    def _rebind(self, place: Place, body: bytes, source: Address) -> None:
        if source == place.new_address and place.challenge and body == place.challenge:
            place.address, place.new_address, place.challenge = source, None, b""
            self.counters.nat_rebind_events += 1
            self.happenings.note("rebound", place.lease.session)

    # --- leases -----------------------------------------------------------------------------

    def _present(self, packet: Packet, source: Address, now_ns: int) -> None:
        self.counters.lease_present_packets += 1
        unix_s = (now_ns + self.unix_offset_ns) // SECOND_NS
        found = self._admission.examine(packet, source, now_ns, unix_s)
        refused = found if isinstance(found, NotAdmitted) else None
        if isinstance(found, Admitted):
            refused = self._take(found, packet, source, now_ns)
        if refused is not None:
            self._refuse(refused, packet, source)

    def _take(
        self, found: Admitted, packet: Packet, source: Address, now_ns: int
    ) -> NotAdmitted | None:
        lease = found.lease
        place = self._places.get((lease.session, lease.role))
        if place is not None and place.lease.lease_id == lease.lease_id:
            self._again(place, packet, source, now_ns)
            return None
        refusal = self._no_room(lease, place)
        if refusal is not None:
            return NotAdmitted(refusal, codes=found.codes)
        new = self._new_place(found, source, now_ns)
        new.window.note(packet.sequence)
        if place is not None:
            self._supersede(place, new, now_ns)
        self._places[lease.session, lease.role] = new
        self._channels[new.channel] = new
        self._bound(new, packet.sequence, now_ns)
        peer = self._peer(new)
        if place is None:
            self.happenings.note("session_start", lease.session, holder=lease.role.name.lower())
        if peer is not None and place is None:
            self._send(peer, Kind.NOTICE, notice_body(Notice.PEER_BOUND))
        return None

    def _no_room(self, lease: Lease, place: Place | None) -> Refusal | None:
        if place is not None:
            older = lease.generation <= place.lease.generation
            return Refusal.SUPERSEDED if older else None
        if self.draining and (lease.session, lease.role.other) not in self._places:
            return Refusal.DRAINING
        room = 2 * self.limits.sessions_max
        if len(self._places) >= room or len(self._channels) >= 2 * room:
            return Refusal.FULL
        return None

    def _again(self, place: Place, packet: Packet, source: Address, now_ns: int) -> None:
        """The same lease: its acknowledgement was lost, or the party's address has changed."""
        if not place.window.fresh(packet.sequence):
            self.counters.replay_dropped_packets += 1
            return
        place.window.note(packet.sequence)
        place.heard_ns = now_ns
        if source != place.address:
            self._challenge(place, source, now_ns)
        self._bound(place, packet.sequence, now_ns, source)

    def _supersede(self, old: Place, new: Place, now_ns: int) -> None:
        same = old.lease.holder_key == new.lease.holder_key
        self._admission.spent.add(old.lease.lease_id, old.lease.expires_s)
        if same and old.state is PlaceState.BOUND:
            self.counters.lease_renew_packets += 1
            # What is under way still counts, so renewing often gives nobody more than once.
            new.bytes_bucket, new.packets_bucket = old.bytes_bucket, old.packets_bucket
        self._signal(old, PlaceSignal.RENEWED if same else PlaceSignal.REPLACED, now_ns)

    def _new_place(self, found: Admitted, source: Address, now_ns: int) -> Place:
        by_bytes, by_packets = buckets(found.lease, self.limits, now_ns)
        return Place(
            lease=found.lease,
            codes=found.codes,
            channel=self._free_channel(),
            address=source,
            expires_ns=found.lease.expires_s * SECOND_NS - self.unix_offset_ns,
            heard_ns=now_ns,
            bytes_bucket=by_bytes,
            packets_bucket=by_packets,
            sequence=int.from_bytes(self._random(_CHANNEL_BYTES), "big"),
        )

    def _free_channel(self) -> int:
        """With far fewer channels than numbers, a few draws always find a free one."""
        for _ in range(_DRAWS_MAX):
            channel = int.from_bytes(self._random(_CHANNEL_BYTES), "big")
            if channel != NO_CHANNEL and channel not in self._channels:
                return channel
        return next(number for number in range(1, 1 << 32) if number not in self._channels)

    def _bound(self, place: Place, echo: int, now_ns: int, source: Address | None = None) -> None:
        lasts_s = max(0, place.expires_ns - now_ns) // SECOND_NS
        body = bound_body(echo, lasts_s, self._peer(place) is not None)
        data = self._sealed(place, Kind.BOUND, body)
        self._out.append(Transmit(source or place.address, data))

    def _peer(self, place: Place) -> Place | None:
        peer = self._places.get((place.lease.session, place.lease.role.other))
        return peer if peer is not None and peer.state is PlaceState.BOUND else None

    def _refuse(self, found: NotAdmitted, packet: Packet, source: Address) -> None:
        self.counters.refused[found.refusal] += 1
        self.happenings.note("lease_rejected", reason=found.refusal.name.lower())
        if found.codes is None:
            data = unsealed_refusal(packet.sequence, found.refusal, found.wait_ms)
        else:
            body = refused_body(packet.sequence, found.refusal, found.wait_ms)
            # The holder tells refusals apart by their echo, so this needs no number of its own.
            data = seal(found.codes.from_relay, Kind.REFUSED, NO_CHANNEL, packet.sequence, body)
        self._out.append(Transmit(source, data))

    # --- ends -------------------------------------------------------------------------------

    def revoke(self, session: bytes, now_ns: int) -> int:
        """Ends a session now, and refuses it from now on. Returns how many parties were told."""
        unix_s = (now_ns + self.unix_offset_ns) // SECOND_NS
        limits = self.limits
        until_s = unix_s + limits.lease_horizon_s + 2 * limits.clock_skew_s
        self._admission.denied.add(session, until_s)
        told = 0
        for place in [p for p in self._channels.values() if p.lease.session == session]:
            told += self._signal(place, PlaceSignal.REVOKED, now_ns)
        return told

    def drain(self, now_ns: int) -> None:
        """Takes no new sessions from now on; those that there are go on."""
        self.draining = True
        for place in self._places.values():
            self._notice(place, Notice.DRAINING, now_ns)

    def tick(self, now_ns: int) -> None:
        """Looks for what has expired, fallen silent, or said for long enough why it ended."""
        if now_ns < self._sweep_ns:
            return
        self._sweep_ns = now_ns + SWEEP_NS
        self._admission.drop_old((now_ns + self.unix_offset_ns) // SECOND_NS)
        for place in list(self._channels.values()):
            if now_ns >= place.expires_ns:
                self._signal(place, PlaceSignal.EXPIRED, now_ns)
            elif now_ns - place.heard_ns >= self.limits.idle_ns:
                self._signal(place, PlaceSignal.IDLE, now_ns)
            if place.state is not PlaceState.BOUND and now_ns >= place.until_ns:
                self._signal(place, PlaceSignal.TIME_IS_UP, now_ns)

    def _signal(self, place: Place, signal: PlaceSignal, now_ns: int) -> bool:
        """Moves a place by the table, and says whether it moved."""
        found = PLACE_TRANSITIONS.get((place.state, signal))
        if found is None:
            return False
        place.state, notice = found
        if place.state is PlaceState.GONE:
            self._forget(place)
            return True
        lasts_ns = HANDOVER_NS if place.state is PlaceState.HANDED_OVER else self.limits.told_ns
        place.until_ns = now_ns + lasts_ns
        if notice is not None:
            self._end(place, notice, now_ns)
        return True

    def _end(self, place: Place, notice: Notice, now_ns: int) -> None:
        place.ended_by = notice
        self.counters.ended(notice)
        self.happenings.note("session_end", place.lease.session, reason=notice.name.lower())
        if notice in (Notice.RELEASED, Notice.REVOKED):
            self._admission.spent.add(place.lease.lease_id, place.lease.expires_s)
        key = (place.lease.session, place.lease.role)
        if self._places.get(key) is place:
            del self._places[key]
            peer = self._peer(place)
            if peer is not None and notice is not Notice.SUPERSEDED:
                self._notice(peer, Notice.PEER_GONE, now_ns)
        self._notice(place, notice, now_ns)

    def _forget(self, place: Place) -> None:
        self._channels.pop(place.channel, None)

    # --- sending ----------------------------------------------------------------------------

    def _due(self, place: Place, notice: Notice, now_ns: int) -> bool:
        last_ns = place.noticed_ns.get(notice)
        if last_ns is not None and now_ns - last_ns < self.limits.notice_every_ns:
            return False
        place.noticed_ns[notice] = now_ns
        return True

    def _notice(self, place: Place, notice: Notice, now_ns: int) -> None:
        if self._due(place, notice, now_ns):
            self._send(place, Kind.NOTICE, notice_body(notice))

    def _sealed(self, place: Place, kind: Kind, body: bytes) -> bytes:
        return seal(place.codes.from_relay, kind, place.channel, place.next_sequence(), body)

    def _send(self, place: Place, kind: Kind, body: bytes) -> None:
        self._out.append(Transmit(place.address, self._sealed(place, kind, body)))

    # --- what it says of itself -------------------------------------------------------------

    def gauges(self, now_ns: int) -> RelayGauges:
        return RelayGauges(
            active_sessions=self.sessions,
            bound_parties=len(self._places),
            sessions_max=self.limits.sessions_max,
            draining=self.draining,
            uptime_seconds=(now_ns - self._started_ns) // SECOND_NS,
        )

    def metrics(self, now_ns: int) -> str:
        return prometheus(self.counters, self.gauges(now_ns))
