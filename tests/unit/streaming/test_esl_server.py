"""Calls over real sockets: group D, the ends of a session, and recordings."""

from __future__ import annotations

import asyncio

import pytest

import event_socket_recordings as recordings
from event_socket_calls import NOTICE, OK, event
from event_socket_loop import Reports, bare, idle, run, start
from troth.streaming.eventsocket import (
    Call,
    CallHungUp,
    ConnectionEnded,
    Ending,
    Event,
    HandlerEnd,
    Limits,
    Progress,
)
from troth.streaming.eventsocket.testing import (
    App,
    EndOrder,
    Fault,
    Part,
    Script,
    SetUp,
    call,
    parts,
    play,
)

# --- group D ----------------------------------------------------------------------------------


def test_d1_the_session_closes_after_its_hooks_have_ended() -> None:
    seen: list[str] = []

    async def slow(_: Call, __: Event) -> None:
        await asyncio.sleep(0.2)
        seen.append("hook")

    async def scenario() -> None:
        reports = Reports()
        async with await start(idle, reports, hooks={"CHANNEL_HANGUP": slow}) as server:
            pieces = bare(
                event("CHANNEL_HANGUP", None), event("CHANNEL_HANGUP_COMPLETE", None), NOTICE
            )
            sent = await asyncio.wait_for(play(server.port, pieces, stay=True), 3)
            seen.append("closed")
            assert sent.endswith(b"exit\n\n")
        assert reports.one().outcome.ending is Ending.LATCHED

    run(scenario)
    assert seen == ["hook", "closed"]


@pytest.mark.parametrize("notice_first", [False, True])
def test_d2_and_d3_both_facts_close_it_in_either_order(notice_first: bool) -> None:
    async def scenario() -> None:
        reports = Reports()
        facts = [event("CHANNEL_HANGUP_COMPLETE", None), NOTICE]
        async with await start(idle, reports) as server:
            await asyncio.wait_for(
                play(server.port, bare(*(reversed(facts) if notice_first else facts)), stay=True), 3
            )
        assert reports.one().outcome.ending is Ending.LATCHED

    run(scenario)


def test_d4_a_dropped_connection_ends_the_application_and_not_the_server() -> None:
    errors: list[ConnectionEnded] = []

    async def handler(call: Call) -> None:
        try:
            await call.playback("x")
        except ConnectionEnded as error:
            errors.append(error)
            raise

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports) as server:
            for _ in range(2):
                await play(server.port, [*bare(b""), Part(OK, 0, 4)])
            await server.drained()
        assert [report.outcome.ending for report in reports] == [Ending.CUT] * 2
        assert {report.handler for report in reports} == {HandlerEnd.ENDED_WITH_CALL}

    run(scenario)
    assert [error.progress for error in errors] == [Progress.ACCEPTED] * 2


def test_d5_leaving_inside_of_the_handler() -> None:
    async def handler(call: Call) -> None:
        await call.leave()

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports) as server:
            transcript = await (await call(server.port)).finished()
        assert transcript.lines()[-1] == "exit"
        assert reports.one().outcome.ending is Ending.LEFT

    run(scenario)


def test_d6_leaving_inside_of_a_hook() -> None:
    async def hook(call: Call, _: Event) -> None:
        await call.leave()

    async def scenario() -> None:
        reports = Reports()
        async with await start(idle, reports, hooks={"CHANNEL_HANGUP": hook}) as server:
            sent = await play(server.port, bare(event("CHANNEL_HANGUP", None)), stay=True)
        assert sent.endswith(b"exit\n\n")
        assert reports.one().outcome.ending is Ending.LEFT

    run(scenario)


# --- every end --------------------------------------------------------------------------------

BOUNDED = Limits(set_up_s=0.3, reply_s=0.3, latch_s=0.3, hooks_s=1, exit_s=0.3)
PLAYING = {"playback": App(seconds=0.1)}
BOTH = ("CHANNEL_HANGUP_COMPLETE", "text/disconnect-notice")


async def playing(call: Call) -> None:
    while True:
        await call.playback("x")


@pytest.mark.parametrize(
    ("script", "ending", "missing"),
    [
        (Script(hang_up_in="playback", applications=PLAYING, end=EndOrder.NATURAL),
         Ending.LATCHED, ()),
        (Script(hang_up_in="playback", end=EndOrder.NOTICE_FIRST), Ending.LATCHED, ()),
        (Script(hang_up_in="playback", end=EndOrder.NOTICE_FIRST, end_gap_s=0.1),
         Ending.LATCHED, ()),
        (Script(hang_up_in="playback", end=EndOrder.NOTICE_TWICE, end_gap_s=0.05),
         Ending.LATCHED, ()),
        (Script(hang_up_in="playback", end=EndOrder.OTHER_LEG_FIRST, end_gap_s=0.05),
         Ending.LATCHED, ()),
        (Script(hang_up_in="playback", end=EndOrder.NO_COMPLETE), Ending.TIME_LIMIT, BOTH[:1]),
        (Script(hang_up_in="playback", end=EndOrder.NO_COMPLETE, synchronous=True),
         Ending.TIME_LIMIT, BOTH[:1]),
        (Script(hang_up_in="playback", end=EndOrder.NO_NOTICE), Ending.TIME_LIMIT, BOTH[1:]),
        (Script(hang_up_in="playback", end=EndOrder.BURST_LOST), Ending.CLOSED_EARLY, BOTH[:1]),
        (Script(hang_up_in="playback", full=False), Ending.LATCHED, ()),
        (Script(fault=Fault.RESET, fault_after_s=0.1), Ending.RESET, BOTH),
        (Script(fault=Fault.KILL, fault_after_s=0.1), Ending.CUT, BOTH),
        (Script(fault=Fault.HALF_CLOSE, fault_after_s=0.1), Ending.CUT, BOTH),
        (Script(fault=Fault.SHUTDOWN, fault_after_s=0.1), Ending.SHUTDOWN, BOTH[:1]),
        (Script(fault=Fault.SILENCE, fault_after_s=0.1), Ending.SILENCE, BOTH),
        (Script(fault=Fault.GARBAGE, fault_after_s=0.1), Ending.MALFORMED, BOTH),
        (Script(set_up=SetUp.HUNG_UP), Ending.NO_CALL, ("the reply to connect",)),
        (Script(set_up=SetUp.SILENT), Ending.SILENCE, ("the reply to connect",)),
        (Script(set_up=SetUp.REJECTED), Ending.REJECTED, ("the reply to connect",)),
    ],
)  # fmt: skip
def test_each_end_is_typed_bounded_and_leaves_nobody_waiting(
    script: Script, ending: Ending, missing: tuple[str, ...]
) -> None:
    hooks: list[str | None] = []

    async def slow(_: Call, event: Event) -> None:
        await asyncio.sleep(0.05)
        hooks.append(event.name)

    async def scenario() -> None:
        reports = Reports()
        async with await start(
            playing, reports, limits=BOUNDED, hooks={"CHANNEL_HANGUP": slow}
        ) as server:
            in_progress = await call(server.port, script, chunk_bytes=200, seed=7)
            await asyncio.wait_for(in_progress.finished(), 5)
            await asyncio.wait_for(server.drained(), 5)
        report = reports.one()
        assert (report.outcome.ending, report.outcome.missing) == (ending, missing)
        started = script.set_up is SetUp.UP
        assert report.handler is (HandlerEnd.ENDED_WITH_CALL if started else HandlerEnd.NOT_STARTED)
        assert (report.set_up_ns is not None) is started
        assert report.counts.hooks_cancelled == 0

    run(scenario)
    assert hooks == (["CHANNEL_HANGUP"] if script.hang_up_in else [])


def test_our_own_hang_up_ends_with_the_latch() -> None:
    async def handler(call: Call) -> None:
        await call.answer()
        await call.hangup("USER_BUSY")
        with pytest.raises(CallHungUp):
            await call.playback("x")
        assert (call.hung_up, call.hangup_cause) == (True, "USER_BUSY")

    async def scenario() -> None:
        reports = Reports()
        async with await start(handler, reports) as server:
            transcript = await (await call(server.port)).finished()
            await server.drained()
        assert transcript.applications() == [("answer", "")]
        assert reports.one().outcome.ending is Ending.LATCHED
        assert reports.one().handler is HandlerEnd.RETURNED

    run(scenario)


def test_a_server_that_stops_leaves_its_calls() -> None:
    async def scenario() -> None:
        reports = Reports()
        server = await start(idle, reports)
        in_progress = await call(server.port)
        while not server.metrics.sessions_started:
            await asyncio.sleep(0)
        await server.close()
        assert (await in_progress.finished()).lines()[-1] == "exit"
        assert reports.one().outcome.ending is Ending.STOPPED

    run(scenario)


# --- recordings over a socket -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["a1", "a7", "a8", "a9", "a11", "b1", "b2", "c5f", "c9"])
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_recorded_calls_over_a_socket(name: str, seed: int | None) -> None:
    recording = recordings.load(name)
    steps = []
    for moment in recording.steps:
        if moment.direction == "rx_chunk":
            data = recording.received[moment.offset : moment.offset + moment.length]
            steps.append((moment.at_s, "rx", data))
    # Our own commands differ from the recorder's after the set-up; what came does not wait.
    told = [
        Part(part.data, part.wait_s, min(index + 1, 3)) for index, part in enumerate(parts(steps))
    ]

    async def scenario() -> None:
        reports = Reports()
        limits = Limits(latch_s=1, hooks_s=1, exit_s=1)
        async with await start(idle, reports, limits=limits) as server:
            await play(server.port, told, speed=50, seed=seed)
            await server.drained()
        wanted = Ending.NO_CALL if name == "c9" else Ending.LATCHED
        assert reports.one().outcome.ending is wanted

    run(scenario)
