"""Writes a program for a role: it follows the local type, state by state.

At a choice of its own it goes round for a while and then takes the shortest way to the end. At a
timed one it yields for a while, so that at times the clock is faster; not for ever, so that no
program needs a clock to come to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from troth.vm.types import (
    CRASH,
    IN_TIME,
    LATE,
    Field,
    ListType,
    LocalType,
    Primitive,
    RecordType,
    StateKind,
    ValueType,
)

LINES_MAX: Final = 250
"""Of one role in one session; a protocol that needs more is thrown away."""
DEPTH_MAX: Final = 38
"""Blocks within blocks: the language has a limit of 40."""
ROUNDS_OF_CHOICE: Final = 4
NAPS_MAX: Final = 12
"""Longer than any clock runs, when a round takes a millisecond."""


class TooLongError(Exception):
    """The program would have more lines than a member of the population may have."""


@dataclass
class BodyWriter:
    """Writes what one role does in one session, up to its end; `turn` is a variable there is.

    Attributes:
        endpoint: what it is called, `s` for instance.
        tag: what keeps its variables and loops apart from those of another session.
    """

    rng: Random
    local: LocalType
    endpoint: str
    tag: str = ""
    written: list[str] = field(default_factory=list)
    bound: int = 0

    def lines(self) -> list[str]:
        """Raises `TooLongError`."""
        self.distance = _distances(self.local)
        self.looping = _in_cycles(self.local)
        self._line(1, f"let fuel{self.tag} = {self.rng.randint(0, ROUNDS_OF_CHOICE)}")
        self._line(1, f"let pick{self.tag} = 0")
        self._state(0, 1, ())
        return self.written

    def _line(self, depth: int, text: str) -> None:
        if len(self.written) > LINES_MAX or depth > DEPTH_MAX:
            raise TooLongError
        self.written.append("    " * depth + text)

    def _state(self, number: int, depth: int, around: tuple[int, ...]) -> None:
        """What to do from a state on. `around` are the states whose loops are around."""
        if number in around:
            self._line(depth, f"continue S{self.tag}{number}")
            return
        state = self.local.states[number]
        if state.kind is StateKind.END:
            self._line(depth, f"break S{self.tag}{around[0]}" if around else "pass")
            return
        if number in self.looping:
            self._line(depth, f"loop S{self.tag}{number}:")
            depth, around = depth + 1, (*around, number)
        if state.kind is StateKind.SEND:
            self._send(number, depth, around)
        elif state.kind is StateKind.TIMED:
            self._timed(number, depth, around)
        else:
            self._receive(number, depth, around)

    def _timed(self, number: int, depth: int, around: tuple[int, ...]) -> None:
        state = self.local.states[number]
        self._line(depth, f"within {self.endpoint}:")
        self._line(depth + 1, f"if fuel{self.tag} > 0:")
        self._line(depth + 2, f"fuel{self.tag} = fuel{self.tag} - 1")
        self._line(depth + 2, f"for nap in range({self.rng.choice((0, 3, NAPS_MAX))}):")
        self._line(depth + 3, "yield")
        self._send(state.after(IN_TIME), depth + 1, around)
        self._line(depth, "timeout:")
        self._send(state.after(LATE), depth + 1, around)

    def _send(self, number: int, depth: int, around: tuple[int, ...]) -> None:
        state = self.local.states[number]
        moves = state.transitions
        fuel, pick = f"fuel{self.tag}", f"pick{self.tag}"
        if len(moves) > 1:
            shortest = min(range(len(moves)), key=lambda n: (self.distance[moves[n].next], n))
            self._line(depth, "turn = (turn * 5 + 3) % 16")
            self._line(depth, f"{fuel} = {fuel} - 1")
            self._line(depth, f"{pick} = turn % {len(moves)}")
            self._line(depth, f"if {fuel} < 0:")
            self._line(depth + 1, f"{pick} = {shortest}")
        for position, move in enumerate(moves):
            inner = depth
            if len(moves) > 1:
                head = "else:" if position == len(moves) - 1 else f"if {pick} == {position}:"
                self._line(depth, head if position in (0, len(moves) - 1) else f"el{head}")
                inner = depth + 1
            values = ", ".join(self._value(item.type) for item in move.fields)
            self._line(inner, f"send {self.endpoint}.{state.peer} {move.label}({values})")
            self._state(move.next, inner, around)

    def _receive(self, number: int, depth: int, around: tuple[int, ...]) -> None:
        state = self.local.states[number]
        source = f"recv {self.endpoint}.{state.peer}"
        if len(state.transitions) == 1:
            (move,) = state.transitions
            self._line(depth, f"{source} {move.label}({self._targets(move.fields)})")
            self._state(move.next, depth, around)
            return
        self._line(depth, f"{source}:")
        for move in state.transitions:
            crash = move.label == CRASH
            head = CRASH if crash else f"{move.label}({self._targets(move.fields)})"
            self._line(depth + 1, f"{head}:")
            self._state(move.next, depth + 2, around)

    def _targets(self, fields: tuple[Field, ...]) -> str:
        names = []
        for _ in fields:
            self.bound += 1
            names.append(f"v{self.tag}{self.bound}")
        return ", ".join(names)

    def _value(self, kind: ValueType) -> str:
        if isinstance(kind, ListType):
            return f"[{self._value(kind.item)}]"
        if isinstance(kind, RecordType):
            parts = [f"{item.name}: {self._value(item.type)}" for item in kind.fields]
            return "{" + ", ".join(parts) + "}"
        assert isinstance(kind, Primitive)
        return self.rng.choice(_VALUES[kind])


_VALUES: Final[Mapping[Primitive, tuple[str, ...]]] = {
    Primitive.INT: ("7", "turn", "turn * 2", "-1"),
    Primitive.STR: ('""', '"x"', "str(turn)"),
    Primitive.BOOL: ("true", "turn > 3"),
    Primitive.FLOAT: ("1.5", "turn / 2"),
    Primitive.UNIT: ("()",),
}


def _distances(local: LocalType) -> list[int]:
    """How many steps each state is away from the end when no clock runs out."""
    far = len(local.states) + 1
    distance = [0 if state.kind is StateKind.END else far for state in local.states]
    for _ in local.states:
        for number, state in enumerate(local.states):
            for move in state.transitions:
                if state.kind is not StateKind.TIMED or move.label != LATE:
                    distance[number] = min(distance[number], distance[move.next] + 1)
    return distance


def _in_cycles(local: LocalType) -> frozenset[int]:
    found = set()
    for number in range(len(local.states)):
        pending = [move.next for move in local.states[number].transitions]
        seen = set(pending)
        while pending:
            for move in local.states[pending.pop()].transitions:
                if move.next not in seen:
                    seen.add(move.next)
                    pending.append(move.next)
        if number in seen:
            found.add(number)
    return frozenset(found)
