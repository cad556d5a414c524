"""Leases: which relay a session gets, and a token for each party in its own role.

The role comes from the session's record, never from a request, so no party can get the other's.
"""

from __future__ import annotations

from dataclasses import replace

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import ID_BYTES
from troth.streaming.gateway.hub import Hub, Party, Refusal
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.proofs import Registration
from troth.streaming.gateway.store import SessionRecord
from troth.streaming.relay.lease import Lease, Role, issue

KIND_OF = {Role.CLIENT: PartyKind.CLIENT, Role.HOST: PartyKind.HOST}


class Leasing:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def need(self, party: Party, message: m.NeedRelay, now_ns: int) -> None:
        """A first relay, another one, or the same again for who has lost the lease."""
        record = self._usable(party, message.request, message.session, now_ns)
        if record is None:
            return
        current = self._hub.relays.get(record.relay)
        if current is not None and record.relay not in message.except_relays:
            self._grant(record, current, party, message.request, now_ns)
            return
        relay = self._least_loaded(message.except_relays)
        if relay is None:
            self._hub.refuse(party, Refusal.NO_RELAY, message.request)
            return
        record = self._grant(
            replace(record, relay=relay.name), relay, party, message.request, now_ns
        )  # fmt: skip
        role = record.role_of(party.key)
        assert role is not None
        peer = self._hub.connected(KIND_OF[role.other], record.key_of(role.other))
        if peer is not None:
            self._grant(record, relay, peer, 0, now_ns)

    def renew(self, party: Party, message: m.RenewLease, now_ns: int) -> None:
        record = self._usable(party, message.request, message.session, now_ns)
        if record is None:
            return
        relay = self._hub.relays.get(record.relay)
        if relay is None:
            self._hub.refuse(party, Refusal.NO_RELAY, message.request)
            return
        self._grant(record, relay, party, message.request, now_ns)

    def _usable(
        self, party: Party, request: int, session: bytes, now_ns: int
    ) -> SessionRecord | None:
        hub = self._hub
        record = hub.store.session(session)
        role = None if record is None else record.role_of(party.key)
        if record is None or role is None or KIND_OF[role] is not party.kind:
            hub.refuse(party, Refusal.NO_SESSION, request)
        elif record.revoked:
            hub.refuse(party, Refusal.REVOKED, request)
        elif record.ended or hub.unix_s(now_ns) >= record.opened_s + hub.limits.session_s:
            hub.refuse(party, Refusal.SESSION_OVER, request)
        else:
            wait_ns = hub.rates.wait_ns("leases_per_minute", party.key, now_ns)
            if not wait_ns:
                return record
            hub.over_limit(party, request, "leases_per_minute", wait_ns)
        return None

    def _least_loaded(self, excluded: tuple[str, ...]) -> Party | None:
        free = [
            relay
            for name, relay in self._hub.relays.items()
            if name not in excluded and not relay.draining and relay.load[0] < relay.load[1]
        ]
        return min(free, key=lambda r: (r.load[0] / r.load[1], r.name), default=None)

    def _grant(
        self, record: SessionRecord, relay: Party, party: Party, request: int, now_ns: int
    ) -> SessionRecord:
        hub, registration = self._hub, relay.registration
        role = record.role_of(party.key)
        assert registration is not None
        assert role is not None
        record = replace(record, generation=record.generation + 1)
        hub.store.keep_session(record)
        lease = self._lease(record, registration, role, hub.unix_s(now_ns))
        token = issue(lease, hub.signing_key)
        hub.counters.leases_issued += 1
        hub.happenings.note("lease", record.session, holder=role.name.lower())
        hub.send(
            party,
            m.Leased(
                request, record.session, relay.name, registration.host, registration.port, token
            ),
        )  # fmt: skip
        return record

    def _lease(
        self, record: SessionRecord, relay: Registration, role: Role, unix_s: int
    ) -> Lease:  # fmt: skip
        limits = self._hub.limits
        return Lease(
            relay=relay.name,
            session=record.session,
            role=role,
            generation=record.generation,
            lease_id=self._hub.random(ID_BYTES),
            holder_key=record.lease_key_of(role),
            relay_key=relay.exchange_key,
            not_before_s=unix_s,
            expires_s=unix_s + limits.lease_s,
            bytes_per_s=limits.lease_bytes_per_s,
            packets_per_s=limits.lease_packets_per_s,
        )
