"""Full merge: what a role does when it cannot tell which branch somebody else took.

A role that a choice says nothing to may be at several places of the protocol at once. `merge`
takes what it would do at each of them and gives the one thing it does:

* it ends, if it ends at all of them;
* it receives, if it receives at all of them and from the same role: the label that arrives tells
  it more, so labels are united, and the same label must carry the same fields; a crash of that
  role is handled at all of the places or at none, for it must be known what to do at each;
* it sends, if it sends at all of them, to the same role, exactly the same labels and fields and
  within the same time: it cannot know which of them would be right.

Anything else is a `Conflict`. Projection merges *sets of places* of the protocol's graph, never
terms, so merging through recursion needs no unfolding: it is a walk over finitely many sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from troth.vm.types import CRASH, Field, StateKind


@dataclass(frozen=True, slots=True)
class Option:
    """One label a role may send or receive at a place, and the branch number that leads on."""

    label: str
    fields: tuple[Field, ...]
    branch: int
    lossy: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """What a role does at one place; an end has no peer and no options.

    `within_ns` is how long it has for a timed choice, else 0.
    """

    kind: StateKind
    peer: str
    options: tuple[Option, ...]
    within_ns: int = 0


@dataclass(frozen=True, slots=True)
class MergedOption:
    """`sources` are the (action number, branch number) pairs that this label leads on from."""

    label: str
    fields: tuple[Field, ...]
    sources: tuple[tuple[int, int], ...]
    lossy: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """`options` are sorted by label."""

    kind: StateKind
    peer: str
    options: tuple[MergedOption, ...]
    within_ns: int = 0


class ConflictKind(StrEnum):
    END = "end"
    DIRECTION = "direction"
    PEER = "peer"
    LABELS = "labels"
    FIELDS = "fields"
    CRASH = "crash"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why actions number `left` and `right` do not merge.

    `label` is the label that only one of them has (`LABELS`, with `left` having it) or that
    carries different fields (`FIELDS`), else "". Of `CRASH`, only `left` handles the crash.
    """

    kind: ConflictKind
    left: int
    right: int
    label: str = ""


MergeResult: TypeAlias = Merged | Conflict


def merge(actions: Sequence[Action]) -> MergeResult:
    """Merges at least one action. The conflict reported is the first in the order given."""
    assert actions, "a role is always at some place"
    first = actions[0]
    for number, action in enumerate(actions):
        conflict = _shape_conflict(first, action, number)
        if conflict is not None:
            return conflict
    if first.kind is StateKind.SEND:
        for number, action in enumerate(actions):
            conflict = _label_conflict(first, action, number)
            if conflict is not None:
                return conflict
    else:
        conflict = _crash_conflict(actions)
        if conflict is not None:
            return conflict
    return _unite(actions)


def _shape_conflict(first: Action, other: Action, number: int) -> Conflict | None:
    if first.kind is not other.kind:
        ends = StateKind.END in (first.kind, other.kind)
        return Conflict(ConflictKind.END if ends else ConflictKind.DIRECTION, 0, number)
    if first.peer != other.peer:
        return Conflict(ConflictKind.PEER, 0, number)
    return None


def _label_conflict(first: Action, other: Action, number: int) -> Conflict | None:
    if _times(first) != _times(other):
        return Conflict(ConflictKind.TIME, 0, number)
    left = {option.label for option in first.options}
    right = {option.label for option in other.options}
    if left == right:
        return None
    # The smallest label, so that the message does not depend on the order of a set.
    if left - right:
        return Conflict(ConflictKind.LABELS, 0, number, min(left - right))
    return Conflict(ConflictKind.LABELS, number, 0, min(right - left))


def _crash_conflict(actions: Sequence[Action]) -> Conflict | None:
    handled = [any(option.label == CRASH for option in action.options) for action in actions]
    if all(handled) or not any(handled):
        return None
    return Conflict(ConflictKind.CRASH, handled.index(True), handled.index(False))


def _times(action: Action) -> tuple[int, frozenset[str]]:
    """How long the role has, and the labels that it sends when it is late."""
    return action.within_ns, frozenset(option.label for option in action.options if option.late)


def _unite(actions: Sequence[Action]) -> MergeResult:
    fields: dict[str, tuple[int, tuple[Field, ...]]] = {}
    sources: dict[str, list[tuple[int, int]]] = {}
    lossy: set[str] = set()
    # Whoever receives has no clock: only the sender is late.
    late = _times(actions[0])[1]
    for number, action in enumerate(actions):
        for option in action.options:
            earlier, known = fields.setdefault(option.label, (number, option.fields))
            if known != option.fields:
                return Conflict(ConflictKind.FIELDS, earlier, number, option.label)
            sources.setdefault(option.label, []).append((number, option.branch))
            if option.lossy:
                lossy.add(option.label)
    options = tuple(
        MergedOption(label, fields[label][1], tuple(sources[label]), label in lossy, label in late)
        for label in sorted(fields)
    )
    return Merged(actions[0].kind, actions[0].peer, options, actions[0].within_ns)
