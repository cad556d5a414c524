"""Local types and value types in the words of the language, for diagnostics."""

from __future__ import annotations

from troth.vm.local_text import duration
from troth.vm.types import CRASH, Field, LocalType, State, StateKind, Transition, ValueType

_SHOWN_MAX = 6


def a_or_an(kind: ValueType) -> str:
    """`an int`, `a str`."""
    text = str(kind)
    return f"an {text}" if text[0] in "aeiAEI" else f"a {text}"


def signature(label: str, fields: tuple[Field, ...]) -> str:
    """`quote(price: int)`; a crash carries nothing."""
    if label == CRASH:
        return label
    return f"{label}({', '.join(str(field) for field in fields)})"


def statement(name: str, state: State, transition: Transition) -> str:
    """The statement that takes `transition`: `send s.Seller title(name)`."""
    if state.kind is StateKind.TIMED:
        return f"within {name}:"
    verb = "send" if state.kind is StateKind.SEND else "recv"
    fields = ", ".join(field.name for field in transition.fields)
    return f"{verb} {name}.{state.peer} {transition.label}({fields})"


def due(name: str, state: State) -> str:
    """What an endpoint's type asks for next: `send s.Seller accept(address: str) or quit()`."""
    if state.kind is StateKind.END:
        return f"close {name}"
    if state.kind is StateKind.TIMED:
        return f"within {name}: a choice for {state.peer} in {duration(state.within_ns)}"
    verb = "send" if state.kind is StateKind.SEND else "recv"
    return f"{verb} {name}.{state.peer} {labels(state)}"


def labels(state: State) -> str:
    """`accept(address: str) or quit()`"""
    shown = [signature(item.label, item.fields) for item in state.transitions[:_SHOWN_MAX]]
    rest = len(state.transitions) - len(shown)
    if rest:
        shown.append(f"{rest} more")
    return " or ".join(shown)


def find_transition(state: State, label: str) -> Transition | None:
    return next((item for item in state.transitions if item.label == label), None)


def reaches_end(local_type: LocalType, start: int) -> bool:
    """Whether some path leads from a state to the end of the session."""
    seen = {start}
    pending = [start]
    while pending:
        state = local_type.states[pending.pop()]
        if state.kind is StateKind.END:
            return True
        for transition in state.transitions:
            if transition.next not in seen:
                seen.add(transition.next)
                pending.append(transition.next)
    return False
