"""The gateway's side of consent, asking and consulting: what their programs ask the gateway for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypedDict

from troth.streaming.gateway.binding import (
    ChallengeRecord,
    RegistrationRecord,
    challenge_record,
)
from troth.streaming.gateway.core import GatewayCore
from troth.streaming.gateway.hub import Close, Party, Refusal
from troth.streaming.gateway.introductions import (
    NO_OPENING,
    NO_REFUSAL,
    IntroductionRecord,
    Opening,
    OpeningRecord,
    RefusalRecord,
    introduction_record,
    opening_record,
    refusal_record,
)
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.messages import Refused
from troth.streaming.gateway.rendezvous import OfferState, Pending, Rendezvous
from troth.streaming.gateway.shell_line import now_ns
from troth.streaming.gateway.shell_offers import OfferRecord


class Asked(TypedDict):
    """The number of the offer that goes to the host, or why none does."""

    refusal: RefusalRecord
    offer: bytes


class Answered(TypedDict):
    refusal: RefusalRecord
    opening: OpeningRecord


class Judged(TypedDict):
    refusal: RefusalRecord
    signature: bytes


class BindDesk(LegOwner):
    """A party says who it is."""

    def __init__(self, core: GatewayCore, party: Party, carry_out: Callable[[], None]) -> None:
        """`carry_out` sends what others are told when a party becomes known."""
        self._core = core
        self._party = party
        self._carry_out = carry_out

    def over(self, ok: bool) -> None:
        """Nobody stays who is not known, however it came to that."""
        if not ok or self._party.kind is None:
            self._core.hub.out.append(Close(self._party.connection))
            self._carry_out()

    # --- effects -----------------------------------------------------------------------------

    def challenge(self) -> ChallengeRecord:
        return challenge_record(self._party.challenge)

    def register(self, registration: RegistrationRecord) -> Judged:
        found = self._core.register(self._party, registration, self.peer_keys(), now_ns())
        self._carry_out()
        if isinstance(found, Refused):
            return {"refusal": refusal_record(found), "signature": b""}
        return {"refusal": NO_REFUSAL, "signature": found}

    def party_leaves(self, reason: str) -> None:
        self._core.hub.refusal(Refusal.LEFT, detail=reason)


class ConsentDesk(LegOwner):
    """A host says whom it lets through."""

    def __init__(self, rendezvous: Rendezvous, host: Party) -> None:
        self._rendezvous = rendezvous
        self._host = host

    def keep_policy(self, policy: str, keys: list[bytes]) -> RefusalRecord:
        return _record(self._rendezvous.keep_policy(self._host, policy, keys))


class AskingDesk(LegOwner):
    """A client asks for a host."""

    def __init__(
        self, rendezvous: Rendezvous, client: Party, consult: Callable[[Pending], None]
    ) -> None:
        """`consult` begins the program that shows the offer to the host."""
        self._rendezvous = rendezvous
        self._client = client
        self._consult = consult
        self._pending: Pending | None = None
        self._changed = asyncio.Event()
        self._cut = False

    def cut(self) -> None:
        self._cut = True
        self._changed.set()

    def over(self, ok: bool) -> None:
        if not ok and self._pending is not None:
            self._rendezvous.withdraw(self._pending)

    # --- effects -----------------------------------------------------------------------------

    def ask_host(self, host: str, introduction: IntroductionRecord) -> Asked:
        found = self._rendezvous.ask(self._client, host, introduction, now_ns())
        if isinstance(found, Refused):
            return {"refusal": refusal_record(found), "offer": b""}
        found.on_change = self._changed.set
        self._pending = found
        self._consult(found)
        return {"refusal": NO_REFUSAL, "offer": found.offer}

    async def host_has_offer(self) -> RefusalRecord:
        pending = await self._until(lambda it: it.delivered or it.state is OfferState.OVER)
        return NO_REFUSAL if pending.delivered else _record(pending.refusal)

    async def host_answer(self) -> Answered:
        pending = await self._until(lambda it: it.state is OfferState.OVER)
        return _answered(pending.refusal, pending.opening)

    def withdraw(self) -> None:
        """The wait ends, and nobody hears what comes of it."""
        if self._pending is not None:
            self._rendezvous.withdraw(self._pending)

    async def _until(self, holds: Callable[[Pending], bool]) -> Pending:
        pending = self._pending
        assert pending is not None, "its program has asked for a host"
        while not holds(pending) and not self._cut:
            self._changed.clear()
            await self._changed.wait()
        if self._cut:
            raise ConnectionError("the client's connection ended")
        return pending


class ConsultingDesk(LegOwner):
    """An offer is shown to a host."""

    def __init__(self, rendezvous: Rendezvous, pending: Pending) -> None:
        self._rendezvous = rendezvous
        self._pending = pending

    # --- effects -----------------------------------------------------------------------------

    def offer_to_show(self) -> OfferRecord:
        pending = self._pending
        return {
            "offer": pending.offer,
            "client_name": pending.client.name,
            "client_key": pending.client.key,
            "introduction": introduction_record(pending.introduction),
        }

    def host_has_it(self) -> None:
        self._rendezvous.received(self._pending)

    def open_session(self, introduction: IntroductionRecord) -> Answered:
        found = self._rendezvous.accept(self._pending, introduction, now_ns())
        if isinstance(found, Refused):
            return _answered(found, None)
        return _answered(None, found)

    def host_refuses(self, reason: str) -> None:
        self._rendezvous.deny(self._pending, reason)

    def host_is_late(self) -> None:
        self._rendezvous.late(self._pending)


def _record(refused: Refused | None) -> RefusalRecord:
    return NO_REFUSAL if refused is None else refusal_record(refused)


def _answered(refused: Refused | None, opening: Opening | None) -> Answered:
    return {
        "refusal": _record(refused),
        "opening": NO_OPENING if opening is None else opening_record(opening),
    }
