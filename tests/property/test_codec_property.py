"""The codec on any value and on any bytes: one encoding each, and never another exception."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from troth.vm import codec
from troth.vm.errors import Malformed
from troth.vm.instructions import Operator
from troth.vm.operator_types import result_type
from troth.vm.value_ops import show, size_of, type_matches
from troth.vm.value_types import accepts, type_of
from troth.vm.values import INT_MAX, INT_MIN, Blob, Record

NAMES = st.text(st.characters(codec="utf-8"), max_size=6)


def _record(fields: dict[str, Any]) -> Record:
    return Record(tuple(sorted(fields.items(), key=lambda field: field[0].encode())))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(INT_MIN, INT_MAX),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
    NAMES,
    st.binary(max_size=40),
    st.builds(Blob, st.integers(0, INT_MAX), st.binary(min_size=32, max_size=32)),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(NAMES, inner, max_size=5).map(_record),
    ),
    max_leaves=20,
)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(INT_MIN, INT_MAX), NAMES, st.binary(max_size=40)
    ),
    lambda inner: st.lists(inner, max_size=5).map(tuple),
    max_leaves=20,
)


def _same(one: Any, other: Any) -> bool:
    """Equality that tells True from 1 and 1 from 1.0."""
    return type(one) is type(other) and one == other and repr(one) == repr(other)


@given(VALUES)
def test_values_round_trip(value: Any) -> None:
    data = codec.encode(value)
    assert _same(codec.decode(data), value)
    assert size_of(value) == len(data)
    assert size_of(value, len(data)) == len(data)


@given(VALUES, VALUES)
def test_equal_bytes_mean_equal_values(one: Any, other: Any) -> None:
    assert (codec.encode(one) == codec.encode(other)) == _same(one, other)


@given(st.lists(VALUES, max_size=6))
def test_payload_is_the_array_of_the_values(values: list[Any]) -> None:
    assert codec.encode_payload(values) == codec.encode(tuple(values))


@given(PLAIN)
def test_plain_arrays_round_trip(plain: Any) -> None:
    assert _same(codec.unpack_canonical(codec.pack_array((plain,))), (plain,))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert codec.encode(codec.decode(data)) == data
    with contextlib.suppress(Malformed):
        plain = codec.unpack_canonical(data)
        assert codec.pack_array((plain,))[1:] == data


@given(VALUES, st.data())
def test_a_changed_encoding_is_refused_or_another_value(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(codec.encode(value))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(Malformed):
        changed = codec.decode(bytes(encoded))
        assert not _same(changed, value)
        assert codec.encode(changed) == bytes(encoded)


@given(VALUES, st.integers(0, 200))
def test_every_truncation_is_refused(value: Any, cut: int) -> None:
    data = codec.encode(value)
    with contextlib.suppress(Malformed):
        codec.decode(data[: min(cut, len(data) - 1)])
        raise AssertionError("a prefix was taken for a value")


@given(VALUES)
def test_types_of_values_fit(value: Any) -> None:
    kind = type_of(value)
    if kind is None:
        return
    assert accepts(kind, kind)
    assert result_type(Operator.STR, (kind,)) is not None
    if "()" not in show(value) and "[]" not in show(value):
        # Without empty lists there is nothing that only the rule for them lets pass.
        assert type_matches(value, kind)
