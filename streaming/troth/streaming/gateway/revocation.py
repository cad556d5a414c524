"""Revocation: a session stops at the relay, the host and the client, and the report says when.

The order goes to all three at once, each by a program over the connection that it holds open. Who
is not connected is told when it comes back; a relay that is not connected keeps the session until
its lease ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.hub import Begin, Close, Hub, Order, Party, Refusal
from troth.streaming.gateway.leasing import KIND_OF
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.store import Principal, SessionRecord
from troth.streaming.relay.lease import Role

HEAD = ("session", "party", "name", "stopped")
LEG: Final = "revoke"
ORDERS_MAX: Final = 32
"""Sessions that a party is told of in one message."""


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
        hub.watchers.changed(record.session)
        told: list[tuple[PartyKind, str, Party | None]] = [
            (KIND_OF[role], _name(hub, record.key_of(role)), self._connected(record, role))
            for role in Role
        ]
        if record.relay:
            told.append((PartyKind.RELAY, record.relay, hub.relays.get(record.relay)))
        for name, relay in hub.relays.items():
            # A relay that the session left may still have a lease of it that lasts.
            if name != record.relay:
                self._order(relay, record.session, reason)
        for kind, name, party in told:
            if party is None:
                watch.rows.append((record.session.hex(), kind.value, name, "not connected"))
                continue
            self._order(party, record.session, reason)
            watch.waiting[record.session, kind] = (party, now_ns)

    def _connected(self, record: SessionRecord, role: Role) -> Party | None:
        return self._hub.connected(KIND_OF[role], record.key_of(role))

    def _order(self, party: Party, session: bytes, reason: str) -> None:
        """One run of the program tells a party of all that there is to tell."""
        if party.banned:
            # It is told that, and its connection is closed.
            return
        party.orders.append({"session": session, "reason": reason or "revoked"})
        if not party.ordered:
            party.ordered = True
            self._hub.out.append(Begin(party.connection, LEG))

    def take_orders(self, party: Party) -> list[Order]:
        """What a party is told next; nothing ends the run of its program."""
        taken, party.orders = party.orders[:ORDERS_MAX], party.orders[ORDERS_MAX:]
        party.ordered = bool(taken)
        return taken

    def stopped(self, party: Party, session: bytes, now_ns: int) -> None:
        """A party confirms."""
        self._answered(party, session, now_ns, late=False)

    def late(self, party: Party, session: bytes, now_ns: int) -> None:
        """A party says that it takes longer."""
        self._answered(party, session, now_ns, late=True)

    def _answered(self, party: Party, session: bytes, now_ns: int, *, late: bool) -> None:
        assert party.kind is not None
        for watch in list(self._watches):
            found = watch.waiting.get((session, party.kind))
            if found is not None and found[0] is party:
                del watch.waiting[session, party.kind]
                after_ms = (now_ns - found[1]) // 1_000_000
                said = self._too_late if late else f"{after_ms} ms"
                watch.rows.append((session.hex(), party.kind.value, party.name, said))
                self._finish(watch, now_ns)

    @property
    def _too_late(self) -> str:
        return f"not within {self._hub.limits.revoke_s} s"

    def not_told(self, party: Party) -> None:
        """Its program came to nothing: it is told when it has connected anew."""
        if self._hub.parties.get(party.connection) is party:
            self._hub.refuse(party, Refusal.MESSAGE, detail=f"the program {LEG} did not run")
            self._hub.out.append(Close(party.connection))

    def catch_up(self, party: Party, now_ns: int) -> None:
        """Tells a party that has just come what was revoked while it was away."""
        since_s = self._hub.unix_s(now_ns) - self._hub.limits.session_s
        for record in self._hub.store.revoked_since(since_s):
            if party.kind is PartyKind.RELAY or record.role_of(party.key) is not None:
                self._order(party, record.session, record.revoked)

    def ban(self, principal: Principal) -> None:
        """Nobody with this key registers any more; connections that it has are closed."""
        hub = self._hub
        hub.store.keep_principal(replace(principal, banned=True))
        for kind in PartyKind:
            party = hub.connected(kind, principal.key)
            if party is not None:
                party.banned = True
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
            watch.rows.append((session.hex(), kind.value, party.name, self._too_late))
        self._watches.remove(watch)
        if watch.admin is not None:
            self._hub.send(watch.admin, m.Report(watch.request, (HEAD, *watch.rows)))


class RevocationDesk(LegOwner):
    """The gateway's effects of one run of `revoke`."""

    def __init__(
        self,
        revocations: Revocations,
        party: Party,
        clock_ns: Callable[[], int],
        on_answer: Callable[[], None],
    ) -> None:
        """`on_answer` is called when the core has something to send because of an answer."""
        self._revocations = revocations
        self._party = party
        self._clock_ns = clock_ns
        self._on_answer = on_answer
        self._told: list[Order] = []

    def over(self, ok: bool) -> None:
        if not ok:
            self._revocations.not_told(self._party)

    def next_orders(self) -> list[Order]:
        self._told = self._revocations.take_orders(self._party)
        return self._told

    def sessions_stopped(self) -> None:
        for order in self._told:
            self._revocations.stopped(self._party, order["session"], self._clock_ns())
        self._on_answer()

    def sessions_late(self) -> None:
        for order in self._told:
            self._revocations.late(self._party, order["session"], self._clock_ns())
        self._on_answer()


def _name(hub: Hub, key: bytes) -> str:
    principal = hub.store.principal(key)
    return key.hex()[:16] if principal is None else principal.name
