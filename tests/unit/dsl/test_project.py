"""Projection: what roles see, and what the diagnostic says when one cannot tell branches apart."""

from __future__ import annotations

import pytest

from protocol_helpers import check, sound
from troth.dsl.budget import Budget
from troth.dsl.global_type import GlobalType
from troth.dsl.project import TooManyStates, Unprojectable, project
from troth.dsl.protocols import project_text


def test_a_role_learns_the_branch_from_somebody_else() -> None:
    assert check("""
        protocol P(A, B, C):
            choice at A:
                A -> B: left()
                B -> C: left(n: int)
            or:
                A -> B: right()
                B -> C: right()
                C -> B: thanks()
    """).text("C") == ["B&{", "left(n: int):", "end", "right():", "B!thanks().", "end", "}"]


def test_a_role_may_learn_the_branch_only_in_a_later_round() -> None:
    assert check("""
        protocol P(A, B, C):
            rec X:
                choice at A:
                    A -> B: again()
                    continue X
                or:
                    A -> B: enough()
                    B -> C: result(n: int)
    """).text("C") == ["B?result(n: int).", "end"]


def test_merging_goes_through_recursion_that_was_unfolded_once() -> None:
    assert check("""
        protocol P(A, B, C):
            choice at A:
                A -> B: left()
                B -> C: item()
                rec X:
                    B -> C: item()
                    continue X
            or:
                A -> B: right()
                rec Y:
                    B -> C: item()
                    continue Y
    """).text("C") == ["rec X.", "B?item().", "X"]


def test_loops_with_different_exits_unite() -> None:
    assert check("""
        protocol P(A, B, C):
            choice at A:
                A -> B: left()
                rec X:
                    choice at B:
                        B -> C: item()
                        B -> A: item()
                        continue X
                    or:
                        B -> C: left()
                        B -> A: left()
            or:
                A -> B: right()
                rec X:
                    choice at B:
                        B -> C: item()
                        B -> A: item()
                        continue X
                    or:
                        B -> C: right()
                        B -> A: right()
    """).text("C") == [
        "rec X.",
        "B&{",
        "item():",
        "X",
        "left():",
        "end",
        "right():",
        "end",
        "}",
    ]


def test_a_role_that_has_no_part_in_a_loop_is_done() -> None:
    assert check("""
        protocol P(A, B, C):
            A -> C: hello()
            rec X:
                A -> B: ping()
                B -> A: pong()
                continue X
    """).text("C") == ["A?hello().", "end"]


def test_sending_needs_no_knowledge_when_it_is_the_same_in_all_branches() -> None:
    assert check("""
        protocol P(A, B, C):
            choice at A:
                A -> B: left()
                C -> B: report()
            or:
                A -> B: right()
                C -> B: report()
    """).text("C") == ["B!report().", "end"]


def test_how_recursion_is_spelt_does_not_matter() -> None:
    spelt = sound("""
        protocol P(A, B):
            rec X:
                A -> B: m()
                rec Y:
                    A -> B: m()
                    continue X
    """).image
    plain = sound("""
        protocol P(A, B):
            rec Z:
                A -> B: m()
                continue Z
    """).image
    assert spelt == plain


# --- what does not project ---------------------------------------------------------------


def test_the_diagnostic_names_role_branches_messages_and_the_fix() -> None:
    diagnostic = check("""
        protocol P(Alice, Bob, Carol):
            choice at Alice:
                Alice -> Bob: left()
                Bob -> Carol: go()
            or:
                Alice -> Bob: right()
    """).only("project.merge")
    assert diagnostic.message == "in P, Carol cannot tell which branch Alice chose"
    assert diagnostic.found == (
        "after left Carol waits for go from Bob, but after right it is done"
    )
    assert diagnostic.fix == (
        "let Alice tell Carol which branch was taken: "
        "add `Alice -> Carol: left()` after left and `Alice -> Carol: right()` after right"
    )
    assert diagnostic.span.line == 3
    assert [span.line for span, _ in diagnostic.related] == [4, 7, 5]


def test_the_diagnostic_ends_with_the_two_runs() -> None:
    outcome = check("""
        protocol P(A, B, C):
            A -> C: hello()
            choice at A:
                A -> B: l()
                B -> C: note()
                B -> C: more()
            or:
                A -> B: r()
                B -> C: note()
                C -> B: back()
    """)
    assert outcome.only("project.merge").notes == (
        "two runs in which C has seen the same:",
        "  1. A -> C: hello (line 3), A -> B: l (line 5), B -> C: note (line 6); "
        "now C waits for more from B",
        "  2. A -> C: hello (line 3), A -> B: r (line 9), B -> C: note (line 10); "
        "now C sends back to B",
    )
    assert "  two runs in which C has seen the same:\n    1. A -> C" in outcome.diagnostics.render()


def test_of_a_long_run_the_end_is_shown() -> None:
    greetings = "\n".join("            A -> C: hello()" for _ in range(20))
    notes = (
        check(f"""
        protocol P(A, B, C):
{greetings}
            choice at A:
                A -> B: l()
                B -> C: more()
            or:
                A -> B: r()
    """)
        .only("project.merge")
        .notes
    )
    assert "1. 9 earlier messages, A -> C: hello (line 12), " in notes[1]


def test_following_the_advice_helps() -> None:
    assert not check("""
        protocol P(Alice, Bob, Carol):
            choice at Alice:
                Alice -> Bob: left()
                Alice -> Carol: left()
                Bob -> Carol: go()
            or:
                Alice -> Bob: right()
                Alice -> Carol: right()
    """).codes


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        ("B -> C: x()", "A -> C: x()", "waits for x from B, but after r it waits for x from A"),
        ("B -> C: x()", "C -> B: x()", "waits for x from B, but after r it sends x to B"),
        ("C -> B: x()", "C -> B: y()", "sends x to B, but after r it sends y to B"),
        ("C -> B: x()", "C -> A: x()", "sends x to B, but after r it sends x to A"),
        ("B -> C: x(n: int)", "B -> C: x()", "waits for x(n: int) from B, but after r it"),
        ("C -> B: x(n: int)", "C -> B: x()", "sends x(n: int) to B, but after r it sends x()"),
    ],
)
def test_what_a_role_cannot_tell_apart(left: str, right: str, found: str) -> None:
    outcome = check(f"""
        protocol P(A, B, C):
            choice at A:
                A -> B: l()
                {left}
            or:
                A -> B: r()
                {right}
    """)
    assert found in (outcome.only("project.merge").found or "")


def test_the_choice_that_hides_the_branch_is_found_behind_other_messages() -> None:
    diagnostic = check("""
        protocol P(A, B, C):
            A -> C: hello()
            choice at A:
                A -> B: l()
                B -> C: note()
                B -> C: more()
            or:
                A -> B: r()
                B -> C: note()
                C -> B: back()
    """).only("project.merge")
    assert diagnostic.span.line == 4
    assert [span.line for span, _ in diagnostic.related] == [5, 9, 7, 11]


def test_every_role_that_cannot_tell_is_named() -> None:
    outcome = check("""
        protocol P(A, B, C, D):
            choice at A:
                A -> B: l()
                B -> C: x()
                B -> D: x()
            or:
                A -> B: r()
    """)
    assert outcome.codes == ["project.merge"] * 2
    assert [item.message[6] for item in outcome.diagnostics.found] == ["C", "D"]


def test_a_sub_protocol_that_fails_is_not_reported_again_where_it_is_used() -> None:
    outcome = check("""
        protocol Q(A, B, C):
            choice at A:
                A -> B: l()
                B -> C: x()
            or:
                A -> B: r()
        protocol P(X, Y, Z):
            do Q(X, Y, Z)
        program q(s: Q.A):
            send s.B r()
            close s
    """)
    assert "in Q, C" in outcome.only("project.merge").message


def test_an_exit_that_a_loop_does_not_tell_everybody_is_refused() -> None:
    diagnostic = check("""
        protocol P(A, B, C):
            loop at A:
                A -> B: token()
                B -> C: token()
                C -> A: token()
    """).only("project.merge")
    assert diagnostic.fix == (
        "let A tell C which branch was taken: add `A -> C: token()` after token"
    )


# --- limits ------------------------------------------------------------------------------


def _memory(bits: int) -> str:
    """C must remember the last `bits` labels to know when mark may come: 2**bits states."""
    lines = ["protocol P(A, B, C):", "    rec X:", "        choice at A:"]
    lines += ["            A -> B: zero()", "            B -> C: zero()", "            continue X"]
    lines += ["        or:", "            A -> B: one()", "            B -> C: one()"]
    lines += ["            continue X"]
    lines += ["        or:", "            A -> B: last()", "            B -> C: one()"]
    for _ in range(bits):
        for head, label in (("choice at A", "zero"), ("or", "one")):
            lines += [f"            {head}:", f"                A -> B: {label}()"]
            lines += [f"                B -> C: {label}()"]
    lines += ["            B -> C: mark()"]
    return "\n".join(lines)


def test_projection_is_bounded() -> None:
    assert len(sound(_memory(5)).local_type("C").states) > 2**5
    big = check(_memory(40))
    assert "tell C earlier" in (big.only("project.too_large").fix or "")


def test_a_part_that_is_too_large_is_reported_too() -> None:
    part = _memory(40).replace("protocol P", "protocol Part")
    outcome = check("protocol P(A, B, C):\n    do Part(A, B, C)\n" + part)
    outcome.only("project.too_large")
    assert outcome.protocols.broken == {"P", "Part"}


def test_the_budget_is_shared_by_all_protocols_and_spent_with_one_message() -> None:
    script = "protocol Big(A, B):\n" + "    A -> B: m()\n" * 20
    script += "".join(f"protocol P{number}(A, B):\n    do Big(A, B)\n" for number in range(9))
    outcome = check(script, Budget(nodes=100))
    outcome.only("protocol.too_large")
    assert sorted(outcome.protocols.checked) == ["Big", "P0", "P1", "P2"]
    assert len(outcome.protocols.broken) == 6
    assert not check(script, Budget(nodes=300)).codes


def test_the_budget_is_shared_by_all_roles() -> None:
    global_type: GlobalType = sound("""
        protocol P(A, B, C):
            A -> B: m()
            B -> C: n()
    """).global_type
    budget = Budget(steps=14)
    assert not isinstance(project(global_type, "A", budget), TooManyStates | Unprojectable)
    assert project(global_type, "B", budget) == TooManyStates("B")


def test_a_type_too_large_for_a_term_is_written_as_states() -> None:
    lines = ["protocol P(A, B):"]
    for number in range(40):
        lines += ["    choice at A:", f"        A -> B: l{number}()"]
        lines += ["    or:", f"        A -> B: r{number}()"]
    text = project_text(sound("\n".join(lines)), "A").split("\n")
    assert len(text) == 41
    assert text[0] == "state 0: B+{l0(), r0()}"


def test_a_stranger_has_no_local_type() -> None:
    checked = sound("""
        protocol P(A, B):
            A -> B: m()
    """)
    with pytest.raises(KeyError):
        checked.local_type("C")
