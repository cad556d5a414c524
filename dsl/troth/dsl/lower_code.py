"""Code under construction: instructions with labels for targets, and registers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from troth.vm.instructions import (
    Branch,
    Case,
    Fork,
    Instruction,
    Jump,
    JumpIf,
    Op,
    Operator,
    Set,
    Timer,
)
from troth.vm.values import Value

UNPLACED = -1


@dataclass(slots=True)
class Code:
    """Jump targets are label numbers until `finish` puts the places in.

    `registers` are the variables; temporaries follow them, allocated like a stack: whoever
    needs some calls `mark` first and `release` afterwards.
    """

    registers: Mapping[str, int]
    instructions: list[Instruction] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    line: int = 0
    _used: int = 0
    _most: int = 0

    def emit(self, instruction: Instruction) -> None:
        self.instructions.append(instruction)
        self.lines.append(self.line)

    def constant(self, target: int, value: Value) -> None:
        self.emit(Set(target, value))

    def operate(
        self, operator: Operator, target: int, *arguments: int, names: tuple[str, ...] = ()
    ) -> None:
        self.emit(Op(operator, target, arguments, names))

    # --- registers -----------------------------------------------------------------------

    def mark(self) -> int:
        return self._used

    def release(self, mark: int) -> None:
        self._used = mark

    def temporary(self) -> int:
        register = len(self.registers) + self._used
        self._used += 1
        self._most = max(self._most, self._used)
        return register

    @property
    def register_count(self) -> int:
        return len(self.registers) + self._most

    # --- labels --------------------------------------------------------------------------

    def label(self) -> int:
        self.places.append(UNPLACED)
        return len(self.places) - 1

    def place(self, label: int) -> None:
        """The label means the next instruction."""
        if self.places[label] != UNPLACED:
            raise AssertionError("a label is placed once")
        self.places[label] = len(self.instructions)

    def jump(self, label: int) -> None:
        self.emit(Jump(label))

    def jump_if(self, condition: int, label: int) -> None:
        self.emit(JumpIf(condition, label))

    def finish(self) -> tuple[Instruction, ...]:
        """The instructions with every label replaced by its place."""
        return tuple(self._resolved(instruction) for instruction in self.instructions)

    def _resolved(self, instruction: Instruction) -> Instruction:
        if isinstance(instruction, Jump | JumpIf | Fork | Timer):
            return replace(instruction, target=self._place(instruction.target))
        if isinstance(instruction, Branch):
            cases = tuple(
                Case(case.label, case.targets, self._place(case.target))
                for case in instruction.cases
            )
            return replace(instruction, cases=cases)
        return instruction

    def _place(self, label: int) -> int:
        place = self.places[label]
        if place == UNPLACED:
            raise AssertionError("a label that is jumped to is placed")
        return place
