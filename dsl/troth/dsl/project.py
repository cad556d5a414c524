"""Projection: what one role sees of a protocol.

Seen by one role, the messages between others are silent steps. The role is at a *set* of places
of the global type: all those it may be at as far as it knows. Each set is merged into one state
(see `merge`), and each message of the role leads to the set of all places that this message may
have led to. There are finitely many sets, so this ends; it is full merge closed under recursion,
and it also handles a role that learns only in a later round of a loop which branch was taken.

A place from which the role never acts again and nothing ends (others go round for ever) counts as
the end: the role is done.

A crash is a branch that nobody sends. Who would have received takes it, others learn of it as of
any branch. The role that crashes is not in it: it does not see such branches at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from troth.dsl.budget import Budget
from troth.dsl.global_type import Comm, EndNode, GlobalType
from troth.dsl.merge import Action, Conflict, Merged, Option, merge
from troth.vm.limits import STATES_MAX
from troth.vm.types import IN_TIME, LATE, State, StateKind, Transition

_END: Final = Action(StateKind.END, "", ())

Step: TypeAlias = tuple[int, int]
"""(node, number of the branch taken there)"""


@dataclass(frozen=True, slots=True)
class Unprojectable:
    """The role is at two places that do not merge.

    `left` and `right` are the places, `left_path` and `right_path` the branches taken from the
    start to each, for the same messages of the role itself.
    """

    role: str
    conflict: Conflict
    left: int
    right: int
    left_path: tuple[Step, ...]
    right_path: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class TooManyStates:
    """Projection on `role` would need more states than an image may have, or too much time."""

    role: str


Projection: TypeAlias = tuple[State, ...] | Unprojectable | TooManyStates


def project(global_type: GlobalType, role: str, budget: Budget) -> Projection:
    """The states of `role`, the initial one first, or why there are none.

    States are not minimal and not in canonical order.
    """
    if not budget.spend_steps(len(global_type.nodes)):
        return TooManyStates(role)
    return _Projector(_View(global_type, role, budget)).run()


@dataclass(slots=True)
class _View:
    """The global type as `role` sees it."""

    global_type: GlobalType
    role: str
    budget: Budget
    live: frozenset[int] = field(init=False)
    """Nodes from which the role's next action or the end can be reached."""

    def __post_init__(self) -> None:
        nodes = self.global_type.nodes
        before: list[list[int]] = [[] for _ in nodes]
        for number, node in enumerate(nodes):
            if isinstance(node, Comm) and not self._acts(node):
                for branch in node.branches:
                    before[branch.next].append(number)
        live = {
            number
            for number, node in enumerate(nodes)
            if isinstance(node, EndNode) or self._acts(node)
        }
        pending = sorted(live)
        while pending:
            for number in before[pending.pop()]:
                if number not in live:
                    live.add(number)
                    pending.append(number)
        self.live = frozenset(live)

    def _acts(self, node: Comm) -> bool:
        return self.role in (node.sender, node.receiver)

    def action(self, number: int) -> Action:
        """What the role does at a place where it acts or is done."""
        node = self.global_type.nodes[number]
        if isinstance(node, EndNode) or number not in self.live:
            return _END
        options = tuple(
            Option(branch.label, branch.fields, position, branch.lossy, branch.late)
            for position, branch in enumerate(node.branches)
            if not (branch.crash and node.sender == self.role)
        )
        if node.sender == self.role:
            return Action(StateKind.SEND, node.receiver, options, node.within_ns)
        return Action(StateKind.RECV, node.sender, options)

    def places(self, starts: Mapping[int, Step | None]) -> dict[int, Step | None] | None:
        """Every node reached from `starts` by silent steps, with the step that led to it.

        None when the budget is spent.
        """
        reached: dict[int, Step | None] = dict(starts)
        pending = list(starts)
        for number in pending:  # `pending` grows while it is walked
            if not self.budget.spend_steps(1):
                return None
            if self.is_stop(number):
                continue
            node = self.global_type.nodes[number]
            assert isinstance(node, Comm)
            for position, branch in enumerate(node.branches):
                if branch.next not in reached:
                    reached[branch.next] = (number, position)
                    pending.append(branch.next)
        return reached

    def is_stop(self, number: int) -> bool:
        """Whether silence ends here: the role acts, or is done."""
        node = self.global_type.nodes[number]
        return isinstance(node, EndNode) or self._acts(node) or number not in self.live


@dataclass(frozen=True, slots=True)
class _Set:
    """A state in the making: the role may be at any of `members`.

    `steps` says how each node of the set was reached: from a node of this set, or, for those in
    `starts`, from a member of the set `parent`.
    """

    members: tuple[int, ...]
    steps: Mapping[int, Step | None]
    starts: frozenset[int]
    parent: int


@dataclass(slots=True)
class _Projector:
    view: _View
    sets: list[_Set] = field(default_factory=list)
    numbers: dict[frozenset[int], int] = field(default_factory=dict)
    late: list[frozenset[str]] = field(default_factory=list)
    """Of each state that is made, the labels that are sent when its time is over."""

    def run(self) -> Projection:
        role = self.view.role
        if self._number_of({self.view.global_type.start: None}, -1) is None:
            return TooManyStates(role)
        states: list[State] = []
        for number, current in enumerate(self.sets):  # `sets` grows while it is walked
            actions = [self.view.action(member) for member in current.members]
            if not self.view.budget.spend_steps(sum(len(action.options) for action in actions)):
                return TooManyStates(role)
            merged = merge(actions)
            if isinstance(merged, Conflict):
                return self._unprojectable(number, merged)
            state = self._state(number, merged)
            if state is None:
                return TooManyStates(role)
            states.append(state)
        if len(states) + 2 * sum(map(bool, self.late)) > STATES_MAX:
            return TooManyStates(role)
        return _with_clocks(states, self.late)

    def _state(self, number: int, merged: Merged) -> State | None:
        members = self.sets[number].members
        nodes = self.view.global_type.nodes
        transitions: list[Transition] = []
        late: list[str] = []
        for option in merged.options:
            if option.late and merged.within_ns:
                late.append(option.label)
            starts: dict[int, Step | None] = {}
            for member_number, position in option.sources:
                member = members[member_number]
                node = nodes[member]
                assert isinstance(node, Comm)
                starts.setdefault(node.branches[position].next, (member, position))
            following = self._number_of(starts, number)
            if following is None:
                return None
            transitions.append(Transition(option.label, option.fields, following, option.lossy))
        self.late.append(frozenset(late))
        return State(merged.kind, merged.peer, tuple(transitions), merged.within_ns)

    def _number_of(self, starts: Mapping[int, Step | None], parent: int) -> int | None:
        steps = self.view.places(starts)
        if steps is None:
            return None
        members = tuple(sorted(number for number in steps if self.view.is_stop(number)))
        key = frozenset(members)
        if key not in self.numbers:
            if len(self.sets) >= STATES_MAX or not self.view.budget.spend_steps(len(members)):
                return None
            self.numbers[key] = len(self.sets)
            self.sets.append(_Set(members, steps, frozenset(starts), parent))
        return self.numbers[key]

    def _unprojectable(self, number: int, conflict: Conflict) -> Unprojectable:
        left = self.sets[number].members[conflict.left]
        right = self.sets[number].members[conflict.right]
        return Unprojectable(
            self.view.role,
            conflict,
            left,
            right,
            self._path(number, left),
            self._path(number, right),
        )

    def _path(self, number: int, place: int) -> tuple[Step, ...]:
        """The branches taken from the start to `place` in the set `number`."""
        path: list[Step] = []
        while True:
            current = self.sets[number]
            step = current.steps[place]
            if step is None:
                return tuple(reversed(path))
            if place in current.starts:
                number = current.parent
            path.append(step)
            place = step[0]


def _with_clocks(states: list[State], late: list[frozenset[str]]) -> tuple[State, ...]:
    """Each timed choice becomes a state that starts its clock, and the two choices behind it."""
    result: list[State] = []
    added: list[State] = []
    for state, labels in zip(states, late, strict=True):
        if not labels:
            result.append(state)
            continue
        number = len(states) + len(added)
        moves = (Transition(LATE, (), number), Transition(IN_TIME, (), number + 1))
        result.append(State(StateKind.TIMED, state.peer, moves, state.within_ns))
        for is_late in (True, False):
            offered = tuple(x for x in state.transitions if (x.label in labels) is is_late)
            added.append(State(StateKind.SEND, state.peer, offered))
    return (*result, *added)
