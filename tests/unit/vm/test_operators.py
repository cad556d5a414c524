"""Operators: what each computes, faults at each edge, types, and that the two agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.vm import codec
from troth.vm.errors import Fault
from troth.vm.instructions import Operator
from troth.vm.limits import DEFAULT_LIMITS, NESTING_DEPTH_MAX
from troth.vm.operators import evaluate, operation, result_type
from troth.vm.types import EndpointType, Field, ListType, Primitive, RecordType, ValueType
from troth.vm.value_ops import size_of, type_matches
from troth.vm.value_types import (
    EMPTY_LIST,
    TYPE_NODES_MAX,
    accepts,
    has_endpoint,
    is_small,
    join,
    type_depth,
    type_of,
)
from troth.vm.values import INT_MAX, INT_MIN, Blob, CoroutineHandle, Endpoint, Record

ADD, SUB, MUL, DIV = Operator.ADD, Operator.SUB, Operator.MUL, Operator.DIV
FLOORDIV, MOD, NEG, NOT = Operator.FLOORDIV, Operator.MOD, Operator.NEG, Operator.NOT
EQ, NE, LT, GE = Operator.EQ, Operator.NE, Operator.LT, Operator.GE
INDEX, LIST, RECORD, FIELD = Operator.INDEX, Operator.LIST, Operator.RECORD, Operator.FIELD
STR, LEN = Operator.STR, Operator.LEN

POINT: Final = Record((("x", 1), ("y", 2)))
BLOB: Final = Blob(3, bytes(32))


def compute(operator: Operator, *arguments: Any, names: tuple[str, ...] = ()) -> Any:
    return evaluate(operator, arguments, names, DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("operator", "arguments", "expected"),
    [
        (ADD, (2, 3), 5),
        (ADD, (2, 0.5), 2.5),
        (ADD, ("a", "é"), "aé"),
        (ADD, (b"a", b"b"), b"ab"),
        (ADD, ((1,), (2, 3)), (1, 2, 3)),
        (ADD, ((), ("a",)), ("a",)),
        (ADD, (INT_MAX - 1, 1), INT_MAX),
        (SUB, (2, 3), -1),
        (SUB, (INT_MIN + 1, 1), INT_MIN),
        (SUB, (0.0, 0.0), 0.0),
        (MUL, (-4, 2), -8),
        (MUL, (-1, 0.0), 0.0),
        (DIV, (1, 2), 0.5),
        (DIV, (4, 2), 2.0),
        (DIV, (0, -5), 0.0),
        (DIV, (INT_MAX, INT_MAX), 1.0),
        (FLOORDIV, (7, -2), -4),
        (FLOORDIV, (-7, 2), -4),
        (FLOORDIV, (7.0, 2), 3.0),
        (MOD, (-7, 2), 1),
        (MOD, (7, -2), -1),
        (MOD, (-7.5, 2), 0.5),
        (NEG, (5,), -5),
        (NEG, (0.0,), 0.0),
        (NEG, (INT_MAX,), INT_MIN + 1),
        (EQ, (1, 1.0), True),
        (EQ, (2**53 + 1, float(2**53)), False),
        (EQ, (None, None), True),
        (EQ, (BLOB, BLOB), True),
        (EQ, (BLOB, Blob(4, bytes(32))), False),
        (LEN, (BLOB,), 3),
        (LEN, (Blob(2**63 - 1, bytes(32)),), 2**63 - 1),
        (EQ, (POINT, Record((("x", 1), ("y", 3)))), False),
        (NE, ("a", "b"), True),
        (LT, ("a", "b"), True),
        (LT, (b"\xff", b"\xfe"), False),
        (Operator.LE, (1, 1.0), True),
        (Operator.GT, (2, 1.5), True),
        (GE, (1, 2), False),
        (NOT, (True,), False),
        (STR, (("a", 1),), '["a", 1]'),
        (STR, ("raw",), "raw"),
        (LEN, ("é€",), 2),
        (LEN, (b"abc",), 3),
        (LEN, ((1, 2),), 2),
        (LIST, (), ()),
        (LIST, (1, 2), (1, 2)),
        (INDEX, ((5, 6), 1), 6),
        (INDEX, ("é€", 1), "€"),
        (INDEX, (b"ab", 0), 97),
    ],
)
def test_results(operator: Operator, arguments: tuple[Any, ...], expected: Any) -> None:
    result = compute(operator, *arguments)
    assert result == expected
    assert type(result) is type(expected)
    assert codec.find_flaw(result) is None


def test_records() -> None:
    assert compute(RECORD, 1, 2, names=("x", "y")) == POINT
    assert compute(RECORD) == Record(())
    assert compute(FIELD, POINT, names=("y",)) == 2


@pytest.mark.parametrize(
    ("operator", "arguments", "code"),
    [
        (ADD, (INT_MAX, 1), "vm.fault.arithmetic"),
        (ADD, (1e308, 1e308), "vm.fault.arithmetic"),
        (SUB, (INT_MIN, 1), "vm.fault.arithmetic"),
        (SUB, (-1e308, 1e308), "vm.fault.arithmetic"),
        (MUL, (INT_MAX, 2), "vm.fault.arithmetic"),
        (MUL, (1e200, 1e200), "vm.fault.arithmetic"),
        (NEG, (INT_MIN,), "vm.fault.arithmetic"),
        (DIV, (1, 0), "vm.fault.arithmetic"),
        (DIV, (0.0, 0.0), "vm.fault.arithmetic"),
        (DIV, (1e308, 1e-308), "vm.fault.arithmetic"),
        (FLOORDIV, (1, 0), "vm.fault.arithmetic"),
        (FLOORDIV, (1.0, 0), "vm.fault.arithmetic"),
        (FLOORDIV, (INT_MIN, -1), "vm.fault.arithmetic"),
        (FLOORDIV, (1e308, 1e-308), "vm.fault.arithmetic"),
        (MOD, (1, 0), "vm.fault.arithmetic"),
        (MOD, (1.5, 0.0), "vm.fault.arithmetic"),
        (INDEX, ((1, 2), 2), "vm.fault.index"),
        (INDEX, ((1, 2), -1), "vm.fault.index"),
        (INDEX, ((), 0), "vm.fault.index"),
        (INDEX, ("", 0), "vm.fault.index"),
    ],
)
def test_faults(operator: Operator, arguments: tuple[Any, ...], code: str) -> None:
    with pytest.raises(Fault) as caught:
        compute(operator, *arguments)
    assert caught.value.code == code
    assert caught.value.advice


def test_every_operator_but_print_and_fail_is_computed() -> None:
    for operator in Operator:
        if operator in (Operator.PRINT, Operator.FAIL):
            with pytest.raises(KeyError):
                operation(operator)
        else:
            assert callable(operation(operator))


# --- size -----------------------------------------------------------------------------------

SMALL: Final = replace(DEFAULT_LIMITS, value_bytes_max=100)


@pytest.mark.parametrize(
    ("operator", "fits", "grows"),
    [
        (ADD, ("x" * 50, "x" * 48), ("x" * 50, "x" * 49)),
        (ADD, ("é" * 25, "é" * 24), ("é" * 25, "é" * 24 + "x")),
        (ADD, (b"x" * 90, b"x" * 8), (b"x" * 90, b"x" * 9)),
        (ADD, (("ab",) * 30, ("ab",) * 2), (("ab",) * 32, ("ab",))),
        (LIST, ("x" * 40, "x" * 55), ("x" * 40, "x" * 56)),
        (STR, (("x" * 92,),), (("x" * 98,),)),
    ],
)
def test_growth_at_the_limit_and_one_past_it(
    operator: Operator, fits: tuple[Any, ...], grows: tuple[Any, ...]
) -> None:
    result = evaluate(operator, fits, (), SMALL)
    assert size_of(result) <= SMALL.value_bytes_max
    with pytest.raises(Fault) as caught:
        evaluate(operator, grows, (), SMALL)
    assert caught.value.code == "vm.fault.limit"


def test_a_record_that_grows_too_large() -> None:
    names = ("a" * 30, "b" * 30)
    assert size_of(evaluate(RECORD, ("x" * 31, 1), names, SMALL)) == 96
    with pytest.raises(Fault) as caught:
        evaluate(RECORD, ("x" * 31, "x" * 5), names, SMALL)
    assert caught.value.code == "vm.fault.limit"


def test_a_value_that_shares_its_parts_does_not_grow_unseen() -> None:
    value: Any = (1,) * 1_000
    for _ in range(12):
        value = compute(LIST, value, value)
    assert size_of(value) <= DEFAULT_LIMITS.value_bytes_max < 2 * size_of(value)
    with pytest.raises(Fault) as caught:
        compute(LIST, value, value)
    assert caught.value.code == "vm.fault.limit"


def test_growth_is_refused_before_memory_is_spent() -> None:
    value = b"x" * (DEFAULT_LIMITS.value_bytes_max - 5)
    with pytest.raises(Fault) as caught:
        compute(ADD, value, value)
    assert caught.value.code == "vm.fault.limit"


# --- types ----------------------------------------------------------------------------------

INT, FLOAT, TEXT = Primitive.INT, Primitive.FLOAT, Primitive.STR
BYTES, BOOL, UNIT = Primitive.BYTES, Primitive.BOOL, Primitive.UNIT
INTS: Final = ListType(INT)
ENDPOINT: Final = EndpointType("Job", "Server")


def record(**fields: ValueType) -> RecordType:
    return RecordType(tuple(Field(name, kind) for name, kind in sorted(fields.items())))


@pytest.mark.parametrize(
    ("operator", "types", "expected"),
    [
        (ADD, (INT, INT), INT),
        (ADD, (INT, FLOAT), FLOAT),
        (ADD, (TEXT, TEXT), TEXT),
        (ADD, (TEXT, INT), None),
        (ADD, (TEXT, BYTES), None),
        (ADD, (BOOL, BOOL), None),
        (ADD, (INTS, INTS), INTS),
        (ADD, (INTS, EMPTY_LIST), INTS),
        (ADD, (EMPTY_LIST, INTS), INTS),
        (ADD, (INTS, ListType(FLOAT)), None),
        (SUB, (TEXT, TEXT), None),
        (DIV, (INT, INT), FLOAT),
        (FLOORDIV, (INT, INT), INT),
        (MOD, (FLOAT, INT), FLOAT),
        (NEG, (INT,), INT),
        (NEG, (BOOL,), None),
        (NOT, (BOOL,), BOOL),
        (NOT, (INT,), None),
        (EQ, (INT, FLOAT), BOOL),
        (EQ, (INT, BOOL), None),
        (EQ, (INTS, EMPTY_LIST), BOOL),
        (EQ, (EMPTY_LIST, EMPTY_LIST), BOOL),
        (EQ, (ENDPOINT, ENDPOINT), None),
        (EQ, (record(x=INT), record(x=INT)), BOOL),
        (EQ, (record(x=INT), record(y=INT)), None),
        (NE, (UNIT, UNIT), BOOL),
        (LT, (INT, FLOAT), BOOL),
        (LT, (BYTES, BYTES), BOOL),
        (LT, (BOOL, BOOL), None),
        (LT, (INTS, INTS), None),
        (LEN, (INTS,), INT),
        (LEN, (EMPTY_LIST,), INT),
        (LEN, (INT,), None),
        (INDEX, (INTS, INT), INT),
        (INDEX, (INTS, FLOAT), None),
        (INDEX, (TEXT, INT), TEXT),
        (INDEX, (BYTES, INT), INT),
        (INDEX, (EMPTY_LIST, INT), None),
        (STR, (INTS,), TEXT),
        (STR, (ENDPOINT,), None),
        (LIST, (), EMPTY_LIST),
        (LIST, (INT, INT), INTS),
        (LIST, (INT, FLOAT), None),
        (LIST, (ENDPOINT,), None),
        (LIST, (EMPTY_LIST, INTS), ListType(INTS)),
        (Operator.PRINT, (INT,), UNIT),
        (Operator.PRINT, (ENDPOINT,), None),
        (Operator.FAIL, (TEXT,), UNIT),
        (Operator.FAIL, (INT,), None),
        (ADD, (INT,), None),
        (NEG, (INT, INT), None),
    ],
)
def test_types(
    operator: Operator, types: tuple[ValueType, ...], expected: ValueType | None
) -> None:
    assert result_type(operator, types) == expected


def test_types_of_records() -> None:
    assert result_type(RECORD, (INT, TEXT), ("x", "y")) == record(x=INT, y=TEXT)
    assert result_type(RECORD, (INT, TEXT), ("y", "x")) is None
    assert result_type(RECORD, (INT, TEXT), ("x", "x")) is None
    assert result_type(RECORD, (INT,), ("x", "y")) is None
    assert result_type(RECORD, (ENDPOINT,), ("x",)) is None
    assert result_type(FIELD, (record(x=INT),), ("x",)) is INT
    assert result_type(FIELD, (record(x=INT),), ("y",)) is None
    assert result_type(FIELD, (INT,), ("x",)) is None
    assert result_type(FIELD, (record(x=INT),), ()) is None
    assert result_type(ADD, (INT, INT), ("x",)) is None


def test_types_are_bounded() -> None:
    kind: ValueType = INT
    for _ in range(NESTING_DEPTH_MAX):
        deeper = result_type(LIST, (kind,))
        assert deeper is not None
        kind = deeper
    assert type_depth(kind) == NESTING_DEPTH_MAX
    assert result_type(LIST, (kind,)) is None
    wide: ValueType | None = INT
    sizes = 0
    while wide is not None:
        sizes += 1
        assert is_small(wide)
        wide = result_type(RECORD, (wide, wide), ("a", "b"))
    assert 2**sizes >= TYPE_NODES_MAX > 2 ** (sizes - 1)


def test_how_types_relate() -> None:
    assert accepts(INTS, EMPTY_LIST)
    assert not accepts(EMPTY_LIST, INTS)
    assert accepts(record(x=INTS), record(x=EMPTY_LIST))
    assert not accepts(record(x=INT), record(x=INT, y=INT))
    assert join(record(x=INTS, y=EMPTY_LIST), record(x=EMPTY_LIST, y=INTS)) == record(
        x=INTS, y=INTS
    )
    assert join(record(x=INT), record(x=FLOAT)) is None
    assert join(ListType(INTS), ListType(EMPTY_LIST)) == ListType(INTS)
    assert join(INT, FLOAT) is None
    assert type_of(((), (1,))) == ListType(INTS)
    assert type_of((1, 1.0)) is None
    assert type_of(Record((("x", (1, "a")),))) is None
    assert has_endpoint(ListType(record(x=ENDPOINT)))


# --- both together --------------------------------------------------------------------------

_SAMPLES: Final = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 7, INT_MAX, INT_MIN, 0.0, 1.5, -2.5, 1e308),
        *("", "a", "é", "zz", b"", b"\x00", b"zz", BLOB, POINT, Record(())),
        *((), (1,), (1, 2), (1.5,), ("a",), ((), (1,)), ((2,),), (POINT,)),
    ]
)


@given(
    st.sampled_from([operator for operator in Operator if operator not in ("print", "fail")]),
    st.lists(_SAMPLES, max_size=3).map(tuple),
    st.sampled_from([(), ("x",), ("y",), ("x", "y"), ("y", "x")]),
)
def test_what_is_typed_is_computed(
    operator: Operator, arguments: tuple[Any, ...], names: tuple[str, ...]
) -> None:
    types = [type_of(argument) for argument in arguments]
    known = tuple(kind for kind in types if kind is not None)
    expected = result_type(operator, known, names) if len(known) == len(types) else None
    if expected is None:
        return
    allowed = ("vm.fault.arithmetic", "vm.fault.index", "vm.fault.limit")
    try:
        result = evaluate(operator, arguments, names, DEFAULT_LIMITS)
    except Fault as fault:
        if fault.code in allowed:
            return
        raise
    assert codec.find_flaw(result) is None
    if not has_endpoint(expected):
        assert type_matches(result, expected)


LOOKS_AT_TYPES: Final = [
    operator
    for operator in Operator
    if operator not in (EQ, NE, STR, LIST, RECORD, Operator.PRINT, Operator.FAIL)
]


@pytest.mark.parametrize("operator", LOOKS_AT_TYPES)
def test_what_is_no_value_of_the_type_faults(operator: Operator) -> None:
    strangers = (Endpoint(bytes(32), "A"), CoroutineHandle(bytes(16)))
    count = 1 if operator in (NEG, NOT, LEN, FIELD) else 2
    with pytest.raises(Fault) as caught:
        evaluate(operator, strangers[:count], ("x",), DEFAULT_LIMITS)  # type: ignore[arg-type]
    assert caught.value.code == "vm.fault.type"
