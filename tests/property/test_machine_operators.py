"""The machine's short cut for counting computes what the operators define, always."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as b
from troth.vm.errors import Fault
from troth.vm.instructions import Operator
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.operators import evaluate
from troth.vm.values import INT_MAX, INT_MIN, Value

BINARY: Final = [
    Operator.ADD,
    Operator.SUB,
    Operator.MUL,
    Operator.DIV,
    Operator.FLOORDIV,
    Operator.MOD,
    Operator.LT,
    Operator.GE,
]
EDGES: Final = [INT_MIN, INT_MIN + 1, -1, 0, 1, INT_MAX - 1, INT_MAX]
operands = st.one_of(
    st.sampled_from(EDGES),
    st.integers(INT_MIN, INT_MAX),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
    st.booleans(),
    st.text(max_size=3),
)


def in_the_machine(operator: Operator, left: Value, right: Value) -> tuple[str, Value]:
    """(fault code, "") or ("", result)."""
    code = [b.set_(0, left), b.set_(1, right), b.op(operator, 2, 0, 1), b.YIELD]
    machine = b.make_machine(b.image([], [b.program("main", code)]))
    (coroutine,) = machine._scheduler.coroutines.values()
    machine.run_round(0)
    codes = b.faults(machine.poll_events())
    result = coroutine.registers[2]
    return (codes[0], "") if codes else ("", result)  # type: ignore[return-value]


def by_definition(operator: Operator, left: Value, right: Value) -> tuple[str, Value]:
    try:
        return "", evaluate(operator, (left, right), (), DEFAULT_LIMITS)
    except Fault as error:
        return error.code, ""


@pytest.mark.parametrize("operator", BINARY)
@given(left=operands, right=operands)
def test_the_machine_computes_what_the_operators_define(
    operator: Operator, left: Value, right: Value
) -> None:
    found, expected = in_the_machine(operator, left, right), by_definition(operator, left, right)
    assert found == expected
    assert type(found[1]) is type(expected[1])
