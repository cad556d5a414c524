"""A local type as a graph with labels, which is what its pictures draw.

Messages that lead from one state to the same other one share an arc, one below the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from unicodedata import combining, east_asian_width

from troth.vm.local_text import message
from troth.vm.types import LocalType, StateKind, Transition

LINE_CELLS_MAX: Final = 48
"""A message that is wider than this is written with a line for each field."""

_PIECE_CELLS_MAX: Final = 60
_INDENT: Final = 4


class Arc(NamedTuple):
    """From state to state. `lines` are what is written at it, `is_send` who acts."""

    source: int
    target: int
    is_send: bool
    lines: tuple[str, ...]


def arcs_of(local: LocalType) -> tuple[Arc, ...]:
    """The arcs in the order of their source and of the first label at each."""
    found: list[Arc] = []
    for number, state in enumerate(local.states):
        is_send = state.kind is StateKind.SEND
        head = state.peer + ("!" if is_send else "?")
        lines: dict[int, list[str]] = {}
        for transition in state.transitions:
            lines.setdefault(transition.next, []).extend(_lines(head, transition))
        found += [Arc(number, target, is_send, tuple(text)) for target, text in lines.items()]
    return tuple(found)


def _lines(head: str, transition: Transition) -> Sequence[str]:
    whole = head + message(transition.label, transition.fields, transition.lossy)
    if cells_of(whole) <= LINE_CELLS_MAX:
        return [whole]
    pieces = [f"{head}{transition.label}("]
    pieces += [f"  {item}," for item in transition.fields]
    pieces[-1] = pieces[-1].removesuffix(",") + (") lossy" if transition.lossy else ")")
    return [part for piece in pieces for part in _cut(piece)]


def _cut(piece: str) -> Sequence[str]:
    """A field that is too wide by itself goes on in the next line, after a blank if it has one."""
    parts: list[str] = []
    while len(piece) > _PIECE_CELLS_MAX:
        blank = piece.rfind(" ", _INDENT + 1, _PIECE_CELLS_MAX)
        end = blank if blank > 0 else _PIECE_CELLS_MAX
        parts.append(piece[:end])
        piece = " " * _INDENT + piece[end:].lstrip()
    return [*parts, piece]


def cells_of(text: str) -> int:
    """How many columns of a fixed-width font the text takes."""
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
