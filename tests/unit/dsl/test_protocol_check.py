"""The checks of protocols: each mistake is found, alone, in its place, with a way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from protocol_helpers import check, sound
from troth.dsl.check_edges import CAPACITY_MAX
from troth.dsl.check_protocol import NESTING_MAX
from troth.dsl.code_rows_protocol import PROTOCOL_ROWS
from troth.dsl.codes import lookup
from troth.dsl.protocols import check_protocols
from troth.vm.instructions import PayloadForm, Policy, ReplayMode

MISTAKES: Final = {
    "protocol.roles.count": """
        protocol P(A):
            do Q(A)
        protocol Q(A):
            do P(A)
    """,
    "protocol.role.duplicate": """
        protocol P(A, B, A):
            A -> B: m()
    """,
    "protocol.role.unused": """
        protocol P(A, B, C):
            A -> B: m()
    """,
    "protocol.message.self": """
        protocol P(A, B):
            A -> B: m()
            A -> A: n()
    """,
    "protocol.message.receiver_twice": """
        protocol P(A, B):
            A -> B, B: m()
    """,
    "protocol.continue.unbound": """
        protocol P(A, B):
            rec X:
                A -> B: m()
            continue X
    """,
    "protocol.unreachable": """
        protocol P(A, B):
            rec X:
                A -> B: m()
                continue X
            A -> B: n()
            A -> B: o()
    """,
    "protocol.choice.receivers": """
        protocol P(A, B, C):
            choice at A:
                A -> B: x()
                A -> C: x()
            or:
                A -> C: y()
                A -> B: y()
    """,
    "protocol.choice.label": """
        protocol P(A, B):
            choice at A:
                A -> B: x()
            or:
                A -> B: x()
                B -> A: y()
    """,
    "protocol.loop.start": """
        protocol P(A, B):
            loop at A:
                B -> A: more()
    """,
    "protocol.do.unknown": """
        protocol P(A, B):
            A -> B: m()
            do Nothing(A, B)
    """,
    "protocol.do.arity": """
        protocol Q(A, B):
            A -> B: m()
        protocol P(A, B):
            do Q(A)
    """,
    "protocol.do.role_twice": """
        protocol Q(A, B):
            A -> B: m()
        protocol P(A, B):
            do Q(A, A)
    """,
    "protocol.do.recursion": """
        protocol P(A, B):
            A -> B: m()
            choice at A:
                A -> B: again()
                do P(A, B)
            or:
                A -> B: stop()
            B -> A: back()
    """,
    "protocol.duplicate": """
        protocol P(A, B):
            A -> B: m()
        protocol P(A, B):
            A -> B: n()
    """,
    "protocol.edge.self": """
        protocol P(A, B):
            edge A -> A: replay = off
            A -> B: m()
    """,
    "protocol.edge.duplicate": """
        protocol P(A, B):
            edge A -> B: replay = off
            edge A -> B: capacity = 1
            A -> B: m()
    """,
    "protocol.edge.unused": """
        protocol P(A, B):
            edge B -> A: replay = off
            A -> B: m()
    """,
    "protocol.edge.setting.unknown": """
        protocol P(A, B):
            edge A -> B: speed = 9
            A -> B: m()
    """,
    "protocol.edge.setting.duplicate": """
        protocol P(A, B):
            edge A -> B: capacity = 9, capacity = 8
            A -> B: m()
    """,
    "protocol.edge.setting.value": """
        protocol P(A, B):
            edge A -> B: replay = maybe
            A -> B: m()
    """,
    "protocol.edge.conflict": """
        protocol Q(A, B):
            edge A -> B: capacity = 1
            A -> B: m()
        protocol R(A, B):
            edge A -> B: capacity = 2
            A -> B: n()
        protocol P(A, B):
            do Q(A, B)
            do R(A, B)
    """,
    "type.unknown": """
        protocol P(A, B):
            A -> B: m(x: integer)
    """,
    "type.field.duplicate": """
        protocol P(A, B):
            A -> B: m(x: int, x: str)
    """,
    "type.protocol.unknown": """
        protocol P(A, B):
            A -> B: m(x: Nothing.A)
    """,
    "type.role.unknown": """
        protocol P(A, B):
            A -> B: m(x: P.C)
    """,
    "type.endpoint.nested": """
        protocol P(A, B):
            A -> B: m(x: list[P.A])
    """,
    "type.reserved": """
        type int = str
        protocol P(A, B):
            A -> B: m(x: int)
    """,
    "type.duplicate": """
        type T = str
        type T = int
        protocol P(A, B):
            A -> B: m(x: T)
    """,
    "type.recursive": """
        type T = {left: U, n: int}
        type U = list[T]
        type V = {t: T}
        protocol P(A, B):
            A -> B: m(x: T, y: V)
    """,
}


@pytest.mark.parametrize("code", sorted(set(MISTAKES) - {"protocol.roles.count"}))
def test_a_mistake_is_reported_alone(code: str) -> None:
    diagnostic = check(MISTAKES[code]).only(code)
    assert diagnostic.fix


def test_each_declaration_with_one_role_is_reported() -> None:
    codes = check(MISTAKES["protocol.roles.count"]).codes
    assert codes.count("protocol.roles.count") == 2


@pytest.mark.parametrize("code", sorted(MISTAKES))
def test_every_code_is_listed(code: str) -> None:
    row = lookup(code)
    assert row is not None
    assert row.cause.endswith(".")
    assert row.fix.endswith(".")


def test_the_list_of_codes_is_the_codes_that_are_reported() -> None:
    listed = {row[0] for row in PROTOCOL_ROWS}
    sources = Path(check_protocols.__code__.co_filename).parent.glob("*.py")
    reported: set[str] = set()
    for source in sources:
        text = source.read_text(encoding="utf-8")
        reported |= set(re.findall(r'code="((?:type|protocol|project)\.[a-z_.]+)"', text))
    assert reported == listed


def test_unknown_roles_are_reported_where_they_stand_and_once() -> None:
    outcome = check("""
        protocol P(Alice, Bob, Carol):
            Alice -> Bod: m()
            Alise -> Bob: n()
            choice at Bop:
                Bob -> Carol: o()
            or:
                Bob -> Carol: p()
            loop at Nobody:
                Alice -> Bob: q()
    """)
    assert outcome.codes == ["protocol.role.unknown"] * 4
    first, *_ = outcome.diagnostics.ordered()
    assert (first.span.line, first.span.column) == (3, 14)
    assert first.expected == "one of Alice, Bob, Carol"
    assert first.found == "Bod"
    assert first.fix == "did you mean `Bob`?"


def test_all_mistakes_of_a_protocol_are_reported_in_one_run() -> None:
    outcome = check("""
        protocol P(A, B, C):
            edge A -> B: policy = shout
            A -> D: hello()
            choice at A:
                B -> A: no()
            or:
                A -> B: yes()
            or:
                A -> B: yes()
            rec X:
                continue X
    """)
    assert outcome.codes == [
        "protocol.edge.setting.value",
        "protocol.role.unknown",
        "protocol.choice.start",
        "protocol.choice.label",
        "protocol.rec.unguarded",
    ]


def test_a_broken_sub_protocol_is_reported_once_and_breaks_its_users_silently() -> None:
    outcome = check("""
        protocol Outer(X, Y):
            do Inner(Y, X)
        protocol Inner(A, B):
            choice at A:
                B -> A: no()
            or:
                A -> B: yes()
    """)
    assert "from A" in outcome.only("protocol.choice.start").message
    assert outcome.protocols.broken == {"Outer", "Inner"}
    assert not outcome.protocols.checked


def test_mistakes_in_protocols_that_use_each_other_are_reported_once() -> None:
    outcome = check("""
        protocol P(A, B):
            A -> B: one()
            do Q(B, A)
        protocol Q(A, B):
            choice at A:
                B -> A: no()
            or:
                A -> B: yes()
                do P(A, B)
    """)
    outcome.only("protocol.choice.start")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("B -> A: no()", "B -> A: no"),
        ("choice at B:\n                    B -> A: no()", "a choice at B"),
    ],
)
def test_a_branch_starts_with_the_chooser(body: str, found: str) -> None:
    outcome = check(f"""
        protocol P(A, B):
            choice at A:
                A -> B: yes()
            or:
                {body}
    """)
    diagnostic = outcome.only("protocol.choice.start")
    assert diagnostic.found == found
    assert diagnostic.span.line == 6
    assert "from A" in (diagnostic.expected or "")


@pytest.mark.parametrize(
    "body",
    [
        ["rec X:", "    continue X"],
        ["rec X:", "    rec Y:", "        continue X"],
        ["do P(A, B)"],
        ["do Q(A, B)"],
        ["loop at A:", "    do P(A, B)"],
        ["rec X:", "    choice at A:", "        A -> B: m()", "    or:", "        continue X"],
    ],
)
def test_a_loop_needs_a_message(body: list[str]) -> None:
    lines = ["protocol P(A, B):", *("    " + line for line in body)]
    lines += ["protocol Q(A, B):", "    do P(A, B)"]
    codes = set(check("\n".join(lines)).codes)
    assert codes <= {"protocol.rec.unguarded", "protocol.loop.start", "protocol.do.recursion"}
    assert codes


def test_unreachable_points_at_the_first_statement_nothing_gets_to() -> None:
    outcome = check("""
        protocol P(A, B):
            rec X:
                choice at A:
                    A -> B: m()
                    continue X
                    A -> B: never()
                or:
                    A -> B: n()
                    continue X
            A -> B: nor_this()
            A -> B: nor_that()
    """)
    assert outcome.codes == ["protocol.unreachable"] * 2
    assert [item.span.line for item in outcome.diagnostics.ordered()] == [7, 11]


def test_a_label_of_the_loop_itself_cannot_be_used() -> None:
    diagnostic = check("""
        protocol P(A, B):
            loop at A:
                A -> B: done()
    """).only("protocol.choice.label")
    assert "itself uses the label done" in diagnostic.message


# --- edges -------------------------------------------------------------------------------


def test_edge_settings_reach_the_image() -> None:
    edges = sound("""
        protocol P(A, B):
            edge B -> A: payload = digest, policy = resize{9}, capacity = 9
            edge A -> B: replay = nullifier, policy = error, buffer = fifo
            A -> B: m()
            B -> A: n()
    """).image.edges
    assert [(edge.sender, edge.receiver) for edge in edges] == [("A", "B"), ("B", "A")]
    assert edges[0].replay is ReplayMode.NULLIFIER
    assert edges[0].policy is Policy.ERROR
    assert edges[0].capacity is None
    assert (edges[1].policy, edges[1].resize_max, edges[1].capacity) == (Policy.RESIZE, 9, 9)
    assert edges[1].payload is PayloadForm.DIGEST


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("buffer = latest", "protocol.edge.lossy"),
        ("buffer = latest, replay = nullifier", "protocol.edge.lossy"),
        ("policy = drop", "protocol.edge.lossy"),
        ("buffer = latest, policy = resize{9}", "protocol.edge.combination"),
        ("capacity = 8, policy = resize{7}", "protocol.edge.combination"),
        ("capacity = 0", "protocol.edge.setting.value"),
        (f"capacity = {CAPACITY_MAX + 1}", "protocol.edge.setting.value"),
        (f"capacity = {'9' * 5000}", "protocol.edge.setting.value"),
        ("capacity = many", "protocol.edge.setting.value"),
        ("policy = resize", "protocol.edge.setting.value"),
        ("policy = resize{0}", "protocol.edge.setting.value"),
        (f"policy = resize{{{CAPACITY_MAX + 1}}}", "protocol.edge.setting.value"),
        ("policy = block{3}", "protocol.edge.setting.value"),
        ("payload = secret", "protocol.edge.setting.value"),
        ("replay = 5s", "protocol.edge.setting.value"),
    ],
)
def test_a_setting_that_cannot_hold_is_refused(settings: str, code: str) -> None:
    check(f"""
        protocol P(A, B):
            edge A -> B: {settings}
            A -> B: m()
    """).only(code)


@pytest.mark.parametrize("capacity", [1, CAPACITY_MAX])
def test_capacities_at_their_limits(capacity: int) -> None:
    checked = sound(f"""
        protocol P(A, B):
            edge A -> B: capacity = {capacity}
            A -> B: m()
    """)
    assert checked.image.edges[0].capacity == capacity


# --- limits ------------------------------------------------------------------------------


def _nested(levels: int) -> str:
    lines = ["protocol P(A, B):"]
    for level in range(levels):
        lines.append("  " * (level + 1) + f"rec X{level}:")
    lines.append("  " * (levels + 1) + "A -> B: m()")
    return "\n".join(lines)


def test_nesting_has_a_limit() -> None:
    assert check(_nested(NESTING_MAX // 2)).codes == []
    sub = ["protocol P(A, B):", "    do P0(A, B)"]
    for level in range(NESTING_MAX):
        sub += [f"protocol P{level}(A, B):", f"    do P{level + 1}(A, B)"]
    sub += [f"protocol P{NESTING_MAX}(A, B):", "    A -> B: m()"]
    assert "protocol.nesting" in check("\n".join(sub)).codes


def test_expansion_has_a_limit() -> None:
    lines = ["protocol P0(A, B):", "    A -> B: m()"]
    for level in range(1, 40):
        lines += [f"protocol P{level}(A, B):"] + [f"    do P{level - 1}(A, B)"] * 2
    check("\n".join(lines)).only("protocol.too_large")


def test_a_type_of_astronomical_size_is_refused_quickly() -> None:
    lines = ["type T0 = {a: int, b: int}"]
    for level in range(1, 200):
        lines.append(f"type T{level} = {{a: T{level - 1}, b: T{level - 1}}}")
    lines += ["protocol P(A, B):", "    A -> B: m(x: T199)"]
    check("\n".join(lines)).only("type.too_large")


def test_a_long_chain_of_type_names_resolves() -> None:
    lines = [f"type T{level} = T{level + 1}" for level in range(2000)]
    lines += ["type T2000 = int", "protocol P(A, B):", "    A -> B: m(x: T0)"]
    assert check("\n".join(lines)).text("A") == ["B!m(x: int).", "end"]


def test_types_resolve() -> None:
    outcome = check("""
        type Point = {y: int, x: float}
        type Path = list[Point]
        type Worker = P.A
        protocol P(A, B):
            A -> B: m(path: Path, all: list[list[bytes]], w: Worker, u: unit, b: blob)
    """)
    assert outcome.text("B") == [
        "A?m(path: list[{x: float, y: int}], all: list[list[bytes]], w: P.A, u: unit, b: blob).",
        "end",
    ]
