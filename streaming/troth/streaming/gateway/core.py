"""The gateway, without a socket or a clock: messages in, messages out.

It introduces parties to each other and hands out leases. It sees who talks to whom and from where,
and never what: no key of a session passes through it that would open one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.admin import Administration
from troth.streaming.gateway.binding import RegistrationRecord
from troth.streaming.gateway.codec import TEXT_CHARACTERS_MAX
from troth.streaming.gateway.hub import Close, GatewayOutput, Heard, Hub, Party, Refusal
from troth.streaming.gateway.leasing import Leasing
from troth.streaming.gateway.legs import BIND, LEGS
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.registration import begin, connect, forget, overdue, register
from troth.streaming.gateway.rendezvous import Rendezvous, other_party
from troth.streaming.gateway.revocation import Revocations
from troth.vm.errors import Malformed

TICK_NS: Final = SECOND_NS // 10

_CLIENT, _HOST, _RELAY, _ADMIN = (
    PartyKind.CLIENT, PartyKind.HOST, PartyKind.RELAY, PartyKind.ADMIN,
)  # fmt: skip

ALLOWED: Final[Mapping[type[m.Message], tuple[PartyKind, ...]]] = {
    m.Beat: (_CLIENT, _HOST, _RELAY, _ADMIN),
    m.Talk: tuple(dict.fromkeys(kind for leg in LEGS.values() for kind in leg.parties)),
    m.Command: (_ADMIN,),
}
"""Who may say what once it is registered. Before that there is `bind` and nothing else."""


class GatewayCore:
    """Tell it of connections and messages; carry out what `poll` gives."""

    def __init__(self, hub: Hub, now_ns: int) -> None:
        self.hub = hub
        self.started_ns = now_ns
        self.rendezvous = Rendezvous(hub)
        self.leasing = Leasing(hub)
        self.revocations = Revocations(hub)
        self.administration = Administration(hub, self.revocations)

    def poll(self) -> list[GatewayOutput]:
        out, self.hub.out = self.hub.out, []
        return out

    def connected(self, connection: int, address: str, now_ns: int) -> None:
        connect(self.hub, connection, address, now_ns)

    def received(self, connection: int, message: m.Message, now_ns: int) -> None:
        """Takes one message of a connection. Never raises."""
        party = self.hub.parties.get(connection)
        if party is None:
            return
        party.heard_ns = now_ns
        if not party.messages.take(1, now_ns):
            wait_ns = party.messages.wait_ns(1, now_ns)
            self.hub.over_limit(party, 0, "messages_per_second", wait_ns)
            self.hub.out.append(Close(connection))
        elif party.kind is None:
            self._first(party, message, now_ns)
        elif party.kind in ALLOWED.get(type(message), ()):
            _handle(self, party, message, now_ns)
        else:
            self.hub.refuse(party, Refusal.MESSAGE, detail=type(message).__name__)

    def malformed(self, connection: int, error: Malformed) -> None:
        """What came on a connection is no message: it is told so and closed."""
        party = self.hub.parties.get(connection)
        self.hub.counters.malformed += 1
        if party is not None:
            detail = f"expected {error.expected}, found {error.actual}"
            self.hub.refuse(party, Refusal.MESSAGE, detail=detail)
            self.hub.out.append(Close(connection))

    def closed(self, connection: int, now_ns: int) -> None:
        """A connection has ended, from either side."""
        party = self.hub.parties.pop(connection, None)
        if party is not None:
            forget(self.hub, party)
            self.rendezvous.gone(party)
            self.revocations.gone(party, now_ns)

    def tick(self, now_ns: int) -> None:
        self.revocations.tick(now_ns)
        for party in list(self.hub.parties.values()):
            refusal = overdue(self.hub, party, now_ns)
            if refusal is not None:
                self.hub.refuse(party, refusal)
                self.hub.out.append(Close(party.connection))
                self.closed(party.connection, now_ns)

    def shut_down(self) -> None:
        """Says good-bye to everybody."""
        for party in self.hub.parties.values():
            self.hub.refuse(party, Refusal.SHUTTING_DOWN)
            self.hub.out.append(Close(party.connection))

    # --- messages ---------------------------------------------------------------------------

    def _first(self, party: Party, message: m.Message, now_ns: int) -> None:
        if not isinstance(message, m.Talk) or message.leg != BIND:
            self.hub.refuse(party, Refusal.MESSAGE, detail="register first")
            self.hub.out.append(Close(party.connection))
        elif begin(self.hub, party, now_ns):
            self.hub.out.append(Heard(party.connection, message))

    def register(
        self, party: Party, record: RegistrationRecord, keys: frozenset[bytes], now_ns: int
    ) -> m.Refused | bytes:
        """What the gateway signs for a party that it knows from now on, or why it does not."""
        found = register(self.hub, party, record, keys)
        if isinstance(found, bytes):
            self.revocations.catch_up(party, now_ns)
        return found

    def end_session(self, party: Party, session: bytes, reason: str) -> m.Refused | None:
        """A session is over, as one of its parties says; why not, if not."""
        record = self.hub.store.session(session)
        if record is None or record.role_of(party.key) is None or not record.live:
            return self.hub.refusal(Refusal.NO_SESSION)
        reason = reason[:TEXT_CHARACTERS_MAX] or "ended"
        self.hub.store.keep_session(replace(record, ended=reason))
        self.hub.counters.sessions_ended += 1
        self.hub.happenings.note("session_end", session, reason=reason)
        self.hub.watchers.changed(session)
        peer = other_party(self.hub, record, party.key)
        if peer is not None:
            self.hub.tell_ended(peer, session, reason)
        return None

    def talk(self, party: Party, message: m.Talk) -> None:
        leg = LEGS.get(message.leg)
        if leg is None or party.kind not in leg.parties:
            self.hub.refuse(party, Refusal.MESSAGE, detail=f"a leg {message.leg[:40]!a}")
            return
        self.hub.out.append(Heard(party.connection, message))

    def beat(self, party: Party, now_ns: int) -> None:
        self.hub.send(party, m.BeatBack(self.hub.unix_s(now_ns)))


def _handle(core: GatewayCore, party: Party, message: m.Message, now_ns: int) -> None:
    """One case for each message that `ALLOWED` has."""
    match message:
        case m.Beat():
            core.beat(party, now_ns)
        case m.Talk():
            core.talk(party, message)
        case m.Command():
            core.administration.command(party, message, now_ns)
