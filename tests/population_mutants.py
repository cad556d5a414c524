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
from troth.vm.instructions import Branch, Instruction, Jump, Recv, Select, Send, Timer

NO_LABEL: Final = "nolabel"
_TALK: Final = re.compile(
    r"(?P<blank> *)(?P<verb>send|recv) (?P<end>s|d\.\w+)\.(?P<peer>[\w\[\]]+) (?P<rest>\w+\(.*)"
)
_CASES: Final = re.compile(r" *recv (s|d\.\w+)\.[\w\[\]]+:")
_WITHIN: Final = re.compile(r" *within (s|d\.\w+):")
_SPAWNED: Final = re.compile(r" *spawn run.*")


class Mutant(NamedTuple):
    """`lines` are those of one program; `is_wrong` says that it cannot be right."""

    kind: str
    program: str
    lines: tuple[str, ...]
    is_wrong: bool


def text_mutants(rng: Random, conversation: Conversation, count: int) -> Iterator[Mutant]:
    """`count` mutants, each of one change in one program."""
    while count > 0:
        name = rng.choice(list(conversation.programs))
        lines = list(conversation.programs[name])
        kind = rng.choice(list(_CHANGES))
        change = _CHANGES[kind]
        places = [n for n, line in enumerate(lines) if _PLACES.get(kind, _TALK).fullmatch(line)]
        if not places:
            continue
        mutant = change(rng, lines, rng.choice(places), conversation.roles)
        if mutant is not None and tuple(mutant) != conversation.programs[name]:
            count -= 1
            yield Mutant(kind, name, tuple(mutant), kind in _WRONG)


def _parts(line: str) -> re.Match[str]:
    match = _TALK.fullmatch(line)
    assert match is not None
    return match


def _label(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    rest = NO_LABEL + m["rest"][m["rest"].index("(") :]
    return _with(lines, at, f"{m['blank']}{m['verb']} {m['end']}.{m['peer']} {rest}")


def _peer(rng: Random, lines: list[str], at: int, roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    peer = rng.choice([role for role in (*roles, "Nobody") if role != m["peer"]])
    return _with(lines, at, f"{m['blank']}{m['verb']} {m['end']}.{peer} {m['rest']}")


def _direction(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    label, _, arguments = m["rest"].partition("(")
    if m["verb"] == "recv":
        return _with(lines, at, f"{m['blank']}send {m['end']}.{m['peer']} {m['rest']}")
    names = (
        ", ".join(f"w{n}" for n, _ in enumerate(arguments.split(","))) if arguments != ")" else ""
    )
    return _with(lines, at, f"{m['blank']}recv {m['end']}.{m['peer']} {label}({names})")


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
    return _with(lines, at, f'{m["blank"]}send {m["end"]}.{m["peer"]} {label}(b"bytes")')


def _no_close(_rng: Random, lines: list[str], _at: int, _roles: Sequence[str]) -> list[str] | None:
    return lines[:-1] if lines[-1].strip().startswith("close ") else None


def _early_close(
    _rng: Random, lines: list[str], at: int, _roles: Sequence[str]
) -> list[str] | None:
    m = _parts(lines[at])
    return [*lines[:at], f"{m['blank']}close {m['end']}", *lines[at:]]


def _surplus(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    m = _parts(lines[at])
    return [*lines[:at], f"{m['blank']}send {m['end']}.{m['peer']} {NO_LABEL}()", *lines[at:]]


def _no_case(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    return lines[: at + 1] + lines[_block_end(lines, at + 1) :]


def _no_clock(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    """What is done in time, without the clock, and nothing else."""
    end = _block_end(lines, at)
    return [
        *lines[:at],
        *(line[4:] for line in lines[at + 1 : end]),
        *lines[_block_end(lines, end) :],
    ]


def _clock_again(
    _rng: Random, lines: list[str], at: int, _roles: Sequence[str]
) -> list[str] | None:
    """The clock started a second time, while it runs."""
    end = _block_end(lines, at)
    late = lines[end : _block_end(lines, end)]
    inner = [f"    {line}" for line in (*lines[at:end], *late)]
    return [*lines[: at + 1], *inner, *lines[end:]]


def _no_choice(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    """Nothing is chosen in time."""
    return [*lines[: at + 1], " " * _depth(lines[at]) + "    pass", *lines[_block_end(lines, at) :]]


def _never_late(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    """Nothing is chosen when the time is over."""
    end = _block_end(lines, at)
    blank = " " * _depth(lines[at])
    return [*lines[: end + 1], f"{blank}    pass", *lines[_block_end(lines, end) :]]


def _no_spawn(_rng: Random, lines: list[str], at: int, _roles: Sequence[str]) -> list[str] | None:
    return _with(lines, at, " " * _depth(lines[at]) + "pass")


def _block_end(lines: list[str], start: int) -> int:
    """Where the block that line `start` heads has ended."""
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
    "a clock left out": _no_clock,
    "a clock started twice": _clock_again,
    "no choice in time": _no_choice,
    "no late choice": _never_late,
    "a session left out": _no_spawn,
}
_PLACES: Final = {
    "a missing case": _CASES,
    "a clock left out": _WITHIN,
    "a clock started twice": _WITHIN,
    "no choice in time": _WITHIN,
    "no late choice": _WITHIN,
    "a session left out": _SPAWNED,
}
"""The lines that are changed, where it is not a message."""
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
    """Images that a compiler would never make: one instruction talks out of turn, or starts no
    clock where it has to."""
    places = [
        (number, pc)
        for number, program in enumerate(image.programs)
        for pc, instruction in enumerate(program.code)
        if isinstance(instruction, Send | Select | Recv | Branch | Timer)
    ]
    for _ in range(count):
        number, pc = rng.choice(places)
        kind = rng.choice(("label", "peer", "direction", "nothing"))
        if isinstance(image.programs[number].code[pc], Timer):
            kind = "clock"
        changed = _code_change(kind, image.programs[number].code[pc], pc)
        # A jump far out of the program is a fault wherever it is tried.
        yield CodeMutant(
            kind, _with_code(image, number, pc, changed), _with_code(image, number, pc, Jump(-1))
        )


def _code_change(kind: str, instruction: Instruction, pc: int) -> Instruction:
    assert isinstance(instruction, Send | Select | Recv | Branch | Timer)
    if kind == "nothing" or isinstance(instruction, Timer):
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
