"""Data and control: `set`, `move`, `op`, `jump`, `jump_if` and `yield`."""

from __future__ import annotations

import operator as python
from collections.abc import Callable
from typing import Final

from troth.vm.coroutine import Coroutine
from troth.vm.errors import Fault
from troth.vm.events import Printed
from troth.vm.faults import fault
from troth.vm.instructions import Jump, JumpIf, Move, Op, Operator, Set
from troth.vm.limits import Limits
from troth.vm.operators import Operation, operation
from troth.vm.session import Cell, EndpointState
from troth.vm.step_common import Step, cell_name
from troth.vm.turn import YIELDED, Turn
from troth.vm.value_ops import show, size_of
from troth.vm.values import INT_MAX, INT_MIN, CoroutineHandle, Value

_TAKE_ANYTHING: Final = frozenset(
    (Operator.EQ, Operator.NE, Operator.LIST, Operator.RECORD, Operator.STR, Operator.PRINT)
)
"""Operators that do not look at the types of their arguments, so the machine must."""


def decode_set(instruction: Set, following: int) -> Step:
    target, value = instruction.target, instruction.value
    size = size_of(value)

    def step(turn: Turn, coroutine: Coroutine) -> int:
        if size > turn.context.limits.value_bytes_max:
            raise _too_large("A constant is too large", turn.context.limits)
        coroutine.registers[target] = value
        return following

    return step


def _too_large(message: str, limits: Limits) -> Fault:
    return fault(
        "vm.fault.limit",
        message,
        expected=f"at most value_bytes_max = {limits.value_bytes_max} canonical bytes",
        actual="more",
    )


def decode_move(instruction: Move, following: int) -> Step:
    target, source = instruction.target, instruction.source

    def step(turn: Turn, coroutine: Coroutine) -> int:  # noqa: ARG001
        registers = coroutine.registers
        value = registers[source]
        if type(value) is EndpointState:
            registers[source] = None
        registers[target] = value
        return following

    return step


def decode_op(instruction: Op, following: int) -> Step:
    if instruction.operator is Operator.PRINT:
        return _decode_print(instruction, following)
    if instruction.operator is Operator.FAIL:
        return _decode_fail(instruction)
    target, arguments, names = instruction.target, instruction.arguments, instruction.names
    apply = operation(instruction.operator)
    guarded = instruction.operator in _TAKE_ANYTHING
    if len(arguments) == 2 and not guarded:
        return _decode_binary(instruction, apply, following)

    def step(turn: Turn, coroutine: Coroutine) -> int:
        registers = coroutine.registers
        values = tuple([registers[argument] for argument in arguments])
        if guarded:
            for value in values:
                _require_value(value)
        # The guard, the loader and the operators' own checks leave only values here.
        registers[target] = apply(values, names, turn.context.limits)  # type: ignore[arg-type]
        return following

    return step


_WHOLE: Final[dict[Operator, Callable[[int, int], int]]] = {
    Operator.ADD: python.add,
    Operator.SUB: python.sub,
    Operator.LT: python.lt,
}
"""What loops do most with two ints, when the result is one that fits."""


def _decode_binary(instruction: Op, apply: Operation, following: int) -> Step:
    """The commonest operators: without a loop over their arguments, counting without a detour."""
    target = instruction.target
    left, right = instruction.arguments
    whole = _WHOLE.get(instruction.operator)

    def step(turn: Turn, coroutine: Coroutine) -> int:
        registers = coroutine.registers
        first, second = registers[left], registers[right]
        if whole is not None and type(first) is int and type(second) is int:
            result = whole(first, second)
            if INT_MIN <= result <= INT_MAX:
                registers[target] = result
                return following
        values = (first, second)
        registers[target] = apply(values, (), turn.context.limits)  # type: ignore[arg-type]
        return following

    return step


def _require_value(cell: Cell) -> Value:
    """Checks that a register holds a value, not an endpoint or a coroutine handle.

    Raises:
        Fault: `vm.fault.type`.
    """
    if isinstance(cell, EndpointState | CoroutineHandle):
        raise fault(
            "vm.fault.type",
            "only values can be computed with",
            expected="a value",
            actual=cell_name(cell),
        )
    return cell  # type: ignore[return-value]  # a bare Endpoint never is in a register


def _decode_print(instruction: Op, following: int) -> Step:
    (argument,) = instruction.arguments
    target = instruction.target

    def step(turn: Turn, coroutine: Coroutine) -> int:
        text = _shown(turn, coroutine, argument)
        turn.events.append(Printed(coroutine.id, text))
        coroutine.registers[target] = None
        return following

    return step


def _decode_fail(instruction: Op) -> Step:
    (argument,) = instruction.arguments

    def step(turn: Turn, coroutine: Coroutine) -> int:
        raise fault("vm.fault.fail", _shown(turn, coroutine, argument))

    return step


def _shown(turn: Turn, coroutine: Coroutine, register: int) -> str:
    limits = turn.context.limits
    text = show(_require_value(coroutine.registers[register]))
    if size_of(text, limits.value_bytes_max) > limits.value_bytes_max:
        raise _too_large("A printed line is too long", limits)
    return text


def decode_jump(instruction: Jump) -> Step:
    target = instruction.target

    def step(turn: Turn, coroutine: Coroutine) -> int:  # noqa: ARG001
        return target

    return step


def decode_jump_if(instruction: JumpIf, following: int) -> Step:
    condition, target = instruction.condition, instruction.target

    def step(turn: Turn, coroutine: Coroutine) -> int:  # noqa: ARG001
        value = coroutine.registers[condition]
        if value is True:
            return target
        if value is False:
            return following
        raise fault(
            "vm.fault.type",
            "the condition of a jump is not a bool",
            expected="a bool",
            actual=cell_name(value),
        )

    return step


def yield_now(turn: Turn, coroutine: Coroutine) -> int:  # noqa: ARG001
    """Ends the turn; the coroutine goes to the end of the ready queue."""
    return YIELDED
