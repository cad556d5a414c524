"""The short path for payloads says yes exactly when the codec does."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.conformance.payloads import compile_payload
from troth.vm.codec import decode_payload, encode_payload
from troth.vm.errors import TrothError
from troth.vm.types import EndpointType, Field, ListType, Primitive, ValueType
from troth.vm.values import INT_MAX, Endpoint

SCALARS = [Primitive.UNIT, Primitive.INT, Primitive.BOOL, Primitive.STR, Primitive.BYTES]
TYPES: st.SearchStrategy[ValueType] = st.sampled_from(
    [*SCALARS, Primitive.FLOAT, ListType(Primitive.INT)]
)
ITEMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=4),
    st.binary(max_size=4),
    st.floats(),
    st.lists(st.integers(-3, 300), max_size=3),
)


def _accepts(data: bytes, fields: tuple[Field, ...]) -> bool:
    try:
        compile_payload(fields)(data)
    except TrothError:
        return False
    return True


def _decodes(data: bytes, fields: tuple[Field, ...]) -> bool:
    try:
        decode_payload(data, fields)
    except TrothError:
        return False
    return True


@given(st.lists(TYPES, max_size=4), st.lists(ITEMS, max_size=4), st.integers(0, 40), st.booleans())
def test_it_agrees_with_the_codec(
    types: list[ValueType], items: list[object], position: int, damage: bool
) -> None:
    fields = tuple(Field(f"f{number}", kind) for number, kind in enumerate(types))
    data = bytearray(msgpack.packb(items))
    if damage:
        data[position % len(data)] ^= 1 << (position % 8)
    assert _accepts(bytes(data), fields) == _decodes(bytes(data), fields)


@pytest.mark.parametrize(
    ("data", "accepted"),
    [
        (msgpack.packb([INT_MAX]), True),
        (msgpack.packb([INT_MAX + 1]), False),
        (msgpack.packb([True]), False),
        (b"\x91\xcc\x01", False),
        (b"\x91\x01\x00", False),
        (b"\x91", False),
        (b"", False),
        (b"\xc1", False),
        (b"\x91\x81\x91\x00\x00", False),
    ],
)
def test_one_integer(data: bytes, accepted: bool) -> None:
    fields = (Field("n", Primitive.INT),)
    assert _accepts(data, fields) is accepted
    assert _decodes(data, fields) is accepted


def test_long_payloads_take_the_long_way() -> None:
    fields = (Field("text", Primitive.STR),)
    assert _accepts(encode_payload(["x" * 5000]), fields)
    assert not _accepts(encode_payload([5000]) + b"\x00" * 5000, fields)


def test_it_finds_the_endpoints() -> None:
    endpoint = Endpoint(bytes(32), "B")
    fields = (Field("n", Primitive.INT), Field("job", EndpointType("P", "B")))
    assert compile_payload(fields)(encode_payload([1, endpoint])) == (endpoint,)
