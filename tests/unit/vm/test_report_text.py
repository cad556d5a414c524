"""How a report reads: places in words, short ids, lines of a width, nothing that steers."""

from __future__ import annotations

from troth.vm.error_text import describe_error
from troth.vm.errors import Fault, Place, Unusable
from troth.vm.escape import escape, plain
from troth.vm.events import Status
from troth.vm.report import CoroutineReport, Outcome, Report, SessionReport
from troth.vm.report_text import WIDTH, count, fault_lines, wrap

ID = bytes(range(32))
PLACE = Place(
    program="main", line=23, pc=4, coroutine="ab" * 16, session=ID.hex(), role="A", position="end"
)


def _report(*faults: Fault, sessions: tuple[SessionReport, ...] = ()) -> Report:
    return Report(
        outcome=Outcome.FAILED,
        rounds=1,
        coroutines=(),
        coroutine_count=0,
        sessions=sessions,
        session_count=len(sessions) + 1,
        sessions_closed=0,
        faults=faults,
        fault_count=len(faults) + 2,
        source="script.troth",
    )


def test_a_fault_says_where_then_what_then_what_to_do() -> None:
    error = Fault("vm.fault.type", "no", place=PLACE, expected="x", actual="y", advice="Do z")
    assert fault_lines(error, "script.troth") == [
        "fault in main at line 23 (script.troth): no [vm.fault.type]",
        "    expected: x",
        "    found: y",
        "    at A of session 00010203…, which may do: end",
        "    Do z",
    ]
    bare = Fault("vm.fault.pc", "no", place=Place(program="main", pc=4))
    assert fault_lines(bare, "") == ["fault in main at instruction 4: no [vm.fault.pc]"]


def test_what_was_said_is_not_said_again() -> None:
    error = Fault("vm.fault.type", "it is no int", place=PLACE, expected="int", actual="in")
    lines = fault_lines(error, "")
    assert not any("expected" in line for line in lines)
    assert "    found: in" in lines
    same = Fault("vm.fault.type", "no", place=PLACE, expected="end")
    assert "    at A of session 00010203…" in fault_lines(same, "")


def test_ids_in_prose_are_short() -> None:
    error = Fault("vm.fault.key", f"session {ID.hex()} is over", place=Place())
    assert fault_lines(error, "") == ["fault: session 00010203… is over [vm.fault.key]"]


def test_a_report_counts_in_words_and_keeps_its_width() -> None:
    long = Fault("vm.fault.fail", "word " * 100, place=PLACE)
    session = SessionReport(
        id=ID,
        protocol="P",
        status=Status.FAULTED,
        detail="vm.fault.invoke",
        ended_by="A",
        waiting=(("A -> B", 1), ("B -> A", 2)),
    )
    text = _report(long, sessions=(session,)).describe()
    lines = text.split("\n")
    assert all(len(line) <= WIDTH for line in lines)
    assert "and 2 more faults" in lines
    assert "and 1 more session" in lines
    assert "session 00010203… of P is faulted by A: an effect failed [vm.fault.invoke]" in lines
    assert "    A -> B: 1 message waiting" in lines
    assert "    B -> A: 2 messages waiting" in lines
    assert text.startswith("fault in main at line 23 (script.troth): word word")
    assert count(0, "fault") == "0 faults"


def test_continuations_are_indented_and_words_stay_whole() -> None:
    word = "x" * 200
    assert wrap([f"  a {word}", "b"]) == f"  a\n      {word}\nb"


def test_nothing_in_a_report_steers_or_floods() -> None:
    evil = "\x1b[2J\n\u202e" + "y" * 10_000
    session = SessionReport(
        id=ID, protocol=evil, status=Status.CANCELLED, detail=evil, ended_by=evil
    )
    coroutine = CoroutineReport(
        id=ID[:16], program=evil, line=1, pc=0, waits_for=evil, endpoints=(evil,)
    )
    error = Fault("vm.fault.fail", evil, place=Place(program=evil), expected=evil, actual=evil)
    text = _report(error, sessions=(session,)).describe() + coroutine.describe()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\\u{1b}[2J\\u{a}\\u{202e}" in text
    assert len(text) < 10_000


def test_an_error_in_one_line() -> None:
    evil = "\x1b\n" + "y" * 10_000
    error = Unusable("a.b", evil, place=Place(file=evil), expected=evil, actual=evil, advice=evil)
    text = describe_error(error)
    assert text.isprintable()
    assert len(text) < 6_000
    plainly = Unusable("a.b", "m", place=Place(file="f", line=2), expected="e", actual="f")
    assert describe_error(plainly) == str(plainly)


def test_a_backslash_is_doubled_only_where_it_must_be_told_apart() -> None:
    assert escape("a\\\x07") == "a\\\\\\u{7}"
    assert plain("a\\\x07") == "a\\\\u{7}"
