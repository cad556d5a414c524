"""Offers: from a client to one host, with its consent, a receipt, and an answer in time.

Nobody learns a host's candidates before the host has said yes. Two programs carry an offer, one
with the client and one with the host; here is what they ask, and where they meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from troth.streaming.gateway.codec import ID_BYTES, KEY_BYTES
from troth.streaming.gateway.hub import Hub, Party, Refusal
from troth.streaming.gateway.introductions import (
    Introduction,
    IntroductionRecord,
    Opening,
    introduction_of,
)
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import ConsentPolicy, PartyKind, Refused
from troth.streaming.gateway.store import Consent, SessionRecord
from troth.streaming.relay.lease import Role
from troth.vm.errors import Malformed

LISTED_MAX: Final = 256
"""Keys that a host can list."""


class OfferState(Enum):
    SENT = "sent to the host"
    DELIVERED = "the host has it"
    OVER = "over"


class OfferSignal(Enum):
    RECEIPT = "the host says that it has it"
    ACCEPTED = "the host says yes"
    DENIED = "the host says no"
    LATE = "the host says that it has not answered in time"
    WITHDRAWN = "the time is over for the client"
    HOST_GONE = "the host's connection ends"
    CLIENT_GONE = "the client's connection ends"


_S, _E = OfferState, OfferSignal

OFFER_TRANSITIONS: Final[
    Mapping[tuple[OfferState, OfferSignal], tuple[OfferState, Refusal | None]]
] = {
    (_S.SENT, _E.RECEIPT): (_S.DELIVERED, None),
    (_S.SENT, _E.WITHDRAWN): (_S.OVER, Refusal.NOT_DELIVERED),
    (_S.SENT, _E.HOST_GONE): (_S.OVER, Refusal.PEER_OFFLINE),
    (_S.SENT, _E.CLIENT_GONE): (_S.OVER, Refusal.NO_OFFER),
    (_S.DELIVERED, _E.ACCEPTED): (_S.OVER, None),
    (_S.DELIVERED, _E.DENIED): (_S.OVER, Refusal.DENIED),
    (_S.DELIVERED, _E.LATE): (_S.OVER, Refusal.NO_ANSWER),
    (_S.DELIVERED, _E.WITHDRAWN): (_S.OVER, Refusal.NO_ANSWER),
    (_S.DELIVERED, _E.HOST_GONE): (_S.OVER, Refusal.PEER_OFFLINE),
    (_S.DELIVERED, _E.CLIENT_GONE): (_S.OVER, Refusal.NO_OFFER),
}
"""The state after, and why the offer has come to nothing. What is not listed changes nothing."""


def _nobody_waits() -> None:
    """Until somebody does."""


@dataclass(slots=True, eq=False)
class Pending:
    """An offer on its way.

    Attributes:
        delivered: the host has said that it has it.
        refusal: why it came to nothing.
        opening: what the client is told when the host has said yes.
        on_change: is called when any of it changes.
    """

    offer: bytes
    client: Party
    host: Party
    introduction: Introduction
    state: OfferState = OfferState.SENT
    delivered: bool = False
    refusal: Refused | None = None
    opening: Opening | None = None
    on_change: Callable[[], None] = _nobody_waits


class Rendezvous:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._pending: dict[bytes, Pending] = {}

    def keep_policy(self, host: Party, policy: str, keys: Sequence[bytes]) -> Refused | None:
        """From now on a host lets through these; why not, if not."""
        policies = {policy.value: policy for policy in ConsentPolicy}
        if policy not in policies:
            return self._hub.refusal(Refusal.POLICY)
        if len(keys) > LISTED_MAX or any(len(key) != KEY_BYTES for key in keys):
            return self._hub.refusal(Refusal.POLICY, detail=f"at most {LISTED_MAX} keys")
        self._hub.store.keep_consent(host.key, Consent(policies[policy], tuple(keys)))
        return None

    def ask(
        self, client: Party, target: str, introduction: IntroductionRecord, now_ns: int
    ) -> Pending | Refused:
        """An offer that goes to the host; or why none does."""
        hub = self._hub
        hub.counters.offers += 1
        wait_ns = hub.rates.wait_ns("offers_per_minute", client.key, now_ns)
        if wait_ns:
            return hub.limit_refusal("offers_per_minute", wait_ns=wait_ns)
        try:
            introduced = introduction_of(introduction)
        except Malformed as error:
            detail = f"expected {error.expected}, found {error.actual}"
            return hub.refusal(Refusal.MESSAGE, detail=detail)
        host = hub.hosts.get(target)
        if host is None:
            return hub.refusal(Refusal.PEER_OFFLINE)
        refused = self._why_not(host, client)
        if refused is not None:
            return refused
        pending = Pending(hub.random(ID_BYTES), client, host, introduced)
        self._pending[pending.offer] = pending
        return pending

    def _why_not(self, host: Party, client: Party) -> Refused | None:
        hub, limits = self._hub, self._hub.limits
        consent = hub.store.consent(host.key)
        listed = consent.policy is ConsentPolicy.LISTED and client.key in consent.keys
        if not listed and consent.policy is not ConsentPolicy.ASK:
            return hub.refusal(Refusal.NO_CONSENT)
        waiting = sum(pending.host is host for pending in self._pending.values())
        if waiting >= limits.offers_pending_max:
            return hub.limit_refusal("offers_pending_max", wait_ns=SECOND_NS)
        open_now = sum(record.live for record in hub.store.sessions_of(host.key))
        if open_now >= limits.sessions_per_host:
            return hub.limit_refusal("sessions_per_host", wait_ns=SECOND_NS)
        return None

    def received(self, pending: Pending) -> None:
        if self._signal(pending, OfferSignal.RECEIPT):
            pending.delivered = True
            self._hub.counters.offers_delivered += 1
            pending.on_change()

    def accept(
        self, pending: Pending, answer: IntroductionRecord, now_ns: int
    ) -> Opening | Refused:
        """What the host is told: of the session, or why there is none."""
        hub, client, host = self._hub, pending.client, pending.host
        try:
            introduced = introduction_of(answer)
        except Malformed as error:
            detail = f"expected {error.expected}, found {error.actual}"
            self.deny(pending, detail)
            return hub.refusal(Refusal.MESSAGE, detail=detail)
        if not self._signal(pending, OfferSignal.ACCEPTED):
            return hub.refusal(Refusal.NO_OFFER)
        session = hub.random(ID_BYTES)
        record = SessionRecord(
            session=session,
            client_key=client.key,
            host_key=host.key,
            client_lease_key=pending.introduction.lease_key,
            host_lease_key=introduced.lease_key,
            opened_s=hub.unix_s(now_ns),
        )
        hub.store.keep_session(record)
        hub.counters.sessions_opened += 1
        hub.happenings.note("session_start", session)
        pending.opening = Opening(session, host.name, host.key, introduced)
        pending.on_change()
        return Opening(session, client.name, client.key, pending.introduction)

    def deny(self, pending: Pending, reason: str) -> None:
        self._give_up(pending, OfferSignal.DENIED, reason)

    def late(self, pending: Pending) -> None:
        """The host says itself that it has not made up its mind in time."""
        self._give_up(pending, OfferSignal.LATE)

    def withdraw(self, pending: Pending) -> None:
        """The client's clock has run out."""
        self._give_up(pending, OfferSignal.WITHDRAWN)
        if pending.opening is not None:
            # The host's yes came between: the client has not heard of it, and will not.
            self._take_back(pending.host, pending.opening.session)

    def _take_back(self, host: Party, session: bytes) -> None:
        record = self._hub.store.session(session)
        if record is not None and record.live:
            reason = Refusal.NO_ANSWER.code
            self._hub.store.keep_session(replace(record, ended=reason))
            self._hub.counters.sessions_ended += 1
            self._hub.happenings.note("session_end", session, reason=reason)
            self._hub.watchers.changed(session)
            self._hub.tell_ended(host, session, reason)

    def gone(self, party: Party) -> None:
        """A connection has ended: nobody waits for it any more."""
        for pending in list(self._pending.values()):
            if pending.host is party:
                self._give_up(pending, OfferSignal.HOST_GONE)
            elif pending.client is party:
                self._give_up(pending, OfferSignal.CLIENT_GONE)

    def _give_up(self, pending: Pending, signal: OfferSignal, detail: str = "") -> None:
        refusal = OFFER_TRANSITIONS.get((pending.state, signal), (None, None))[1]
        if self._signal(pending, signal):
            assert refusal is not None, "nothing comes of it"
            pending.refusal = self._hub.refusal(refusal, detail=detail)
            pending.on_change()

    def _signal(self, pending: Pending, signal: OfferSignal) -> bool:
        found = OFFER_TRANSITIONS.get((pending.state, signal))
        if found is None:
            return False
        pending.state = found[0]
        if pending.state is OfferState.OVER:
            del self._pending[pending.offer]
        return True


def other_party(hub: Hub, record: SessionRecord, key: bytes) -> Party | None:
    """The other party's connection, if it has one now."""
    role = record.role_of(key)
    assert role is not None
    kind = PartyKind.HOST if role is Role.CLIENT else PartyKind.CLIENT
    return hub.connected(kind, record.key_of(role.other))
