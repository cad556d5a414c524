"""Full merge of what a role would do at several places."""

from __future__ import annotations

import pytest

from troth.dsl.merge import (
    Action,
    Conflict,
    ConflictKind,
    Merged,
    MergedOption,
    Option,
    merge,
)
from troth.vm.types import Field, Primitive, StateKind

INT = (Field("n", Primitive.INT),)
STR = (Field("n", Primitive.STR),)
END = Action(StateKind.END, "", ())


def _send(peer: str, *labels: str) -> Action:
    options = tuple(Option(label, (), branch) for branch, label in enumerate(labels))
    return Action(StateKind.SEND, peer, options)


def _recv(peer: str, *labels: str) -> Action:
    options = tuple(Option(label, (), branch) for branch, label in enumerate(labels))
    return Action(StateKind.RECV, peer, options)


def _one(kind: StateKind, fields: tuple[Field, ...]) -> Action:
    return Action(kind, "A", (Option("m", fields, 0),))


def test_ends_merge() -> None:
    assert merge([END, END]) == Merged(StateKind.END, "", ())


def test_receives_unite_their_labels() -> None:
    assert merge([_recv("A", "y", "x"), _recv("A", "x", "z")]) == Merged(
        StateKind.RECV,
        "A",
        (
            MergedOption("x", (), ((0, 1), (1, 0))),
            MergedOption("y", (), ((0, 0),)),
            MergedOption("z", (), ((1, 1),)),
        ),
    )


def test_sends_of_the_same_labels_merge_in_any_order() -> None:
    assert merge([_send("A", "y", "x"), _send("A", "x", "y")]) == Merged(
        StateKind.SEND,
        "A",
        (
            MergedOption("x", (), ((0, 1), (1, 0))),
            MergedOption("y", (), ((0, 0), (1, 1))),
        ),
    )


@pytest.mark.parametrize(
    ("actions", "conflict"),
    [
        ([END, _recv("A", "x")], Conflict(ConflictKind.END, 0, 1)),
        ([_send("A", "x"), END], Conflict(ConflictKind.END, 0, 1)),
        ([_recv("A", "x"), _send("A", "x")], Conflict(ConflictKind.DIRECTION, 0, 1)),
        ([_recv("A", "x"), _recv("B", "x")], Conflict(ConflictKind.PEER, 0, 1)),
        ([_send("A", "x"), _send("B", "x")], Conflict(ConflictKind.PEER, 0, 1)),
        ([_send("A", "x"), _send("A", "y")], Conflict(ConflictKind.LABELS, 0, 1, "x")),
        ([_send("A", "x"), _send("A", "x", "y")], Conflict(ConflictKind.LABELS, 1, 0, "y")),
        ([END, END, _recv("A", "x")], Conflict(ConflictKind.END, 0, 2)),
    ],
)
def test_what_differs_does_not_merge(actions: list[Action], conflict: Conflict) -> None:
    assert merge(actions) == conflict


@pytest.mark.parametrize("kind", [StateKind.SEND, StateKind.RECV])
def test_one_label_carries_the_same_fields_everywhere(kind: StateKind) -> None:
    actions = [_one(kind, INT), _one(kind, INT), _one(kind, STR)]
    assert isinstance(merge(actions[:2]), Merged)
    assert merge(actions) == Conflict(ConflictKind.FIELDS, 0, 2, "m")
