"""Consent, asking and consulting over real connections: programs at each end, and their records."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import cast

import pytest

from gateway_world import CANDIDATES, CHECK_PASSWORD, introduction
from troth import conformance, dsl, vm
from troth.streaming.gateway import legs as leg_table
from troth.streaming.gateway import messages as m
from troth.streaming.gateway import shell_legs
from troth.streaming.gateway.endings import EndSaid, SessionEnded
from troth.streaming.gateway.failures import GatewayFailure
from troth.streaming.gateway.introductions import Opening, introduction_of
from troth.streaming.gateway.legs import LegShape
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import ConsentPolicy, PartyKind
from troth.streaming.gateway.shell_client import GatewayClient, PartyLegs, connect_gateway
from troth.streaming.gateway.shell_gateway import GatewayOptions, GatewayService
from troth.streaming.gateway.shell_meeting import let_through, next_offer, say_end
from troth.streaming.gateway.shell_offers import HeardOffer, HostAsked, OfferRecord
from troth.streaming.gateway.shell_store import SqliteStore
from troth.streaming.shell_protocols import protocol_path
from troth.vm.image import Image
from troth.vm.keys import KeyPair, generate

NAMES = ("gate", "carol", "dave", "harry")
OWN = introduction_of(introduction())
WELCOME = introduction_of(introduction(proposal=b"welcome"))
SHORT = {"within 5s:": "within 1s:", "within 30s:": "within 300ms:"}


def _key(name: str) -> KeyPair:
    return generate(name, Random(name).randbytes(32))


@dataclass
class Desk:
    """A gateway and those who come to it; each keeps its records in a folder of its own."""

    folder: Path
    gateway: GatewayService
    clients: list[GatewayClient]

    async def connect(self, kind: PartyKind, name: str) -> GatewayClient:
        client = await connect_gateway(
            "127.0.0.1", self.gateway.port, kind=kind, key=_key(name),
            gateway_key=_key("gate").public_key,
            legs=PartyLegs(record=self.folder / name, log=lambda _text: None),
        )  # fmt: skip
        self.clients.append(client)
        return client

    async def two(self) -> tuple[GatewayClient, GatewayClient]:
        return (
            await self.connect(PartyKind.CLIENT, "carol"),
            await self.connect(PartyKind.HOST, "harry"),
        )

    def refused(self, code: str) -> int:
        return self.gateway.core.hub.counters.refused.get(code, 0)


def _records(folder: Path, leg: str) -> list[Path]:
    return sorted(folder.glob(f"*/{leg}-*.replay"))


@asynccontextmanager
async def _desk(folder: Path, limits: GatewayLimits | None = None) -> AsyncIterator[Desk]:
    store = SqliteStore()
    options = GatewayOptions(
        admitted=dict.fromkeys(PartyKind), record=folder / "gate", limits=limits or GatewayLimits()
    )
    gateway = GatewayService(_key("gate"), store, options)
    await gateway.start()
    desk = Desk(folder, gateway, [])
    try:
        yield desk
    finally:
        await asyncio.gather(*(client.close() for client in desk.clients))
        await gateway.stop()
        store.close()


def _run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def _ask(client: GatewayClient, host: str = "harry") -> HostAsked:
    asked = HostAsked(host, OWN)
    client.legs.begin("asking", asked)
    return asked


async def _refusal(asked: HostAsked) -> GatewayFailure:
    with pytest.raises(GatewayFailure) as caught:
        await asked.result()
    return caught.value


def _hold(paths: list[Path], count: int) -> None:
    """Each record holds by itself at every level, and all of them together."""
    assert len(paths) == count
    keys = "\n".join(_key(name).public_text for name in NAMES)
    trust = vm.parse_trust(keys, "trust")
    for path in paths:
        verdict = conformance.verify(path, trust=trust)
        assert [level.ok for level in verdict.levels] == [True] * 5, path
        assert verdict.exit_code == 0
    merged = conformance.verify_views(paths, trust=trust)
    assert (merged.exit_code, merged.findings) == (0, ())


@pytest.fixture
def short_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs as they are, but that nobody has to wait long for their clocks."""

    @lru_cache
    def image(name: str) -> Image:
        text = protocol_path(name).read_text(encoding="utf-8")
        return dsl.compile_module(
            re.sub(r"within \d+s:", lambda found: SHORT.get(found[0], found[0]), text),
            f"{name}.troth",
        ).image

    monkeypatch.setattr(shell_legs, "leg_image", image)


def test_a_host_consents_and_both_are_told_of_the_same_session(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol, harry = await desk.two()
            await let_through(harry, ConsentPolicy.LISTED, [_key("carol").public_key])
            asked = _ask(carol)
            offer = await next_offer(harry)
            assert (offer.client_name, offer.client_key) == ("carol", _key("carol").public_key)
            assert offer.introduction == OWN
            at_host = await offer.accept(WELCOME)
            at_client = await asked.result()
            assert isinstance(at_client, Opening)
            assert at_client.session == at_host.session
            assert (at_client.peer_name, at_host.peer_name) == ("harry", "carol")
            assert at_client.introduction == WELCOME
            assert asked.offer == offer.offer
            assert desk.gateway.core.hub.counters.offers_delivered == 1

    _run(test)
    for leg in ("consent", "asking", "consulting"):
        _hold(_records(tmp_path, leg), 2)


def test_nobody_learns_candidates_without_consent(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol, harry = await desk.two()
            asked = _ask(carol)
            offer = await next_offer(harry)
            offer.deny("busy")
            refusal = await _refusal(asked)
            assert (refusal.code, refusal.actual) == ("gateway.refused", "denied")
            assert refusal.message.endswith("busy")
            with pytest.raises(GatewayFailure):
                await offer.accept(WELCOME)

    _run(test)
    _hold(_records(tmp_path, "asking"), 2)
    _hold(_records(tmp_path, "consulting"), 2)
    of_client = next(path for path in _records(tmp_path, "asking") if path.parent.name == "carol")
    assert CANDIDATES[0][1].encode() in of_client.read_bytes(), "its own"
    assert b"welcome" not in of_client.read_bytes()


async def _until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.01)


def test_a_refusal_says_why_and_which_limit_was_hit(tmp_path: Path) -> None:
    async def test() -> None:
        limits = GatewayLimits(offers_per_minute=3)
        async with _desk(tmp_path, limits) as desk:
            carol, harry = await desk.two()
            assert (await _refusal(_ask(carol, "nobody"))).actual == "peer_offline"
            await let_through(harry, ConsentPolicy.NOBODY)
            assert (await _refusal(_ask(carol))).actual == "no_consent"
            bad = HostAsked("harry", replace(OWN, lease_key=b"short"))
            carol.legs.begin("asking", bad)
            assert (await _refusal(bad)).actual == "message"
            refusal = await _refusal(_ask(carol))
            assert refusal.actual == "limit"
            assert "offers_per_minute is 3" in refusal.message
            assert re.search(r"try again in \d+", refusal.advice or "")
            assert harry._waiting == [], "the host never hears of any of it"

    _run(test)
    _hold(_records(tmp_path, "asking"), 8)


@pytest.mark.usefixtures("short_clocks")
def test_a_host_that_does_not_take_an_offer_is_told_apart_from_one_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol, harry = await desk.two()
            asked = _ask(carol)
            offer = await next_offer(harry)
            assert (await _refusal(asked)).actual == "no_answer"
            assert asked.offer == offer.offer
            with pytest.raises(GatewayFailure) as over:
                await offer.accept(WELCOME)
            assert over.value.actual == "no_offer"
            monkeypatch.setattr(harry.legs, "take", lambda _talk: None)
            asked = _ask(carol)
            assert (await _refusal(asked)).actual == "not_delivered"
            assert asked.offer is None
            assert desk.gateway.core.rendezvous._pending == {}

    _run(test)
    _hold(_records(tmp_path, "asking"), 4)


def test_who_goes_away_is_not_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol, harry = await desk.two()
            asked = _ask(carol)
            offer = await next_offer(harry)
            carol.abandon()
            await _until(lambda: desk.refused("no_offer"))
            with pytest.raises(GatewayFailure) as over:
                await offer.accept(WELCOME)
            assert over.value.actual == "no_offer"
            assert (await _refusal(asked)).code == "gateway.ended"
            dave = await desk.connect(PartyKind.CLIENT, "dave")
            asked = _ask(dave)
            await next_offer(harry)
            harry.abandon()
            assert (await _refusal(asked)).actual == "peer_offline"
            assert desk.gateway.core.rendezvous._pending == {}

    _run(test)
    for leg in ("asking", "consulting"):
        paths = _records(tmp_path, leg)
        assert len(paths) == 4
        keys = "\n".join(_key(name).public_text for name in NAMES)
        merged = conformance.verify_views(paths, trust=vm.parse_trust(keys, "trust"))
        assert merged.findings == ()


def test_one_connection_carries_many_offers_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol, harry = await desk.two()
            asked = [_ask(carol) for _ in range(4)]
            offers = [await next_offer(harry) for _ in asked]
            for offer in reversed(offers):
                await offer.accept(WELCOME)
            openings = [await one.result() for one in asked]
            assert len({one.session for one in openings if one is not None}) == 4
            by_offer = {one.offer: one.outcome for one in asked}
            for offer in offers:
                assert isinstance(offer.outcome, Opening)
                found = by_offer[offer.offer]
                assert isinstance(found, Opening)
                assert found.session == offer.outcome.session

    _run(test)
    _hold(_records(tmp_path, "asking"), 8)


def test_a_party_ends_a_session_and_the_other_one_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol, harry = await desk.two()
            asked = _ask(carol)
            offer = await next_offer(harry)
            opening = await offer.accept(WELCOME)
            await asked.result()
            dave = await desk.connect(PartyKind.CLIENT, "dave")
            others = EndSaid(opening.session, "mine")
            dave.legs.begin("ending", others)
            await _until(lambda: others.refusal)
            assert others.refusal is not None
            assert others.refusal["code"] == "no_session"
            record = desk.gateway.core.hub.store.session(opening.session)
            assert record is not None
            assert record.live
            say_end(carol, opening.session, "user")
            async for heard in harry:
                assert heard == SessionEnded(opening.session, "user")
                break
            record = desk.gateway.core.hub.store.session(opening.session)
            assert record is not None
            assert record.ended == "user"
            assert carol._waiting == dave._waiting == []

    _run(test)
    _hold(_records(tmp_path, "ending"), 4)
    _hold(_records(tmp_path, "ended"), 2)


def test_a_policy_that_there_is_not_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            _, harry = await desk.two()
            with pytest.raises(GatewayFailure) as refused:
                await let_through(harry, ConsentPolicy.LISTED, [b"short"])
            assert refused.value.actual == "policy"
            assert desk.refused("policy") == 1

    _run(test)


def test_a_gateway_that_shows_nonsense_is_not_believed() -> None:
    heard: list[HeardOffer] = []

    async def test() -> None:
        offer = HeardOffer(heard.append)
        record: OfferRecord = {
            "offer": bytes(16), "client_name": "carol", "client_key": bytes(32),
            "introduction": introduction(),
        }  # fmt: skip
        for changed in (
            {"client_name": "no\nname"},
            {"client_key": b"short"},
            {"offer": b""},
            {"introduction": introduction(check_password=CHECK_PASSWORD[:3])},
        ):
            with pytest.raises(vm.Malformed):
                offer.take_offer({**record, **changed})  # type: ignore[typeddict-item]
        assert heard == []
        offer.take_offer(record)
        assert heard == [offer]

    _run(test)


def test_frames_of_runs_that_are_over_or_too_many_begin_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol, _ = await desk.two()
            most = leg_table.LEGS["asking"].at_once
            for number in [*range(1, most + 5), 1, 2]:
                carol.send(m.Talk("asking", number, b"?"))
            parties = desk.gateway.core.hub.parties
            number = next(it for it, party in parties.items() if party.name == "carol")
            legs = desk.gateway._legs[number]
            await _until(lambda: legs.running("asking") == most)
            await _until(lambda: legs.running("asking") == 0)
            carol.send(m.Talk("asking", 3, b"?"))
            assert (await _refusal(_ask_as(carol, most + 9, "nobody"))).actual == "peer_offline"
            assert legs.running("asking") <= 1

    monkeypatch.setitem(
        cast(dict[str, LegShape], leg_table.LEGS),
        "asking",
        LegShape((PartyKind.CLIENT,), "Client", by_gateway=False, at_once=3, longest_s=0.5),
    )
    _run(test)


def _ask_as(client: GatewayClient, number: int, host: str) -> HostAsked:
    client.legs._last["asking"] = number - 1
    return _ask(client, host)
