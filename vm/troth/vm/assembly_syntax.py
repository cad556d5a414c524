"""How each instruction is written: one table, from which text is both written and read.

A row lists what stands in the line of an instruction, from left to right: a string stands for
itself, a pair is an operand and how it is written. The first string is the keyword.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from troth.vm.assembly_cursor import Cursor, Spot, shorten
from troth.vm.assembly_operands import (
    ARGUMENTS,
    BUNDLE,
    CASES,
    EFFECT,
    GUARD,
    HANDLERS,
    INDEX,
    NAME,
    NAMES,
    OPERATOR,
    OPTIONS,
    PROGRAM,
    PROTOCOL,
    REGISTER,
    REGISTERS,
    TARGET,
    VALUE,
    Part,
    Scope,
)
from troth.vm.instructions import (
    Abort,
    Acquire,
    Branch,
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

Operand: TypeAlias = tuple[str, Part]
Row: TypeAlias = tuple[str | Operand, ...]

_ENDPOINT: Final[Operand] = ("endpoint", REGISTER)
_PEER: Final[Operand] = ("peer", NAME)
_LABEL: Final[Operand] = ("label", NAME)
_TO: Final[Operand] = ("target", REGISTER)
_GIVEN: Final[Operand] = ("arguments", REGISTERS)
_TAKEN: Final[Operand] = ("targets", REGISTERS)

SYNTAX: Final[Mapping[type, Row]] = {
    Open: (
        "open",
        " ",
        ("protocol", PROTOCOL),
        _TAKEN,
        ("options", OPTIONS),
        ("handlers", HANDLERS),
    ),
    OpenBundle: ("open_bundle", " ", ("bundle", BUNDLE), _TAKEN, ("options", OPTIONS)),
    Send: ("send", " ", _ENDPOINT, " ", _PEER, "!", _LABEL, _GIVEN),
    Select: ("select", " ", _ENDPOINT, " ", _PEER, "!", _LABEL, _GIVEN),
    Recv: ("recv", " ", _ENDPOINT, " ", _PEER, "?", _LABEL, _TAKEN),
    Branch: ("branch", " ", _ENDPOINT, " ", _PEER, "?", ("cases", CASES)),
    Close: ("close", " ", _ENDPOINT),
    Cancel: ("cancel", " ", _ENDPOINT, " ", ("reason", REGISTER)),
    Invoke: ("invoke", " ", _TO, " = ", ("effect", EFFECT), _GIVEN),
    Acquire: ("acquire", " ", ("guard", GUARD)),
    Release: ("release", " ", ("guard", GUARD)),
    Fork: ("fork", " ", ("target", TARGET)),
    Join: ("join",),
    Abort: ("abort",),
    Timer: ("timer", " ", _ENDPOINT, " ", ("target", TARGET)),
    Transfer: (
        *("transfer", " ", _ENDPOINT, " -> ", ("coroutine", REGISTER)),
        *("[", ("parameter", INDEX), "]"),
    ),
    Set: ("set", " ", _TO, " = ", ("value", VALUE)),
    Move: ("move", " ", _TO, " = ", ("source", REGISTER)),
    Op: ("op", " ", _TO, " = ", ("operator", OPERATOR), _GIVEN, ("names", NAMES)),
    Jump: ("jump", " ", ("target", TARGET)),
    JumpIf: ("jump_if", " ", ("condition", REGISTER), " ", ("target", TARGET)),
    Spawn: ("spawn", " ", _TO, " = ", ("program", PROGRAM), ("arguments", ARGUMENTS)),
    Yield: ("yield",),
    Halt: ("halt",),
}

_BY_KEYWORD: Final[Mapping[object, type]] = {row[0]: kind for kind, row in SYNTAX.items()}


def write_instruction(instruction: Instruction, scope: Scope) -> str:
    """One instruction; those with several cases take several lines."""
    pieces = []
    for piece in SYNTAX[type(instruction)]:
        if isinstance(piece, str):
            pieces.append(piece)
        else:
            name, part = piece
            pieces.append(part.write(getattr(instruction, name), scope))
    return "".join(pieces)


def read_instruction(cursor: Cursor, keyword: str, spot: Spot) -> Instruction:
    """The rest of the instruction that begins with `keyword` at `spot`.

    Jump targets and what else is called by its name are negative: see `Cursor.refer`.
    """
    kind = _BY_KEYWORD.get(keyword)
    if kind is None:
        expected = "one of " + ", ".join(map(str, _BY_KEYWORD))
        cursor.refuse("assembly.syntax", expected=expected, actual=shorten(keyword), spot=spot)
    operands: dict[str, object] = {}
    for piece in SYNTAX[kind][1:]:
        if not isinstance(piece, str):
            name, part = piece
            operands[name] = part.read(cursor)
        elif not piece.isspace():
            cursor.expect(piece.strip())
    instruction: Instruction = kind(**operands)
    return instruction


def form(kind: type) -> str:
    """The line of an instruction as a pattern, for the reference."""
    return "".join([p if isinstance(p, str) else p[1].form for p in SYNTAX[kind]])
