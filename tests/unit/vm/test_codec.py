"""The canonical codec: known answers, every refusal, limits, payloads; and what values show."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from fixtures_path import require
from troth.vm import codec
from troth.vm.errors import Invalid, Malformed
from troth.vm.limits import NESTING_DEPTH_MAX
from troth.vm.types import EndpointType, Field, ListType, Primitive, RecordType, ValueType
from troth.vm.value_ops import show, size_of, type_matches
from troth.vm.values import INT_MAX, INT_MIN, Blob, CoroutineHandle, Endpoint, Record

BLOB = Blob(5, bytes(range(32)))
ENDPOINT = Endpoint(bytes(32), "Server")

# The msgpack specification, https://github.com/msgpack/msgpack/blob/master/spec.md, gives these.
KNOWN = [
    (None, "c0"),
    (False, "c2"),
    (True, "c3"),
    (0, "00"),
    (127, "7f"),
    (128, "cc80"),
    (256, "cd0100"),
    (65536, "ce00010000"),
    (1 << 32, "cf0000000100000000"),
    (INT_MAX, "cf7fffffffffffffff"),
    (-1, "ff"),
    (-32, "e0"),
    (-33, "d0df"),
    (-129, "d1ff7f"),
    (INT_MIN, "d38000000000000000"),
    (0.0, "cb0000000000000000"),
    (0.5, "cb3fe0000000000000"),
    ("", "a0"),
    ("a", "a161"),
    ("é", "a2c3a9"),
    (b"", "c400"),
    (b"\x00\xff", "c40200ff"),
    ((), "90"),
    ((1, "a"), "9201a161"),
    (Record(()), "80"),
    (Record((("a", 1), ("b", None))), "82a16101a162c0"),
    (BLOB, "c724029205c420" + bytes(range(32)).hex()),
    (ENDPOINT, "c72a0192c420" + "00" * 32 + "a6536572766572"),
]


@pytest.mark.parametrize(("value", "encoded"), KNOWN)
def test_known_answers(value: Any, encoded: str) -> None:
    data = codec.encode(value)
    assert data.hex() == encoded
    decoded = codec.decode(data)
    assert decoded == value
    assert type(decoded) is type(value)
    assert size_of(value) == len(data)


# --- the public test suite ------------------------------------------------------------------


def _suite() -> list[tuple[str, Any, list[bytes]]]:
    """(kind, value, encodings) of kawanet/msgpack-test-suite."""
    groups = json.loads(require("vectors/msgpack-test-suite.json").read_text(encoding="utf-8"))
    found = []
    for cases in groups.values():
        for case in cases:
            encodings = [bytes.fromhex(text.replace("-", "")) for text in case["msgpack"]]
            if "bignum" in case:
                found.append(("number", int(case["bignum"]), encodings))
                continue
            kind = next(key for key in case if key != "msgpack")
            found.append((kind, case[kind], encodings))
    return found


def _as_value(kind: str, raw: Any) -> Any:
    if kind == "binary":
        return bytes.fromhex(raw.replace("-", ""))
    if isinstance(raw, list):
        return tuple(_as_value("", item) for item in raw)
    if isinstance(raw, dict):
        return Record(tuple((name, _as_value("", item)) for name, item in raw.items()))
    return raw


def _decoded(data: bytes) -> list[Any]:
    try:
        return [codec.decode(data)]
    except Malformed:
        return []


def test_msgpack_suite_has_one_accepted_form_of_each_value() -> None:
    tried = 0
    for kind, raw, encodings in _suite():
        accepted = [value for data in encodings for value in _decoded(data)]
        tried += len(encodings)
        if kind in ("ext", "timestamp"):
            assert accepted == [], kind
            continue
        if kind == "number":
            # One number is an int in one form and a float in another, and no third.
            ints = [value for value in accepted if type(value) is int]
            floats = [value for value in accepted if type(value) is float]
            fits = INT_MIN <= raw <= INT_MAX
            assert len(ints) == (1 if fits and raw == int(raw) else 0), raw
            assert len(floats) == sum(1 for data in encodings if data[0] == 0xCB), raw
            assert all(value == raw for value in accepted)
            continue
        assert accepted == [_as_value(kind, raw)], (kind, raw)
    assert tried >= 200


# --- refusals -------------------------------------------------------------------------------

REFUSED = [
    ("", "codec.truncated"),
    ("91", "codec.truncated"),
    ("a261", "codec.truncated"),
    ("ddffffffff", "codec.truncated"),
    ("0101", "codec.trailing"),
    ("c1", "codec.malformed"),
    ("cc01", "codec.canonical"),
    ("d1ffff", "codec.canonical"),
    ("d90161", "codec.canonical"),
    ("c50000", "codec.canonical"),
    ("dc0000", "codec.canonical"),
    ("de0000", "codec.canonical"),
    ("ca3f000000", "codec.canonical"),
    ("cf8000000000000000", "codec.int"),
    ("cb7ff8000000000000", "codec.float"),
    ("cb7ff0000000000000", "codec.float"),
    ("cbfff0000000000000", "codec.float"),
    ("cb8000000000000000", "codec.float"),
    ("a1ff", "codec.text"),
    ("a3eda080", "codec.text"),
    ("82a16201a16102", "codec.record"),
    ("82a16101a16102", "codec.record"),
    ("81c4016101", "codec.record"),
    ("810102", "codec.malformed"),
    ("d40110", "codec.extension"),
    ("d60192c40161", "codec.extension"),
    ("d5029201", "codec.extension"),
    ("d40390", "codec.extension"),
    ("d40290", "codec.extension"),
    ("d40190", "codec.extension"),
    ("d6ff5a4af6a5", "codec.type"),
    ("c70cffffffffffffffffffffffffff", "codec.malformed"),
    ("c724029205c41f" + "00" * 31 + "01", "codec.extension"),
    ("c7240292ffc420" + "00" * 32, "codec.extension"),
    ("91c72a0192c420" + "00" * 32 + "a6536572766572", "codec.type"),
]


@pytest.mark.parametrize(("encoded", "code"), REFUSED)
def test_refusals(encoded: str, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        codec.decode(bytes.fromhex(encoded))
    assert caught.value.code == code


def test_refusals_say_where() -> None:
    with pytest.raises(Malformed) as caught:
        codec.decode(bytes.fromhex("9301cc0203"))
    assert caught.value.place.offset == 2
    with pytest.raises(Malformed) as caught:
        codec.decode(bytes.fromhex("930102"))
    assert caught.value.place.offset == 3
    with pytest.raises(Malformed) as caught:
        codec.decode(bytes.fromhex("9101ff"))
    assert caught.value.place.offset == 2


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (INT_MAX + 1, "codec.int"),
        (INT_MIN - 1, "codec.int"),
        (1 << 70, "codec.int"),
        (float("nan"), "codec.float"),
        (float("inf"), "codec.float"),
        (-0.0, "codec.float"),
        ("a\ud800", "codec.text"),
        (("\udfff",), "codec.text"),
        (Record((("b", 1), ("a", 1))), "codec.record"),
        (Record((("a", 1), ("a", 1))), "codec.record"),
        (Blob(-1, bytes(32)), "codec.extension"),
        (Blob(1, bytes(31)), "codec.extension"),
        (Endpoint(bytes(31), "A"), "codec.extension"),
        ((ENDPOINT,), "codec.type"),
        (CoroutineHandle(bytes(16)), "codec.type"),
        ([1], "codec.type"),
        ({"a": 1}, "codec.type"),
        (bytearray(b"a"), "codec.type"),
    ],
)
def test_what_is_no_value_is_not_encoded(value: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        codec.encode(value)
    assert caught.value.code == code
    with pytest.raises(Invalid) as caught:
        codec.encode_payload((1, value))
    assert caught.value.code == code


def test_a_refused_payload_leaves_nothing_behind() -> None:
    with pytest.raises(Invalid):
        codec.encode_payload(("kept?", "a\ud800"))
    assert codec.encode_payload((1,)) == b"\x91\x01"


# --- limits ---------------------------------------------------------------------------------


def _nested(depth: int) -> Any:
    value: Any = 7
    for level in range(depth):
        value = (value,) if level % 2 else Record((("a", value),))
    return value


def test_nesting_at_the_limit_and_one_past_it() -> None:
    value = _nested(NESTING_DEPTH_MAX)
    assert codec.decode(codec.encode(value)) == value
    deeper = _nested(NESTING_DEPTH_MAX + 1)
    with pytest.raises(Invalid) as refused:
        codec.encode(deeper)
    assert refused.value.code == "codec.depth"
    data = b"\x91" * (NESTING_DEPTH_MAX + 1) + b"\x07"
    for decode in (codec.decode, codec.unpack_canonical):
        with pytest.raises(Malformed) as caught:
            decode(data)
        assert caught.value.code == "codec.depth"
        decode(data[1:])


@pytest.mark.parametrize("depth", [400, 600, 1_100, 5_000, 100_000])
def test_absurd_nesting_is_a_typed_refusal(depth: int) -> None:
    for head in (b"\x91", b"\x81\xa1a"):
        with pytest.raises(Malformed):
            codec.decode(head * depth + b"\x07")
        with pytest.raises(Malformed):
            codec.unpack_canonical(head * depth + b"\x07")


def test_size_at_the_limit_and_one_past_it() -> None:
    data = codec.encode("x" * 100)
    assert codec.decode(data, bytes_max=len(data)) == "x" * 100
    with pytest.raises(Malformed) as caught:
        codec.decode(data, bytes_max=len(data) - 1)
    assert caught.value.code == "codec.size"


def test_long_input_is_measured_before_it_is_built() -> None:
    claims = b"\xdd\x00\x00\x20\x00" * 300 + b"\xc0" * 0x2000
    with pytest.raises(Malformed) as caught:
        codec.decode(claims)
    assert caught.value.code == "codec.truncated"
    long = tuple(range(5_000))
    assert codec.decode(codec.encode(long)) == long
    with pytest.raises(Malformed) as caught:
        codec.decode(codec.encode(long) + b"\x00")
    assert caught.value.code == "codec.trailing"


# --- payloads -------------------------------------------------------------------------------

POINT = RecordType((Field("x", Primitive.INT), Field("y", Primitive.FLOAT)))
FIELDS = (
    Field("n", Primitive.INT),
    Field("f", Primitive.FLOAT),
    Field("s", Primitive.STR),
    Field("b", Primitive.BYTES),
    Field("yes", Primitive.BOOL),
    Field("u", Primitive.UNIT),
    Field("xs", ListType(Primitive.INT)),
    Field("p", POINT),
    Field("blob", Primitive.BLOB),
    Field("e", EndpointType("Job", "Server")),
)
VALUES = (
    5,
    1.5,
    "s",
    b"b",
    True,
    None,
    (1, 2),
    Record((("x", 1), ("y", 2.0))),
    BLOB,
    ENDPOINT,
)


def test_payload_round_trip() -> None:
    data = codec.encode_payload(VALUES)
    assert codec.decode_payload(data, FIELDS) == VALUES
    assert data == b"\x9a" + b"".join(codec.encode(value) for value in VALUES)


@pytest.mark.parametrize("place", range(len(VALUES)))
def test_payload_fields_have_their_types(place: int) -> None:
    for value in ("other", 7, False, 1.0, b"", None, (b"",), Record(()), BLOB, ENDPOINT):
        if type_matches(value, FIELDS[place].type):
            continue
        changed = (*VALUES[:place], value, *VALUES[place + 1 :])
        with pytest.raises(Malformed) as caught:
            codec.decode_payload(codec.encode_payload(changed), FIELDS)
        assert caught.value.code == "codec.payload"


def test_payload_of_another_role_or_count() -> None:
    fields = (Field("e", EndpointType("Job", "Client")),)
    with pytest.raises(Malformed) as caught:
        codec.decode_payload(codec.encode_payload((ENDPOINT,)), fields)
    assert caught.value.code == "codec.payload"
    for values in ((), (1, 2)):
        with pytest.raises(Malformed) as caught:
            codec.decode_payload(codec.encode_payload(values), (FIELDS[0],))
        assert caught.value.code == "codec.payload"
    with pytest.raises(Malformed) as caught:
        codec.decode_payload(b"\x01", (FIELDS[0],))
    assert caught.value.code == "codec.payload"


@pytest.mark.parametrize(
    ("encoded", "kind", "code"),
    [
        ("91cc05", Primitive.INT, "codec.canonical"),
        ("91cf8000000000000000", Primitive.INT, "codec.int"),
        ("91cb7ff8000000000000", Primitive.FLOAT, "codec.float"),
        ("9191cb8000000000000000", ListType(Primitive.FLOAT), "codec.float"),
        ("dc000105", Primitive.INT, "codec.canonical"),
        ("91", Primitive.INT, "codec.truncated"),
        ("910505", Primitive.INT, "codec.trailing"),
    ],
)
def test_payload_refusals(encoded: str, kind: ValueType, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        codec.decode_payload(bytes.fromhex(encoded), (Field("x", kind),))
    assert caught.value.code == code


# --- plain arrays ---------------------------------------------------------------------------


def test_plain_arrays() -> None:
    plain = (1, -5, "a", b"b", None, True, (2, ("x", ())), INT_MAX)
    assert codec.unpack_canonical(codec.pack_array(plain)) == plain
    assert codec.unpack_canonical(b"\x05") == 5


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (msgpack.packb([1.5]), "codec.type"),
        (msgpack.packb([{}]), "codec.type"),
        (msgpack.packb([{"a": 1}]), "codec.type"),
        (msgpack.packb([msgpack.ExtType(2, b"\x90")]), "codec.type"),
        (msgpack.packb([msgpack.Timestamp(1, 0)]), "codec.type"),
        (msgpack.packb([1 << 63]), "codec.int"),
        (b"\x91\xcc\x01", "codec.canonical"),
        (b"\xdc\x00\x01\x01", "codec.canonical"),
        (b"\x91\x01\x01", "codec.trailing"),
        (b"\x92\x01", "codec.truncated"),
    ],
)
def test_plain_arrays_hold_nothing_else(data: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        codec.unpack_canonical(data)
    assert caught.value.code == code


# --- showing and measuring ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "()"),
        (True, "true"),
        (False, "false"),
        (-7, "-7"),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (2.0, "2.0"),
        ("as it is \n\x1b", "as it is \n\x1b"),
        (b'a\x00\xff"', 'b"a\\x00\\xff\\""'),
        ((), "[]"),
        ((1, 2), "[1, 2]"),
        (("a", 'b"\n'), '["a", "b\\"\\n"]'),
        ((" ", "\x1f~\x7f"), '[" ", "\\x1f~\\x7f"]'),
        (b" ~\x7f\x80", 'b" ~\\x7f\\x80"'),
        (Record((("x", 1), ("y", "s"))), '{x: 1, y: "s"}'),
        (Record(()), "{}"),
        (((None,), (True,)), "[[()], [true]]"),
        (Blob(3, bytes(32)), f"blob(3 bytes, {'00' * 32})"),
    ],
)
def test_show(value: Any, shown: str) -> None:
    assert show(value) == shown


def test_size_stops_early_on_shared_values() -> None:
    value: Any = (1, 1)
    for _ in range(NESTING_DEPTH_MAX - 1):
        value = (value, value)
    # Written out this value has 2**32 items: counting them would never end.
    assert size_of(value, 1_000) > 1_000


@pytest.mark.parametrize("length", [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536])
def test_sizes_at_every_change_of_head(length: int) -> None:
    record = Record(tuple((f"{i:06}", None) for i in range(length)))
    for value in ("x" * length, "é" * length, bytes(length), (None,) * length, record):
        assert size_of(value) == len(codec.encode(value))
        assert size_of(value, 1 << 30) == len(codec.encode(value))


@pytest.mark.parametrize("limit", [31, 32, 255, 256, 65_535, 65_536])
def test_sizes_of_endpoints_at_every_change_of_head(limit: int) -> None:
    """Around each limit for the role itself, and for the role with what stands before it."""
    for length in range(max(0, limit - 45), limit + 3):
        endpoint = Endpoint(bytes(32), "x" * length)
        head = msgpack.packb(endpoint.session) + msgpack.packb(endpoint.role)
        assert size_of(endpoint) == len(msgpack.packb(msgpack.ExtType(2, b"\x92" + head)))


def test_types_are_exact() -> None:
    assert not type_matches(True, Primitive.INT)
    assert not type_matches(1, Primitive.BOOL)
    assert not type_matches(1, Primitive.FLOAT)
    assert not type_matches((1, True), ListType(Primitive.INT))
    assert type_matches((), ListType(Primitive.INT))
    assert not type_matches(Record((("x", 1), ("z", 2.0))), POINT)
    assert not type_matches(Record((("x", 1),)), POINT)
    assert not type_matches(ENDPOINT, Primitive.STR)
