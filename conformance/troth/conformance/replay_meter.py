"""What level 5 allows somebody else's program to spend of this host: work and memory.

Work is counted in instructions. An instruction that makes or walks through a long value costs
about as many as would take the same time. A program may do as much work as `Budget` says, plus a
share for every record that it has reproduced: so an endless loop ends, and a long file may take
long. Memory is what registers and messages in flight hold, counted anew whenever enough has been
made since the last time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from troth.conformance.divergence import Divergence
from troth.vm.coroutine import Coroutine
from troth.vm.image import Image
from troth.vm.instructions import Abort, Fork, Instruction, Op, Operator, Select, Send
from troth.vm.session import Cell
from troth.vm.step_code import ProgramCode
from troth.vm.step_common import Step
from troth.vm.step_decode import decode_image
from troth.vm.turn import Turn
from troth.vm.value_ops import size_of
from troth.vm.values import Record

WORK_MAX: Final = 100_000_000
WORK_PER_RECORD: Final = 20_000
MEMORY_BYTES_MAX: Final = 256 << 20
CENSUS_BYTES: Final = 32 << 20
"""Memory is counted at the latest when values of so many bytes have been made."""

COROUTINE_BYTES: Final = 1024
REGISTER_BYTES: Final = 8


class Budget(NamedTuple):
    """What running an image again may take.

    Attributes:
        work: instructions that may be executed, or what takes as long
        work_per_record: instructions that each record allows in addition
        memory_bytes: bytes that the values of the program may take, shared ones counted each time
    """

    work: int = WORK_MAX
    work_per_record: int = WORK_PER_RECORD
    memory_bytes: int = MEMORY_BYTES_MAX


DEFAULT_BUDGET: Final = Budget()


class Meter:
    """Counts what a program spends.

    Attributes:
        left: the work that is left; it grows with every record that is reproduced.
        held: gives what is alive in the machine.
        value_bytes_max: the run's limit; near it the machine counts a list's items one by one.
    """

    __slots__ = ("_census_at", "_fresh", "budget", "held", "left", "value_bytes_max")

    def __init__(self, budget: Budget) -> None:
        self.left = budget.work
        self.value_bytes_max = 0
        self.held: Callable[[], Iterator[Cell]] = _nothing
        self.budget = budget
        self._fresh = 0
        self._census_at = CENSUS_BYTES

    def work(self, amount: int) -> None:
        """
        Raises:
            Divergence: `replay.budget`.
        """
        self.left -= amount
        if self.left < 0:
            budget = self.budget
            raise Divergence(
                "replay.budget",
                "the program works on and on without doing what the file says next",
                expected=f"at most {budget.work} instructions, and {budget.work_per_record} more "
                "for each record",
                expected_side="this verifier's budget",
                actual="more",
                actual_side="executed",
            )

    def made(self, byte_count: int) -> None:
        """Something was made that takes so many bytes.

        Raises:
            Divergence: `replay.memory` or `replay.budget`.
        """
        self._fresh += byte_count
        if self._fresh >= self._census_at:
            self._count()

    def _count(self) -> None:
        limit = self.budget.memory_bytes
        total = cells = 0
        for cell in self.held():
            total += REGISTER_BYTES + footprint(cell)
            cells += 1
            if total > limit:
                raise Divergence(
                    "replay.memory",
                    "the values that the program holds take too much memory",
                    expected=f"at most {limit} bytes",
                    expected_side="this verifier's budget",
                    actual="more",
                    actual_side="executed",
                )
        self._fresh = 0
        self._census_at = max(CENSUS_BYTES, total // 2)
        self.work(cells + total // 256)

    def value(self, value: Cell) -> None:
        """An instruction made a value: charges for what making it took."""
        kind = type(value)
        if kind is str or kind is bytes:
            length = len(value)  # type: ignore[arg-type]  # one of the two
            self.work(length >> 8)
            self.made(length)
        elif kind is tuple:
            items: tuple[object, ...] = value  # type: ignore[assignment]
            quick = _is_flat(items) and _NUMBER_CANONICAL * len(items) < self.value_bytes_max
            self.work(len(items) >> 4 if quick else size_of(value))  # type: ignore[arg-type]
            self.made(REGISTER_BYTES * len(items))
        elif kind is Record:
            self.work(len(value.fields) + size_of(value))  # type: ignore[union-attr, arg-type]
            self.made(_FIELD_BYTES * len(value.fields))  # type: ignore[union-attr]


def _nothing() -> Iterator[Cell]:
    return iter(())


# --- values --------------------------------------------------------------------------------

_FLAT: Final = frozenset((int, float, bool, type(None)))
_NUMBER_CANONICAL: Final = 9
"""Bytes of a number's encoding, at most."""
_SIZED: Final = frozenset((str, bytes, tuple, Record))
_OBJECT_BYTES: Final = 56
_NUMBER_BYTES: Final = 32
_FIELD_BYTES: Final = 120
_CHARACTER_BYTES: Final = 4


def _is_flat(items: tuple[object, ...]) -> bool:
    """Whether a list holds numbers: its items are of one type."""
    return not items or type(items[0]) in _FLAT


def footprint(value: object) -> int:
    """About how many bytes a value takes in memory, without the cell that refers to it."""
    kind = type(value)
    if kind is str:
        text: str = value  # type: ignore[assignment]
        return _OBJECT_BYTES + len(text) * (1 if text.isascii() else _CHARACTER_BYTES)
    if kind is bytes:
        return _OBJECT_BYTES + len(value)  # type: ignore[arg-type]
    if kind is tuple:
        items: tuple[object, ...] = value  # type: ignore[assignment]
        own = _OBJECT_BYTES + REGISTER_BYTES * len(items)
        if _is_flat(items):
            return own + _NUMBER_BYTES * len(items)
        return own + sum(map(footprint, items))
    if isinstance(value, Record):
        return _FIELD_BYTES * len(value.fields) + sum(footprint(item) for _, item in value.fields)
    return 0 if value is None else _NUMBER_BYTES


# --- instructions --------------------------------------------------------------------------

_MAKES: Final = frozenset((Operator.ADD, Operator.LIST, Operator.RECORD))


def _to_compare(value: Cell) -> int:
    if isinstance(value, str | bytes):
        return len(value) >> 8
    if isinstance(value, tuple) and _is_flat(value):
        return len(value) >> 4
    return size_of(value)  # type: ignore[arg-type]  # a tuple or a record


def _to_show(value: Cell) -> int:
    if isinstance(value, str | bytes):
        return len(value) >> 4
    return 2 * size_of(value)  # type: ignore[arg-type]  # likewise


def _to_search(value: Cell) -> int:
    return len(value.fields) >> 1 if isinstance(value, Record) else 0


_READS: Final[dict[Operator, Callable[[Cell], int]]] = {
    Operator.EQ: _to_compare,
    Operator.NE: _to_compare,
    Operator.LT: _to_compare,
    Operator.LE: _to_compare,
    Operator.GT: _to_compare,
    Operator.GE: _to_compare,
    Operator.PRINT: _to_show,
    Operator.FAIL: _to_show,
    Operator.FIELD: _to_search,
}
"""Operators that walk through their arguments, and what each long one costs."""


def metered_decode(meter: Meter) -> Callable[[Image], tuple[ProgramCode, ...]]:
    """Decodes images so that instructions on long values are charged for their length."""

    def decode(image: Image) -> tuple[ProgramCode, ...]:
        return tuple(_metered(meter, image, code) for code in decode_image(image))

    return decode


def _metered(meter: Meter, image: Image, code: ProgramCode) -> ProgramCode:
    assert code.index is not None, "only programs are run again"
    instructions = image.programs[code.index].code
    steps = list(code.steps)
    speculates = any(isinstance(instruction, Fork) for instruction in instructions)
    for pc, instruction in enumerate(instructions):
        if not isinstance(instruction, Op):
            if speculates:
                steps[pc] = _speculating(meter, steps[pc], instruction, code.register_count)
        elif instruction.operator in _MAKES:
            steps[pc] = _making(meter, steps[pc], instruction.target)
        elif instruction.operator in _READS:
            weight = _READS[instruction.operator]
            steps[pc] = _reading(meter, steps[pc], instruction.arguments, weight)
        elif instruction.operator is Operator.STR:
            steps[pc] = _showing(meter, steps[pc], instruction)
    return replace(code, steps=tuple(steps))


def _speculating(meter: Meter, step: Step, instruction: Instruction, registers: int) -> Step:
    """A fork copies the registers; a message that is held back is encoded without being hashed."""
    if isinstance(instruction, Fork | Abort):

        def copying(turn: Turn, coroutine: Coroutine) -> int:
            meter.work(registers >> 4)
            meter.made(REGISTER_BYTES * registers)
            return step(turn, coroutine)

        return copying
    if not isinstance(instruction, Send | Select):
        return step

    def holding(turn: Turn, coroutine: Coroutine) -> int:
        outcome = step(turn, coroutine)
        speculation = coroutine.speculation
        if speculation is not None and speculation.acts:
            payload = getattr(speculation.acts[-1], "payload", b"")
            meter.work(len(payload) >> 4)
            meter.made(len(payload))
        return outcome

    return holding


def _making(meter: Meter, step: Step, target: int) -> Step:
    def metered(turn: Turn, coroutine: Coroutine) -> int:
        outcome = step(turn, coroutine)
        value = coroutine.registers[target]
        if type(value) in _SIZED:
            meter.value(value)
        return outcome

    return metered


def _reading(
    meter: Meter, step: Step, arguments: tuple[int, ...], weight: Callable[[Cell], int]
) -> Step:
    def metered(turn: Turn, coroutine: Coroutine) -> int:
        for argument in arguments:
            value = coroutine.registers[argument]
            if type(value) in _SIZED:
                meter.work(weight(value))
        return step(turn, coroutine)

    return metered


def _showing(meter: Meter, step: Step, instruction: Op) -> Step:
    (argument,), target = instruction.arguments, instruction.target

    def metered(turn: Turn, coroutine: Coroutine) -> int:
        text_already = type(coroutine.registers[argument]) is str
        outcome = step(turn, coroutine)
        value = coroutine.registers[target]
        if isinstance(value, str):
            meter.work(len(value) >> (8 if text_already else 1))
            meter.made(0 if text_already else len(value))
        return outcome

    return metered
