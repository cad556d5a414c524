"""Local types as text, for people: whole types and single positions.

    rec X.
    Alice&{
      item(n: int):
        Bob!copy(n: int).
        X
      stop():
        end
    }

`Peer!label(…)` sends, `Peer?label(…)` receives, `Peer+{…}` selects, `Peer&{…}` branches;
`within 5s{… timeout: …}` is a choice with a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from troth.vm.errors import LimitExceeded
from troth.vm.types import (
    CRASH,
    Branch,
    End,
    Field,
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

TEXT_NODES_MAX: Final = 100_000
"""An automaton that shares states can unfold to a huge term; this much is written at most."""

_INDENT_LEVELS_MAX: Final = 40
_VARIABLES: Final = ("X", "Y", "Z", "U", "V", "W")


# --- automaton to term ---------------------------------------------------------------------


@dataclass(slots=True)
class _Frame:
    number: int
    is_target: bool = False
    built: list[Branch] = field(default_factory=list)


def to_term(local: LocalType) -> Term:
    """A term that resolves to `local`; variables are X, Y, Z, … from the outside in.

    Raises:
        LimitExceeded: `type.size`, when the unfolded term would be too large to read.
    """
    targets: dict[int, str] = {}
    _build(local.states, targets, collect=True)
    names = {number: _variable(order) for order, number in enumerate(sorted(targets))}
    return _build(local.states, names, collect=False)


def _variable(order: int) -> str:
    turn, place = divmod(order, len(_VARIABLES))
    return _VARIABLES[place] + (str(turn) if turn else "")


def _build(states: Sequence[State], names: dict[int, str], *, collect: bool) -> Term:
    """One walk over the unfolding; with `collect` it only notes which states are returned to."""
    path = {0: _Frame(0)}
    nodes = 0
    while True:
        number, frame = next(reversed(path.items()))
        transitions = states[number].transitions
        if len(frame.built) < len(transitions):
            nodes += 1
            if nodes > TEXT_NODES_MAX:
                raise LimitExceeded(
                    "type.size",
                    "This local type is too large to be written as text",
                    expected=f"at most {TEXT_NODES_MAX} messages",
                )
            move = transitions[len(frame.built)]
            if move.next in path:
                path[move.next].is_target = True
                if collect:
                    names[move.next] = ""
                frame.built.append(
                    Branch(move.label, move.fields, Var(names[move.next]), move.lossy)
                )
            else:
                path[move.next] = _Frame(move.next)
            continue
        del path[number]
        term = _finish(states[number], frame, names)
        if not path:
            return term
        parent, above = next(reversed(path.items()))
        move = states[parent].transitions[len(above.built)]
        above.built.append(Branch(move.label, move.fields, term, move.lossy))


def _finish(state: State, frame: _Frame, names: Mapping[int, str]) -> Term:
    if state.kind is StateKind.END:
        return End()
    if state.kind is StateKind.TIMED:
        late, in_time = (branch.continuation for branch in frame.built)
        timed = Timed(state.peer, state.within_ns, in_time, late)
        return Mu(names[frame.number], timed) if frame.is_target else timed
    shape = Send if state.kind is StateKind.SEND else Recv
    term = shape(state.peer, tuple(frame.built))
    return Mu(names[frame.number], term) if frame.is_target else term


# --- term to text --------------------------------------------------------------------------


def format_term(term: Term, *, compact: bool = False) -> str:
    """The term as text: a line for each message, or with `compact` all in one line."""
    if compact:
        return _format_compact(term)
    lines: list[str] = []
    stack: list[tuple[Term | str, int]] = [(term, 0)]
    while stack:
        part, level = stack.pop()
        indent = "  " * min(level, _INDENT_LEVELS_MAX)
        if isinstance(part, str):
            lines.append(indent + part)
        elif isinstance(part, Mu):
            lines.append(f"{indent}rec {part.variable}.")
            stack.append((part.body, level))
        elif isinstance(part, Var):
            lines.append(indent + part.name)
        elif isinstance(part, End):
            lines.append(indent + "end")
        elif isinstance(part, Timed):
            lines.append(f"{indent}within {duration(part.within_ns)}{{")
            stack += [("}", level), (part.late, level + 1), ("timeout:", level)]
            stack.append((part.in_time, level + 1))
        elif len(part.branches) == 1:
            lines.append(f"{indent}{_single(part)}.")
            stack.append((part.branches[0].continuation, level))
        else:
            lines.append(f"{indent}{part.peer}{_choice_sign(part)}{{")
            stack.append(("}", level))
            for branch in reversed(part.branches):
                stack.append((branch.continuation, level + 2))
                stack.append((message(branch.label, branch.fields, branch.lossy) + ":", level + 1))
    return "\n".join(lines)


def _format_compact(term: Term) -> str:
    pieces: list[str] = []
    stack: list[Term | str] = [term]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, Mu):
            pieces.append(f"rec {part.variable}. ")
            stack.append(part.body)
        elif isinstance(part, Var):
            pieces.append(part.name)
        elif isinstance(part, End):
            pieces.append("end")
        elif isinstance(part, Timed):
            pieces.append(f"within {duration(part.within_ns)}{{")
            stack += ["}", part.late, " timeout: ", part.in_time]
        elif len(part.branches) == 1:
            pieces.append(f"{_single(part)}. ")
            stack.append(part.branches[0].continuation)
        else:
            pieces.append(f"{part.peer}{_choice_sign(part)}{{")
            stack.append("}")
            for place, branch in reversed(tuple(enumerate(part.branches))):
                stack.append(branch.continuation)
                comma = ", " if place else ""
                stack.append(comma + message(branch.label, branch.fields, branch.lossy) + ". ")
    return "".join(pieces)


def _single(part: Send | Recv) -> str:
    sign = "!" if isinstance(part, Send) else "?"
    branch = part.branches[0]
    return part.peer + sign + message(branch.label, branch.fields, branch.lossy)


def _choice_sign(part: Send | Recv) -> str:
    return "+" if isinstance(part, Send) else "&"


def message(label: str, fields: Sequence[Field], lossy: bool = False) -> str:
    """A message as it is written in a protocol: `title(name: str)`, `frame(n: int) lossy`.

    A crash is none, and is written without brackets: `on crash`.
    """
    if label == CRASH:
        return label
    return f"{label}({', '.join(str(item) for item in fields)}){' lossy' if lossy else ''}"


_UNITS: Final = (("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000))
_SMALL_UNITS: Final = (("ms", 1_000_000), ("us", 1_000))


def duration(nanoseconds: int) -> str:
    """As it is written in a script, in the largest unit that needs no fraction: `250ms`."""
    for unit, size in (*_UNITS, *_SMALL_UNITS):
        if nanoseconds and nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"


# --- positions -----------------------------------------------------------------------------


def format_state(local: LocalType, state: int, *, marked: str | None = None) -> str:
    """Where an endpoint stands and what it may do there: `state 3: Bob+{accept(…), quit()}`.

    The branch with the label `marked` is put between `>` and `<`.
    """
    if not 0 <= state < len(local.states):
        return f"state {state}: no such state"
    here = local.states[state]
    if here.kind is StateKind.END:
        return f"state {state}: end"
    if here.kind is StateKind.TIMED:
        return f"state {state}: within {duration(here.within_ns)} to {here.peer}"
    offers = [_offer(transition, marked) for transition in here.transitions]
    sending = here.kind is StateKind.SEND
    if len(offers) == 1:
        return f"state {state}: {here.peer}{'!' if sending else '?'}{offers[0]}"
    return f"state {state}: {here.peer}{'+' if sending else '&'}{{{', '.join(offers)}}}"


def _offer(transition: Transition, marked: str | None) -> str:
    text = message(transition.label, transition.fields, transition.lossy)
    return f">{text}<" if transition.label == marked else text
