"""Leases: which relay a session gets, and a token for each party in its own role.

The role comes from the session's record, never from a request, so no party can get the other's.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import Final, TypedDict

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import ID_BYTES
from troth.streaming.gateway.hub import Hub, Party, Refusal
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.proofs import Registration
from troth.streaming.gateway.store import SessionRecord
from troth.streaming.relay.lease import Lease, Role, issue

KIND_OF = {Role.CLIENT: PartyKind.CLIENT, Role.HOST: PartyKind.HOST}
RENEWAL: Final = "renewal"
RELAY: Final = "relay"
LEAVE: Final = "leave"


class Want(TypedDict):
    """What a party wants: a relay that is none of these, the next lease for the one in use."""

    kind: str
    except_relays: list[str]


class Holding(TypedDict):
    """A party's session, and the relay that it has a lease for already; "" for none."""

    session: bytes
    relay: str


class Ticket(TypedDict):
    """A lease in the party's own role, and where its relay is."""

    relay: str
    host: str
    port: int
    token: bytes


class Leasing:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def why_not(self, party: Party, session: bytes, now_ns: int) -> Refusal | None:
        """Why the party can have no lease for that session; None when it can."""
        hub = self._hub
        record = hub.store.session(session)
        role = None if record is None else record.role_of(party.key)
        if record is None or role is None or KIND_OF[role] is not party.kind:
            return Refusal.NO_SESSION
        if record.revoked:
            return Refusal.REVOKED
        if record.ended or hub.unix_s(now_ns) >= record.opened_s + hub.limits.session_s:
            return Refusal.SESSION_OVER
        return None

    def refusal(self, party: Party, session: bytes, now_ns: int) -> m.Refused | None:
        """As `why_not`, counted, and with the limit that the party has hit."""
        hub = self._hub
        why_not = self.why_not(party, session, now_ns)
        if why_not is not None:
            return hub.refusal(why_not)
        wait_ns = hub.rates.wait_ns("leases_per_minute", party.key, now_ns)
        return hub.limit_refusal("leases_per_minute", wait_ns=wait_ns) if wait_ns else None

    def nothing_came(self) -> None:
        """No relay, for as long as a party is kept waiting."""
        self._hub.refusal(Refusal.NO_RELAY)

    def choose(self, session: bytes, want: Want) -> Party | None:
        """A relay for the session: the one in use, or another. None when there is none now."""
        record = self._record(session)
        current = self._hub.relays.get(record.relay)
        if want["kind"] == RENEWAL:
            return current
        if current is not None and record.relay not in want["except_relays"]:
            return current
        return self._least_loaded(want["except_relays"])

    def moved_to(self, session: bytes, known: str) -> Party | None:
        """The relay that the session has come to; None while it is the known one, or not there."""
        record = self._hub.store.session(session)
        if record is None or not record.live or record.relay == known:
            return None
        return self._hub.relays.get(record.relay)

    def issue(self, party: Party, session: bytes, relay: Party, now_ns: int) -> Ticket:
        """A lease for the party, newer than all before. Whoever waits for the session is told."""
        hub, registration = self._hub, relay.registration
        before = self._record(session)
        role = before.role_of(party.key)
        assert registration is not None
        assert role is not None
        record = replace(before, relay=relay.name, generation=before.generation + 1)
        hub.store.keep_session(record)
        token = issue(
            self._lease(record, registration, role, hub.unix_s(now_ns)), hub.signing_key
        )  # fmt: skip
        hub.counters.leases_issued += 1
        hub.happenings.note("lease", session, holder=role.name.lower())
        if record.relay != before.relay:
            hub.watchers.changed(session)
        return {
            "relay": relay.name,
            "host": registration.host,
            "port": registration.port,
            "token": token,
        }

    def _record(self, session: bytes) -> SessionRecord:
        found = self._hub.store.session(session)
        assert found is not None, "its parties were asked for before"
        return found

    def _least_loaded(self, excluded: Container[str]) -> Party | None:
        free = [
            relay
            for name, relay in self._hub.relays.items()
            if name not in excluded and not relay.draining and relay.load[0] < relay.load[1]
        ]
        return min(free, key=lambda r: (r.load[0] / r.load[1], r.name), default=None)

    def _lease(
        self, record: SessionRecord, relay: Registration, role: Role, unix_s: int
    ) -> Lease:  # fmt: skip
        limits = self._hub.limits
        return Lease(
            relay=record.relay,
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
