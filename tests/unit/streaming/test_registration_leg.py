"""A relay's registration over a real connection: one program at each end, and what they record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import cast

import pytest

from gateway_world import GatewayWorld
from troth import conformance, vm
from troth.streaming.eventsocket.backoff import Backoff
from troth.streaming.gateway import messages as m
from troth.streaming.gateway import shell_leg
from troth.streaming.gateway.binding import RelayPart
from troth.streaming.gateway.hub import Party
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.registered_relays import SESSIONS_MAX, Place, RelayDesk
from troth.streaming.gateway.shell_client import GatewayClient, connect_gateway
from troth.streaming.gateway.shell_gateway import GatewayOptions, GatewayService
from troth.streaming.gateway.shell_leg import Leg, LegSide, effects_of
from troth.streaming.gateway.shell_store import SqliteStore
from troth.streaming.relay.shell_registration import RelayRegistration
from troth.streaming.relay.shell_relay import RelayOptions, RelayService
from troth.streaming.shell_protocols import load_protocol
from troth.vm.events import Sent
from troth.vm.keys import KeyPair, generate
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder

IMAGE = load_protocol("registration").image


def _key(name: str) -> KeyPair:
    return generate(name, Random(name).randbytes(32))


@dataclass
class Desk:
    """A gateway, and what a relay said to its operator."""

    folder: Path
    gateway: GatewayService
    said: list[str] = field(default_factory=list)

    def relay(self) -> RelayService:
        options = RelayOptions(
            gateway=("127.0.0.1", self.gateway.port),
            gateway_key=_key("gate").public_key,
            record=self.folder / "relay",
            backoff=Backoff(first_s=0.05),
        )
        return RelayService(_key("rita"), options, self.said.append)

    @property
    def party(self) -> Party | None:
        return self.gateway.core.hub.relays.get("rita")

    def load(self) -> tuple[int, int]:
        return (0, 0) if self.party is None else self.party.load

    async def connect(self, kind: PartyKind, name: str) -> GatewayClient:
        return await connect_gateway(
            "127.0.0.1", self.gateway.port, kind=kind, key=_key(name),
            relay=RelayPart(bytes(32), "192.0.2.30", 3_479),
        )  # fmt: skip

    async def admin(self, *words: str) -> m.Message:
        root = await self.connect(PartyKind.ADMIN, "root")
        try:
            return await root.ask(m.Command(1, words[0], words[1:]), m.Done, m.Report)
        finally:
            await root.close()

    def records(self) -> list[Path]:
        return [
            *(self.folder / "gateway").glob("registration-*.replay"),
            *(self.folder / "relay").glob("registration-*.replay"),
        ]


@asynccontextmanager
async def _desk(folder: Path) -> AsyncIterator[Desk]:
    store = SqliteStore()
    options = GatewayOptions(admitted=dict.fromkeys(PartyKind), record=folder / "gateway")
    gateway = GatewayService(_key("gate"), store, options)
    await gateway.start()
    try:
        yield Desk(folder, gateway)
    finally:
        await gateway.stop()
        store.close()


async def _until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.01)


def _run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def _said(path: Path) -> list[str]:
    """The labels of what a record's own role has sent, in order."""
    with path.open("rb") as stream:
        decoder = EventDecoder()
        events = [decoder.decode(record) for record in ArtifactReader(stream)]
    return [event.label for event in events if isinstance(event, Sent)]


def _trust() -> vm.TrustFile:
    keys = (_key("rita"), _key("gate"))
    return vm.parse_trust("\n".join(key.public_text for key in keys), "trust")


def _judged(desk: Desk) -> list[Path]:
    """The two records: each holds by itself at every level, and together."""
    paths = desk.records()
    assert len(paths) == 2
    trust = _trust()
    for path in paths:
        verdict = conformance.verify(path, trust=trust)
        assert [level.ok for level in verdict.levels] == [True] * 5
        assert verdict.exit_code == 0
    merged = conformance.verify_views(paths, trust=trust)
    assert (merged.exit_code, merged.findings) == (0, ())
    return paths


def test_a_relay_registers_beats_and_leaves_and_both_records_hold(tmp_path: Path) -> None:
    async def test() -> Desk:
        async with _desk(tmp_path) as desk:
            relay = desk.relay()
            await relay.start()
            await _until(lambda: desk.load() == (0, 1_000))
            await _until(lambda: relay._ready() == (200, "ok\n"))
            await asyncio.sleep(2.2)
            relay.drain()
            await _until(lambda: desk.load() == (0, 0))
            await relay.stop()
        return desk

    desk = asyncio.run(asyncio.wait_for(test(), 60))
    assert "registered with the gateway" in desk.said
    of_gateway, of_relay = map(_said, _judged(desk))
    assert of_gateway[0] == "registered"
    assert set(of_gateway[1:]) == {"ok"}
    assert of_relay[0] == "register"
    assert of_relay[-1] == "leaving"
    assert len(of_relay) == len(of_gateway) + 1
    assert set(of_relay[1:-1]) == {"beat"}


def test_an_administrator_drains_a_relay_which_says_so_and_gets_no_more(tmp_path: Path) -> None:
    async def test() -> Desk:
        async with _desk(tmp_path) as desk:
            relay = desk.relay()
            await relay.start()
            await _until(lambda: desk.load() == (0, 1_000))
            assert isinstance(await desk.admin("drain", "rita"), m.Done)
            await _until(lambda: desk.load() == (0, 0))
            assert relay.core.draining
            assert relay._ready() == (503, "draining\n")
            assert desk.party is not None, "it is still told of revocations"
            await relay.stop()
        return desk

    of_gateway, of_relay = map(_said, _judged(asyncio.run(asyncio.wait_for(test(), 60))))
    assert of_gateway[-1] == "drain"
    assert of_relay[-2:] == ["beat", "drained"]


def test_a_relay_that_says_another_address_than_it_proved_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        RelayRegistration,
        "relay_place",
        lambda _: {"name": "rita", "address": "192.0.2.66:1", "sessions_max": 5},
    )

    async def test() -> Desk:
        async with _desk(tmp_path) as desk:
            relay = desk.relay()
            await relay.start()
            await _until(lambda: desk.said.count("the gateway's connection ended") >= 2)
            assert desk.load() == (0, 0)
            assert relay._ready()[0] == 503
            await relay.stop()
        return desk

    desk = asyncio.run(asyncio.wait_for(test(), 60))
    assert "the gateway does not register the relay: address" in desk.said
    assert "registered with the gateway" not in desk.said
    for path in desk.records():
        assert conformance.verify(path).levels[0].ok


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"name": "rob"}, "name"),
        ({"address": "192.0.2.30:1"}, "address"),
        ({"sessions_max": 0}, "sessions_max"),
        ({"sessions_max": SESSIONS_MAX + 1}, "sessions_max"),
        ({}, ""),
    ],
)
def test_what_a_relay_may_say_of_itself(changed: dict[str, object], refusal: str) -> None:
    world = GatewayWorld()
    rita = world.connect(PartyKind.RELAY, "rita")
    party = world.core.hub.parties[rita.number]
    party.load = (0, 0)
    place: dict[str, object] = {
        "name": "rita",
        "address": "192.0.2.30:3479",
        "sessions_max": SESSIONS_MAX,
        **changed,
    }
    assert RelayDesk(world.core.hub, party).register_relay(cast(Place, place)) == refusal
    assert party.load == ((0, 0) if refusal else (0, SESSIONS_MAX))


def test_a_program_that_loses_its_connection_ends_and_says_so(tmp_path: Path) -> None:
    async def test() -> Desk:
        async with _desk(tmp_path) as desk:
            relay = desk.relay()
            await relay.start()
            await _until(lambda: desk.load() == (0, 1_000))
            assert relay._gateway is not None
            relay._gateway._writer.transport.abort()
            await _until(lambda: desk.said.count("registered with the gateway") == 2)
            await relay.stop()
        return desk

    desk = asyncio.run(asyncio.wait_for(test(), 60))
    paths = desk.records()
    assert len(paths) == 4
    trust = _trust()
    for path in paths:
        assert conformance.verify(path, trust=trust).exit_code == 0, path
    merged = conformance.verify_views(paths, trust=trust)
    assert merged.findings == ()


@pytest.mark.parametrize(("key", "known"), [("rita", True), ("mallory", False)])
def test_a_machine_with_another_key_than_the_connection_is_not_listened_to(
    tmp_path: Path, key: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever got hold of a registered connection, and not of its key."""
    monkeypatch.setattr(shell_leg, "MEETING_S", 1.0)

    async def test() -> None:
        async with _desk(tmp_path) as desk:
            rita = await desk.connect(PartyKind.RELAY, "rita")
            owner = _Owner()
            side = LegSide(
                "Relay", _key(key), "Gateway", _key("gate").public_key, effects_of(IMAGE, owner)
            )
            leg = Leg(IMAGE, side, lambda frame: rita.send(m.Talk("registration", 1, frame)))
            rita.legs._running["registration", 1] = leg, owner
            leg.start()
            await leg.over()
            assert leg.result is not None
            assert leg.result.ok is owner.known is known
            await rita.close()

    _run(test)


def test_garbage_in_the_place_of_frames_changes_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            rita = await desk.connect(PartyKind.RELAY, "rita")
            rng = Random(5)
            for length in (1, 2, 40, 16_384):
                rita.send(m.Talk("registration", 1, rng.randbytes(length)))
            carol = await desk.connect(PartyKind.CLIENT, "carol")
            carol.send(m.Talk("registration", 1, b"x"))
            async for message in carol:
                assert isinstance(message, m.Refused)
                assert message.code == "message"
                break
            assert desk.load() == (0, 0)
            await carol.close()
            await rita.close()

    _run(test)


def test_a_drained_relay_gets_no_lease_and_one_that_is_not_there_cannot_be_drained() -> None:
    world = GatewayWorld()
    carol = world.connect(PartyKind.CLIENT, "carol")
    harry = world.connect(PartyKind.HOST, "harry")
    world.connect(PartyKind.RELAY, "rita")
    root = world.connect(PartyKind.ADMIN, "root")
    session = world.session(carol, harry)
    world.say(root, m.Command(1, "drain", ("rob",)))
    world.say(root, m.Command(2, "drain", ()))
    assert root.refused == ["no_subject", "no_subject"]
    world.say(root, m.Command(3, "drain", ("rita",)))
    assert root.last(m.Done).request == 3
    assert world.lease(carol, session) is None


class _Owner(LegOwner):
    """The effects of a relay that leaves as soon as it is registered."""

    def __init__(self) -> None:
        self.known = False

    def relay_place(self) -> Place:
        return {"name": "rita", "address": "192.0.2.30:3479", "sessions_max": 5}

    def registered(self) -> None:
        self.known = True

    def relay_leaving(self) -> None:
        """At once."""
