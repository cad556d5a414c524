"""Revocations over real connections: one program at each end, and what they record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from gateway_world import GatewayWorld
from troth import conformance, vm
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.hub import Close
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.revocation import ORDERS_MAX, RevocationDesk
from troth.streaming.gateway.shell_client import GatewayClient, PartyLegs, connect_gateway
from troth.streaming.gateway.shell_gateway import GatewayOptions, GatewayService
from troth.streaming.gateway.shell_store import SqliteStore
from troth.streaming.gateway.store import SessionRecord
from troth.streaming.relay.shell_relay import RelayOptions, RelayService
from troth.vm.events import Sent
from troth.vm.keys import KeyPair, generate
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder

SESSION = b"\x01" * 16
OTHER = b"\x02" * 16
NAMES = ("gate", "carol", "harry", "rita")


def _key(name: str) -> KeyPair:
    return generate(name, Random(name).randbytes(32))


@dataclass
class Desk:
    """A gateway with a session in its store, and the parties that are there."""

    folder: Path
    gateway: GatewayService
    store: SqliteStore
    stopped: list[tuple[str, bytes, str]] = field(default_factory=list)

    def open(self, session: bytes) -> None:
        self.store.keep_session(
            SessionRecord(
                session=session, client_key=_key("carol").public_key,
                host_key=_key("harry").public_key, client_lease_key=bytes(32),
                host_lease_key=bytes(32), opened_s=int(time.time()), relay="rita",
            )
        )  # fmt: skip

    async def connect(
        self, kind: PartyKind, name: str, stop_s: float = 0.0, legs: PartyLegs | None = None
    ) -> GatewayClient:
        party = await connect_gateway(
            "127.0.0.1", self.gateway.port, kind=kind, key=_key(name),
            legs=legs or PartyLegs(record=self.folder / name),
        )  # fmt: skip

        async def stop(session: bytes, reason: str) -> None:
            await asyncio.sleep(stop_s)
            self.stopped.append((name, session, reason))

        party.stop = stop
        return party

    def relay(self) -> RelayService:
        options = RelayOptions(
            gateway=("127.0.0.1", self.gateway.port),
            gateway_key=_key("gate").public_key,
            record=self.folder / "rita",
        )
        return RelayService(_key("rita"), options, lambda _text: None)

    async def revoke(self, session: bytes = SESSION, by: str = "root") -> dict[str, str]:
        """What the administrator is told: what became of it, by party."""
        root = await self.connect(PartyKind.ADMIN, by)
        report = await root.ask(m.Command(1, "revoke", (session.hex(), "policy")), m.Report)
        await root.close()
        assert isinstance(report, m.Report)
        return {row[1]: row[3] for row in report.rows[1:]}

    def records(self) -> list[Path]:
        return sorted(self.folder.rglob("revoke-*.replay"))

    async def settled(self) -> None:
        """All runs are over, here and at the gateway."""
        legs = self.gateway._legs.values()
        await _until(lambda: not any(leg.running("revoke") for leg in legs))


@asynccontextmanager
async def _desk(folder: Path) -> AsyncIterator[Desk]:
    store = SqliteStore()
    options = GatewayOptions(admitted=dict.fromkeys(PartyKind), record=folder / "gateway")
    gateway = GatewayService(_key("gate"), store, options)
    await gateway.start()
    try:
        desk = Desk(folder, gateway, store)
        desk.open(SESSION)
        yield desk
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


def _judged(paths: list[Path]) -> None:
    """Each holds by itself at every level, and all of them together."""
    trust = vm.parse_trust("\n".join(_key(name).public_text for name in NAMES), "trust")
    for path in paths:
        verdict = conformance.verify(path, trust=trust)
        assert [level.ok for level in verdict.levels] == [True] * 5, path
        assert verdict.exit_code == 0
    merged = conformance.verify_views(paths, trust=trust)
    assert (merged.exit_code, merged.findings) == (0, ())


def _of(desk: Desk, name: str) -> list[Path]:
    return [path for path in desk.records() if path.parent.name == name]


def test_a_session_is_taken_from_host_client_and_relay_and_all_records_hold(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol = await desk.connect(PartyKind.CLIENT, "carol")
            harry = await desk.connect(PartyKind.HOST, "harry")
            relay = desk.relay()
            await relay.start()
            await _until(lambda: desk.gateway.core.hub.relays)
            states = await desk.revoke()
            assert set(states) == {"client", "host", "relay"}
            assert all(state.endswith(" ms") for state in states.values()), states
            assert sorted(desk.stopped) == [
                ("carol", SESSION, "policy"),
                ("harry", SESSION, "policy"),
            ]
            assert SESSION in relay.core._admission.denied
            await desk.settled()
            for party in (carol, harry):
                await party.close()
            await relay.stop()

    _run(test)
    desk_records = sorted(tmp_path.rglob("revoke-*.replay"))
    assert len(desk_records) == 6
    _judged(desk_records)
    said = {path.parent.name: _said(path) for path in desk_records}
    assert said["gateway"] == ["revoke", "no_more"]
    assert said["carol"] == said["harry"] == said["rita"] == ["stopped"]


def test_what_is_revoked_meanwhile_comes_in_the_same_run(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            desk.open(OTHER)
            carol = await desk.connect(PartyKind.CLIENT, "carol", stop_s=0.4)
            first = asyncio.create_task(desk.revoke())
            await _until(lambda: _of(desk, "carol"))
            await asyncio.sleep(0.1)
            assert (await desk.revoke(OTHER, "boss"))["client"].endswith(" ms")
            assert (await first)["client"].endswith(" ms")
            await desk.settled()
            await carol.close()
            assert [session for _, session, _ in desk.stopped] == [SESSION, OTHER]
            assert _said(_of(desk, "gateway")[0]) == ["revoke", "revoke", "no_more"]
            _judged(desk.records())

    _run(test)


def test_a_party_that_takes_too_long_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            harry = await desk.connect(PartyKind.HOST, "harry", stop_s=1.3)
            assert (await desk.revoke())["host"] == "not within 1 s"
            await _until(lambda: desk.stopped)
            await desk.settled()
            await harry.close()
            assert _said(_of(desk, "harry")[0]) == ["late"]
            _judged(desk.records())

    _run(test)


def test_who_comes_back_is_told_then(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            assert set((await desk.revoke()).values()) == {"not connected"}
            carol = await desk.connect(PartyKind.CLIENT, "carol")
            await _until(lambda: desk.stopped == [("carol", SESSION, "policy")])
            await desk.settled()
            await carol.close()
            _judged(desk.records())

    _run(test)


class _Mute(LegOwner):
    """Does not do what it is asked."""

    def stop_sessions(self, _orders: object) -> None:
        raise RuntimeError("not today")


@pytest.mark.parametrize("records", [True, False])
def test_a_party_whose_program_fails_has_to_come_anew(tmp_path: Path, records: bool) -> None:
    """It is told again then; so nobody goes on with a session who was not told that it is over."""

    async def test() -> None:
        async with _desk(tmp_path) as desk:
            legs = PartyLegs(
                answers={"revoke": _Mute},
                record=desk.folder / "carol" if records else None,
                log=lambda _text: None,
            )
            carol = await desk.connect(PartyKind.CLIENT, "carol", legs=legs)
            assert (await desk.revoke())["client"] in ("connection ended", "not within 1 s")
            refused = [message async for message in carol]
            assert [r.code for r in refused if isinstance(r, m.Refused)] == ["message"]
            await carol.close()
            again = await desk.connect(PartyKind.CLIENT, "carol")
            await _until(lambda: desk.stopped == [("carol", SESSION, "policy")])
            await again.close()

    _run(test)


def test_many_orders_are_told_one_handful_after_the_other() -> None:
    world = GatewayWorld()
    for number in range(ORDERS_MAX + 3):
        session = number.to_bytes(16, "big")
        world.store.keep_session(
            SessionRecord(
                session=session, client_key=world.key("carol").public_key,
                host_key=world.key("harry").public_key, client_lease_key=bytes(32),
                host_lease_key=bytes(32), opened_s=world.core.hub.unix_s(world.now_ns),
                revoked="policy",
            )
        )  # fmt: skip
    carol = world.connect(PartyKind.CLIENT, "carol")
    assert len(carol.desks) == 1, "one run tells it all"
    assert [len(world.told(carol)) for _ in range(3)] == [ORDERS_MAX, 3, 0]
    party = world.core.hub.parties[carol.number]
    desk = RevocationDesk(world.core.revocations, party, lambda: 0, lambda: None)
    desk.over(ok=True)
    assert world.core.poll() == []
    desk.over(ok=False)
    assert Close(carol.number) in world.core.poll()
    world.drop(carol)
    desk.over(ok=False)
    assert world.core.poll() == [], "nobody is there to be sent away"


def test_a_banned_party_is_sent_away_and_not_told_more(tmp_path: Path) -> None:
    async def test() -> None:
        async with _desk(tmp_path) as desk:
            carol = await desk.connect(PartyKind.CLIENT, "carol")
            harry = await desk.connect(PartyKind.HOST, "harry")
            principal = desk.store.principal_named("carol")
            assert principal is not None
            desk.store.keep_principal(replace(principal, banned=False))
            root = await desk.connect(PartyKind.ADMIN, "root")
            report = await root.ask(m.Command(1, "ban", ("carol", "abuse")), m.Report)
            assert isinstance(report, m.Report)
            states = {row[1]: row[3] for row in report.rows[1:]}
            assert states["client"] == "connection ended"
            assert states["host"].endswith(" ms")
            assert [(await _last(carol)).code, desk.stopped] == [
                "banned",
                [("harry", SESSION, "abuse")],
            ]
            await desk.settled()
            for party in (carol, harry, root):
                await party.close()
            assert _of(desk, "carol") == []
            _judged(desk.records())

    _run(test)


async def _last(party: GatewayClient) -> m.Refused:
    said = [message async for message in party]
    assert isinstance(said[-1], m.Refused)
    return said[-1]
