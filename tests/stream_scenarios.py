"""Runs of the transport's protocols with scripted effects, and programs with a branch cut out.

A scenario gives the answers that matter; every other effect answers with the plainest value of
its type. What a run is told apart by is the order of its effects with their arguments.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth import dsl, vm
from troth.vm.types import ListType, Primitive, RecordType, ValueType

Trace = tuple[tuple[str, str], ...]

CLOCK: Final = "within 10ms:"
"""The clocks of the programs here, in the place of those that they have."""
LATE: Final = object()
LATE_S: Final = 0.05

CALLS_MAX: Final = 200
"""A program with a branch cut out may never end by itself."""

_PLAIN: Final[Mapping[Primitive, Any]] = {
    Primitive.UNIT: None,
    Primitive.BOOL: False,
    Primitive.INT: 0,
    Primitive.FLOAT: 0.0,
    Primitive.STR: "",
    Primitive.BYTES: b"",
    Primitive.BLOB: b"",
}


@dataclass(frozen=True)
class Scenario:
    """`answers` are given one after the other; one more question fails the effect.

    The answer `LATE` comes when the clock of the choice has run out.
    """

    name: str
    protocol: str
    answers: Mapping[str, list[Any]]
    expected: Mapping[str, list[str]] = field(default_factory=dict)
    """The arguments of some effects, in the order of their calls."""


@dataclass(frozen=True)
class Ran:
    ok: bool
    trace: Trace

    def calls(self, name: str) -> list[str]:
        return [arguments for found, arguments in self.trace if found == name]


def run(module: dsl.Module, scenario: Scenario) -> Ran:
    trace: list[tuple[str, str]] = []
    effects = {
        effect.name: _scripted(effect.name, effect.result, scenario.answers, trace)
        for effect in module.image.effects
    }
    options = vm.RunOptions(effects=effects, seed=vm.seed_from_number(1))
    result = vm.run(module.image, options=options, write_line=lambda _: None)
    return Ran(result.ok, tuple(trace))


def _scripted(
    name: str,
    result: ValueType,
    answers: Mapping[str, list[Any]],
    trace: list[tuple[str, str]],
) -> Callable[..., Any]:
    left = list(answers[name]) if name in answers else None

    async def late() -> None:
        trace.append((name, "late"))
        await asyncio.sleep(LATE_S)

    if left is not None and LATE in left:
        return _late_or_not(left, late, lambda: trace.append((name, "")), plainest(result))

    def answer(*arguments: object) -> Any:
        trace.append((name, ", ".join(map(_shown, arguments))))
        if left is None:
            assert len(trace) < CALLS_MAX, "it goes round and round"
            return plainest(result)
        assert left, f"{name} is asked for once more than the scenario says"
        given = left.pop(0)
        return {**plainest(result), **given} if isinstance(given, dict) else given

    return answer


def _late_or_not(
    left: list[Any],
    late: Callable[[], Awaitable[None]],
    in_time: Callable[[], None],
    plain: object,
) -> Callable[..., Awaitable[object]]:
    """What comes late is dropped, so any answer will do."""

    async def answer(*_: object) -> object:
        assert left, "it is asked for once more than the scenario says"
        if left.pop(0) is LATE:
            await late()
        else:
            in_time()
        return plain

    return answer


def _shown(argument: object) -> str:
    if isinstance(argument, vm.BlobValue):
        return f"blob of {len(argument)}"
    if isinstance(argument, dict):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in argument.items()) + "}"
    return str(argument)


def plainest(kind: ValueType) -> Any:
    if isinstance(kind, ListType):
        return []
    if isinstance(kind, RecordType):
        return {item.name: plainest(item.type) for item in kind.fields}
    assert isinstance(kind, Primitive)
    return _PLAIN[kind]


_HEAD: Final = re.compile(r"^( +)(if |elif |else:|timeout:|[a-z_]+\([a-z_, ]*\):)")


def without_one_branch(text: str) -> Iterator[tuple[str, str]]:
    """Each program of a script with one branch less: where it was, and the script."""
    lines = text.split("\n")
    in_program = False
    for place, line in enumerate(lines):
        if line and not line.startswith(" "):
            in_program = line.startswith("program ")
        found = _HEAD.match(line)
        if in_program and found is not None:
            yield f"line {place + 1}: {line.strip()}", _cut(lines, place, found[1], found[2])


def _cut(lines: list[str], place: int, indent: str, word: str) -> str:
    """The branch is gone; where two of one choice were left, the other is what always happens."""
    end = _end_of(lines, place, indent)
    before, rest = lines[:place], lines[end:]
    if word == "if " and rest and rest[0].startswith(f"{indent}elif "):
        rest[0] = rest[0].replace("elif ", "if ", 1)
    elif word == "if " and rest and rest[0] == f"{indent}else:":
        last = _end_of(lines, end, indent) - end
        rest = [line[4:] for line in rest[1:last]] + rest[last:]
    elif word == "else:":
        head = max(
            at for at in range(place) if lines[at].startswith((f"{indent}if ", f"{indent}elif "))
        )
        if lines[head].startswith(f"{indent}elif "):
            before[head] = f"{indent}else:"
        else:
            before = before[:head] + [line[4:] for line in before[head + 1 :]]
    return "\n".join(before + rest)


def _end_of(lines: list[str], place: int, indent: str) -> int:
    """Where the block that begins at `place` is over."""
    end = place + 1
    while end < len(lines) and (not lines[end] or lines[end].startswith(indent + " ")):
        end += 1
    return end
