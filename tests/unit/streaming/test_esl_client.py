"""Clients: set-up, subscriptions, jobs, coming back, and when not to: group I."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Final

import pytest

import event_socket_recordings as recordings
from event_socket_calls import inbound
from event_socket_loop import run
from troth.streaming.eventsocket import (
    AccessDenied,
    AuthenticationFailed,
    Backoff,
    Client,
    ClientOptions,
    CommandRefused,
    ConnectionEnded,
    Ending,
    Event,
    Limits,
    NoAnswer,
    Progress,
    SessionReport,
    Unreachable,
    connect,
)
from troth.streaming.eventsocket.inbound_core import (
    CLIENT_TRANSITIONS,
    ClientPhase,
    ClientSignal,
    InboundCore,
)
from troth.streaming.eventsocket.limits import nanoseconds
from troth.streaming.eventsocket.outputs import Close, Output, Write
from troth.streaming.eventsocket.testing import FakeSwitch, Fault, SwitchScript
from troth.vm.errors import TrothError, Unusable

QUICK: Final = Backoff(first_s=0.02, longest_s=0.05, jitter=0.0)
HOST: Final = "127.0.0.1"


def drained(core: InboundCore) -> list[Output]:
    found = []
    while (output := core.poll()) is not None:
        found.append(output)
    return found


# --- the core ---------------------------------------------------------------------------------


def test_i1_the_password_is_sent_when_the_switch_asks() -> None:
    core = inbound()
    assert drained(core) == []
    core.receive(b"Content-Type: auth/request\n\n", 0)
    assert drained(core) == [Write(b"auth ClueCon\n\n")]
    core.receive(b"Content-Type: auth/request\n\n", 0)
    assert not [output for output in drained(core) if isinstance(output, Write)]


def test_a_user_authenticates_by_name() -> None:
    core = inbound(user="1000@example.com")
    core.receive(b"Content-Type: auth/request\n\n", 0)
    assert drained(core) == [Write(b"userauth 1000@example.com:ClueCon\n\n")]


@pytest.mark.parametrize(
    ("name", "ending", "error"),
    [
        ("d1", Ending.CLOSED_EARLY, None),
        ("d2", Ending.REFUSED, AuthenticationFailed),
        ("d6", Ending.REFUSED, AuthenticationFailed),
        ("d7", Ending.CLOSED_EARLY, None),
        ("d9", Ending.REJECTED, AccessDenied),
        ("d12", Ending.CLOSED_EARLY, None),
        ("f1", Ending.SHUTDOWN, None),
        ("f1b", Ending.SHUTDOWN, None),
        ("f3", Ending.CUT, None),
        ("f4", Ending.SHUTDOWN, None),
    ],
)
@pytest.mark.parametrize("size", [1, 100, 1_000_000])
def test_recorded_connections_end_as_they_did(
    name: str, ending: Ending, error: type[TrothError] | None, size: int
) -> None:
    core = inbound()
    data = recordings.load(name).received
    for at in range(0, len(data), size):
        core.receive(data[at : at + size], 0)
    core.lost(Ending.CUT, "", 0)
    (closed,) = [output for output in drained(core) if isinstance(output, Close)]
    assert closed.outcome.ending is ending
    assert type(core.error) is (error or type(None))


def test_a_user_learns_what_is_allowed() -> None:
    core = inbound()
    core.receive(recordings.load("d5").received, 0)
    assert core.permissions["Allowed-API"] == "status version"


def test_every_phase_can_end_and_what_is_not_listed_changes_nothing() -> None:
    for phase, signal in product(ClientPhase, ClientSignal):
        if phase is not ClientPhase.CLOSED and signal is ClientSignal.END:
            assert CLIENT_TRANSITIONS[phase, signal][0] is ClientPhase.CLOSED
        if phase is ClientPhase.CLOSED:
            assert (phase, signal) not in CLIENT_TRANSITIONS


@pytest.mark.parametrize("asks", [False, True])
def test_a_silent_switch_has_a_time_limit(asks: bool) -> None:
    core = inbound(Limits(set_up_s=3, reply_s=100))
    if asks:
        core.receive(b"Content-Type: auth/request\n\n", 0)
    assert core.deadline_ns() == nanoseconds(3)
    core.tick(nanoseconds(3))
    assert isinstance(core.error, NoAnswer)
    assert core.phase is ClientPhase.CLOSED
    assert core.deadline_ns() is None


# --- over sockets -----------------------------------------------------------------------------


def test_i2_subscriptions_and_filters_are_asked_for_one_by_one() -> None:
    async def scenario() -> None:
        async with FakeSwitch() as switch, connect(HOST, switch.port) as client:
            await client.subscribe("CHANNEL_EXECUTE", custom=["my::a"])
            await client.filter("Caller-Context", "default")
            await client.filter("Caller-Privacy-Hide-Name", "no")
            await client.unfilter("Caller-Context")
            await client.unsubscribe("CHANNEL_EXECUTE")
            await client.log("7")
            lines = [command.line for command in switch.connections[0].commands]
            assert lines == [
                "auth ClueCon",
                "event plain CHANNEL_EXECUTE CUSTOM my::a",
                "filter Caller-Context default",
                "filter Caller-Privacy-Hide-Name no",
                "filter delete Caller-Context",
                "nixevent CHANNEL_EXECUTE",
                "log 7",
            ]

    run(scenario)


def test_e1_to_e4_hooks_of_a_client() -> None:
    seen: list[tuple[str, str | None]] = []

    async def scenario() -> None:
        async with FakeSwitch() as switch, connect(HOST, switch.port) as client:
            stream = client.events()
            client.on("SOME_EVENT", lambda event: seen.append(("some", event.get("X"))))
            client.on_event(lambda event: seen.append(("all", event.name)))
            switch.send_event("OTHER_EVENT")
            switch.send_event("SOME_EVENT", {"X": "a b"})
            assert [(await anext(stream)).name for _ in range(2)] == ["OTHER_EVENT", "SOME_EVENT"]
            assert client.last_event is not None
            assert client.last_event.name == "SOME_EVENT"

    run(scenario)
    assert seen == [("all", "OTHER_EVENT"), ("all", "SOME_EVENT"), ("some", "a b")]


def test_jobs_in_the_background_find_their_results() -> None:
    script = SwitchScript(api={"one": "first\n", "two": "-ERR second\n"})

    async def scenario() -> None:
        async with FakeSwitch(script) as switch, connect(HOST, switch.port) as client:
            await client.filter("H", "v")
            first, second = await asyncio.gather(client.bgapi("one"), client.bgapi("two", "x"))
            assert (first.text, first.is_error) == ("first\n", False)
            assert (second.text, second.is_error) == ("-ERR second\n", True)
            lines = [command.line for command in switch.connections[0].commands]
            assert lines.count("filter Event-Name BACKGROUND_JOB") >= 1

    run(scenario)


def test_applications_on_a_channel_of_a_client() -> None:
    async def scenario() -> None:
        async with FakeSwitch() as switch, connect(HOST, switch.port) as client:
            channel = client.channel("some-uuid")
            done = await channel.playback("x.wav")
            assert (done.application, done.hung_up) == ("playback", False)
            await channel.hangup("USER_BUSY")
            commands = switch.connections[0].commands
            assert [command.line for command in commands[-2:]] == ["sendmsg some-uuid"] * 2
            assert commands[-1].headers["hangup-cause"] == "USER_BUSY"

    run(scenario)


def test_errors_of_commands() -> None:
    async def scenario() -> None:
        async with FakeSwitch() as switch, connect(HOST, switch.port) as client:
            with pytest.raises(CommandRefused, match="Command not found"):
                await client.api("nosuch")
            with pytest.raises(CommandRefused, match="nosuch"):
                await client.command("nosuch x")
            assert (await client.status()).startswith("UP")
            reply = await client.sendevent("CUSTOM", {"Event-Subclass": "a::b"}, "body")
            assert reply.text == "+OK"

    run(scenario)


@pytest.mark.parametrize("backoff", [None, QUICK])
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (SwitchScript(password="other"), AuthenticationFailed),
        (SwitchScript(rejects=True), AccessDenied),
    ],
)
def test_a_wrong_password_and_a_rejection_are_no_reason_to_try_again(
    script: SwitchScript, error: type[TrothError], backoff: Backoff | None
) -> None:
    async def scenario() -> None:
        async with FakeSwitch(script) as switch:
            client = connect(HOST, switch.port, options=ClientOptions(reconnect=backoff))
            with pytest.raises(error):
                await client.connect()
            with pytest.raises(error):
                await client.wait_closed()
            await asyncio.sleep(0.1)
            assert len(switch.connections) == 1
            await client.close()

    run(scenario)


def test_userauth_over_a_socket() -> None:
    script = SwitchScript(users={"1000@example.com": "secret"})

    async def scenario() -> None:
        async with FakeSwitch(script) as switch:
            options = ClientOptions(user="1000@example.com")
            async with connect(HOST, switch.port, "secret", options=options) as client:
                assert client.permissions["Allowed-Events"] == "ALL"
            with pytest.raises(AuthenticationFailed):
                async with connect(HOST, switch.port, "wrong", options=options):
                    pytest.fail("this password is wrong")

    run(scenario)


async def reconnected(client: Client, switch: FakeSwitch, count: int) -> None:
    while len(switch.connections) < count or not client.is_connected:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.KILL, Fault.SHUTDOWN, Fault.GARBAGE])
def test_a_client_comes_back_and_asks_again(fault: Fault) -> None:
    reports: list[SessionReport] = []

    async def scenario() -> None:
        options = ClientOptions(reconnect=QUICK, on_report=reports.append)
        async with FakeSwitch() as switch:
            async with connect(HOST, switch.port, options=options) as client:
                stream = client.events()
                await client.subscribe("HEARTBEAT", custom=["a::b"])
                await client.filter("H", "v")
                switch.strike(fault)
                await reconnected(client, switch, 2)
                assert [command.line for command in switch.connections[1].commands] == [
                    "auth ClueCon", "event plain HEARTBEAT CUSTOM a::b", "filter H v",
                ]  # fmt: skip
                switch.send_event("HEARTBEAT")
                assert (await anext(stream)).name == "HEARTBEAT"
                assert client.metrics.sessions_started == 2
            with pytest.raises(ConnectionEnded):
                await client.status()
            assert [event async for event in stream] == []

    run(scenario)
    wanted = {
        Fault.RESET: Ending.RESET, Fault.KILL: Ending.CUT, Fault.SHUTDOWN: Ending.SHUTDOWN,
        Fault.GARBAGE: Ending.MALFORMED,
    }[fault]  # fmt: skip
    assert [report.outcome.ending for report in reports] == [wanted, Ending.LEFT]


def test_i3_a_switch_that_drops_during_set_up_is_tried_again() -> None:
    async def scenario() -> None:
        async with FakeSwitch() as switch:
            options = ClientOptions(reconnect=QUICK)
            async with connect(HOST, switch.port, options=options) as client:
                await client.subscribe("HEARTBEAT")
                switch._faults["event"] = Fault.KILL
                switch.strike(Fault.KILL)
                await asyncio.wait_for(reconnected(client, switch, 3), 5)
                assert client.is_connected

    run(scenario)


def test_without_reconnect_the_first_end_is_the_last() -> None:
    async def scenario() -> None:
        async with FakeSwitch() as switch, connect(HOST, switch.port) as client:
            switch.strike(Fault.RESET)
            with pytest.raises(ConnectionEnded) as caught:
                await client.wait_closed()
            assert caught.value.ending is Ending.RESET
            with pytest.raises(ConnectionEnded) as caught:
                await client.status()
            assert caught.value.progress is Progress.NOT_SENT

    run(scenario)


def test_pending_work_fails_when_the_connection_ends() -> None:
    script = SwitchScript(faults={"bgapi": Fault.SILENCE})

    async def scenario() -> None:
        async with FakeSwitch(script) as switch, connect(HOST, switch.port) as client:
            await client.subscribe("BACKGROUND_JOB")
            job = asyncio.create_task(client.bgapi("slow"))
            await asyncio.sleep(0)
            other = asyncio.create_task(client.api("status"))
            await asyncio.sleep(0.05)
            switch.strike(Fault.RESET)
            results = await asyncio.gather(job, other, return_exceptions=True)
            assert [type(result) for result in results] == [ConnectionEnded] * 2

    run(scenario)


def test_a_job_that_was_accepted_fails_with_the_connection_or_with_time() -> None:
    async def scenario() -> None:
        script = SwitchScript(jobs_finish=False)
        async with FakeSwitch(script) as switch, connect(HOST, switch.port) as client:
            with pytest.raises(TimeoutError):
                await client.bgapi("slow", limit_s=0.05)
            job = asyncio.create_task(client.bgapi("slow"))
            while switch.connections[0].commands[-1].line != "bgapi slow":
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            switch.strike(Fault.KILL)
            with pytest.raises(ConnectionEnded) as caught:
                await job
            assert caught.value.progress is Progress.ACCEPTED

    run(scenario)


def test_nobody_listens() -> None:
    async def scenario() -> None:
        async with FakeSwitch() as switch:
            port = switch.port
        with pytest.raises(Unreachable):
            async with connect(HOST, port):
                pytest.fail("nobody listens")
        client = connect(HOST, port, options=ClientOptions(reconnect=QUICK))
        waiting = asyncio.create_task(client.connect())
        await asyncio.sleep(0.1)
        async with FakeSwitch() as late:
            await late.close()
            await late.start(port)
            await asyncio.wait_for(waiting, 5)
            assert client.is_connected
            await client.close()

    run(scenario)


def test_a_client_can_be_closed_while_it_waits_to_try_again() -> None:
    async def scenario() -> None:
        async with FakeSwitch() as switch:
            port = switch.port
        client = connect(HOST, port, options=ClientOptions(reconnect=Backoff(first_s=30)))
        waiting = asyncio.create_task(client.connect())
        await asyncio.sleep(0.05)
        await asyncio.wait_for(client.close(), 5)
        with pytest.raises(ConnectionEnded):
            await waiting

    run(scenario)


def test_hooks_of_a_client_are_awaited() -> None:
    seen: list[str] = []

    async def slow(event: Event) -> None:
        await asyncio.sleep(0.1)
        seen.append(event.name or "")

    async def scenario() -> None:
        async with FakeSwitch() as switch, connect(HOST, switch.port) as client:
            client.on("X", slow)
            stream = client.events()
            switch.send_event("X")
            await anext(stream)

    run(scenario)
    assert seen == ["X"]


def test_waits_grow_to_a_limit() -> None:
    backoff = Backoff(first_s=1, factor=3, longest_s=20, jitter=0.5)
    assert [backoff.delay_s(n, lambda: 0.0) for n in range(1, 6)] == [1, 3, 9, 20, 20]
    assert backoff.delay_s(10**9, lambda: 1.0) == 10
    for wrong in ({"first_s": 0.0}, {"factor": 0.5}, {"jitter": 1.0}, {"first_s": 99.0}):
        with pytest.raises(Unusable, match="esl.backoff"):  # noqa: RUF043
            Backoff(**wrong)
