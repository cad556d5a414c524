"""How operands and settings are written in assembly text, each as a pair that undo each other.

`assembly_syntax` puts them together to instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from troth.vm.assembly_cursor import Cursor, Spot, Token
from troth.vm.assembly_parts import read_label, read_name, read_value
from troth.vm.assembly_words import write_name, write_value
from troth.vm.image_codec import ITEMS_MAX
from troth.vm.instructions import (
    HOLE,
    BufferMode,
    Case,
    OpenOptions,
    Operator,
    PayloadForm,
    Policy,
    ReplayMode,
    Seal,
)
from troth.vm.limits import INSTRUCTIONS_PER_PROGRAM_MAX
from troth.vm.values import INT_MAX

_REGISTER_DIGITS_MAX: Final = 5
_FOLD: Final = "\n          | "
"""How a case is set below the one before."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a writer knows around an instruction.

    Attributes:
        names: per kind of thing, how each one is called, by its number.
        code_length: of the program.
    """

    names: Mapping[str, tuple[str, ...]]
    code_length: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """How an operand is written; `form` shows it to people."""

    form: str
    write: Callable[[object, Scope], str]
    read: Callable[[Cursor], object]


# --- single operands -----------------------------------------------------------------------


def _write_register(value: object, _: Scope) -> str:
    return f"r{value}"


def read_register(cursor: Cursor) -> int:
    spot = cursor.spot
    word = cursor.bare("a register such as r0")
    digits = word[1:]
    if word[0] != "r" or not digits.isdigit() or len(digits) > _REGISTER_DIGITS_MAX:
        cursor.refuse("assembly.syntax", expected="a register such as r0", actual=word, spot=spot)
    number = int(digits)
    if number > ITEMS_MAX:
        expected = f"a register from r0 to r{ITEMS_MAX}"
        cursor.refuse("assembly.number", expected=expected, actual=word, spot=spot)
    return number


def _write_name(value: object, _: Scope) -> str:
    assert isinstance(value, str)
    return write_name(value)


def _write_constant(value: object, _: Scope) -> str:
    return write_value(value)  # type: ignore[arg-type]  # the image has an encoding


def _write_index(value: object, _: Scope) -> str:
    return str(value)


def _read_index(cursor: Cursor) -> int:
    return cursor.integer(0, ITEMS_MAX)


def _write_target(value: object, scope: Scope) -> str:
    assert isinstance(value, int)
    return f"L{value}" if value <= scope.code_length else f"#{value}"


def read_target(cursor: Cursor) -> int:
    if cursor.takes("#"):
        return cursor.integer(0, INSTRUCTIONS_PER_PROGRAM_MAX)
    spot = cursor.spot
    return cursor.refer("label", cursor.bare("a label, or `#` and a number"), spot)


def reference(kind: str) -> Part:
    """Something of the image, by its name where that is enough."""

    def write(value: object, scope: Scope) -> str:
        assert isinstance(value, int)
        names = scope.names[kind]
        return names[value] if value < len(names) else f"#{value}"

    def read(cursor: Cursor) -> int:
        if cursor.takes("#"):
            return cursor.integer(0, ITEMS_MAX)
        spot: Spot = cursor.spot
        return cursor.refer(kind, read_name(cursor), spot)

    return Part(kind, write, read)


def _enumeration(form: str, kinds: type[StrEnum]) -> Part:
    members = {kind.value: kind for kind in kinds}

    def read(cursor: Cursor) -> StrEnum:
        if cursor.kind is not Token.NAME or cursor.text not in members:
            cursor.refuse_token(" or ".join(members))
        return members[cursor.advance()]

    return Part(form, lambda value, _: str(value), read)


def _read_count(cursor: Cursor) -> int:
    return cursor.integer(0, INT_MAX)


COUNT: Final = Part("NUMBER", _write_index, _read_count)
REGISTER: Final = Part("REGISTER", _write_register, read_register)
NAME: Final = Part("NAME", _write_name, read_name)
TARGET: Final = Part("LABEL", _write_target, read_target)
INDEX: Final = Part("NUMBER", _write_index, _read_index)
VALUE: Final = Part("VALUE", _write_constant, read_value)
OPERATOR: Final = _enumeration("OPERATOR", Operator)
PROTOCOL: Final = reference("protocol")
BUNDLE: Final = reference("bundle")
EFFECT: Final = reference("effect")
PROGRAM: Final = reference("program")
GUARD: Final = reference("guard")

# --- several operands ----------------------------------------------------------------------


def _listed(form: str, opening: str, item: Part, closing: str, count_max: int) -> Part:
    def write(value: object, scope: Scope) -> str:
        assert isinstance(value, tuple)
        return opening + ", ".join([item.write(one, scope) for one in value]) + closing

    def read(cursor: Cursor) -> tuple[object, ...]:
        return cursor.list_of(opening, closing, item.read, count_max)

    return Part(form, write, read)


def _write_argument(value: object, _: Scope) -> str:
    return "-" if value == HOLE else f"r{value}"


def _read_argument(cursor: Cursor) -> int:
    return HOLE if cursor.takes("-") else read_register(cursor)


def _write_names(value: object, scope: Scope) -> str:
    assert isinstance(value, tuple)
    return " names " + ", ".join([_write_name(one, scope) for one in value]) if value else ""


def _read_names(cursor: Cursor) -> tuple[str, ...]:
    return cursor.row_of(read_name, ITEMS_MAX) if cursor.takes("names") else ()


REGISTERS: Final = _listed("(REGISTER, …)", "(", REGISTER, ")", ITEMS_MAX)
ARGUMENTS: Final = _listed(
    "(REGISTER or -, …)", "(", Part("", _write_argument, _read_argument), ")", ITEMS_MAX
)
NAMES: Final = Part(" names NAME, …", _write_names, _read_names)


def _write_cases(value: object, scope: Scope) -> str:
    assert isinstance(value, tuple)
    return " " + _FOLD.join([_case(one, scope) for one in value]) if value else ""


def _case(value: object, scope: Scope) -> str:
    assert isinstance(value, Case)
    targets = REGISTERS.write(value.targets, scope)
    return f"{write_name(value.label)}{targets} -> {_write_target(value.target, scope)}"


def _read_cases(cursor: Cursor) -> tuple[Case, ...]:
    return cursor.offers(_read_case)


def _read_case(cursor: Cursor) -> Case:
    label = read_label(cursor)
    targets = cursor.list_of("(", ")", read_register, ITEMS_MAX)
    cursor.expect("->")
    return Case(label, targets, read_target(cursor))


CASES: Final = Part(" NAME(REGISTER, …) -> LABEL | …", _write_cases, _read_cases)


# --- settings ------------------------------------------------------------------------------

Settings: TypeAlias = Mapping[str, Part]

_OPEN_SETTINGS: Final[Settings] = {
    "replay": _enumeration("MODE", ReplayMode),
    "seal": _enumeration("SEAL", Seal),
    "capacity": COUNT,
    "policy": _enumeration("POLICY", Policy),
    "linger_ns": COUNT,
}
EDGE_SETTINGS: Final[Settings] = {
    "replay": _enumeration("MODE", ReplayMode),
    "buffer": _enumeration("BUFFER", BufferMode),
    "capacity": COUNT,
    "policy": _enumeration("POLICY", Policy),
    "resize_max": COUNT,
    "rotate": COUNT,
    "payload": _enumeration("FORM", PayloadForm),
}


def write_settings(settings: object, known: Settings, scope: Scope) -> str:
    """Those settings of an object that are given: `replay = off, capacity = 8`."""
    given = [(name, part, getattr(settings, name)) for name, part in known.items()]
    return ", ".join(
        [f"{name} = {part.write(value, scope)}" for name, part, value in given if value is not None]
    )


def read_settings(cursor: Cursor, known: Settings) -> dict[str, object]:
    found: dict[str, object] = {}
    while True:
        if cursor.kind is not Token.NAME or cursor.text not in known:
            cursor.refuse_token(" or ".join(known))
        if cursor.text in found:
            cursor.refuse("assembly.repeated", actual=cursor.text)
        name = cursor.advance()
        cursor.expect("=")
        found[name] = known[name].read(cursor)
        if not cursor.takes(","):
            return found


def _write_options(value: object, scope: Scope) -> str:
    text = write_settings(value, _OPEN_SETTINGS, scope)
    return f" with {text}" if text else ""


def _read_options(cursor: Cursor) -> OpenOptions:
    if not cursor.takes("with"):
        return OpenOptions()
    return OpenOptions(**read_settings(cursor, _OPEN_SETTINGS))  # type: ignore[arg-type]


def _write_handlers(value: object, _: Scope) -> str:
    assert isinstance(value, tuple)
    rows = [f"{write_name(a)} -> {write_name(b)} = {write_name(name)}" for a, b, name in value]
    return " handlers " + ", ".join(rows) if rows else ""


def _read_handlers(cursor: Cursor) -> tuple[tuple[str, str, str], ...]:
    return cursor.row_of(_read_handler, ITEMS_MAX) if cursor.takes("handlers") else ()


def _read_handler(cursor: Cursor) -> tuple[str, str, str]:
    sender = read_name(cursor)
    cursor.expect("->")
    receiver = read_name(cursor)
    cursor.expect("=")
    return sender, receiver, read_name(cursor)


OPTIONS: Final = Part(" with SETTING = VALUE, …", _write_options, _read_options)
HANDLERS: Final = Part(" handlers NAME -> NAME = NAME, …", _write_handlers, _read_handlers)
