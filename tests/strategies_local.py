"""Random local types, as automata, for property tests of what draws and walks them."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from troth.vm.automata import minimise
from troth.vm.types import (
    IN_TIME,
    LATE,
    Field,
    LocalType,
    Primitive,
    State,
    StateKind,
    Transition,
)

LABELS: Final = ("ask", "b", "cancel_it_all", "d", "élan", 'odd"<&>\\', "x" * 90)
FIELDS: Final = (
    (),
    (Field("n", Primitive.INT),),
    tuple(Field(f"field{number}", Primitive.BYTES) for number in range(6)),
)


@st.composite
def local_types(draw: st.DrawFn, *, states_max: int = 9) -> LocalType:
    """In canonical form: every state can be reached, and no two are alike."""
    count = draw(st.integers(1, states_max))
    states = [State(StateKind.END, "", ())]
    for _ in range(count):
        labels = sorted(draw(st.sets(st.sampled_from(LABELS), min_size=1, max_size=4)))
        moves = [
            Transition(label, draw(st.sampled_from(FIELDS)), draw(st.integers(0, count)))
            for label in labels
        ]
        kind = draw(st.sampled_from((StateKind.SEND, StateKind.RECV)))
        states.append(State(kind, draw(st.sampled_from(("A", "Bob"))), tuple(moves)))
    return minimise(states, _clock(draw, states, count))


def _clock(draw: st.DrawFn, states: list[State], start: int) -> int:
    """Perhaps puts a timed choice between two of the sends at the start."""
    sends = [n for n, state in enumerate(states) if state.kind is StateKind.SEND]
    if not sends or draw(st.booleans()):
        return start
    in_time = draw(st.sampled_from(sends))
    peer = states[in_time].peer
    late = draw(st.sampled_from([n for n in sends if states[n].peer == peer]))
    moves = (Transition(LATE, (), late), Transition(IN_TIME, (), in_time))
    states.append(State(StateKind.TIMED, peer, moves, draw(st.integers(1, 10**9))))
    return len(states) - 1
