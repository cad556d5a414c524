"""Expansion: multicast, loops, sub-protocols, and statements after every construct."""

from __future__ import annotations

import pytest

from protocol_helpers import check, sound
from troth.dsl.global_type import Comm, EndNode, GlobalType


def same(left: str, right: str, protocol: str = "P") -> None:
    """Both scripts give every role the same local type."""
    one, other = sound(left, protocol).image, sound(right, protocol).image
    assert one.roles == other.roles
    assert one.local_types == other.local_types


def messages(global_type: GlobalType) -> list[str]:
    """The messages on the way that takes the first branch everywhere, until an end or a loop."""
    found: list[str] = []
    visited: set[int] = set()
    number = global_type.start
    while number not in visited:
        visited.add(number)
        node = global_type.nodes[number]
        if isinstance(node, EndNode):
            break
        found.append(f"{node.sender}->{node.receiver}:{node.branches[0].label}")
        number = node.branches[0].next
    return found


def test_multicast_goes_out_in_the_order_written() -> None:
    global_type = sound("""
        protocol P(A, B, C, D):
            B -> D, A, C: m(x: int)
            C -> *: n()
    """).global_type
    assert messages(global_type) == [
        "B->D:m",
        "B->A:m",
        "B->C:m",
        "C->A:n",
        "C->B:n",
        "C->D:n",
    ]


def test_a_multicast_may_start_a_branch() -> None:
    same(
        """
        protocol P(A, B, C):
            choice at A:
                A -> *: x()
                B -> C: go()
            or:
                A -> B, C: y()
        """,
        """
        protocol P(A, B, C):
            choice at A:
                A -> B: x()
                A -> C: x()
                B -> C: go()
            or:
                A -> B: y()
                A -> C: y()
        """,
    )


def test_what_follows_a_choice_continues_every_branch_that_ends() -> None:
    same(
        """
        protocol P(A, B):
            rec X:
                choice at A:
                    A -> B: x()
                or:
                    A -> B: again()
                    continue X
                or:
                    A -> B: y()
                B -> A: inner()
            A -> B: outer()
            B -> A: bye()
        """,
        """
        protocol P(A, B):
            rec X:
                choice at A:
                    A -> B: x()
                    B -> A: inner()
                    A -> B: outer()
                    B -> A: bye()
                or:
                    A -> B: again()
                    continue X
                or:
                    A -> B: y()
                    B -> A: inner()
                    A -> B: outer()
                    B -> A: bye()
        """,
    )


def test_what_follows_choices_is_shared_and_not_copied() -> None:
    lines = ["protocol P(A, B):"]
    for number in range(60):
        lines += ["    choice at A:", f"        A -> B: l{number}()"]
        lines += ["    or:", f"        A -> B: r{number}()"]
    checked = sound("\n".join(lines))
    assert len(checked.global_type.nodes) == 61
    assert [len(local.states) for local in checked.image.local_types] == [61, 61]


def test_a_loop_is_a_choice_between_its_body_and_done() -> None:
    same(
        """
        protocol P(A, B, C):
            loop at A:
                A -> C: step(n: int)
                A -> B: step(n: int)
            B -> C: after()
        """,
        """
        protocol P(A, B, C):
            rec X:
                choice at A:
                    A -> C: step(n: int)
                    A -> B: step(n: int)
                    continue X
                or:
                    A -> C: done()
                    A -> B: done()
            B -> C: after()
        """,
    )


def test_done_goes_only_to_those_who_take_part() -> None:
    assert check("""
        protocol P(A, B, C):
            loop at A:
                A -> B: step()
            B -> C: after()
    """).text("C") == ["B?after().", "end"]


def test_a_loop_may_start_with_a_choice_of_its_chooser() -> None:
    assert check("""
        protocol P(A, B):
            loop at A:
                choice at A:
                    A -> B: x()
                or:
                    A -> B: y()
                    B -> A: z()
    """).text("A") == [
        "rec X.",
        "B+{",
        "done():",
        "end",
        "x():",
        "X",
        "y():",
        "B?z().",
        "X",
        "}",
    ]


def test_loops_nest() -> None:
    same(
        """
        protocol P(A, B):
            loop at A:
                A -> B: row()
                loop at B:
                    B -> A: cell()
        """,
        """
        protocol P(A, B):
            rec X:
                choice at A:
                    A -> B: row()
                    rec Y:
                        choice at B:
                            B -> A: cell()
                            continue Y
                        or:
                            B -> A: done()
                            continue X
                or:
                    A -> B: done()
        """,
    )


def test_an_inner_loop_continues_the_outer_one() -> None:
    assert check("""
        protocol P(A, B):
            rec Outer:
                A -> B: batch()
                rec Inner:
                    choice at A:
                        A -> B: item()
                        continue Inner
                    or:
                        A -> B: next()
                        continue Outer
                    or:
                        A -> B: stop()
    """).text("B") == [
        "rec X.",
        "A?batch().",
        "rec Y.",
        "A&{",
        "item():",
        "Y",
        "next():",
        "X",
        "stop():",
        "end",
        "}",
    ]


def test_an_inner_rec_hides_an_outer_one_of_the_same_name() -> None:
    same(
        """
        protocol P(A, B):
            rec X:
                A -> B: out()
                rec X:
                    A -> B: in()
                    continue X
        """,
        """
        protocol P(A, B):
            A -> B: out()
            rec Y:
                A -> B: in()
                continue Y
        """,
    )


def test_do_substitutes_roles_and_goes_on_after_it() -> None:
    same(
        """
        protocol Ask(Client, Server):
            Client -> Server: ask(n: int)
            choice at Server:
                Server -> Client: yes()
            or:
                Server -> Client: no()
        protocol P(A, B):
            do Ask(B, A)
            do Ask(A, B)
            A -> B: bye()
        """,
        """
        protocol P(A, B):
            B -> A: ask(n: int)
            choice at A:
                A -> B: yes()
            or:
                A -> B: no()
            A -> B: ask(n: int)
            choice at B:
                B -> A: yes()
            or:
                B -> A: no()
            A -> B: bye()
        """,
    )


def test_a_branch_may_start_with_do() -> None:
    assert check("""
        protocol Greet(X, Y):
            X -> Y: hello()
            Y -> X: hello()
        protocol P(A, B):
            choice at A:
                do Greet(A, B)
            or:
                A -> B: bye()
    """).text("A") == ["B+{", "bye():", "end", "hello():", "B?hello().", "end", "}"]


def test_a_rec_is_not_seen_inside_do() -> None:
    check("""
        protocol Q(A, B):
            A -> B: m()
            continue X
        protocol P(A, B):
            rec X:
                do Q(A, B)
    """).only("protocol.continue.unbound")


@pytest.mark.parametrize(
    "script",
    [
        """
        protocol P(A, B):
            choice at A:
                A -> B: more()
                do P(A, B)
            or:
                A -> B: stop()
        """,
        """
        protocol P(A, B):
            do Q(B, A)
        protocol Q(X, Y):
            choice at Y:
                Y -> X: more()
                do P(Y, X)
            or:
                Y -> X: stop()
        """,
    ],
)
def test_recursion_in_tail_position_is_a_loop(script: str) -> None:
    assert check(script).text("B") == ["rec X.", "A&{", "more():", "X", "stop():", "end", "}"]


def test_recursion_that_swaps_the_roles_is_a_loop_of_two_rounds() -> None:
    assert check("""
        protocol P(A, B):
            A -> B: ping()
            choice at B:
                B -> A: stop()
            or:
                B -> A: swap()
                do P(B, A)
    """).text("A") == [
        "rec X.",
        "B!ping().",
        "B&{",
        "stop():",
        "end",
        "swap():",
        "B?ping().",
        "B+{",
        "stop():",
        "end",
        "swap():",
        "X",
        "}",
        "}",
    ]


def test_recursion_inside_a_loop_has_something_left_to_do() -> None:
    check("""
        protocol P(A, B):
            loop at A:
                A -> B: m()
                do P(A, B)
    """).only("protocol.do.recursion")


def test_a_part_need_not_stand_by_itself() -> None:
    outcome = check("""
        protocol Half(A, B, C):
            choice at A:
                A -> B: x()
                B -> C: x()
            or:
                A -> B: y()
        protocol P(A, B, C):
            do Half(A, B, C)
            B -> C: end()
    """)
    assert outcome.codes == []
    assert set(outcome.protocols.checked) == {"P"}
    assert outcome.text("C") == ["B&{", "end():", "end", "x():", "B?end().", "end", "}"]


def test_a_part_that_is_opened_must_stand_by_itself() -> None:
    check("""
        protocol Half(A, B, C):
            choice at A:
                A -> B: x()
                B -> C: x()
            or:
                A -> B: y()
        protocol P(A, B, C):
            do Half(A, B, C)
            B -> C: end()
        program p(s: Half.A):
            send s.B y()
            close s
    """).only("project.merge")


def test_settings_of_a_sub_protocol_hold_unless_the_outer_one_decides() -> None:
    edges = sound("""
        protocol Inner(X, Y):
            edge X -> Y: capacity = 3, payload = digest
            X -> Y: m()
        protocol Middle(X, Y):
            edge X -> Y: payload = inline
            do Inner(X, Y)
        protocol P(A, B):
            edge B -> A: capacity = 5
            do Middle(B, A)
    """).image.edges
    assert [(edge.sender, edge.receiver) for edge in edges] == [("B", "A")]
    assert edges[0].capacity == 5
    assert edges[0].payload == "inline"


def test_nodes_carry_the_places_where_they_are_written() -> None:
    global_type = sound("""
        protocol P(A, B):
            choice at A:
                A -> B: x()
            or:
                A -> B: y()
    """).global_type
    node = global_type.nodes[global_type.start]
    assert isinstance(node, Comm)
    assert node.span.line == 3
    assert [branch.span.line for branch in node.branches] == [4, 6]
    assert [branch.branch_span.line for branch in node.branches] == [3, 5]
