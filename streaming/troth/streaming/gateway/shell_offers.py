"""A party's side of consent, asking and consulting: what their programs ask the party for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypedDict

from troth.streaming.gateway.failures import GatewayFailure, gateway_ended, refused
from troth.streaming.gateway.hub import Refusal
from troth.streaming.gateway.introductions import (
    NO_INTRODUCTION,
    Introduction,
    IntroductionRecord,
    Opening,
    OpeningRecord,
    RefusalRecord,
    introduction_of,
    introduction_record,
    opening_of,
    refusal_of,
    require_identity,
)
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.messages import ConsentPolicy, Refused


class OfferRecord(TypedDict):
    """What the gateway shows a host."""

    offer: bytes
    client_name: str
    client_key: bytes
    introduction: IntroductionRecord


class AnswerRecord(TypedDict):
    """What a host says to it; the refusal is "" when it says yes."""

    refusal: str
    introduction: IntroductionRecord


class _Waiting(LegOwner):
    """The owner of a run that somebody waits for."""

    def __init__(self) -> None:
        self.outcome: Opening | GatewayFailure | None = None
        self._done = asyncio.Event()

    def over(self, ok: bool) -> None:
        if self.outcome is None and not ok:
            self.outcome = gateway_ended("an answer")
        self._done.set()

    async def result(self) -> Opening | None:
        """
        Raises:
            GatewayFailure: the gateway refuses, or is gone.
        """
        await self._done.wait()
        if isinstance(self.outcome, GatewayFailure):
            raise self.outcome
        return self.outcome

    def settle(self, outcome: Opening | GatewayFailure) -> None:
        self.outcome = outcome
        self._done.set()


class ConsentSaid(_Waiting):
    """A host's effects when it says whom the gateway may let through."""

    def __init__(self, policy: ConsentPolicy, keys: Sequence[bytes]) -> None:
        super().__init__()
        self._policy = policy
        self._keys = list(keys)

    def own_policy(self) -> str:
        return self._policy.value

    def listed_keys(self) -> list[bytes]:
        return self._keys

    def policy_kept(self) -> None:
        self._done.set()

    def policy_refused(self, refusal: RefusalRecord) -> None:
        self.settle(refused(refusal_of(refusal)))


class HostAsked(_Waiting):
    """A client's effects when it asks for a host.

    Attributes:
        offer: the offer's number, once the host has it.
    """

    def __init__(self, host: str, introduction: Introduction) -> None:
        super().__init__()
        self.offer: bytes | None = None
        self._host = host
        self._introduction = introduction

    def wanted_host(self) -> str:
        return self._host

    def own_introduction(self) -> IntroductionRecord:
        return introduction_record(self._introduction)

    def delivered(self, offer: bytes) -> None:
        self.offer = offer

    def opened(self, opening: OpeningRecord) -> None:
        self.settle(opening_of(opening))

    def not_opened(self, refusal: RefusalRecord) -> None:
        self.settle(refused(refusal_of(refusal)))

    def too_late(self, what: str) -> None:
        text = Refusal[what.upper()].value
        self.settle(refused(Refused(0, what, text, "", 0)))


class HeardOffer(_Waiting):
    """An offer that the gateway shows to a host: the effects of its program.

    `accept` or `deny` it; whoever does neither is late.
    """

    def __init__(self, hear: Callable[[HeardOffer], None]) -> None:
        """`hear` is given the offer when it is there."""
        super().__init__()
        self.offer = b""
        self.client_name = ""
        self.client_key = b""
        self.introduction: Introduction | None = None
        self._hear = hear
        self._answer: AnswerRecord | None = None
        self._answered = asyncio.Event()
        self._cut = False

    async def accept(self, introduction: Introduction) -> Opening:
        """
        Raises:
            GatewayFailure: the offer is over.
        """
        self._say({"refusal": "", "introduction": introduction_record(introduction)})
        opening = await self.result()
        if opening is None:
            raise gateway_ended("a session")
        return opening

    def deny(self, reason: str) -> None:
        self._say({"refusal": reason, "introduction": NO_INTRODUCTION})

    def _say(self, answer: AnswerRecord) -> None:
        self._answer = answer
        self._answered.set()

    def cut(self) -> None:
        self._cut = True
        self._answered.set()

    # --- effects -----------------------------------------------------------------------------

    def take_offer(self, offer: OfferRecord) -> None:
        require_identity(offer["client_name"], offer["client_key"], offer["offer"])
        self.introduction = introduction_of(offer["introduction"])
        self.offer, self.client_key = offer["offer"], offer["client_key"]
        self.client_name = offer["client_name"]
        self._hear(self)

    async def consent(self) -> AnswerRecord:
        await self._answered.wait()
        if self._cut or self._answer is None:
            raise ConnectionError("the gateway's connection ended")
        return self._answer

    def consent_is_late(self) -> None:
        late = Refused(0, Refusal.NO_OFFER.code, Refusal.NO_OFFER.value, "", 0)
        self.settle(refused(late))
        # Whoever still thinks about it has nobody to tell.
        self.deny("late")

    def opened(self, opening: OpeningRecord) -> None:
        self.settle(opening_of(opening))

    def not_opened(self, refusal: RefusalRecord) -> None:
        self.settle(refused(refusal_of(refusal)))
