"""A protocol laid out for following traces: one dictionary look-up per message and side.

The tables are keyed the way records name things: roles by their place in the protocol's role
list, labels by their place in its sorted label list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from troth.conformance.payloads import PayloadCheck, compile_payload
from troth.vm.automata import survivable
from troth.vm.image import EdgeSettings, Protocol
from troth.vm.loaded import ProtocolTables
from troth.vm.local_text import duration, message
from troth.vm.statements import StepKind
from troth.vm.types import CRASH, IN_TIME, LATE, EndpointType, LocalType, State, StateKind

INITIAL_STATE: Final = 0


class Clock(NamedTuple):
    """Where a timed state leads, in time and once its clock has run out, and who is told then."""

    within_ns: int
    in_time: int
    late: int
    peer: int


class Crashed(NamedTuple):
    """Whose crash a receive state meets, and where it leads then."""

    peer: int
    next: int


class Step(NamedTuple):
    """What one label does in one state.

    `kind` is the step kind a send of it must have, `carried` the types of the endpoints inside.
    """

    peer: int
    next: int
    kind: int
    check: PayloadCheck
    carried: tuple[EndpointType, ...]


StateSteps: TypeAlias = tuple[dict[int, Step], ...]
"""Per state: the steps by label index, empty where the state does something else."""


@dataclass(frozen=True, slots=True)
class TraceTables:
    """Per role index: the steps of send states, those of receive states, end and timed states."""

    protocol: Protocol
    id: bytes
    labels: tuple[str, ...]
    sends: tuple[StateSteps, ...]
    receives: tuple[StateSteps, ...]
    ends: tuple[tuple[bool, ...], ...]
    edges: tuple[tuple[str, str], ...]
    edge_settings: Mapping[tuple[str, str], EdgeSettings]
    lossy: Mapping[tuple[str, str], tuple[str, ...]]
    timed: tuple[Mapping[int, Clock], ...]
    crashes: tuple[Mapping[int, Crashed], ...]
    survives: tuple[tuple[frozenset[str], ...], ...]
    """Of each state, the roles whose crash is met somewhere from there on."""


def build_tables(loaded: ProtocolTables) -> TraceTables:
    """Lays out a protocol that the loader has checked."""
    protocol = loaded.protocol

    def steps(local_type: LocalType, kind: StateKind) -> StateSteps:
        return tuple(
            _steps(state, loaded.label_index, loaded.role_index) if state.kind is kind else {}
            for state in local_type.states
        )

    local_types = protocol.local_types
    return TraceTables(
        protocol=protocol,
        id=loaded.id,
        labels=loaded.labels,
        sends=tuple(steps(local_type, StateKind.SEND) for local_type in local_types),
        receives=tuple(steps(local_type, StateKind.RECV) for local_type in local_types),
        ends=tuple(
            tuple(state.kind is StateKind.END for state in local_type.states)
            for local_type in local_types
        ),
        edges=loaded.edges,
        edge_settings=loaded.edge_settings,
        lossy=loaded.lossy,
        timed=tuple(_clocks(local_type, loaded.role_index) for local_type in local_types),
        crashes=tuple(_crashes(local_type, loaded.role_index) for local_type in local_types),
        survives=tuple(survivable(local_type.states) for local_type in local_types),
    )


def _clocks(local_type: LocalType, role_index: Mapping[str, int]) -> dict[int, Clock]:
    return {
        number: Clock(
            state.within_ns, state.after(IN_TIME), state.after(LATE), role_index[state.peer]
        )
        for number, state in enumerate(local_type.states)
        if state.kind is StateKind.TIMED
    }


def _steps(
    state: State, label_index: Mapping[str, int], role_index: Mapping[str, int]
) -> dict[int, Step]:
    kind = StepKind.MESSAGE if len(state.transitions) == 1 else StepKind.SELECTION
    return {
        label_index[transition.label]: Step(
            peer=role_index[state.peer],
            next=transition.next,
            kind=int(kind),
            check=compile_payload(transition.fields),
            carried=tuple(
                field.type for field in transition.fields if isinstance(field.type, EndpointType)
            ),
        )
        for transition in state.transitions
        if transition.label != CRASH
    }


def _crashes(local_type: LocalType, role_index: Mapping[str, int]) -> dict[int, Crashed]:
    return {
        number: Crashed(role_index[state.peer], state.after(CRASH))
        for number, state in enumerate(local_type.states)
        if any(transition.label == CRASH for transition in state.transitions)
    }


def describe_state(
    tables: TraceTables, role: int, number: int, *, marked: str | None = None
) -> str:
    """The state as text, one branch a line; the branch `marked` has `>` in front.

    A label that the state does not have is shown as a line of its own.
    """
    protocol = tables.protocol
    state = protocol.local_types[role].states[number]
    head = f"{protocol.name}.{protocol.roles[role]}, state {number}: "
    if state.kind is StateKind.END:
        lines = [head + "end"]
    elif state.kind is StateKind.TIMED:
        return f"{head}start the clock of a choice within {duration(state.within_ns)}"
    else:
        verb = "send to" if state.kind is StateKind.SEND else "receive from"
        lines = [f"{head}{verb} {state.peer}"]
    known = False
    for transition in state.transitions:
        hit = transition.label == marked
        known = known or hit
        shown = message(transition.label, transition.fields, transition.lossy)
        lines.append(f"{'>' if hit else ' '} {shown}")
    if marked is not None and not known:
        lines.append(f"> {marked}: not possible here")
    return "\n".join(lines)
