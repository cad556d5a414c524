"""Confluence: whether the order of turns can make a difference to what a program does.

In a confluent program every coroutine only computes, and waits for messages of one edge at a
time, on reliable edges that keep their order and make a sender wait when they are full. What it
receives next is then settled whatever the others do meanwhile. The answer is conservative: a
reason may concern code that never runs, and an instruction that is not known here is a reason.

What is promised of such a program: if it ends well under one policy and quantum it ends well
under all of them, and the canonical fragments are the same, as long as the limits that count over
the whole machine are not reached. A fault is another matter: how far the others have got when it
comes is up to the order of turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from troth.vm.image import Image, Program
from troth.vm.instructions import (
    Abort,
    Acquire,
    Branch,
    BufferMode,
    Cancel,
    Close,
    Fork,
    Halt,
    Instruction,
    Invoke,
    Join,
    Jump,
    JumpIf,
    Move,
    Op,
    Open,
    OpenBundle,
    Operator,
    Policy,
    Recv,
    Release,
    Select,
    Send,
    Set,
    Spawn,
    Timer,
    Transfer,
    Yield,
)

_HARMLESS: Final = (
    *(Open, OpenBundle, Send, Recv, Select, Branch, Close, Transfer, Spawn),
    *(Set, Move, Op, Jump, JumpIf, Yield, Halt),
)
_REASONS: Final[tuple[tuple[type[Instruction], str], ...]] = (
    (Acquire, "who waits for a guard gets it in the order of turns"),
    (Release, "who waits for a guard gets it in the order of turns"),
    (Timer, "whether a clock runs out first is up to time"),
    (Cancel, "a cancellation finds the others as far as they have got"),
    (Fork, "a speculation is refused or taken back by what has arrived so far"),
    (Join, "a speculation is refused or taken back by what has arrived so far"),
    (Abort, "a speculation is refused or taken back by what has arrived so far"),
    (Invoke, "effects are called in the order of turns"),
)


class Reason(NamedTuple):
    """`place` is a program, or an edge of a protocol; `line` is 0 where there is none."""

    place: str
    line: int
    why: str

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        return f"{self.place}{line}: {self.why}"


def reasons_against(image: Image) -> tuple[Reason, ...]:
    """Why the image may not be confluent, each place once; none when it is."""
    found = [reason for program in image.programs for reason in _of_program(program)]
    for protocol in image.protocols:
        for edge in protocol.edges:
            place = f"{protocol.name}, edge {edge.sender} -> {edge.receiver}"
            if edge.policy not in (None, Policy.BLOCK):
                found.append(Reason(place, 0, _full(edge.policy)))
            if edge.buffer not in (None, BufferMode.FIFO):
                found.append(Reason(place, 0, "what is taken depends on what has come since"))
    return tuple(dict.fromkeys(found))


def _of_program(program: Program) -> Iterator[Reason]:
    for pc, instruction in enumerate(program.code):
        why = _against(instruction)
        if why is not None:
            line = program.lines[pc] if pc < len(program.lines) else 0
            yield Reason(program.name, line, why)


def _against(instruction: Instruction) -> str | None:
    for kind, why in _REASONS:
        if isinstance(instruction, kind):
            return why
    if not isinstance(instruction, _HARMLESS):
        return f"{type(instruction).__name__.lower()} is not known to be independent of order"
    if isinstance(instruction, Op) and instruction.operator is Operator.FAIL:
        return "a failure finds the others as far as they have got"
    if isinstance(instruction, Open | OpenBundle):
        policy = instruction.options.policy
        return None if policy in (None, Policy.BLOCK) else _full(policy)
    return None


def _full(policy: Policy | None) -> str:
    return f"whether a buffer is full is up to the order of turns, and its policy is {policy}"
