"""Local types laid out for the machine's hottest path: one object per state and transition."""

from __future__ import annotations

from troth.vm.automata import survivable
from troth.vm.loaded import ProtocolTables
from troth.vm.local_text import duration
from troth.vm.statements import StepKind
from troth.vm.types import (
    CRASH,
    IN_TIME,
    LATE,
    EndpointType,
    Field,
    Primitive,
    State,
    StateKind,
    Transition,
)
from troth.vm.values import Blob

_CLASS_OF: dict[Primitive, type] = {
    Primitive.UNIT: type(None),
    Primitive.INT: int,
    Primitive.FLOAT: float,
    Primitive.BOOL: bool,
    Primitive.STR: str,
    Primitive.BYTES: bytes,
    Primitive.BLOB: Blob,
}


class TransitionTable:
    """One labelled step out of a state.

    Attributes:
        checks: per field its position, its type and the exact class of its values (None for
            types that need a deeper look), see `value_ops.type_matches`.
        carried: the positions of fields that are endpoints.
    """

    __slots__ = ("carried", "checks", "fields", "kind", "label", "lossy", "next", "peer")

    def __init__(self, transition: Transition, peer: str, kind: StepKind) -> None:
        self.label = transition.label
        self.peer = peer
        self.kind = kind
        self.fields = transition.fields
        self.lossy = transition.lossy
        self.checks = tuple(
            _CLASS_OF[field.type] if isinstance(field.type, Primitive) else None
            for field in transition.fields
        )
        self.carried = tuple(
            position
            for position, field in enumerate(transition.fields)
            if isinstance(field.type, EndpointType)
        )
        self.next: StateTable


class StateTable:
    """One position in a local type.

    Attributes:
        sends: the transitions by label when this is a send state, else empty.
        receives: likewise when it is a receive state; `receive_labels` are its keys.
        timed: of a timed state, where it leads in time, and where once its clock has run out.
        crash: of a receive state, where it leads when its peer has crashed.
        survives: the roles whose crash is provided for from here on: it can be met by a `crash`.
    """

    __slots__ = (
        "crash",
        "kind",
        "number",
        "peer",
        "receive_labels",
        "receives",
        "sends",
        "state",
        "survives",
        "timed",
    )

    def __init__(self, number: int, state: State) -> None:
        self.number = number
        self.state = state
        self.kind = state.kind
        self.peer = state.peer
        several = len(state.transitions) > 1
        self.survives: frozenset[str] = frozenset()
        self.crash: StateTable | None = None
        kind = StepKind.SELECTION if several else StepKind.MESSAGE
        tables = {
            transition.label: TransitionTable(transition, state.peer, kind)
            for transition in state.transitions
        }
        self.sends = tables if state.kind is StateKind.SEND else {}
        self.receives = tables if state.kind is StateKind.RECV else {}
        self.receive_labels = frozenset(self.receives)
        self.receives.pop(CRASH, None)
        self.timed: tuple[StateTable, StateTable] | None = None

    def describe(self) -> str:
        """What the local type allows here, in words."""
        if self.kind is StateKind.END:
            return "nothing: the protocol is over here, close the endpoint"
        if self.kind is StateKind.TIMED:
            time = duration(self.state.within_ns)
            return f"start the clock of a choice to {self.peer} within {time}"
        verb = "send" if self.kind is StateKind.SEND else "recv"
        labels = " or ".join(
            CRASH
            if transition.label == CRASH
            else f"{transition.label}({_types(transition.fields)})"
            for transition in self.state.transitions
        )
        return f"{verb} {self.peer} {labels}"


def _types(fields: tuple[Field, ...]) -> str:
    return ", ".join(str(field) for field in fields)


def initial_states(tables: ProtocolTables) -> tuple[StateTable, ...]:
    """The first state of each role's local type, linked to all others."""
    return tuple(_link(states) for states in tables.states)


def _link(states: tuple[State, ...]) -> StateTable:
    linked = [StateTable(number, state) for number, state in enumerate(states)]
    for table in linked:
        if table.kind is StateKind.TIMED:
            state = table.state
            table.timed = linked[state.after(IN_TIME)], linked[state.after(LATE)]
            continue
        for transition in table.state.transitions:
            if transition.label == CRASH:
                table.crash = linked[transition.next]
                continue
            step = (table.sends or table.receives)[transition.label]
            step.next = linked[transition.next]
    for table, known in zip(linked, survivable(states), strict=True):
        table.survives = known
    return linked[0]
