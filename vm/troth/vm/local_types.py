"""Local types: from the term to its canonical automaton, and what can be read off it.

`resolve` is where recursion gets its meaning: a variable stands for the nearest enclosing `Mu`
of its name, so an inner loop can continue an outer one, and a name used again hides the outer.
Nothing here recurses over a term: a type of ten thousand messages in a row is resolved too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NoReturn

from blake3 import blake3

from troth.vm.automata import minimise
from troth.vm.errors import Invalid, LimitExceeded, Place
from troth.vm.image import Protocol
from troth.vm.image_codec import encode_protocol
from troth.vm.limits import STATES_MAX
from troth.vm.local_text import format_state, format_term, to_term
from troth.vm.types import (
    CRASH,
    IN_TIME,
    LATE,
    End,
    LocalType,
    Mu,
    Recv,
    Send,
    State,
    StateKind,
    Term,
    Timed,
    Transition,
    Var,
)

__all__ = [
    "edges",
    "format_state",
    "format_term",
    "initial_type",
    "is_canonical",
    "labels",
    "lossy_labels",
    "protocol_id",
    "resolve",
    "to_term",
]

TERM_NODES_MAX: Final = 16 * STATES_MAX
"""A term may say the same thing in many places; this many nodes are read at most."""

_END_STATE: Final = State(StateKind.END, "", ())


def resolve(term: Term) -> LocalType:
    """The canonical automaton of a term.

    Raises:
        Invalid: `type.unguarded` for a recursion that never says anything, `type.unbound` for
            a variable without its binder, `type.label` for a label offered twice, `type.empty`
            for a choice without branches.
        LimitExceeded: `type.size`.
    """
    nodes = _Nodes()
    start = nodes.new()
    stack: list[tuple[Term | str, int]] = [(term, start)]
    scope: dict[str, list[int]] = {}
    while stack:
        part, node = stack.pop()
        if isinstance(part, str):
            scope[part].pop()
        elif isinstance(part, Send | Recv):
            stack.extend(reversed(nodes.add(part, node)))
        elif isinstance(part, Timed):
            stack.extend(reversed(nodes.add_timed(part, node)))
        elif isinstance(part, Mu):
            nodes.aliases[node] = nodes.new()
            scope.setdefault(part.variable, []).append(node)
            stack.append((part.variable, node))
            stack.append((part.body, nodes.aliases[node]))
        elif isinstance(part, Var):
            binders = scope.get(part.name)
            if not binders:
                _refuse("type.unbound", f"Nothing binds the recursion variable {part.name}")
            nodes.aliases[node] = binders[-1]
        else:
            assert isinstance(part, End)
            nodes.states[node] = _END_STATE
    return minimise(*nodes.link(start))


class _Nodes:
    """The places of a term while it is read: a state each, or an alias of another place."""

    def __init__(self) -> None:
        self.states: list[State | None] = []
        self.aliases: dict[int, int] = {}

    def new(self) -> int:
        if len(self.states) >= TERM_NODES_MAX:
            raise LimitExceeded(
                "type.size",
                "A local type is too large",
                expected=f"at most {TERM_NODES_MAX} places before merging",
                advice="Split the protocol into sub-protocols with sessions of their own",
            )
        self.states.append(None)
        return len(self.states) - 1

    def add(self, part: Send | Recv, node: int) -> list[tuple[Term | str, int]]:
        """Files a communication; returns its continuations with their places."""
        if not part.branches:
            _refuse("type.empty", f"A choice with {part.peer} has no branches")
        branches = sorted(part.branches, key=lambda branch: branch.label)
        transitions: list[Transition] = []
        following: list[tuple[Term | str, int]] = []
        for branch in branches:
            if transitions and transitions[-1].label == branch.label:
                _refuse("type.label", f"A choice with {part.peer} offers {branch.label} twice")
            place = self.new()
            transitions.append(Transition(branch.label, branch.fields, place, branch.lossy))
            following.append((branch.continuation, place))
        kind = StateKind.SEND if isinstance(part, Send) else StateKind.RECV
        self.states[node] = State(kind, part.peer, tuple(transitions))
        return following

    def add_timed(self, part: Timed, node: int) -> list[tuple[Term | str, int]]:
        in_time, late = self.new(), self.new()
        moves = (Transition(LATE, (), late), Transition(IN_TIME, (), in_time))
        self.states[node] = State(StateKind.TIMED, part.peer, moves, part.within_ns)
        return [(part.late, late), (part.in_time, in_time)]

    def link(self, start: int) -> tuple[list[State], int]:
        """The states with every alias replaced by what it stands for."""
        target = {alias: self._follow(alias) for alias in self.aliases}
        states = [
            _END_STATE
            if state is None
            else replace(
                state,
                transitions=tuple(
                    replace(move, next=target.get(move.next, move.next))
                    for move in state.transitions
                ),
            )
            for state in self.states
        ]
        return states, target.get(start, start)

    def _follow(self, alias: int) -> int:
        trail = [alias]
        seen = {alias}
        while (following := self.aliases.get(trail[-1])) is not None:
            if following in seen:
                _refuse("type.unguarded", "A recursion comes round without a message")
            seen.add(following)
            trail.append(following)
        for passed in trail[:-1]:
            self.aliases[passed] = trail[-1]
        return trail[-1]


def _refuse(code: str, message: str) -> NoReturn:
    raise Invalid(code, message, place=Place(position="local type"))


# --- reading a type ------------------------------------------------------------------------


def is_canonical(local: LocalType) -> bool:
    """Whether the automaton is its own canonical form; its indices must be in range."""
    return minimise(local.states) == local


def initial_type(protocol: Protocol, role: str) -> LocalType:
    """The local type of a role; raises `Invalid` with `protocol.role` for a stranger."""
    if role not in protocol.roles:
        raise Invalid(
            "protocol.role",
            f"{protocol.name} has no role {role}",
            place=Place(role=role),
            expected=", ".join(protocol.roles),
            actual=role,
        )
    return protocol.local_types[protocol.roles.index(role)]


def edges(protocol: Protocol) -> tuple[tuple[str, str], ...]:
    """The directed (sender, receiver) pairs on which the protocol sends, sorted."""
    found: set[tuple[str, str]] = set()
    for role, local in zip(protocol.roles, protocol.local_types, strict=True):
        for state in local.states:
            if state.kind is StateKind.SEND:
                found.add((role, state.peer))
            elif state.kind is StateKind.RECV:
                found.add((state.peer, role))
    return tuple(sorted(found))


def lossy_labels(protocol: Protocol) -> dict[tuple[str, str], tuple[str, ...]]:
    """Of each edge that has any, the sorted labels of the messages that may be lost."""
    found: dict[tuple[str, str], set[str]] = {}
    for role, local in zip(protocol.roles, protocol.local_types, strict=True):
        for state in local.states:
            for transition in state.transitions if state.kind is StateKind.SEND else ():
                if transition.lossy:
                    found.setdefault((role, state.peer), set()).add(transition.label)
    return {edge: tuple(sorted(names)) for edge, names in found.items()}


def labels(local_types: Sequence[LocalType]) -> tuple[str, ...]:
    """Every label of a message that occurs, sorted."""
    return tuple(
        sorted(
            {
                transition.label
                for local in local_types
                for state in local.states
                if state.kind is not StateKind.TIMED
                for transition in state.transitions
                if transition.label != CRASH
            }
        )
    )


def protocol_id(protocol: Protocol) -> bytes:
    """The 32-byte content id: name, roles, local types and settings, however they were spelt."""
    data = encode_protocol(protocol)
    return blake3(data, derive_key_context="troth/v1 protocol id").digest()
