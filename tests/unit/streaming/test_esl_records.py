"""Calls on record: what is told, what is left out, how each ending reads, and what may fail."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

import event_socket_records as records
from artifact_surgery import key_pair, parse
from event_socket_loop import Reports, idle, run, start
from second_verifier import VALID, judge
from troth import conformance
from troth.conformance.judge import verify_stream
from troth.streaming.eventsocket import (
    AuthenticationFailed,
    Call,
    ClientOptions,
    Ending,
    Limits,
    Privacy,
    Recording,
    SessionReport,
    connect,
)
from troth.streaming.eventsocket.shell_record import OUTBOUND, Recorders
from troth.streaming.eventsocket.testing import (
    EndOrder,
    FakeSwitch,
    Fault,
    Script,
    SetUp,
    SwitchScript,
    call,
)
from troth.vm import shell_run
from troth.vm.errors import Unusable
from troth.vm.records import Kind
from troth.vm.shell_artifact import ArtifactWriter
from troth.vm.values import Record

BOUNDED = Limits(set_up_s=1.5, reply_s=1.5, latch_s=0.5, hooks_s=3, exit_s=0.5)


def holds(data: bytes) -> conformance.Verdict:
    """Levels 1 to 4 hold, for both verifiers, and the switch is observed."""
    found = verify_stream(io.BytesIO(data))
    assert [level.ok for level in found.levels[:4]] == [True] * 4, found.findings
    assert (found.counts.sessions, found.counts.closed) == (2, 2)
    assert judge(data).word == VALID
    for principal in found.principals:
        assert all(role.endswith(".App") for role in principal.roles)
        assert (principal.name == "observer") == bool(principal.observed)
    return found


# --- what is told -----------------------------------------------------------------------------


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("name", sorted(records.STORIES))
def test_every_story_is_a_record_that_holds(name: str, everything: bool) -> None:
    holds(records.sample(name, everything).data)


@pytest.mark.parametrize("name", sorted(records.STORIES))
def test_commands_and_events_are_one_bundle_that_closes_as_a_whole(name: str) -> None:
    kinds = [record[0] for record in parse(records.sample(name).data)]
    assert kinds.count(Kind.BUNDLE) == 1
    assert kinds.count(Kind.OPEN) == 2
    holds(records.sample(name).data)


def test_the_protocols_are_checked_once_for_all_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorders = Recorders(Recording(folder=tmp_path), OUTBOUND)

    def again(_: object) -> None:
        raise AssertionError("the image is loaded again")

    monkeypatch.setattr(shell_run, "load", again)
    assert recorders.new().failure is None


def test_a_call_reads_as_what_happened() -> None:
    told = list(records.said(records.sample("ivr", everything=True).data))
    assert [one.label for one in told] == [
        "observing", "connect", "connected", "command", "accepted", "command", "accepted",
        "execute", "accepted", "event", "completed", "api", "output", "execute", "refused",
        "command", "accepted", "hangup", "hangup_complete", "notice", "latched", "exit",
    ]  # fmt: skip
    by_label = {one.label: one.values for one in told}
    assert by_label["api"][:2] == ("status", "x")
    assert by_label["output"] == (f"UP {records.CALLER}", 0)
    assert by_label["execute"] == ("bridge", "app-2", f"user/{records.CALLER}", 0)
    assert by_label["refused"] == (f"-ERR no {records.CALLER}",)
    assert by_label["completed"][:2] == ("answer", "app-1")
    assert by_label["notice"] == ("linger",)


def test_a_caller_is_not_in_the_record_unless_asked_for() -> None:
    secret = records.CALLER.encode()
    kept = records.sample("ivr", everything=True).data
    assert secret in kept
    data = records.sample("ivr").data
    assert secret not in data
    told = {one.label: one.values for one in records.said(data)}
    assert told["execute"] == ("bridge", "app-2", "", 1), "the argument is counted as left out"
    assert told["output"] == ("", 1)
    assert told["event"][3] == 1
    kept_names = told["observing"][0]
    assert isinstance(kept_names, tuple)
    assert "Caller-Caller-ID-Number" not in kept_names


def test_what_is_kept_is_configurable_and_stated() -> None:
    privacy = Privacy(headers=frozenset({"Caller-Caller-ID-Number"}), arguments=True)
    data = records.record_call(records.STORIES["ivr"][0], privacy)
    told = {one.label: one.values for one in records.said(data)}
    assert told["observing"] == (("Caller-Caller-ID-Number", "arguments"),)
    assert told["event"][2] == ({"name": "Caller-Caller-ID-Number", "value": records.CALLER},)
    assert told["execute"][2] == f"user/{records.CALLER}"
    assert told["output"] == ("", 1)


def test_values_that_are_too_long_or_too_many_are_left_out() -> None:
    kept, hidden = Privacy.everything().pairs([("a", "x" * 5000), ("b", "\ud800")])
    assert (kept, hidden) == ((Record((("name", "b"), ("value", "?"))),), 1)
    kept, hidden = Privacy.everything().pairs([("a", "x")] * 300)
    assert (len(kept), hidden) == (256, 44)


def test_a_late_reply_is_a_remark_and_nobodys_answer() -> None:
    told = list(records.said(records.sample("late").data))
    labels = [one.label for one in told]
    assert labels.count("unanswered") == 1
    remarks = [one.values[0] for one in told if one.label == "remark"]
    assert remarks == ["late reply", "stray reply"]


# --- endings ----------------------------------------------------------------------------------

BOTH = ("CHANNEL_HANGUP_COMPLETE", "text/disconnect-notice")


async def playing(call: Call) -> None:
    while True:
        await call.playback("x")


@pytest.mark.parametrize(
    ("script", "ending", "missing"),
    [
        (Script(hang_up_in="playback", end=EndOrder.NATURAL), "latched", ()),
        (Script(hang_up_in="playback", end=EndOrder.NOTICE_FIRST), "latched", ()),
        (Script(hang_up_in="playback", end=EndOrder.NOTICE_TWICE), "latched", ()),
        (Script(hang_up_in="playback", end=EndOrder.OTHER_LEG_FIRST), "latched", ()),
        (Script(hang_up_in="playback", full=False), "latched", ()),
        (Script(hang_up_in="playback", end=EndOrder.NO_COMPLETE, synchronous=True), "time limit",
         BOTH[:1]),
        (Script(hang_up_in="playback", end=EndOrder.NO_NOTICE), "time limit", BOTH[1:]),
        (Script(hang_up_in="playback", end=EndOrder.BURST_LOST), "closed early", BOTH[:1]),
        (Script(fault=Fault.RESET, fault_after_s=0.1), "reset", BOTH),
        (Script(fault=Fault.KILL, fault_after_s=0.1), "cut", BOTH),
        (Script(fault=Fault.HALF_CLOSE, fault_after_s=0.1), "cut", BOTH),
        (Script(fault=Fault.SHUTDOWN, fault_after_s=0.1), "shutdown", BOTH[:1]),
        (Script(fault=Fault.SILENCE, fault_after_s=0.1), "silence", BOTH),
        (Script(fault=Fault.GARBAGE, fault_after_s=0.1), "malformed", BOTH),
        (Script(set_up=SetUp.HUNG_UP), "no call", ("the reply to connect",)),
        (Script(set_up=SetUp.SILENT), "silence", ("the reply to connect",)),
        (Script(set_up=SetUp.REJECTED), "rejected", ("the reply to connect",)),
    ],
)  # fmt: skip
def test_every_ending_leaves_a_record_that_names_what_did_not_arrive(
    tmp_path: Path, script: Script, ending: str, missing: tuple[str, ...]
) -> None:
    async def scenario() -> None:
        reports = Reports()
        recording = Recording(folder=tmp_path)
        async with await start(playing, reports, limits=BOUNDED, record=recording) as server:
            in_progress = await call(server.port, script, chunk_bytes=200, seed=7)
            await asyncio.wait_for(in_progress.finished(), 5)
            await asyncio.wait_for(server.drained(), 5)
        report = reports.one()
        assert report.outcome.ending.value == ending
        assert report.record_failure is None
        data = Path(report.record or "").read_bytes()
        holds(data)
        if ending == "latched":
            assert records.last(data, "latched") == ()
        else:
            assert records.last(data, "ended") == (ending, missing)

    run(scenario)


@pytest.mark.parametrize("how", ["leave", "stop"])
def test_leaving_and_stopping_are_endings_too(tmp_path: Path, how: str) -> None:
    async def leaving(call: Call) -> None:
        await call.leave()

    async def scenario() -> SessionReport:
        reports = Reports()
        handler = leaving if how == "leave" else idle
        server = await start(handler, reports, record=Recording(folder=tmp_path))
        in_progress = await call(server.port)
        while how == "stop" and not server.metrics.sessions_started:
            await asyncio.sleep(0)
        if how == "leave":
            await in_progress.finished()
        await server.close()
        await in_progress.finished()
        return reports.one()

    report = run(scenario)
    data = Path(report.record or "").read_bytes()
    holds(data)
    assert records.last(data, "ended")[0] in ("left", "stopped")
    assert records.last(data, "exit") == ()


def test_each_call_has_a_file_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        reports = Reports()
        async with await start(
            playing, reports, record=Recording(folder=tmp_path, keys=tmp_path / "keys")
        ) as server:
            script = Script(hang_up_in="playback")
            calls = [await call(server.port, script) for _ in range(5)]
            for one in calls:
                await one.finished()
            await server.drained()
        assert len({report.record for report in reports}) == 5

    run(scenario)
    files = sorted(tmp_path.glob("*.replay"))
    assert len(files) == 5
    keys = {holds(path.read_bytes()).principals[0].key for path in files}
    assert len(keys) == 1, "the keys of the folder"
    assert sorted(path.name for path in (tmp_path / "keys").glob("*.key")) == [
        "App.key",
        "observer.key",
    ]


# --- clients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_a_clients_connection_is_recorded(tmp_path: Path, password: str) -> None:
    reports: list[SessionReport] = []

    async def scenario() -> None:
        script = SwitchScript(password="secret", api={"originate": "+OK 1234\n"})
        recording = Recording(folder=tmp_path, privacy=Privacy.everything())
        options = ClientOptions(record=recording, on_report=reports.append)
        async with FakeSwitch(script) as switch:
            try:
                async with connect("127.0.0.1", switch.port, password, options=options) as client:
                    await client.status()
                    await client.bgapi("originate", "user/1000 &park")
                    await client.channel("a-call").playback("x.wav")
            except AuthenticationFailed:
                assert password == "wrong"

    run(scenario)
    (report,) = reports
    assert report.record_failure is None
    data = Path(report.record or "").read_bytes()
    holds(data)
    assert password.encode() not in data
    labels = [one.label for one in records.said(data)]
    if password == "wrong":
        assert report.outcome.ending is Ending.REFUSED
        assert labels[-2:] == ["ended", "gone"]
    else:
        assert {"admitted", "output", "accepted", "execute", "completed", "exit"} <= set(labels)


# --- what may fail ----------------------------------------------------------------------------


def test_a_record_that_cannot_be_written_ends_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    whole = ArtifactWriter.write

    def full(self: ArtifactWriter, data: bytes) -> None:
        nonlocal written
        written += 1
        if written > 4:
            raise Unusable("artifact.file", "the artifact cannot be written: No space left")
        whole(self, data)

    monkeypatch.setattr(ArtifactWriter, "write", full)

    async def scenario() -> None:
        reports = Reports()
        async with await start(
            playing, reports, record=Recording(folder=tmp_path), limits=BOUNDED
        ) as server:
            await (await call(server.port, Script(hang_up_in="playback"))).finished()
            await server.drained()
        report = reports.one()
        assert report.outcome.ending is Ending.LATCHED
        assert "No space left" in (report.record_failure or "")

    run(scenario)
    (path,) = tmp_path.glob("*.replay")
    found = conformance.verify(path)
    assert found.status.value == "incomplete"
    assert all(level.ok for level in found.levels[1:4])


def test_keys_are_told_apart() -> None:
    data = records.sample("ivr").data
    found = verify_stream(io.BytesIO(data))
    names = {one.name: one.key for one in found.principals}
    assert names == {name: key_pair(name).verifier.text for name in ("App", "observer")}
