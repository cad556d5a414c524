"""Roles written in Python: what they can do, what is refused, and how their sessions end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import key_pair, parse
from role_players import LEVEL_5, endpoint, holds, play, verdict, view
from second_verifier import judge
from troth import conformance, dsl, vm
from troth.vm.records import Kind

EXAMPLES: Final = Path(__file__).parents[3] / "docs" / "examples"
TALK: Final = dsl.compile_module(
    """
type Item = {name: str, count: int}

protocol Talk(Client, Server):
    Client -> Server: order(item: Item, notes: list[str], paid: bool)
    choice at Server:
        Server -> Client: fine(code: int)
        Client -> Server: thanks()
    or:
        Server -> Client: sorry(reason: str, again: bool)
    or:
        Server -> Client: what()
""",
    "talk.troth",
)
ORDER: Final = ({"name": "tea", "count": 2}, ["hot"], True)


async def _order(s: vm.RoleEndpoint) -> None:
    await s.send("Server", "order", *ORDER)
    answer = await s.recv_any("Server")
    if answer.label == "fine":
        await s.send("Server", "thanks")


async def _fine(s: vm.RoleEndpoint) -> None:
    await s.recv("Client", "order")
    await s.select("Client", "fine", code=7)
    await s.recv("Client", "thanks")


@pytest.mark.parametrize("seal", list(vm.Seal))
@pytest.mark.parametrize("replay", list(vm.ReplayMode))
def test_a_role_in_python_talks_with_bytecode(
    tmp_path: Path, seal: vm.Seal, replay: vm.ReplayMode
) -> None:
    module = dsl.load(EXAMPLES / "two_buyer.troth")
    heard = []

    async def seller(s: vm.RoleEndpoint) -> None:
        heard.append(await s.recv("Alice", "title"))
        await s.send("Alice", "quote", price=120)
        await s.send("Bob", "quote", 120)
        match await s.recv_any("Bob"):
            case ("accept", address):
                heard.append(address)
                await s.send("Bob", "date", day="2026-12-01")
            case ("quit", None):
                heard.append("quit")

    raised = play(
        module,
        {"Seller": seller},
        tmp_path,
        programs=("Alice", "Bob"),
        seal=seal,
        replay=replay,
    )
    assert raised == {"Seller": None}
    assert heard == ["The Art of War", "1 Session Way"]
    found = verdict(tmp_path, "Seller")
    strangers = {p.name for p in found.principals if p.trusted_as is None}
    assert strangers == {""}, "the keys of the programs are fresh"
    *four, fifth = found.levels
    assert all(level.ran and level.ok for level in four)
    assert fifth.why == f"the role TwoBuyer.Seller {LEVEL_5}"
    assert conformance.verify(tmp_path / "programs.replay").levels[4].ok


def test_values_arrive_as_they_were_sent(tmp_path: Path) -> None:
    seen: list[object] = []

    async def client(s: vm.RoleEndpoint) -> None:
        seen.append(s.position)
        await s.send("Server", "order", ORDER[0], paid=True, notes=("hot",))
        answer = await s.recv_any("Server")
        assert answer.label == "sorry"
        seen.extend([answer.value.reason, answer.value["again"], tuple(answer.value)])

    async def server(s: vm.RoleEndpoint) -> None:
        order = await s.recv("Client", "order")
        seen.extend([order.item, order.notes, order[2], len(order), repr(order)])
        await s.send("Client", "sorry", again=False, reason="sold out")
        seen.append(s.position)

    assert play(TALK, {"Client": client, "Server": server}, tmp_path) == dict.fromkeys(
        ("Client", "Server")
    )
    assert seen == [
        "send Server order(item: Item, notes: list[str], paid: bool)",
        {"name": "tea", "count": 2},
        ["hot"],
        True,
        3,
        "Message(item={'count': 2, 'name': 'tea'}, notes=['hot'], paid=True)",
        "nothing: the protocol is over here, close the endpoint",
        "sold out",
        False,
        ("sold out", False),
    ] or seen[0].startswith("send Server order(")  # type: ignore[attr-defined]
    assert holds(verdict(tmp_path, "Client"))
    assert holds(verdict(tmp_path, "Server"))


def test_the_session_is_known_to_both(tmp_path: Path) -> None:
    known = []

    async def note(s: vm.RoleEndpoint) -> None:
        known.append((s.session, s.principals))

    async def client(s: vm.RoleEndpoint) -> None:
        await note(s)
        await _order(s)

    async def server(s: vm.RoleEndpoint) -> None:
        await note(s)
        await _fine(s)

    play(TALK, {"Client": client, "Server": server}, tmp_path)
    assert known[0] == known[1]
    assert known[0][1] == {role: key_pair(role).public_key for role in ("Client", "Server")}


async def _wrong_label(s: vm.RoleEndpoint) -> None:
    await s.send("Server", "ordre")


async def _wrong_peer(s: vm.RoleEndpoint) -> None:
    await s.send("Nobody", "order", *ORDER)


async def _wrong_type(s: vm.RoleEndpoint) -> None:
    await s.send("Server", "order", "tea", ["hot"], paid=True)


async def _too_few(s: vm.RoleEndpoint) -> None:
    await s.send("Server", "order", ORDER[0])


async def _too_many(s: vm.RoleEndpoint) -> None:
    await s.send("Server", "order", *ORDER, 4)


async def _receives(s: vm.RoleEndpoint) -> None:
    await s.recv("Server", "fine")


async def _receives_any(s: vm.RoleEndpoint) -> None:
    await s.recv_any("Server")


async def _selects(s: vm.RoleEndpoint) -> None:
    await s.select("Server", "order", *ORDER)


async def _closes(s: vm.RoleEndpoint) -> None:
    await s.close()


async def _leaves(s: vm.RoleEndpoint) -> None:
    """The type asks for more."""


async def _one_of_several(s: vm.RoleEndpoint) -> None:
    await s.send("Server", "order", *ORDER)
    await s.recv("Server", "fine")


MISTAKES: Final = (
    (_wrong_label, "vm.fault.label", "ordre"),
    (_wrong_peer, "vm.fault.type", "send Nobody order"),
    (_wrong_type, "vm.fault.type", "str"),
    (_too_few, "vm.fault.type", "1 arguments"),
    (_too_many, "vm.fault.type", "4 arguments"),
    (_receives, "vm.fault.type", "recv Server fine"),
    (_receives_any, "vm.fault.type", "recv Server anything"),
    (_selects, "vm.fault.type", "select Server order"),
    (_closes, "vm.fault.", ""),
    (_leaves, "vm.fault.", ""),
    (_one_of_several, "vm.fault.label", "fine"),
)


@pytest.mark.parametrize(("mistake", "code", "actual"), MISTAKES)
def test_what_the_type_does_not_allow_is_a_fault(
    tmp_path: Path, mistake: object, code: str, actual: str
) -> None:
    """The other side learns which fault it was, and both records hold."""
    assert callable(mistake)
    raised = play(TALK, {"Client": mistake, "Server": _fine}, tmp_path)
    fault, other = raised["Client"], raised["Server"]
    assert isinstance(fault, vm.Fault), fault
    assert fault.code.startswith(code)
    assert actual in (fault.actual or "")
    assert fault.expected
    assert fault.place.role == "Client"
    assert isinstance(other, vm.Fault)
    assert f"faulted by Client with {fault.code}" in other.message
    for role in ("Client", "Server"):
        found = verdict(tmp_path, role)
        assert holds(found), conformance.to_prose(found)
        assert found.outcome_recorded == "failed"


def test_what_is_no_value_is_refused_and_nothing_happens(tmp_path: Path) -> None:
    codes = []

    async def client(s: vm.RoleEndpoint) -> None:
        for values, fields in (
            ((object(), [], True), {}),
            (({"name": "tea", "count": 1 << 64}, [], True), {}),
            (({"name": "tea"}, [], True), {}),
            (ORDER[:1], {"paid": True, "note": []}),
            (ORDER[:1], {"item": ORDER[0], "notes": [], "paid": True}),
        ):
            with pytest.raises(vm.Unusable) as caught:
                await s.send("Server", "order", *values, **fields)
            codes.append(caught.value.code)
            assert caught.value.expected
            assert caught.value.actual
        await _order(s)

    assert play(TALK, {"Client": client, "Server": _fine}, tmp_path)["Client"] is None
    assert codes == ["role.value"] * 3 + ["role.fields"] * 2
    assert holds(verdict(tmp_path, "Client"))


def test_an_exception_cancels_the_session(tmp_path: Path) -> None:
    async def client(s: vm.RoleEndpoint) -> None:
        await s.send("Server", "order", *ORDER)
        raise RuntimeError("a secret that is not for others")

    raised = play(TALK, {"Client": client, "Server": _fine}, tmp_path)
    assert isinstance(raised["Client"], RuntimeError)
    other = raised["Server"]
    assert isinstance(other, vm.Fault)
    assert "cancelled by Client: Client failed with RuntimeError" in other.message
    assert "secret" not in other.message
    assert all(holds(verdict(tmp_path, role)) for role in ("Client", "Server"))


def test_a_role_can_cancel_for_its_own_reason(tmp_path: Path) -> None:
    async def client(s: vm.RoleEndpoint) -> None:
        await s.cancel("no tea today")
        assert s.position == "nothing: its endpoint is given up"

    raised = play(TALK, {"Client": client, "Server": _fine}, tmp_path)
    assert raised["Client"] is None
    assert "cancelled by Client: no tea today" in str(raised["Server"])


def test_a_cancelled_task_cancels_the_session(tmp_path: Path) -> None:
    async def client(s: vm.RoleEndpoint) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.05, task.cancel)
        await s.send("Server", "order", *ORDER)
        await s.recv_any("Server")

    async def server(s: vm.RoleEndpoint) -> None:
        await s.recv("Client", "order")
        await asyncio.sleep(0.2)
        await s.send("Client", "what")

    raised = play(TALK, {"Client": client, "Server": server}, tmp_path)
    assert isinstance(raised["Client"], asyncio.CancelledError)
    assert "cancelled by Client: Client was cancelled" in str(raised["Server"])
    assert all(holds(verdict(tmp_path, role)) for role in ("Client", "Server"))


def test_a_receive_that_is_given_up_can_be_tried_again(tmp_path: Path) -> None:
    timeouts = 0

    async def client(s: vm.RoleEndpoint) -> None:
        nonlocal timeouts
        await s.send("Server", "order", *ORDER)
        while True:
            try:
                async with asyncio.timeout(0.01):
                    answer = await s.recv_any("Server")
                break
            except TimeoutError:
                timeouts += 1
        assert answer == ("what", None)

    async def server(s: vm.RoleEndpoint) -> None:
        await s.recv("Client", "order")
        await asyncio.sleep(0.1)
        await s.send("Client", "what")

    raised = play(TALK, {"Client": client, "Server": server}, tmp_path)
    assert raised == {"Client": None, "Server": None}
    assert timeouts > 0
    assert all(holds(verdict(tmp_path, role)) for role in ("Client", "Server"))


def test_what_arrives_as_its_call_is_cancelled_is_not_lost(tmp_path: Path) -> None:
    """At each moment of a receive it is cancelled once; the message comes with a later call."""

    kept = 0
    for moment in range(16):
        late: list[bool] = []

        async def client(s: vm.RoleEndpoint, moment: int = moment, late: list[bool] = late) -> None:
            await s.send("Server", "order", *ORDER)
            await asyncio.sleep(0.02)
            call = asyncio.ensure_future(s.recv_any("Server"))
            for _ in range(moment):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            late.append(call.cancelled() and s.position.startswith("nothing"))
            answer = await s.recv_any("Server") if call.cancelled() else call.result()
            assert answer == ("what", None)

        async def server(s: vm.RoleEndpoint) -> None:
            await s.recv("Client", "order")
            await s.send("Client", "what")

        raised = play(TALK, {"Client": client, "Server": server}, tmp_path)
        assert raised == {"Client": None, "Server": None}, moment
        kept += late == [True]
    assert kept, "in one of these moments it had been received, and nobody had been told"


def test_one_call_at_a_time(tmp_path: Path) -> None:
    async def client(s: vm.RoleEndpoint) -> None:
        await s.send("Server", "order", *ORDER)
        waiting = asyncio.ensure_future(s.recv_any("Server"))
        await asyncio.sleep(0)
        with pytest.raises(vm.Unusable) as caught:
            await s.recv_any("Server")
        assert caught.value.code == "role.busy"
        await waiting
        await s.send("Server", "thanks")

    assert play(TALK, {"Client": client, "Server": _fine}, tmp_path)["Client"] is None


def test_a_fault_that_is_caught_does_not_revive_the_role(tmp_path: Path) -> None:
    async def client(s: vm.RoleEndpoint) -> None:
        with pytest.raises(vm.Fault):
            await s.send("Server", "ordre")
        with pytest.raises(vm.Unusable) as caught:
            await s.send("Server", "order", *ORDER)
        assert caught.value.code == "role.over"
        assert "vm.fault.label" in (caught.value.actual or "")

    assert play(TALK, {"Client": client, "Server": _fine}, tmp_path)["Client"] is None


def test_nobody_comes(tmp_path: Path) -> None:
    async def alone() -> None:
        links = vm.LinkOptions(hub=vm.Hub(), patience_seconds=0.05)
        async with vm.join(view(TALK, "Client"), links, record=tmp_path / "Client.replay"):
            raise AssertionError("there is nobody to talk to")

    with pytest.raises(vm.Fault) as caught:
        asyncio.run(alone())
    assert caught.value.code == "vm.fault.open"
    assert verdict(tmp_path, "Client").exit_code == 5


def test_a_peer_that_vanishes(tmp_path: Path) -> None:
    async def both() -> vm.Fault:
        hub = vm.Hub()
        links = vm.LinkOptions(hub=hub, patience_seconds=0.1)
        joined = asyncio.Event()

        async def vanish() -> None:
            server = endpoint(TALK, "Server", hub)
            await server.__aenter__()
            joined.set()
            assert server._play is not None
            await server._play.abandon()

        gone = asyncio.ensure_future(vanish())
        record = tmp_path / "Client.replay"
        with pytest.raises(vm.Fault) as caught:
            async with vm.join(
                view(TALK, "Client"), links, key=key_pair("Client"), record=record
            ) as s:
                await _order(s)
        await gone
        return caught.value

    fault = asyncio.run(both())
    assert "Server off the line for 0.1 s" in fault.message
    assert holds(verdict(tmp_path, "Client"))


def test_an_unexpected_key_is_not_taken() -> None:
    async def both() -> None:
        hub = vm.Hub()
        links = vm.LinkOptions(hub=hub, patience_seconds=0.1)
        server = endpoint(TALK, "Server", hub)
        trying = asyncio.ensure_future(server.__aenter__())
        expect = {"Server": key_pair("Server", variant=1).public_text}
        async with vm.join(view(TALK, "Client"), links, expect=expect):
            pass
        trying.cancel()

    with pytest.raises(vm.Fault) as caught:
        asyncio.run(both())
    assert caught.value.code == "vm.fault.open"


def test_a_record_that_stops_cannot_be_resumed(tmp_path: Path) -> None:
    play(TALK, {"Client": _order, "Server": _fine}, tmp_path)
    whole = (tmp_path / "Client.replay").read_bytes()
    cut = tmp_path / "cut.replay"
    cut.write_bytes(whole[:-400])
    with pytest.raises(vm.Unusable) as caught:
        vm.resume(cut)
    assert caught.value.code == "resume.played"


def test_the_verdict_as_json_says_why_level_5_is_not_there(tmp_path: Path) -> None:
    play(TALK, {"Client": _order, "Server": _fine}, tmp_path)
    form = json.loads(conformance.to_json(verdict(tmp_path, "Client")))
    assert form["status"] == "valid"
    assert form["levels"][4] == {
        "level": 5,
        "name": "replay",
        "ran": False,
        "ok": False,
        "why": f"the role Talk.Client {LEVEL_5}",
    }


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"seal": "wax"}, "run.seal"),
        ({"key": 7}, "role.key"),
        ({"record": 7}, "run.record"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, object], code: str) -> None:
    with pytest.raises(vm.Unusable) as caught:
        vm.join(view(TALK, "Client"), vm.Hub(), **options)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_a_role_plays_once_and_inside_of_its_block() -> None:
    unused = endpoint(TALK, "Client", vm.Hub())
    assert (unused.protocol, unused.role, unused.session) == ("Talk", "Client", b"")
    with pytest.raises(vm.Unusable) as caught:
        asyncio.run(unused.send("Server", "order"))
    assert caught.value.code == "role.outside"
    with pytest.raises(vm.Unusable) as nowhere:
        vm.join(view(TALK, "Client"), vm.LinkOptions())
    assert nowhere.value.code == "link.nowhere"


def test_who_waits_too_long_cancels_the_session(tmp_path: Path) -> None:
    async def client(s: vm.RoleEndpoint) -> None:
        await s.send("Server", "order", *ORDER)
        await s.recv_any("Server", within_seconds=0.05)

    async def server(s: vm.RoleEndpoint) -> None:
        await s.recv("Client", "order", within_seconds=60)
        await asyncio.sleep(0.5)
        await s.send("Client", "what")

    raised = play(TALK, {"Client": client, "Server": server}, tmp_path)
    mistake, other = raised["Client"], raised["Server"]
    assert isinstance(mistake, vm.Unusable)
    assert (mistake.code, mistake.expected) == ("role.deadline", "within 0.05 s")
    assert isinstance(other, vm.Fault)
    assert "Client has waited 0.05 s for anything from Server" in str(other)
    for role in ("Client", "Server"):
        assert holds(verdict(tmp_path, role))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "1"])
def test_a_deadline_that_is_none_is_refused(tmp_path: Path, seconds: object) -> None:
    async def client(s: vm.RoleEndpoint) -> None:
        await s.recv_any("Server", within_seconds=seconds)  # type: ignore[arg-type]

    async def server(s: vm.RoleEndpoint) -> None:
        await s.recv("Client", "order")

    mistake = play(TALK, {"Client": client, "Server": server}, tmp_path)["Client"]
    assert isinstance(mistake, vm.Unusable)
    assert mistake.code == "role.within"


OFFER: Final = dsl.compile_module(
    """
protocol Offer(Client, Server):
    Server -> Client: offer(price: int)
    choice at Client within 150ms:
        Client -> Server: take()
    or:
        Client -> Server: leave()
    timeout:
        Client -> Server: silent()
""",
    "offer.troth",
)


async def _decide(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "take"


@pytest.mark.parametrize(
    ("thinks", "hesitates", "said"), [(0, 0, "take"), (30, 0, "silent"), (0, 0.6, "silent")]
)
@pytest.mark.parametrize("seal", list(vm.Seal))
def test_a_role_in_python_chooses_in_time_or_not(
    tmp_path: Path, thinks: float, hesitates: float, said: str, seal: vm.Seal
) -> None:
    heard = []

    async def client(s: vm.RoleEndpoint) -> None:
        await s.recv("Server", "offer")
        try:
            label = await s.in_time(_decide(thinks))
            await asyncio.sleep(hesitates)
            await s.send("Server", label)
        except vm.Unusable as late:
            assert (late.code, late.expected) == ("role.late", "send Server silent()")  # noqa: PT017
            await s.send("Server", "silent")

    async def server(s: vm.RoleEndpoint) -> None:
        await s.send("Client", "offer", 20)
        heard.append((await s.recv_any("Client")).label)

    raised = play(OFFER, {"Client": client, "Server": server}, tmp_path, seal=seal)
    assert raised == dict.fromkeys(("Client", "Server"))
    assert heard == [said]
    assert holds(verdict(tmp_path, "Client"))
    data = (tmp_path / "Client.replay").read_bytes()
    assert any(record[0] == Kind.EXPIRE for record in parse(data)) == (said == "silent")
    assert judge(data, {}).word == "valid"


def test_what_decides_fails_as_it_does_and_no_clock_is_where_none_is(tmp_path: Path) -> None:
    async def fails() -> str:
        raise LookupError("nobody is there")

    async def client(s: vm.RoleEndpoint) -> None:
        await s.recv("Server", "offer")
        with pytest.raises(LookupError):
            await s.in_time(fails())
        await s.send("Server", "leave")

    async def server(s: vm.RoleEndpoint) -> None:
        await s.send("Client", "offer", 20)
        await s.in_time(_decide(30))

    raised = play(OFFER, {"Client": client, "Server": server}, tmp_path)
    mistake = raised["Server"]
    assert isinstance(mistake, vm.Fault)
    assert mistake.code == "vm.fault.type"
