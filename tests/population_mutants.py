"""Small mistakes in the programs of the population: in their text, and in their bytecode.

Some changes cannot be right whatever the protocol is, and must be refused. Others may by chance
give another right program (a message less in a loop, for instance): those are refused, or run to
the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final, NamedTuple

from population import Conversation
from troth.vm.image import Image, Program
from troth.vm.instructions import Branch, Instruction, Jump, Recv, Select, Send

NO_LABEL: Final = "nolabel"
_TALK: Final = re.compile(
    r"(?P<blank> *)(?P<verb>send|recv) s\.(?P<peer>[\w\[\]]+) (?P<rest>\w+\(.*)"
)
_CASES: Final = re.compile(r" *recv s\.[\w\[\]]+:")


class Mutant(NamedTuple):
    """`lines` are those of one role's program; `is_wrong` says that it cannot be right."""

    kind: str
    role: str
    lines: tuple[str, ...]
    is_wrong: bool


def text_mutants(rng: Random, conversation: Conversation, count: int) -> Iterator[Mutant]:
    """`count` mutants, each of one change in one program."""
    while count > 0:
        role = rng.choice(list(conversation.programs))
        lines = list(conversation.programs[role])
        kind = rng.choice(list(_CHANGES))
        change = _CHANGES[kind]
        places = [n for n, line in enumerate(lines) if _TALK.fullmatch(line)]
        mutant = change(rng, lines, rng.choice(places), list(conversation.types))
        if mutant is not None and tuple(mutant) != conversation.programs[role]:
            count -= 1
            yield Mutant(kind, role, tuple(mutant), kind in _WRONG)


def _parts(line: str) -> re.Match[str]:
    match = _TALK.fullmatch(line)
    assert match is not None
    return match


def _label(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    rest = NO_LABEL + m["rest"][m["rest"].index("(") :]
    return _with(lines, at, f"{m['blank']}{m['verb']} s.{m['peer']} {rest}")


def _peer(rng: Random, lines: list[str], at: int, roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    peer = rng.choice([role for role in (*roles, "Nobody") if role != m["peer"]])
    return _with(lines, at, f"{m['blank']}{m['verb']} s.{peer} {m['rest']}")


def _direction(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    label, _, arguments = m["rest"].partition("(")
    if m["verb"] == "recv":
        return _with(lines, at, f"{m['blank']}send s.{m['peer']} {m['rest']}")
    names = (
        ", ".join(f"w{n}" for n, _ in enumerate(arguments.split(","))) if arguments != ")" else ""
    )
    return _with(lines, at, f"{m['blank']}recv s.{m['peer']} {label}({names})")


def _payload(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    """One value, or name, more than the message has."""
    line = lines[at]
    empty = line.endswith("()")
    more = "pick" if " send " in line else "w9"
    return _with(lines, at, line[:-1] + ("" if empty else ", ") + more + ")")


def _type(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    label, _, arguments = m["rest"].partition("(")
    if m["verb"] == "recv" or arguments == ")" or "," in arguments:
        return None
    return _with(lines, at, f'{m["blank"]}send s.{m["peer"]} {label}(b"bytes")')


def _no_close(_rng: Random, lines: list[str], _at: int, _roles: Sequence[str]) -> list[str] | None:
    return lines[:-1] if lines[-1].strip() == "close s" else None


def _early_close(
    _rng: Random, lines: list[str], at: int, _roles: Sequence[str]
) -> list[str] | None:
    blank = _parts(lines[at])["blank"]
    return [*lines[:at], f"{blank}close s", *lines[at:]]


def _surplus(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    return [*lines[:at], f"{m['blank']}send s.{m['peer']} {NO_LABEL}()", *lines[at:]]


def _no_case(rng: Random, lines: list[str], _at: int, _roles: Sequence[str]) -> list[str] | None:
    heads = [n for n, line in enumerate(lines) if _CASES.fullmatch(line)]
    if not heads:
        return None
    head = rng.choice(heads)
    end = _block_end(lines, head + 1)
    return lines[: head + 1] + lines[end:]


def _block_end(lines: list[str], start: int) -> int:
    depth = _depth(lines[start])
    end = start + 1
    while end < len(lines) and _depth(lines[end]) > depth:
        end += 1
    return end


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _drop(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    return _with(lines, at, f"{_parts(lines[at])['blank']}pass")


def _twice(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    return [*lines[:at], lines[at], *lines[at:]]


def _swap(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    if at + 1 == len(lines) or _TALK.fullmatch(lines[at + 1]) is None:
        return None
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]


def _other_talk(rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    """Another line of the same program in this place."""
    others = [line.strip() for line in lines if _TALK.fullmatch(line)]
    return _with(lines, at, _parts(lines[at])["blank"] + rng.choice(others))


def _with(lines: list[str], at: int, line: str) -> list[str]:
    return [*lines[:at], line, *lines[at + 1 :]]


_WRONG: Final = {
    "another label": _label,
    "another peer": _peer,
    "another direction": _direction,
    "a value too many": _payload,
    "a value of another type": _type,
    "no close": _no_close,
    "an early close": _early_close,
    "a surplus message": _surplus,
    "a missing case": _no_case,
}
_CHANGES: Final = {
    **_WRONG,
    "a missing message": _drop,
    "a message twice": _twice,
    "two messages swapped": _swap,
    "a message of another place": _other_talk,
}


# --- bytecode -------------------------------------------------------------------------------


class CodeMutant(NamedTuple):
    """`image` has one wrong instruction; `marked` has one there that ends the run with a fault,
    which tells whether the run gets there at all."""

    kind: str
    image: Image
    marked: Image


def code_mutants(rng: Random, image: Image, count: int) -> Iterator[CodeMutant]:
    """Images that a compiler would never make: one instruction talks out of turn."""
    places = [
        (number, pc)
        for number, program in enumerate(image.programs)
        for pc, instruction in enumerate(program.code)
        if isinstance(instruction, Send | Select | Recv | Branch)
    ]
    for _ in range(count):
        number, pc = rng.choice(places)
        kind = rng.choice(("label", "peer", "direction", "nothing"))
        changed = _code_change(kind, image.programs[number].code[pc], pc)
        # A jump far out of the program is a fault wherever it is tried.
        yield CodeMutant(
            kind, _with_code(image, number, pc, changed), _with_code(image, number, pc, Jump(-1))
        )


def _code_change(kind: str, instruction: Instruction, pc: int) -> Instruction:
    assert isinstance(instruction, Send | Select | Recv | Branch)
    if kind == "nothing":
        return Jump(pc + 1)
    if kind == "peer":
        return replace(instruction, peer="Nobody")
    if isinstance(instruction, Branch):
        first, *rest = instruction.cases
        return replace(instruction, cases=(replace(first, label=NO_LABEL), *rest))
    if kind == "label":
        return replace(instruction, label=NO_LABEL)
    if isinstance(instruction, Recv):
        return Send(instruction.endpoint, instruction.peer, instruction.label, ())
    return Recv(instruction.endpoint, instruction.peer, instruction.label, ())


def _with_code(image: Image, number: int, pc: int, instruction: Instruction) -> Image:
    program = image.programs[number]
    code = (*program.code[:pc], instruction, *program.code[pc + 1 :])
    changed: Program = replace(program, code=code)
    programs = (*image.programs[:number], changed, *image.programs[number + 1 :])
    return replace(image, programs=programs)
