"""Revocations over real connections: one program at each end, and what they record."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway_world import GatewayWorld
from leg_desk import leg_desk, require_proofs, run, said, until
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.hub import Close
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.revocation import ORDERS_MAX, RevocationDesk
from troth.streaming.gateway.shell_client import GatewayClient, PartyLegs
from troth.streaming.gateway.store import SessionRecord

SESSION = b"\x01" * 16
OTHER = b"\x02" * 16


def test_a_session_is_taken_from_host_client_and_relay_and_all_records_hold(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            desk.open(SESSION, "rita")
            await desk.connect(PartyKind.CLIENT, "carol")
            await desk.connect(PartyKind.HOST, "harry")
            relay = await desk.relay()
            await until(desk.takes_sessions)
            states = await desk.revoke(SESSION)
            assert set(states) == {"client", "host", "relay"}
            assert all(state.endswith(" ms") for state in states.values()), states
            assert sorted(desk.stopped) == [
                ("carol", SESSION, "policy"),
                ("harry", SESSION, "policy"),
            ]
            assert SESSION in relay.core._admission.denied
            await desk.settled("revoke")
        require_proofs(desk.records("revoke"), 6)
        for path in desk.records("revoke", "gate"):
            assert said(path) == ["revoke", "no_more"]
        for name in ("carol", "harry", "rita"):
            assert said(*desk.records("revoke", name)) == ["stopped"]

    run(test)


def test_what_is_revoked_meanwhile_comes_in_the_same_run(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            desk.open(SESSION)
            desk.open(OTHER)
            await desk.connect(PartyKind.CLIENT, "carol", stop_s=0.4)
            first = asyncio.create_task(desk.revoke(SESSION))
            await until(lambda: desk.records("revoke", "carol"))
            await asyncio.sleep(0.1)
            assert (await desk.revoke(OTHER, "boss"))["client"].endswith(" ms")
            assert (await first)["client"].endswith(" ms")
            await desk.settled("revoke")
            assert [session for _, session, _ in desk.stopped] == [SESSION, OTHER]
        assert said(*desk.records("revoke", "gate")) == ["revoke", "revoke", "no_more"]
        require_proofs(desk.records("revoke"), 2)

    run(test)


def test_a_party_that_takes_too_long_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            desk.open(SESSION)
            await desk.connect(PartyKind.HOST, "harry", stop_s=1.3)
            assert (await desk.revoke(SESSION))["host"] == "not within 1 s"
            await until(lambda: desk.stopped)
            await desk.settled("revoke")
        assert said(*desk.records("revoke", "harry")) == ["late"]
        require_proofs(desk.records("revoke"), 2)

    run(test)


def test_who_comes_back_is_told_then(tmp_path: Path) -> None:
    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            desk.open(SESSION)
            assert set((await desk.revoke(SESSION)).values()) == {"not connected"}
            await desk.connect(PartyKind.CLIENT, "carol")
            await until(lambda: desk.stopped == [("carol", SESSION, "policy")])
            await desk.settled("revoke")
        require_proofs(desk.records("revoke"), 2)

    run(test)


class _Mute(LegOwner):
    """Does not do what it is asked."""

    def stop_sessions(self, _orders: object) -> None:
        raise RuntimeError("not today")


def test_a_party_whose_program_fails_has_to_come_anew(tmp_path: Path) -> None:
    """It is told again then; so nobody goes on with a session who was not told that it is over."""

    async def test() -> None:
        async with leg_desk(tmp_path) as desk:
            desk.open(SESSION)
            legs = PartyLegs(answers={"revoke": _Mute}, log=lambda _text: None)
            carol = await desk.connect(PartyKind.CLIENT, "carol", legs=legs)
            states = await desk.revoke(SESSION)
            assert states["client"] in ("connection ended", "not within 1 s")
            assert (await _last_word(carol)).code == "message"
            await carol.close()
            await desk.connect(PartyKind.CLIENT, "carol")
            await until(lambda: desk.stopped == [("carol", SESSION, "policy")])

    run(test)


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
        async with leg_desk(tmp_path) as desk:
            desk.open(SESSION)
            carol = await desk.connect(PartyKind.CLIENT, "carol")
            await desk.connect(PartyKind.HOST, "harry")
            root = await desk.connect(PartyKind.ADMIN, "root")
            report = await root.ask(m.Command(1, "ban", ("carol", "abuse")), m.Report)
            assert isinstance(report, m.Report)
            states = {row[1]: row[3] for row in report.rows[1:]}
            assert states["client"] == "connection ended"
            assert states["host"].endswith(" ms")
            assert (await _last_word(carol)).code == "banned"
            assert desk.stopped == [("harry", SESSION, "abuse")]
            await desk.settled("revoke")
        assert desk.records("revoke", "carol") == []
        require_proofs(desk.records("revoke"), 2)

    run(test)


async def _last_word(party: GatewayClient) -> m.Refused:
    heard = [message async for message in party]
    assert isinstance(heard[-1], m.Refused)
    return heard[-1]
