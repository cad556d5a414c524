"""Values at the border to Python: what is wrong with an answer is said of the part that is."""

from __future__ import annotations

import pytest

from troth.vm.errors import Unusable
from troth.vm.host_values import from_python, to_python
from troth.vm.types import Field, ListType, Primitive, RecordType, ValueType

POINT = RecordType((Field("x", Primitive.INT), Field("y", Primitive.FLOAT)))


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, -(2**63), 2**63 - 1], ListType(Primitive.INT)),
        ({"y": -0.0, "x": 1}, POINT),
        ([{"x": 1, "y": 2.0}], ListType(POINT)),
        (None, Primitive.UNIT),
        ("text", Primitive.STR),
    ],
)
def test_what_fits_comes_back(value: object, expected: ValueType) -> None:
    assert to_python(from_python(value, expected, "it")) == value


@pytest.mark.parametrize(
    ("value", "expected", "message", "actual"),
    [
        (2**70, Primitive.INT, "it is out of range", "72 bits"),
        (-(2**63) - 1, Primitive.INT, "it is out of range", "65 bits"),
        (True, Primitive.INT, "it has the wrong type", "True of type bool"),
        ([1, "a"], ListType(Primitive.INT), "item 1 of it has the wrong type", "'a' of type str"),
        ({"x": 1}, POINT, "it lacks the field y", "a dict with 'x'"),
        ({}, POINT, "it lacks the field x", "a dict with nothing"),
        ({"x": 1, "y": 1.0, "z": 0}, POINT, "it has the field 'z', which is not", "'z'"),
        ({"x": 1, "y": 1}, POINT, "the field y of it has the wrong type", "1 of type int"),
        ([{"x": 1, "y": "a"}], ListType(POINT), "the field y of item 0 of it has", "'a'"),
        ({"x": 2**64, "y": 1.0}, POINT, "the field x of it is out of range", "66 bits"),
        (float("nan"), Primitive.FLOAT, "it is no value", "nan"),
        ("\ud800", Primitive.STR, "it is no value", "surrogate"),
        (Unshowable(), Primitive.STR, "it has the wrong type", "of type Unshowable"),
        ([0] * 1_000_000, Primitive.INT, "it has the wrong type", "[0, 0, 0, 0, 0, 0, ...]"),
        ({Unshowable(): 1}, POINT, "it lacks the field x", "a dict with"),
        (10**6000, Primitive.STR, "it has the wrong type", "of type int"),
    ],
    ids=range(16),
)
def test_what_does_not_fit(value: object, expected: ValueType, message: str, actual: str) -> None:
    with pytest.raises(Unusable) as caught:
        from_python(value, expected, "it")
    error = caught.value
    assert error.code == "effect.result"
    assert error.message.startswith(message)
    assert actual in (error.actual or "")
    assert len(str(error)) < 400
