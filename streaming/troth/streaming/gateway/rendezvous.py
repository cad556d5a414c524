"""Offers: from a client to one host, with its consent, a receipt, and an answer in time.

Nobody learns a host's candidates before the host has said yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import ID_BYTES
from troth.streaming.gateway.hub import Hub, Party, Refusal
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import ConsentPolicy, PartyKind
from troth.streaming.gateway.store import Consent, SessionRecord
from troth.streaming.relay.lease import Role


class OfferState(Enum):
    SENT = "sent to the host"
    DELIVERED = "the host has it"
    OVER = "over"


class OfferSignal(Enum):
    RECEIPT = "the host says that it has it"
    ACCEPTED = "the host says yes"
    DENIED = "the host says no"
    LATE = "the time is over"
    HOST_GONE = "the host's connection ends"
    CLIENT_GONE = "the client's connection ends"


class OfferAction(Enum):
    CONFIRM = "give the client a receipt"
    OPEN = "open the session"
    SAY_DENIED = "tell the client no"
    SAY_LATE = "tell the client which time was over"
    SAY_OFFLINE = "tell the client that the host is gone"
    NOTHING = "nothing"


_S, _E, _A = OfferState, OfferSignal, OfferAction

OFFER_TRANSITIONS: Final[
    Mapping[tuple[OfferState, OfferSignal], tuple[OfferState, OfferAction]]
] = {
    (_S.SENT, _E.RECEIPT): (_S.DELIVERED, _A.CONFIRM),
    (_S.SENT, _E.ACCEPTED): (_S.OVER, _A.OPEN),
    (_S.SENT, _E.DENIED): (_S.OVER, _A.SAY_DENIED),
    (_S.SENT, _E.LATE): (_S.OVER, _A.SAY_LATE),
    (_S.SENT, _E.HOST_GONE): (_S.OVER, _A.SAY_OFFLINE),
    (_S.SENT, _E.CLIENT_GONE): (_S.OVER, _A.NOTHING),
    (_S.DELIVERED, _E.ACCEPTED): (_S.OVER, _A.OPEN),
    (_S.DELIVERED, _E.DENIED): (_S.OVER, _A.SAY_DENIED),
    (_S.DELIVERED, _E.LATE): (_S.OVER, _A.SAY_LATE),
    (_S.DELIVERED, _E.HOST_GONE): (_S.OVER, _A.SAY_OFFLINE),
    (_S.DELIVERED, _E.CLIENT_GONE): (_S.OVER, _A.NOTHING),
}
"""What is not listed changes nothing."""


@dataclass(slots=True, eq=False)
class Pending:
    """An offer on its way."""

    offer: bytes
    request: int
    client: Party
    host: Party
    introduction: m.Introduction
    due_ns: int
    state: OfferState = OfferState.SENT


class Rendezvous:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._pending: dict[bytes, Pending] = {}

    def set_consent(self, party: Party, message: m.SetConsent) -> None:
        policies = {policy.value: policy for policy in ConsentPolicy}
        if message.policy not in policies:
            self._hub.refuse(party, Refusal.POLICY, message.request)
            return
        consent = Consent(policies[message.policy], message.keys)
        self._hub.store.keep_consent(party.key, consent)
        self._hub.send(party, m.Done(message.request))

    def offer(self, client: Party, message: m.Offer, now_ns: int) -> None:
        hub, limits = self._hub, self._hub.limits
        hub.counters.offers += 1
        wait_ns = hub.rates.wait_ns("offers_per_minute", client.key, now_ns)
        if wait_ns:
            hub.over_limit(client, message.request, "offers_per_minute", wait_ns)
            return
        host = hub.hosts.get(message.target)
        if host is None:
            hub.refuse(client, Refusal.PEER_OFFLINE, message.request)
            return
        if not self._consents(host, client):
            hub.refuse(client, Refusal.NO_CONSENT, message.request)
            return
        waiting = sum(pending.host is host for pending in self._pending.values())
        if waiting >= limits.offers_pending_max:
            hub.over_limit(client, message.request, "offers_pending_max", SECOND_NS)
            return
        open_now = sum(record.live for record in hub.store.sessions_of(host.key))
        if open_now >= limits.sessions_per_host:
            hub.over_limit(client, message.request, "sessions_per_host", SECOND_NS)
            return
        self._send_on(client, host, message, now_ns)

    def _send_on(self, client: Party, host: Party, message: m.Offer, now_ns: int) -> None:
        offer = self._hub.random(ID_BYTES)
        due_ns = now_ns + self._hub.limits.delivery_s * SECOND_NS
        self._pending[offer] = Pending(
            offer, message.request, client, host, message.introduction, due_ns
        )  # fmt: skip
        self._hub.send(host, m.Offered(offer, client.name, client.key, message.introduction))

    def _consents(self, host: Party, client: Party) -> bool:
        consent = self._hub.store.consent(host.key)
        if consent.policy is ConsentPolicy.LISTED:
            return client.key in consent.keys
        return consent.policy is ConsentPolicy.ASK

    def received(self, host: Party, message: m.Received, now_ns: int) -> None:
        pending = self._of(host, message.offer)
        if pending is not None and self._signal(pending, OfferSignal.RECEIPT):
            pending.due_ns = now_ns + self._hub.limits.answer_s * SECOND_NS

    def accept(self, host: Party, message: m.Accept, now_ns: int) -> None:
        pending = self._of(host, message.offer)
        if pending is None:
            self._hub.refuse(host, Refusal.NO_OFFER)
            return
        if self._signal(pending, OfferSignal.ACCEPTED):
            self._open(pending, message.introduction, now_ns)

    def deny(self, host: Party, message: m.Deny) -> None:
        pending = self._of(host, message.offer)
        if pending is not None:
            self._signal(pending, OfferSignal.DENIED, message.reason)

    def gone(self, party: Party) -> None:
        """A connection has ended: nobody waits for it any more."""
        for pending in list(self._pending.values()):
            if pending.host is party:
                self._signal(pending, OfferSignal.HOST_GONE)
            elif pending.client is party:
                self._signal(pending, OfferSignal.CLIENT_GONE)

    def tick(self, now_ns: int) -> None:
        for pending in list(self._pending.values()):
            if now_ns >= pending.due_ns:
                self._signal(pending, OfferSignal.LATE)

    def _of(self, host: Party, offer: bytes) -> Pending | None:
        """The offer, if it went to this host: nobody answers for another."""
        pending = self._pending.get(offer)
        return pending if pending is not None and pending.host is host else None

    def _signal(self, pending: Pending, signal: OfferSignal, detail: str = "") -> bool:
        found = OFFER_TRANSITIONS.get((pending.state, signal))
        if found is None:
            return False
        was = pending.state
        pending.state, action = found
        if pending.state is OfferState.OVER:
            del self._pending[pending.offer]
        hub, client = self._hub, pending.client
        if action is OfferAction.CONFIRM:
            hub.counters.offers_delivered += 1
            hub.send(client, m.Delivered(pending.request, pending.offer))
        elif action is OfferAction.SAY_DENIED:
            hub.refuse(client, Refusal.DENIED, pending.request, detail=detail)
        elif action is OfferAction.SAY_OFFLINE:
            hub.refuse(client, Refusal.PEER_OFFLINE, pending.request)
        elif action is OfferAction.SAY_LATE:
            late = Refusal.NOT_DELIVERED if was is OfferState.SENT else Refusal.NO_ANSWER
            hub.refuse(client, late, pending.request)
        return True

    def _open(self, pending: Pending, answer: m.Introduction, now_ns: int) -> None:
        hub, client, host = self._hub, pending.client, pending.host
        session = hub.random(ID_BYTES)
        record = SessionRecord(
            session=session,
            client_key=client.key,
            host_key=host.key,
            client_lease_key=pending.introduction.lease_key,
            host_lease_key=answer.lease_key,
            opened_s=hub.unix_s(now_ns),
        )
        hub.store.keep_session(record)
        hub.counters.sessions_opened += 1
        hub.happenings.note("session_start", session)
        hub.send(
            client, m.Opened(pending.request, pending.offer, session, host.name, host.key, answer)
        )  # fmt: skip
        hub.send(
            host,
            m.Opened(
                0, pending.offer, session, client.name, client.key, pending.introduction
            ),
        )  # fmt: skip


def other_party(hub: Hub, record: SessionRecord, key: bytes) -> Party | None:
    """The other party's connection, if it has one now."""
    role = record.role_of(key)
    assert role is not None
    kind = PartyKind.HOST if role is Role.CLIENT else PartyKind.CLIENT
    return hub.connected(kind, record.key_of(role.other))
