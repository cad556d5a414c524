"""Projection against what protocols mean: what projects runs to its end, whatever happens when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from projection_oracle import CannotTellError, project_term
from protocol_helpers import check, global_type_of, sound
from protocol_semantics import explore, follow
from strategies_protocol import protocols
from troth.dsl.budget import Budget
from troth.dsl.global_type import Comm, GlobalType
from troth.dsl.project import Step, Unprojectable, project
from troth.dsl.protocols import CheckedProtocol
from troth.vm.automata import minimise
from troth.vm.local_types import is_canonical, resolve, to_term
from troth.vm.types import Branch, End, Field, LocalType, Mu, Primitive, Recv, Send, Term, Var

MANY = settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)


def _local_types(checked: CheckedProtocol) -> dict[str, LocalType]:
    return dict(zip(checked.roles, checked.image.local_types, strict=True))


@MANY
@given(protocols(), st.integers(1, 3))
def test_what_projects_never_gets_stuck(script: str, capacity: int) -> None:
    outcome = check(script)
    assert set(outcome.codes) <= {"project.merge"}, outcome.diagnostics.render()
    event("projects" if not outcome.codes else "does not project")
    if outcome.codes:
        return
    types = _local_types(outcome.protocols.checked["P"])
    problem = explore(types, capacity=capacity, configurations_max=1_500)
    assert problem is None, f"{script}\n{problem}"


@MANY
@given(protocols())
def test_local_types_do_what_the_global_type_says(script: str) -> None:
    checked = check(script).protocols.checked
    if "P" in checked:
        problem = follow(checked["P"].global_type, _local_types(checked["P"]))
        assert problem is None, f"{script}\n{problem}"


@MANY
@given(protocols(statements_max=6))
def test_what_the_textbook_projects_comes_out_the_same(script: str) -> None:
    global_type = global_type_of(script)
    for role in sorted(global_type.participants()):
        try:
            term = project_term(global_type, role)
        except CannotTellError:
            event("the textbook refuses")
            continue
        projected = project(global_type, role, Budget())
        assert isinstance(projected, tuple), script
        assert minimise(projected) == resolve(term), script


@MANY
@given(protocols())
def test_local_types_are_canonical_and_survive_being_written_as_terms(script: str) -> None:
    for checked in check(script).protocols.checked.values():
        for local in checked.image.local_types:
            assert is_canonical(local)
            assert resolve(to_term(local)) == local


@MANY
@given(protocols())
def test_every_refusal_names_a_role_a_choice_and_a_way_out(script: str) -> None:
    outcome = check(script)
    lines = script.split("\n")
    for item in outcome.diagnostics.found:
        assert item.code == "project.merge"
        assert item.span.line <= len(lines)
        assert len(item.related) >= 2
        assert item.expected
        assert item.found
        assert item.fix


def _seen(global_type: GlobalType, path: tuple[Step, ...], role: str, end: int) -> list[str]:
    """What `role` itself did on a way from the start to `end`, which must be a way."""
    seen, place = [], global_type.start
    for number, taken in path:
        assert number == place
        node = global_type.nodes[number]
        assert isinstance(node, Comm)
        branch = node.branches[taken]
        if role in (node.sender, node.receiver):
            seen.append(f"{node.sender} {node.receiver} {branch.label} {branch.fields}")
        place = branch.next
    assert place == end
    return seen


@MANY
@given(protocols())
def test_the_two_runs_of_a_refusal_look_the_same_to_the_role(script: str) -> None:
    global_type = global_type_of(script)
    for role in sorted(global_type.participants()):
        refused = project(global_type, role, Budget())
        if not isinstance(refused, Unprojectable):
            continue
        event("refused")
        left = _seen(global_type, refused.left_path, role, refused.left)
        assert left == _seen(global_type, refused.right_path, role, refused.right), script
        assert refused.left != refused.right or refused.left_path != refused.right_path


def test_the_strategy_draws_protocols_of_both_kinds() -> None:
    drawn: Counter[bool] = Counter()

    @settings(max_examples=200, database=None, derandomize=True, deadline=None)
    @given(protocols())
    def draw(script: str) -> None:
        drawn[not check(script).codes] += 1

    draw()
    assert min(drawn[True], drawn[False]) * 10 > drawn.total()


# --- the tests can fail ------------------------------------------------------------------

_INT = (Field("n", Primitive.INT),)


def _one(
    shape: type[Send | Recv], peer: str, label: str, then: Term, fields: tuple[Field, ...] = ()
) -> Term:
    return shape(peer, (Branch(label, fields, then),))


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ({"A": _one(Recv, "B", "m", End()), "B": _one(Recv, "A", "m", End())}, "nobody can go on"),
        ({"A": _one(Send, "B", "m", End()), "B": _one(Recv, "A", "n", End())}, "cannot receive m"),
        (
            {"A": _one(Send, "B", "m", End(), _INT), "B": _one(Recv, "A", "m", End())},
            "cannot receive m",
        ),
        ({"A": _one(Send, "B", "m", End()), "B": End()}, "has ended"),
        (
            {
                "A": Mu("X", _one(Send, "B", "m", Var("X"))),
                "B": _one(Recv, "A", "m", _one(Recv, "A", "m", End())),
            },
            "has ended",
        ),
    ],
)
def test_what_must_not_happen_is_found(terms: Mapping[str, Term], problem: str) -> None:
    types = {role: resolve(term) for role, term in terms.items()}
    assert problem in (explore(types, capacity=2, configurations_max=100) or "")


def test_a_local_type_that_offers_too_little_is_found() -> None:
    checked = sound("""
        protocol P(A, B):
            choice at A:
                A -> B: x()
            or:
                A -> B: y()
    """)
    types = _local_types(checked)
    assert follow(checked.global_type, types) is None
    for role, shape in (("A", Send), ("B", Recv)):
        peer = "B" if role == "A" else "A"
        less = resolve(_one(shape, peer, "x", End()))
        assert follow(checked.global_type, {**types, role: less}) is not None
