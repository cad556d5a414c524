"""What every operator computes, and which types it takes. Both are pure.

`PRINT` and `FAIL` act on the machine and are carried out by it; only their types are here.
The machine evaluates operators on values that the loader has typed; what does not fit all the
same is a fault, never an exception of Python.
"""

from __future__ import annotations

import operator as python
from collections.abc import Callable
from math import isfinite
from typing import Final, NoReturn, TypeAlias

from troth.vm.errors import Fault
from troth.vm.instructions import Operator
from troth.vm.limits import Limits
from troth.vm.operator_types import result_type
from troth.vm.value_ops import bytes_size, container_size, kind_name, show, size_of, text_size
from troth.vm.values import INT_MAX, INT_MIN, Blob, Record, Value

__all__ = ["Operation", "evaluate", "operation", "result_type"]

Operation: TypeAlias = Callable[[tuple[Value, ...], tuple[str, ...], Limits], Value]
"""Takes the arguments, the instruction's names and the limits."""


def evaluate(
    operator: Operator, arguments: tuple[Value, ...], names: tuple[str, ...], limits: Limits
) -> Value:
    """The result of an operator.

    Raises:
        Fault: `vm.fault.arithmetic` for overflow, division by zero and results that are not
            finite, `vm.fault.index`, `vm.fault.limit` for a value that would grow beyond
            `value_bytes_max`, `vm.fault.type` for arguments that do not fit.
    """
    return operation(operator)(arguments, names, limits)


def operation(operator: Operator) -> Operation:
    """The function behind an operator, so that a loop need not look it up each time."""
    return _OPERATIONS[operator]


# --- refusals ------------------------------------------------------------------------------


def _refuse_arithmetic(message: str, expected: str, advice: str) -> NoReturn:
    raise Fault("vm.fault.arithmetic", message, expected=expected, advice=advice)


def _refuse_zero() -> NoReturn:
    _refuse_arithmetic(
        "A number was divided by zero", "a divisor other than 0", "Test the divisor first"
    )


def _refuse_size(limits: Limits) -> NoReturn:
    raise Fault(
        "vm.fault.limit",
        "A value would grow too large",
        expected=f"at most value_bytes_max = {limits.value_bytes_max} canonical bytes",
        actual="more",
        advice="Keep large content in blobs, or raise the limit",
    )


def _refuse_types(symbol: str, arguments: tuple[Value, ...]) -> NoReturn:
    raise Fault(
        "vm.fault.type",
        f"{symbol} does not take these arguments",
        actual=", ".join(kind_name(argument) for argument in arguments),
        advice="Load images through the loader, which checks their types",
    )


# --- arithmetic ----------------------------------------------------------------------------


def _whole(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    _refuse_arithmetic(
        "An integer overflows",
        f"a result from {INT_MIN} to {INT_MAX}",
        "Use smaller numbers, or floats",
    )


def _finite(value: float) -> float:
    if isfinite(value):
        return value + 0.0  # Turns -0.0 into 0.0.
    _refuse_arithmetic("A float is not finite", "a finite result", "Use smaller numbers")


def _number(symbol: str, compute: Callable[[float, float], float]) -> Operation:
    """An operator on two numbers; ints stay ints, a float makes both floats."""

    def apply(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
        left, right = arguments
        try:
            if type(left) is int and type(right) is int:
                return _whole(int(compute(left, right)))
            if type(left) in _NUMBERS and type(right) in _NUMBERS:
                return _finite(compute(float(left), float(right)))  # type: ignore[arg-type]
        except ZeroDivisionError:
            _refuse_zero()
        except OverflowError:
            _finite(float("inf"))
        _refuse_types(symbol, arguments)

    return apply


_NUMBERS: Final = frozenset((int, float))
_ADD_NUMBERS: Final = _number("+", python.add)


def _add(arguments: tuple[Value, ...], names: tuple[str, ...], limits: Limits) -> Value:
    left, right = arguments
    if isinstance(left, str) and isinstance(right, str):
        # A character has at most four bytes: most sums need no exact count.
        if 4 * (len(left) + len(right)) + 5 > limits.value_bytes_max:
            length = len(left.encode()) + len(right.encode())
            if text_size(length) > limits.value_bytes_max:
                _refuse_size(limits)
        return left + right
    if isinstance(left, bytes) and isinstance(right, bytes):
        if bytes_size(len(left) + len(right)) > limits.value_bytes_max:
            _refuse_size(limits)
        return left + right
    if isinstance(left, tuple) and isinstance(right, tuple):
        if not _surely_fits(left, right, limits):
            _check_items((*left, *right), container_size(len(left) + len(right)), limits)
        return left + right
    return _ADD_NUMBERS(arguments, names, limits)


_FIXED_TYPES: Final = frozenset((int, float, bool, type(None)))


def _surely_fits(left: tuple[Value, ...], right: tuple[Value, ...], limits: Limits) -> bool:
    """Whether a list of numbers is short enough without counting; its items are of one type.

    A program that appends in a loop would otherwise count every item again each time.
    """
    first = (left or right or (None,))[0]
    return type(first) in _FIXED_TYPES and 9 * (len(left) + len(right)) + 5 <= (
        limits.value_bytes_max
    )


def _divide(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
    left, right = arguments
    if type(left) not in _NUMBERS or type(right) not in _NUMBERS:
        _refuse_types("/", arguments)
    if right == 0:
        _refuse_zero()
    try:
        return _finite(left / right)  # type: ignore[operator]
    except OverflowError:
        return _finite(float("inf"))


def _negate(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
    (value,) = arguments
    if type(value) is int:
        return _whole(-value)
    if type(value) is float:
        return _finite(-value)
    _refuse_types("-", arguments)


# --- comparison and logic ------------------------------------------------------------------


def _same(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
    return arguments[0] == arguments[1]


def _different(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
    return arguments[0] != arguments[1]


def _ordered(symbol: str, compare: Callable[..., object]) -> Operation:
    def apply(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
        left, right = arguments
        kind = type(left)
        numbers = kind in _NUMBERS and type(right) in _NUMBERS
        if numbers or (kind is type(right) and kind in (str, bytes)):
            return bool(compare(left, right))
        _refuse_types(symbol, arguments)

    return apply


def _not(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
    (value,) = arguments
    if type(value) is bool:
        return not value
    _refuse_types("not", arguments)


# --- text, lists and records ---------------------------------------------------------------


def _text(arguments: tuple[Value, ...], _names: tuple[str, ...], limits: Limits) -> Value:
    # What is shown of a value is at most a few times as long as its canonical bytes, which
    # are bounded already; so it is safe to build it before it is measured.
    shown = show(arguments[0])
    if 4 * len(shown) + 5 > limits.value_bytes_max and size_of(shown) > limits.value_bytes_max:
        _refuse_size(limits)
    return shown


def _length(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
    (value,) = arguments
    if isinstance(value, str | bytes | tuple):
        return len(value)
    if isinstance(value, Blob):
        return value.length
    _refuse_types("len()", arguments)


def _list(arguments: tuple[Value, ...], _names: tuple[str, ...], limits: Limits) -> Value:
    _check_items(arguments, container_size(len(arguments)), limits)
    return arguments


def _record(arguments: tuple[Value, ...], names: tuple[str, ...], limits: Limits) -> Value:
    heads = sum(text_size(len(name.encode())) for name in names)
    _check_items(arguments, container_size(len(names)) + heads, limits)
    return Record(tuple(zip(names, arguments, strict=True)))


def _check_items(items: tuple[Value, ...], used: int, limits: Limits) -> None:
    room = limits.value_bytes_max
    for item in items:
        used += size_of(item, room)
        if used > room:
            _refuse_size(limits)


def _index(arguments: tuple[Value, ...], _names: tuple[str, ...], _limits: Limits) -> Value:
    collection, place = arguments
    if not isinstance(collection, tuple | str | bytes) or type(place) is not int:
        _refuse_types("[…]", arguments)
    if not 0 <= place < len(collection):
        raise Fault(
            "vm.fault.index",
            "There is no item at this index",
            expected=f"an index from 0 to {len(collection) - 1}" if collection else "no index",
            actual=str(place),
            advice="Compare the index with len() first; indices are never negative",
        )
    return collection[place]


def _field(arguments: tuple[Value, ...], names: tuple[str, ...], _limits: Limits) -> Value:
    (record,) = arguments
    (wanted,) = names
    if isinstance(record, Record):
        for name, value in record.fields:
            if name == wanted:
                return value
    _refuse_types(f".{wanted}", arguments)


_OPERATIONS: Final[dict[Operator, Operation]] = {
    Operator.ADD: _add,
    Operator.SUB: _number("-", python.sub),
    Operator.MUL: _number("*", python.mul),
    Operator.DIV: _divide,
    Operator.FLOORDIV: _number("//", python.floordiv),
    Operator.MOD: _number("%", python.mod),
    Operator.NEG: _negate,
    Operator.EQ: _same,
    Operator.NE: _different,
    Operator.LT: _ordered("<", python.lt),
    Operator.LE: _ordered("<=", python.le),
    Operator.GT: _ordered(">", python.gt),
    Operator.GE: _ordered(">=", python.ge),
    Operator.NOT: _not,
    Operator.STR: _text,
    Operator.LEN: _length,
    Operator.LIST: _list,
    Operator.INDEX: _index,
    Operator.RECORD: _record,
    Operator.FIELD: _field,
}
