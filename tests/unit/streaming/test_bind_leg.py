"""A party proves its key to a gateway by a program at each end, over a real connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from troth import conformance, vm
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.binding import WRONG_GATEWAY, PartyBinding
from troth.streaming.gateway.codec import encode
from troth.streaming.gateway.failures import GatewayFailure
from troth.streaming.gateway.hub import GatewayCounters
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import GatewayClient, PartyLegs, connect_gateway
from troth.streaming.gateway.shell_gateway import GatewayOptions, GatewayService
from troth.streaming.gateway.shell_store import SqliteStore
from troth.vm.errors import Invalid
from troth.vm.events import Sent
from troth.vm.keys import KeyPair, generate
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder

NAMES = ("gate", "carol", "mallory")


def _key(name: str) -> KeyPair:
    return generate(name, Random(name).randbytes(32))


@dataclass
class Desk:
    folder: Path
    gateway: GatewayService

    async def connect(self, name: str = "carol", gateway: str = "gate") -> GatewayClient:
        return await connect_gateway(
            "127.0.0.1", self.gateway.port, kind=PartyKind.CLIENT, key=_key(name),
            gateway_key=_key(gateway).public_key,
            legs=PartyLegs(record=self.folder / name, log=lambda _text: None),
        )  # fmt: skip

    @property
    def counters(self) -> GatewayCounters:
        return self.gateway.core.hub.counters


@asynccontextmanager
async def _desk(folder: Path, limits: GatewayLimits | None = None) -> AsyncIterator[Desk]:
    store = SqliteStore()
    options = GatewayOptions(
        admitted={PartyKind.CLIENT: frozenset({_key("carol").public_key})},
        limits=limits or GatewayLimits(),
        record=folder / "gate",
    )
    gateway = GatewayService(_key("gate"), store, options)
    await gateway.start()
    try:
        yield Desk(folder, gateway)
    finally:
        await gateway.stop()
        store.close()


def _run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


async def _until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.01)


def _said(path: Path) -> list[str]:
    """The labels of what a record's own role has sent, in order."""
    with path.open("rb") as stream:
        decoder = EventDecoder()
        events = [decoder.decode(record) for record in ArtifactReader(stream)]
    return [event.label for event in events if isinstance(event, Sent)]


def _held(folder: Path, party: str) -> tuple[list[str], list[str]]:
    """What party and gateway said; each record holds at every level, and both together."""
    trust = vm.parse_trust("\n".join(_key(name).public_text for name in NAMES), "trust")
    (of_party,) = (folder / party).glob("bind-*.replay")
    (of_gateway,) = (folder / "gate").glob("bind-*.replay")
    for path in (of_party, of_gateway):
        verdict = conformance.verify(path, trust=trust)
        assert [level.ok for level in verdict.levels] == [True] * 5
        assert verdict.exit_code == 0
    merged = conformance.verify_views([of_party, of_gateway], trust=trust)
    assert (merged.exit_code, merged.findings) == (0, ())
    return _said(of_party), _said(of_gateway)


def test_a_party_is_known_and_both_have_it_on_record(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol = await desk.connect()
            parties = desk.gateway.core.hub.parties.values()
            assert [(party.name, party.kind) for party in parties] == [("carol", PartyKind.CLIENT)]
            await _until(lambda: not carol.legs.running("bind"))
            await carol.close()

    _run(test)
    assert _held(tmp_path, "carol") == (["register"], ["challenge", "bound"])


def test_whoever_is_refused_hears_why_and_is_not_kept(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            with pytest.raises(GatewayFailure) as refused:
                await desk.connect("mallory")
            assert (refused.value.code, refused.value.actual) == ("gateway.refused", "not_admitted")
            await _until(lambda: desk.gateway.core.hub.parties == {})

    _run(test)
    assert _held(tmp_path, "mallory") == (["register"], ["challenge", "refused"])


def test_another_gateway_than_the_one_that_is_meant_is_left(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            with pytest.raises(Invalid) as wrong:
                await desk.connect(gateway="mallory")
            assert wrong.value.code == "gateway.identity"
            await _until(lambda: desk.gateway.core.hub.parties == {})
            assert desk.counters.registrations == 0
            assert desk.counters.refused == {"left": 1}

    _run(test)
    assert _held(tmp_path, "carol") == (["leave"], ["challenge"])
    assert WRONG_GATEWAY == "wrong_gateway"


def test_a_machine_with_another_key_than_the_party_says_is_not_that_party(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has got hold of carol's answer, and not of her key for a machine."""
    answer = PartyBinding.answer_challenge
    carols: list[PartyBinding] = []

    def stolen(binding: PartyBinding, challenge: object) -> object:
        carol = PartyBinding(kind=PartyKind.CLIENT, key=_key("carol"), random=bytes)
        carol.peer_keys = binding.peer_keys
        carols.append(carol)
        return answer(carol, challenge)  # type: ignore[arg-type]

    monkeypatch.setattr(PartyBinding, "answer_challenge", stolen)

    async def test() -> None:
        async with _desk(tmp_path) as desk:
            with pytest.raises(GatewayFailure) as refused:
                await desk.connect("mallory")
            assert refused.value.actual == "signature"
            assert len(carols) == 1

    _run(test)


def test_too_many_registrations_of_an_address_do_not_begin(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path, GatewayLimits(registrations_per_minute=1)) as desk:
            carol = await desk.connect()
            with pytest.raises(GatewayFailure) as refused:
                await desk.connect()
            assert refused.value.actual == "limit"
            assert "registrations_per_minute is 1" in refused.value.message
            assert "try again in" in (refused.value.advice or "")
            assert len(list((tmp_path / "gate").glob("bind-*"))) == 1, "no program ran for it"
            await carol.close()

    _run(test)


def test_who_says_nothing_or_nonsense_is_not_kept(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path, GatewayLimits(register_s=1)) as desk:
            for word in (
                b"",
                encode(m.Talk("bind", 1, b"nonsense")),
                encode(m.Beat()),
                b"\xff" * 9,
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", desk.gateway.port)
                writer.write(word)
                async with asyncio.timeout(10):
                    while await reader.read(4_096):
                        pass
                writer.close()
            assert desk.gateway.core.hub.parties == {}
            assert desk.counters.refused == {"silent": 2, "message": 2}

    _run(test)
