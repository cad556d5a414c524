"""Handlers and hooks of calls over real sockets: what runs, what fails, what is logged."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket

import pytest

from event_socket_calls import NOTICE, OK, event
from event_socket_loop import Reports, bare, idle, run, start
from troth.streaming.eventsocket import (
    Call,
    CommandRefused,
    Ending,
    Event,
    HandlerEnd,
    Limits,
    ServerOptions,
    SessionReport,
    WhenDone,
    start_server,
)
from troth.streaming.eventsocket.testing import (
    App,
    Part,
    Script,
    call,
    play,
)
from troth.vm.errors import LimitExceeded


def test_the_session_goes_on_after_its_handler() -> None:
    names: list[str | None] = []

    async def handler(call: Call) -> None:
        call.on_event(lambda event: names.append(event.name))

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports) as server:
            transcript = await (await call(server.port, Script(hang_up_after_s=0.1))).finished()
            await server.drained()
        assert transcript.lines()[-1] == "exit"
        assert reports.one().handler is HandlerEnd.RETURNED
        assert reports.one().outcome.ending is Ending.LATCHED

    run(scenario)
    assert names[-1] == "CHANNEL_HANGUP_COMPLETE"


@pytest.mark.parametrize(
    ("when", "last"), [(WhenDone.HANG_UP, "sendmsg"), (WhenDone.LEAVE, "exit")]
)
def test_a_call_whose_handler_is_done_can_be_hung_up_or_left(when: WhenDone, last: str) -> None:
    async def handler(call: Call) -> None:
        await call.answer()

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports, when_returned=when) as server:
            transcript = await (await call(server.port)).finished()
            await server.drained()
        assert transcript.lines()[4] == last
        wanted = Ending.LATCHED if when is WhenDone.HANG_UP else Ending.LEFT
        assert reports.one().outcome.ending is wanted

    run(scenario)


def test_a10_a_handler_that_fails_is_logged_and_its_call_hung_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(call: Call) -> None:
        await call.execute("nosuch")

    script = Script(applications={"nosuch": App(refusal="-ERR invalid command")})

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports) as server:
            transcript = await (await call(server.port, script)).finished()
            await server.drained()
        assert transcript.commands[4].headers["hangup-cause"] == "NORMAL_TEMPORARY_FAILURE"
        assert reports.one().handler is HandlerEnd.FAILED
        assert reports.one().outcome.ending is Ending.LATCHED
        assert reports.one().counts.commands_refused == 1

    run(scenario)
    assert "-ERR invalid command" in caplog.text


def test_e1_to_e5_hooks_by_name_and_for_all() -> None:
    seen: list[tuple[str, str | None]] = []
    calls: list[Call] = []

    async def handler(call: Call) -> None:
        call.on("SOME_EVENT", lambda event: seen.append(("some", event.get("X"))))
        call.on("CHANNEL_DATA", lambda event: seen.append(("data", event.name)))
        call.on_event(lambda event: seen.append(("all", event.name)))
        await call.command("filter a b")
        calls.append(call)
        await idle(call)

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports) as server:
            burst = (
                event("OTHER_EVENT"), event("SOME_EVENT", X="1"), event("CHANNEL_DATA"),
                b"Content-Length: 6\nContent-Type: text/event-plain\n\nX: 2\n\n",
                event("CHANNEL_HANGUP_COMPLETE"), NOTICE,
            )  # fmt: skip
            await play(server.port, [*bare(b""), Part(OK + b"".join(burst), 0, 4)], stay=True)
            await server.drained()
        assert reports.one().counts.hooks_failed == 0

    run(scenario)
    assert seen == [
        ("all", "OTHER_EVENT"), ("all", "SOME_EVENT"), ("some", "1"), ("all", "CHANNEL_DATA"),
        ("data", "CHANNEL_DATA"), ("all", None), ("all", "CHANNEL_HANGUP_COMPLETE"),
    ]  # fmt: skip
    (newest,) = (call.last_event for call in calls)
    assert newest is not None
    assert newest.name == "CHANNEL_HANGUP_COMPLETE"


def test_e7_a_hook_that_asks_does_not_block_the_reader() -> None:
    answers: list[str] = []

    async def hook(call: Call, _: Event) -> None:
        answers.append(await call.api("status"))

    async def handler(call: Call) -> None:
        await call.answer()
        while len(answers) < 1:
            await asyncio.sleep(0.01)
        await call.hangup()

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports, hooks={"CHANNEL_ANSWER": hook}) as server:
            await asyncio.wait_for((await call(server.port)).finished(), 5)

    run(scenario)
    assert answers[0].startswith("UP ")


def test_a_hook_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def hook(_: Call, __: Event) -> None:
        raise ValueError("the hook's own mistake")

    async def handler(call: Call) -> None:
        await call.answer()
        await call.hangup()

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports, hooks={"CHANNEL_ANSWER": hook}) as server:
            await (await call(server.port)).finished()
            await server.drained()
        assert reports.one().outcome.ending is Ending.LATCHED
        assert reports.one().counts.hooks_failed == 1

    run(scenario)
    assert "the hook's own mistake" in caplog.text


def test_hooks_beyond_the_limit_wait_for_their_turn() -> None:
    running: list[int] = []
    done: list[str | None] = []

    async def hook(_: Call, event: Event) -> None:
        running.append(1)
        assert sum(running) == 1
        await asyncio.sleep(0.01)
        running.append(-1)
        done.append(event.get("X"))

    async def scenario() -> None:
        reports = Reports()
        limits = Limits(hooks_running_max=1, events_queued_max=2)
        async with await start(idle, reports, limits=limits, hooks={"E": hook}) as server:
            burst = [event("E", X=str(number)) for number in range(5)]
            ends = (event("CHANNEL_HANGUP_COMPLETE", None), NOTICE)
            await play(server.port, bare(*burst, *ends), stay=True)
            await server.drained()
        # One ran, two waited, two had no room: that is counted, and told in the log.
        assert reports.one().counts.hooks_failed == 2

    run(scenario)
    assert done == ["0", "1", "2"]


def test_calls_beyond_the_limit_are_refused() -> None:
    async def scenario() -> None:
        reports = Reports()
        async with await start(idle, reports, calls_max=1) as server:
            first = await call(server.port)
            while not server.sessions_open:
                await asyncio.sleep(0.01)
            second = await (await call(server.port)).finished()
            assert (second.commands, second.ended_by_application) == ((), True)
            first.hang_up()
            await first.finished()
            await server.drained()
            third = await call(server.port, Script(hang_up_after_s=0.01))
            assert (await third.finished()).commands
            assert server.metrics.snapshot()["sessions_refused"] == 1

    run(scenario)


def test_a_listener_to_reports_that_fails_spoils_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: SessionReport) -> None:
        raise ValueError("the listener's own mistake")

    async def scenario() -> None:
        options = ServerOptions(on_report=fail)
        async with await start_server(idle, port=0, options=options) as server:
            await (await call(server.port, Script(hang_up_after_s=0.01))).finished()
            await server.drained()

    run(scenario)
    assert "the listener's own mistake" in caplog.text


def test_a_stream_that_nobody_reads_takes_no_room() -> None:
    async def handler(call: Call) -> None:
        for _ in range(100):
            call.events()
        gc.collect()
        assert len(call._listeners._streams) == 0
        await call.leave()

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports) as server:
            await (await call(server.port)).finished()
        assert reports.one().handler is HandlerEnd.RETURNED

    run(scenario)


def test_handlers_and_hooks_that_do_not_end_are_cancelled() -> None:
    async def endless(_: Call, __: Event) -> None:
        await asyncio.Event().wait()

    async def handler(_: Call) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        reports = Reports()
        limits = Limits(hooks_s=0.2)
        async with await start(
            handler, reports, limits=limits, hooks={"CHANNEL_HANGUP": endless}
        ) as server:
            await (await call(server.port, Script(hang_up_after_s=0.05))).finished()
            await server.drained()
        report = reports.one()
        assert report.handler is HandlerEnd.CANCELLED
        assert report.counts.hooks_cancelled == 1
        assert report.outcome.ending is Ending.LATCHED

    run(scenario)


def test_a_task_that_ignores_its_cancellation_does_not_hold_up_the_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release: list[asyncio.Event] = []

    async def stubborn(_: Call) -> None:
        release.append(asyncio.Event())
        while not release[0].is_set():
            try:
                await asyncio.shield(release[0].wait())
            except asyncio.CancelledError:
                continue

    async def scenario() -> None:
        reports = Reports()
        async with await start(stubborn, reports, limits=Limits(hooks_s=0.1)) as server:
            await (await call(server.port, Script(hang_up_after_s=0.05))).finished()
            await server.drained()
        release[0].set()
        await asyncio.sleep(0.05)

    run(scenario)
    assert "ignores its cancellation" in caplog.text


def test_a_cancelled_wait_does_not_get_a_later_answer() -> None:
    found: list[str | None] = []

    async def handler(call: Call) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call.playback("long"), 0.05)
        found.append(await call.play_and_get_digits("menu"))
        await call.hangup()

    async def scenario() -> None:
        script = Script(digits=("7",), applications={"playback": App(seconds=0.2)})
        reports = Reports()
        async with await start(handler, reports) as server:
            await (await call(server.port, script)).finished()
            await server.drained()
        assert reports.one().counts.commands_forgotten == 1

    run(scenario)
    assert found == ["7"]


def test_a_stream_that_falls_behind_says_so() -> None:
    async def handler(call: Call) -> None:
        stream = call.events()
        await call.command("filter x y")
        await asyncio.sleep(0.1)
        got: list[Event] = []

        async def read_all() -> None:
            async for found in stream:
                got.append(found)

        with pytest.raises(LimitExceeded, match="events_queued_max=5"):
            await read_all()
        assert len(got) == 5
        await call.leave()

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports, limits=Limits(events_queued_max=5)) as server:
            burst = b"".join(event("E") for _ in range(9))
            await play(server.port, [*bare(b""), Part(OK + burst, 0, 4)], stay=True)
            await server.drained()
        assert reports.one().handler is HandlerEnd.RETURNED

    run(scenario)


def test_errors_of_api_commands() -> None:
    async def handler(call: Call) -> None:
        with pytest.raises(CommandRefused, match="Command not found"):
            await call.api("nosuch")
        assert (await call.api("nosuch", check=False)).startswith("-ERR")
        assert call.uuid is not None
        assert await call.uuid_getvar(call.uuid, "nosuch") is None
        await call.set("a", "x\n\n+OK forged")
        assert await call.uuid_getvar(call.uuid, "a") == "x\n\n+OK forged"
        assert call.variable("a") == "x\n\n+OK forged"
        assert (await call.refresh()).variable("a") == "x\n\n+OK forged"
        await call.hangup()

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports) as server:
            await (await call(server.port)).finished()
            await server.drained()
        assert reports.one().handler is HandlerEnd.RETURNED

    run(scenario)


def test_a_session_leaves_a_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "troth.eventsocket")

    async def scenario() -> None:
        reports = Reports()
        async with await start(idle, reports) as server:
            await (await call(server.port, Script(caller="4512345678",
                                                  hang_up_after_s=0.02))).finished()  # fmt: skip
            await server.drained()
            snapshot = server.metrics.snapshot()
            page = server.metrics.prometheus()
        assert snapshot["sessions_open"] == 0
        assert snapshot["hooks_running"] == 0
        assert "# TYPE troth_esl_ended_latched counter\ntroth_esl_ended_latched 1\n" in page
        assert "# TYPE troth_esl_hooks_running gauge\n" in page
        assert snapshot["ended_latched"] == 1
        assert snapshot["handler_returned"] == 1
        assert snapshot["set_up_s_sum"] > 0

    run(scenario)
    lines = [record.message for record in caplog.records if record.levelno == logging.INFO]
    started, set_up, told = map(json.loads, lines)
    assert started == {"event": "session started", "session": 1}
    assert (set_up["event"], set_up["uuid"]) == ("session set up", Script().uuid)
    assert (told["event"], told["session"]) == ("session ended", 1)
    assert (told["ending"], told["missing"]) == ("latched", [])
    assert told["set_up_ns"] == set_up["set_up_ns"] > 0
    assert not [line for line in lines if "4512345678" in line]


def test_hooks_that_run_are_counted_as_long_as_they_do() -> None:
    async def scenario() -> None:
        reports, go_on = Reports(), asyncio.Event()

        async def slow(_: Call, __: Event) -> None:
            await go_on.wait()

        async with await start(idle, reports, hooks={"CHANNEL_HANGUP": slow}) as server:
            await_end = await call(server.port, Script(hang_up_after_s=0.02))
            while server.metrics.snapshot()["hooks_running"] == 0:
                await asyncio.sleep(0.01)
            assert server.metrics.snapshot()["hooks_running"] == 1
            assert server.metrics.snapshot()["sessions_open"] == 1
            go_on.set()
            await await_end.finished()
            await server.drained()
            assert server.metrics.snapshot()["hooks_running"] == 0
        assert reports.one().counts.hooks_running == 0

    run(scenario)


def test_a_machine_that_vanishes_is_looked_for() -> None:
    found: list[int] = []

    async def handler(call: Call) -> None:
        transport = call._link._transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        found.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        await call.leave()

    async def scenario() -> None:
        async with await start(handler, Reports()) as server:
            await (await call(server.port)).finished()

    run(scenario)
    assert found == [1]
