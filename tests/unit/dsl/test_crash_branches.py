"""`on crash R:` in protocols: what each role sees of it, and what is refused."""

from __future__ import annotations

from protocol_helpers import check, sound
from troth.dsl.merge import Action, Conflict, ConflictKind, Option, merge
from troth.vm.types import CRASH, StateKind

SOUND = """
    protocol P(R, A, B):
        A -> R: question()
        choice at R:
            R -> A: yes()
            A -> B: told()
        or:
            R -> A: no()
            A -> B: told()
        on crash R:
            A -> B: alone(n: int)
            B -> A: thanks()
"""


def test_the_one_who_waits_has_the_crash_as_a_branch() -> None:
    assert check(SOUND).text("A") == [
        "R!question().",
        "R&{",
        "no():",
        "B!told().",
        "end",
        "on crash:",
        "B!alone(n: int).",
        "B?thanks().",
        "end",
        "yes():",
        "B!told().",
        "end",
        "}",
    ]


def test_the_others_hear_of_it_and_the_crashed_role_sees_nothing() -> None:
    outcome = check(SOUND)
    assert outcome.text("R") == ["A?question().", "A+{", "no():", "end", "yes():", "end", "}"]
    assert outcome.text("B") == [
        "A&{",
        "alone(n: int):",
        "A!thanks().",
        "end",
        "told():",
        "end",
        "}",
    ]


def test_the_crash_is_no_label_of_a_message() -> None:
    local = sound(SOUND).local_type("A")
    waiting = next(s for s in local.states if s.kind is StateKind.RECV and s.peer == "R")
    assert [move.label for move in waiting.transitions] == ["no", CRASH, "yes"]
    assert not CRASH.isidentifier()


def test_a_role_that_cannot_know_of_the_crash_is_refused_with_the_two_runs() -> None:
    found = check("""
        protocol P(R, A, B):
            choice at R:
                R -> A: yes()
                B -> A: done()
            on crash R:
                A -> B: alone()
    """).only("project.merge")
    assert found.message == "in P, B cannot tell whether R has crashed"
    assert found.notes == (
        "two runs in which B has seen the same:",
        "  1. R -> A: yes (line 4); now B sends done to A",
        "  2. R crashes, which A notices (line 6); now B waits for alone from A",
    )


def test_the_fix_lets_the_one_who_noticed_tell() -> None:
    found = check("""
        protocol P(R, A, B):
            choice at R:
                R -> A: yes()
                B -> A: yes()
            on crash R:
                B -> A: no()
    """).only("project.merge")
    assert found.fix is not None
    assert "`A -> B: crashed()` after on crash" in found.fix
    assert "`R -> B: yes()` after yes" in found.fix


def test_a_crash_that_is_handled_at_one_of_two_places_is_refused() -> None:
    with_crash = Action(StateKind.RECV, "R", (Option("m", (), 0), Option(CRASH, (), 1)))
    without = Action(StateKind.RECV, "R", (Option("n", (), 0),))
    assert merge([without, with_crash]) == Conflict(ConflictKind.CRASH, 1, 0)
    assert not isinstance(merge([with_crash, with_crash]), Conflict)


def test_a_timed_choice_may_have_a_crash_branch_too() -> None:
    outcome = check("""
        protocol P(R, A, B):
            rec X:
                choice at R within 5s:
                    R -> A: more()
                    A -> B: more()
                    continue X
                timeout:
                    R -> A: late()
                    A -> B: late()
                on crash R:
                    A -> B: alone()
    """)
    assert "on crash:" in outcome.text("A")
    assert outcome.text("B") == [
        "rec X.",
        "A&{",
        "alone():",
        "end",
        "late():",
        "end",
        "more():",
        "X",
        "}",
    ]
    assert not any("crash" in line for line in outcome.text("R"))


def test_only_the_crash_of_the_chooser_can_be_handled() -> None:
    check("""
        protocol P(R, A, B):
            choice at R:
                R -> A: yes()
                A -> B: told()
            on crash B:
                A -> B: alone()
    """).only("protocol.crash.role")


def test_the_crashed_role_takes_no_part_in_the_branch() -> None:
    found = check("""
        protocol P(R, A, B):
            choice at R:
                R -> A: yes()
                A -> B: told()
            on crash R:
                A -> B: alone()
                A -> R: hello()
    """).only("protocol.crash.gone")
    assert found.found == "A -> R: hello"


def test_what_follows_the_choice_follows_the_crash_as_well() -> None:
    found = check("""
        protocol P(R, A, B):
            choice at R:
                R -> A: yes()
                A -> B: told()
            on crash R:
                A -> B: alone()
            B -> R: after()
    """).only("protocol.crash.gone")
    assert found.found == "B -> R: after"


def test_a_choice_with_a_crash_begins_no_branch_of_another_choice() -> None:
    check("""
        protocol P(R, A, B):
            choice at R:
                choice at R:
                    R -> A: yes()
                    A -> B: told()
                on crash R:
                    A -> B: alone()
            or:
                R -> A: no()
                A -> B: told()
    """).only("protocol.crash.nested")


def test_the_word_on_stays_a_name() -> None:
    assert check("""
        protocol P(on, crash, B):
            on -> crash: on()
            choice at on:
                on -> crash: crash()
                crash -> B: m()
            on crash on:
                crash -> B: m()
    """).text("B") == ["crash?m().", "end"]
