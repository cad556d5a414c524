"""Applications that are programs: what they can do, how their calls end, what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from event_socket_loop import Reports, run, start
from troth import conformance, dsl
from troth.streaming.eventsocket import HandlerEnd, Recording, program_handler
from troth.streaming.eventsocket.shell_program import load_program
from troth.streaming.eventsocket.testing import App, Fault, Script, Transcript, call
from troth.vm import Unusable

MENU = """
program menu(s: Application.App):
    loop:
        send s.Line prompt("menu.wav", 1)
        recv s.Line:
            pressed(digits):
                if digits == "2":
                    send s.Line execute("playback", "hours.wav")
                    recv s.Line:
                        completed(response):
                            send s.Line hang_up("USER_BUSY")
                        refused(text):
                            send s.Line hang_up("CALL_REJECTED")
                        hung_up(cause):
                            print "left in playback: " + cause
                    break
            refused(text):
                send s.Line hang_up("NORMAL_CLEARING")
                break
            hung_up(cause):
                print "left: " + cause
                break
    close s
"""


def one_call(folder: Path, script: Script) -> tuple[Transcript, Reports, conformance.Verdict]:
    """What the switch saw, the report, and the verdict on the program's record."""
    path = folder / "menu.troth"
    path.write_text(MENU)
    recording = Recording(folder=folder / "calls", keys=folder / "keys")
    reports = Reports()

    async def scenario() -> Transcript:
        handler = program_handler(path, recording=recording)
        async with await start(handler, reports, record=recording) as server:
            transcript = await (await call(server.port, script)).finished()
            await asyncio.wait_for(server.drained(), 10)
        return transcript

    transcript = run(scenario)
    (program,) = (folder / "calls").glob("program-*.replay")
    return transcript, reports, conformance.verify(program)


def test_a_program_runs_a_call_and_its_record_can_be_run_again(tmp_path: Path) -> None:
    transcript, reports, verdict = one_call(tmp_path, Script(digits=("7", "2")))
    assert [name for name, _ in transcript.applications()] == [
        "play_and_get_digits", "play_and_get_digits", "playback",
    ]  # fmt: skip
    assert "hangup-cause: USER_BUSY" in transcript.received.decode()
    assert reports.one().handler is HandlerEnd.RETURNED
    assert all(level.ok for level in verdict.levels), "the bytecode decided, so level 5 holds"
    assert {one.name for one in verdict.principals if one.here} == {"App"}
    call_record = conformance.verify(reports.one().record or "")
    assert [level.ok for level in call_record.levels] == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        (Script(hang_up_in="play_and_get_digits"), "left: NORMAL_CLEARING"),
        (Script(digits=("2",), hang_up_in="playback"), "left in playback: NORMAL_CLEARING"),
        (Script(fault=Fault.RESET, fault_in="play_and_get_digits"), "left: the connection ended"),
    ],
)
def test_a_program_is_told_how_its_call_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], script: Script, printed: str
) -> None:
    _, reports, verdict = one_call(tmp_path, script)
    assert printed in capsys.readouterr().out
    assert reports.one().handler is HandlerEnd.RETURNED
    assert all(level.ok for level in verdict.levels)


def test_a_refusal_is_told_to_the_program(tmp_path: Path) -> None:
    refusing = Script(digits=("2",), applications={"playback": App(refusal="-ERR no")})
    transcript, _, verdict = one_call(tmp_path, refusing)
    assert "hangup-cause: CALL_REJECTED" in transcript.received.decode()
    assert all(level.ok for level in verdict.levels)


@pytest.mark.parametrize(
    "source",
    ["", "program a(n: int):\n    print n\n", MENU + MENU.replace("menu(", "second(")],
)
def test_a_script_without_exactly_one_application_is_refused(tmp_path: Path, source: str) -> None:
    path = tmp_path / "menu.troth"
    path.write_text(source)
    with pytest.raises(Unusable) as caught:
        load_program(path)
    assert caught.value.code == "esl.program"


def test_a_script_with_a_mistake_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "menu.troth"
    path.write_text(MENU.replace("pressed(digits)", "pushed(digits)"))
    with pytest.raises(dsl.ScriptErrors, match=r"menu\.troth:\d+"):
        load_program(path)
