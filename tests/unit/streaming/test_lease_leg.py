"""Leases over real connections: the programs of a party and the gateway, and what they record."""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from pathlib import Path

import pytest

from leg_desk import LegDesk, leg_desk, require_proofs, run, said, until
from troth import dsl
from troth.streaming.gateway import messages as m
from troth.streaming.gateway import shell_legs
from troth.streaming.gateway.leasing import Leasing, Ticket
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import GatewayClient
from troth.streaming.gateway.shell_leases import PartyLease
from troth.streaming.relay.lease import Role, read_unverified
from troth.streaming.shell_protocols import protocol_path
from troth.vm.image import Image

SESSION = b"\x01" * 16


class Holder:
    """One party's leases of a session, and what it was told else."""

    def __init__(self, gateway: GatewayClient, relay: str = "") -> None:
        self.tickets: list[Ticket] = []
        self.refused: list[m.Refused] = []
        self.silences = 0
        self.failed = False
        self.lease = PartyLease(SESSION, relay, self)
        self.leg = gateway.legs.begin("lease", self.lease)

    def leased(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)

    def not_leased(self, refused: m.Refused) -> None:
        self.refused.append(refused)

    def no_relay(self) -> None:
        self.silences += 1

    def lease_failed(self, lease: PartyLease) -> None:
        assert lease is self.lease
        self.failed = True

    @property
    def relays(self) -> list[str]:
        return [ticket["relay"] for ticket in self.tickets]

    async def leave(self) -> None:
        self.lease.leave()
        await self.leg.over()
        assert self.leg.result is not None, self.leg.problem
        assert self.leg.result.ok


async def _holder(desk: LegDesk, kind: PartyKind, name: str) -> Holder:
    return Holder(await desk.connect(kind, name))


async def _two(desk: LegDesk) -> tuple[Holder, Holder]:
    desk.open(SESSION)
    return (
        await _holder(desk, PartyKind.CLIENT, "carol"),
        await _holder(desk, PartyKind.HOST, "harry"),
    )


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program as it is, but that nobody has to wait long for its clock."""

    @lru_cache
    def image(name: str) -> Image:
        text = protocol_path(name).read_text(encoding="utf-8")
        return dsl.compile_module(text.replace("within 5s:", "within 300ms:"), name).image

    monkeypatch.setattr(shell_legs, "leg_image", image)


def test_one_party_asks_both_are_leased_and_all_records_hold(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            await desk.relay()
            await until(desk.takes_sessions)
            carol, harry = await _two(desk)
            carol.lease.need([])
            await until(lambda: carol.tickets and harry.tickets)
            for holder, role in ((carol, Role.CLIENT), (harry, Role.HOST)):
                lease = read_unverified(holder.tickets[0]["token"])
                assert (lease.role, lease.session, lease.relay) == (role, SESSION, "rita")
            carol.lease.renew()
            await until(lambda: len(carol.tickets) == 2)
            first, second = (read_unverified(ticket["token"]) for ticket in carol.tickets)
            assert second.generation > first.generation
            await carol.leave()
            await harry.leave()
            assert len(harry.tickets) == 1
            assert (carol.refused, harry.refused, carol.silences) == ([], [], 0)
            await desk.settled("lease")
        require_proofs(desk.records("lease"), 4)
        assert said(*desk.records("lease", "carol")) == ["begin", "want", "want", "leave"]
        assert said(*desk.records("lease", "harry")) == ["begin", "leave"]
        assert sorted(map(said, desk.records("lease", "gate"))) == [
            ["lease", "lease", "over"],
            ["lease", "over"],
        ]

    run(test)


def test_the_gateway_waits_for_a_relay_that_is_about_to_come(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            carol, harry = await _two(desk)
            carol.lease.need(["rob"])
            await desk.relay("rob")
            await until(lambda: desk.takes_sessions("rob"))
            assert carol.tickets == [], "that one it does not want"
            begun = time.monotonic()
            await desk.relay()
            await until(lambda: carol.relays == harry.relays == ["rita"])
            assert time.monotonic() - begun < 3
            assert carol.silences == 0
            await carol.leave()
            await harry.leave()

    run(test)


@pytest.mark.usefixtures("hasty")
def test_it_does_not_wait_for_ever_and_may_be_asked_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            carol, harry = await _two(desk)
            carol.lease.need([])
            await until(lambda: carol.silences == 1)
            hub = desk.gateway.core.hub
            assert hub.counters.refused == {"no_relay": 1}
            assert b"relays" not in hub.watchers._told
            await desk.relay()
            await until(desk.takes_sessions)
            await asyncio.sleep(0.2)
            assert carol.tickets == [], "nobody hears what comes of a wait that is over"
            carol.lease.need([])
            await until(lambda: carol.relays == harry.relays == ["rita"])
            await carol.leave()
            await harry.leave()
            await desk.settled("lease")
        require_proofs(desk.records("lease"), 4)
        by_carol = [path for path in desk.records("lease", "gate") if "no_relay" in said(path)]
        assert sorted(said(*by_carol)) == ["lease", "no_relay", "over"]

    run(test)


def test_another_relay_is_handed_to_the_other_party_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            for name in ("rita", "rob"):
                await desk.relay(name)
                await until(lambda name=name: desk.takes_sessions(name))  # type: ignore[misc]
            carol, harry = await _two(desk)
            carol.lease.need(["rob"])
            await until(lambda: carol.relays == harry.relays == ["rita"])
            harry.lease.need(["rita"])
            await until(lambda: carol.relays == harry.relays == ["rita", "rob"])
            await carol.leave()
            await harry.leave()

    run(test)


def test_who_comes_back_with_a_lease_is_not_given_it_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            await desk.relay()
            await until(desk.takes_sessions)
            carol, harry = await _two(desk)
            carol.lease.need([])
            await until(lambda: carol.tickets and harry.tickets)
            await desk.parties[1].close()
            issued = desk.gateway.core.hub.counters.leases_issued
            again = Holder(await desk.connect(PartyKind.HOST, "harry"), "rita")
            anew = Holder(await desk.connect(PartyKind.HOST, "harry"))
            await until(lambda: anew.relays == ["rita"])
            assert again.tickets == []
            assert desk.gateway.core.hub.counters.leases_issued == issued + 1
            for holder in (carol, anew):
                await holder.leave()

    run(test)


@pytest.mark.parametrize("kind", [PartyKind.CLIENT, PartyKind.HOST])
def test_a_session_of_others_is_refused(tmp_path: Path, kind: PartyKind) -> None:
    """The host's key as a client is nobody in that session, either."""

    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            await desk.relay()
            desk.open(SESSION, "rita")
            name = "harry" if kind is PartyKind.CLIENT else "rob"
            eve = await _holder(desk, kind, name)
            eve.lease.need([])
            await until(lambda: eve.refused)
            assert [refused.code for refused in eve.refused] == ["no_session"]
            await asyncio.sleep(0.1)
            assert eve.tickets == []
            await eve.leave()
            await desk.settled("lease")
        assert said(*desk.records("lease", "gate")) == ["refused", "over"]
        require_proofs(desk.records("lease"), 2)

    run(test)


def test_a_revocation_ends_the_wait_and_all_leases(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            carol, harry = await _two(desk)
            carol.lease.need([])
            await until(lambda: desk.gateway.core.hub.watchers._told.get(b"relays"))
            await desk.revoke(SESSION)
            await until(lambda: carol.refused)
            harry.lease.renew()
            await until(lambda: harry.refused)
            for holder in (carol, harry):
                assert [refused.code for refused in holder.refused] == ["revoked"]
                await holder.leave()

    run(test)


def test_a_limit_is_named_with_the_time_to_wait(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path, GatewayLimits(leases_per_minute=1)) as desk:
            await desk.relay()
            await until(desk.takes_sessions)
            carol, _ = await _two(desk)
            carol.lease.need([])
            await until(lambda: carol.tickets)
            carol.lease.renew()
            await until(lambda: carol.refused)
            refused = carol.refused[0]
            assert (refused.code, refused.limit) == ("limit", "leases_per_minute")
            assert 0 < refused.wait_ms <= 60_000
            await carol.leave()

    run(test)


def test_a_program_that_fails_is_said_and_another_may_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("not today")

    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            await desk.relay()
            await until(desk.takes_sessions)
            carol, harry = await _two(desk)
            with monkeypatch.context() as patch:
                patch.setattr(Leasing, "issue", broken)
                carol.lease.need([])
                await until(lambda: carol.failed)
            again = Holder(desk.parties[0])
            again.lease.need([])
            await until(lambda: again.relays == harry.relays == ["rita"])
            assert carol.tickets == []
            for holder in (again, harry):
                await holder.leave()
            await desk.settled("lease")

    run(test)


def test_nobody_watches_for_a_party_that_is_gone(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            carol, harry = await _two(desk)
            for holder in (carol, harry):
                holder.lease.need([])
            told = desk.gateway.core.hub.watchers._told
            await until(lambda: len(told.get(b"relays", ())) == len(told.get(SESSION, ())) == 2)
            await carol.leave()
            await desk.parties[1].close()
            await until(lambda: not told)

    run(test)
