"""Revocation: a session stops at the relay, the host and the client, and the report says when.

The order goes to all three at once over the connections that they hold open. Who is not connected
is told when it comes back; a relay that is not connected keeps the session until its lease ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.hub import Close, Hub, Party, Refusal
from troth.streaming.gateway.leasing import KIND_OF
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.store import Principal, SessionRecord
from troth.streaming.relay.lease import Role

HEAD = ("session", "party", "name", "stopped")


@dataclass(slots=True, eq=False)
class Watch:
    """Revocations of one command, until everybody has confirmed or the time is over.

    `waiting` has when each was told; `rows` what is known.
    """

    admin: Party | None
    request: int
    due_ns: int
    waiting: dict[tuple[bytes, PartyKind], tuple[Party, int]] = field(default_factory=dict)
    rows: list[tuple[str, ...]] = field(default_factory=list)


class Revocations:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._watches: list[Watch] = []

    def revoke(
        self, records: list[SessionRecord], reason: str, admin: Party, request: int, now_ns: int
    ) -> None:
        """Stops these sessions, and reports to the administrator who has."""
        due_ns = now_ns + self._hub.limits.revoke_s * SECOND_NS
        watch = Watch(admin, request, due_ns)
        for record in records:
            self._one(record, reason, watch, now_ns)
        self._watches.append(watch)
        self._finish(watch, now_ns)

    def _one(self, record: SessionRecord, reason: str, watch: Watch, now_ns: int) -> None:
        hub = self._hub
        hub.store.keep_session(replace(record, revoked=reason or "revoked"))
        hub.counters.revocations += 1
        hub.happenings.note("revoked", record.session, reason=reason)
        told: list[tuple[PartyKind, str, Party | None]] = [
            (KIND_OF[role], _name(hub, record.key_of(role)), self._connected(record, role))
            for role in Role
        ]
        if record.relay:
            told.append((PartyKind.RELAY, record.relay, hub.relays.get(record.relay)))
        for name, relay in hub.relays.items():
            # A relay that the session left may still have a lease of it that lasts.
            if name != record.relay:
                hub.send(relay, m.Revoked(record.session, reason or "revoked"))
        for kind, name, party in told:
            if party is None:
                watch.rows.append((record.session.hex(), kind.value, name, "not connected"))
                continue
            hub.send(party, m.Revoked(record.session, reason or "revoked"))
            watch.waiting[record.session, kind] = (party, now_ns)

    def _connected(self, record: SessionRecord, role: Role) -> Party | None:
        return self._hub.connected(KIND_OF[role], record.key_of(role))

    def stopped(self, party: Party, message: m.Stopped, now_ns: int) -> None:
        """A party confirms."""
        assert party.kind is not None
        for watch in list(self._watches):
            found = watch.waiting.get((message.session, party.kind))
            if found is not None and found[0] is party:
                del watch.waiting[message.session, party.kind]
                after_ms = (now_ns - found[1]) // 1_000_000
                row = (message.session.hex(), party.kind.value, party.name, f"{after_ms} ms")
                watch.rows.append(row)
                self._finish(watch, now_ns)

    def catch_up(self, party: Party, now_ns: int) -> None:
        """Tells a party that has just come what was revoked while it was away."""
        since_s = self._hub.unix_s(now_ns) - self._hub.limits.session_s
        for record in self._hub.store.revoked_since(since_s):
            if party.kind is PartyKind.RELAY or record.role_of(party.key) is not None:
                self._hub.send(party, m.Revoked(record.session, record.revoked))

    def ban(self, principal: Principal) -> None:
        """Nobody with this key registers any more; connections that it has are closed."""
        hub = self._hub
        hub.store.keep_principal(replace(principal, banned=True))
        for kind in PartyKind:
            party = hub.connected(kind, principal.key)
            if party is not None:
                hub.refuse(party, Refusal.BANNED)
                hub.out.append(Close(party.connection))

    def gone(self, party: Party, now_ns: int) -> None:
        for watch in list(self._watches):
            if watch.admin is party:
                watch.admin = None
            for key, (waited, _) in list(watch.waiting.items()):
                if waited is party:
                    del watch.waiting[key]
                    session, kind = key
                    row = (session.hex(), kind.value, party.name, "connection ended")
                    watch.rows.append(row)
            self._finish(watch, now_ns)

    def tick(self, now_ns: int) -> None:
        for watch in list(self._watches):
            self._finish(watch, now_ns)

    def _finish(self, watch: Watch, now_ns: int) -> None:
        if watch.waiting and now_ns < watch.due_ns:
            return
        for (session, kind), (party, _) in watch.waiting.items():
            row = (
                session.hex(),
                kind.value,
                party.name,
                f"not within {self._hub.limits.revoke_s} s",
            )
            watch.rows.append(row)
        self._watches.remove(watch)
        if watch.admin is not None:
            self._hub.send(watch.admin, m.Report(watch.request, (HEAD, *watch.rows)))


def _name(hub: Hub, key: bytes) -> str:
    principal = hub.store.principal(key)
    return key.hex()[:16] if principal is None else principal.name
