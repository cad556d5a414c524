"""From an image to assembly text that people can read and `assembly_read` reads back.

The text holds all that the image holds, so that reading it gives the same bytes and the same id.
The ids are there too, as comments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from troth.vm.assembly_operands import EDGE_SETTINGS, PROTOCOL, Scope, write_settings
from troth.vm.assembly_syntax import write_instruction
from troth.vm.assembly_words import (
    FIRST_WORD,
    VERSION,
    write_fields,
    write_name,
    write_text,
    write_type,
)
from troth.vm.image import Bundle, EdgeSettings, Image, Program, Protocol
from troth.vm.image_codec import encode_image, image_id
from troth.vm.instructions import Branch, Fork, Jump, JumpIf, Timer
from troth.vm.local_types import protocol_id
from troth.vm.types import LocalType, State, StateKind, Transition

_SIGNS: Final = {StateKind.SEND: "!", StateKind.RECV: "?", StateKind.END: "."}
_MARK_WIDTH_MAX: Final = 8
_END: Final = State(StateKind.END, "", ())


def disassemble(image: Image) -> str:
    """The image as text.

    Raises:
        Invalid: as `encode_image`, for an image built by hand that has no encoding.
    """
    data = encode_image(image)
    scope = Scope(
        {
            "protocol": _names(protocol.name for protocol in image.protocols),
            "effect": _names(effect.name for effect in image.effects),
            "program": _names(program.name for program in image.programs),
            "guard": _names(image.guards),
            "bundle": _names(bundle.name for bundle in image.bundles),
        }
    )
    lines = [f"{FIRST_WORD} {VERSION}", f"; image {image_id(data).hex()}"]
    if image.source:
        lines.append(f"source {write_text(image.source)}")
    if image.entry is not None:
        programs = scope.names["program"]
        entry = programs[image.entry] if image.entry < len(programs) else f"#{image.entry}"
        lines.append(f"entry {entry}")
    for protocol in image.protocols:
        lines += ["", *_protocol(protocol, scope)]
    if image.effects:
        lines.append("")
    for effect in image.effects:
        result = write_type(effect.result)
        lines.append(
            f"effect {write_name(effect.name)}{write_fields(effect.parameters)} -> {result}"
            + (" revertible" if effect.revertible else "")
        )
    if image.guards:
        lines.append("")
    lines += [f"guard {write_name(guard)}" for guard in image.guards]
    for bundle in image.bundles:
        lines += ["", *_bundle(bundle, scope)]
    for program in image.programs:
        lines += ["", *_program(program, Scope(scope.names, len(program.code)))]
    return "\n".join(lines) + "\n"


def _names(names: Iterable[str]) -> tuple[str, ...]:
    """How each thing is called: by its name if nothing else has it, else by its number."""
    listed = tuple(names)
    counts = Counter(listed)
    return tuple(
        [
            write_name(name) if counts[name] == 1 else f"#{number}"
            for number, name in enumerate(listed)
        ]
    )


# --- protocols -----------------------------------------------------------------------------


def _protocol(protocol: Protocol, scope: Scope) -> Iterator[str]:
    roles = ", ".join(map(write_name, protocol.roles))
    yield f"; protocol {protocol_id(protocol).hex()}"
    yield f"protocol {write_name(protocol.name)}({roles})"
    for edge in protocol.edges:
        yield "  " + _edge(edge, scope)
    for number, (role, local) in enumerate(zip_longest(protocol.roles, protocol.local_types)):
        if local is not None:
            yield f"  type {f'#{number}' if role is None else write_name(role)}"
            yield from _local_type(local)


def _edge(edge: EdgeSettings, scope: Scope) -> str:
    text = write_settings(edge, EDGE_SETTINGS, scope)
    ends = f"edge {write_name(edge.sender)} -> {write_name(edge.receiver)}"
    return f"{ends}: {text}" if text else ends


def _local_type(local: LocalType) -> Iterator[str]:
    for number, state in enumerate(local.states):
        head = f"    {number}: "
        if state == _END:
            yield head + "end"
            continue
        timed = state.kind is StateKind.TIMED
        sign = f"within {state.within_ns}:" if timed else _SIGNS[state.kind]
        fold = "\n" + " " * (len(head) - 2) + "| "
        offers = fold.join(map(_transition, state.transitions))
        yield f"{head}{write_name(state.peer)} {sign} {offers}".rstrip(" ")


def _transition(transition: Transition) -> str:
    head = f"{write_name(transition.label)}{write_fields(transition.fields)}"
    return f"{head}{' lossy' if transition.lossy else ''} -> {transition.next}"


# --- bundles -------------------------------------------------------------------------------


def _bundle(bundle: Bundle, scope: Scope) -> Iterator[str]:
    roles = ", ".join(map(write_name, bundle.roles))
    yield f"bundle {write_name(bundle.name)}({roles})"
    for child in bundle.children:
        players = ", ".join(map(str, child.players))
        protocol = PROTOCOL.write(child.protocol, scope)
        yield f"  child {write_name(child.name)} = {protocol}({players})"


# --- programs ------------------------------------------------------------------------------


def _program(program: Program, scope: Scope) -> Iterator[str]:
    head = f"program {write_name(program.name)}{write_fields(program.parameters)}"
    yield f"{head} registers {program.register_count}"
    has_marks = len(program.lines) == len(program.code)
    if program.lines and not has_marks:
        yield "  lines " + ", ".join(map(str, program.lines))
    targets = _targets(program)
    marks = _marks(program.lines) if has_marks else [""] * len(program.code)
    width = min(max(map(len, marks), default=0), _MARK_WIDTH_MAX)
    for number, (mark, instruction) in enumerate(zip(marks, program.code, strict=True)):
        if number in targets:
            yield f"L{number}:"
        yield f"  {mark:{width}}  {write_instruction(instruction, scope)}"
    if len(program.code) in targets:
        yield f"L{len(program.code)}:"


def _marks(lines: Sequence[int]) -> list[str]:
    """The source line of each instruction, where it is another one than before."""
    return [
        f"@{line}" if place == 0 or line != lines[place - 1] else ""
        for place, line in enumerate(lines)
    ]


def _targets(program: Program) -> frozenset[int]:
    found: list[int] = []
    for instruction in program.code:
        if isinstance(instruction, Jump | JumpIf | Fork | Timer):
            found.append(instruction.target)
        elif isinstance(instruction, Branch):
            found += [case.target for case in instruction.cases]
    return frozenset(found)
