"""The image's bytes: every class round-trips, other bytes are refused with their place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgpack
import pytest
from blake3 import blake3

from troth.vm import codec, image_codec
from troth.vm.errors import Invalid, Malformed
from troth.vm.image import Bundle, BundleChild, EdgeSettings, Effect, Image, Program, Protocol
from troth.vm.image_codec import (
    decode_image,
    decode_protocol,
    encode_image,
    encode_protocol,
    image_id,
)
from troth.vm.instructions import (
    HOLE,
    Abort,
    Acquire,
    Branch,
    BufferMode,
    Cancel,
    Case,
    Close,
    Fork,
    Halt,
    Instruction,
    Invoke,
    Join,
    Jump,
    JumpIf,
    Move,
    Op,
    Open,
    OpenBundle,
    OpenOptions,
    Operator,
    PayloadForm,
    Policy,
    Recv,
    Release,
    ReplayMode,
    Seal,
    Select,
    Send,
    Set,
    Spawn,
    Timer,
    Transfer,
    Yield,
)
from troth.vm.limits import IMAGE_BYTES_MAX, NAME_BYTES_MAX, NESTING_DEPTH_MAX
from troth.vm.types import (
    EndpointType,
    Field,
    ListType,
    LocalType,
    Primitive,
    RecordType,
    State,
    StateKind,
    Transition,
    ValueType,
)
from troth.vm.value_types import TYPE_NODES_MAX
from troth.vm.values import INT_MAX, INT_MIN, Blob, Record, Value

INT: Final = Primitive.INT
POINT: Final = RecordType((Field("x", INT), Field("y", ListType(Primitive.FLOAT))))
FIELDS: Final = (
    *(Field(str(kind), kind) for kind in Primitive),
    Field("point", POINT),
    Field("job", EndpointType("Job", "Server")),
)
END: Final = State(StateKind.END, "", ())
ASKS: Final = State(StateKind.SEND, "B", (Transition("ask", FIELDS, 1),))
HEARS: Final = State(StateKind.RECV, "A", (Transition("ask", FIELDS, 1),))
EDGE: Final = EdgeSettings(
    sender="A",
    receiver="B",
    replay=ReplayMode.NULLIFIER,
    buffer=BufferMode.LATEST,
    capacity=8,
    policy=Policy.RESIZE,
    resize_max=64,
    payload=PayloadForm.DIGEST,
)
PROTOCOL: Final = Protocol(
    "Ask",
    ("A", "B"),
    (LocalType((ASKS, END)), LocalType((HEARS, END))),
    (EDGE, EdgeSettings(sender="B", receiver="A")),
)
CONSTANTS: Final[tuple[Value, ...]] = (
    *(None, True, 7, INT_MIN, INT_MAX, 1.5, "text", b"\x00", (1, 2), Blob(1, bytes(32))),
    Record((("a", ()), ("b", Record(())))),
)
CODE: Final[tuple[Instruction, ...]] = (
    Open(0, (0, 1), OpenOptions(), (("A", "B", "tcp"),)),
    Open(
        0,
        (2, 3),
        OpenOptions(
            replay=ReplayMode.OFF,
            seal=Seal.ROUND,
            capacity=1,
            policy=Policy.DROP,
            linger_ns=INT_MAX,
        ),
    ),
    Send(0, "B", "ask", (1, 2)),
    Select(0, "B", "ask", ()),
    Recv(0, "A", "ask", (1,)),
    Branch(0, "A", (Case("a", (1,), 0), Case("b", (), 1))),
    Close(0),
    Cancel(0, 1),
    Invoke(0, (1, 2), 3),
    Transfer(0, 1, 2),
    *(Set(0, value) for value in CONSTANTS),
    Move(1, 0),
    *(Op(operator, 1, (2, 3)) for operator in Operator),
    Op(Operator.RECORD, 1, (2,), ("name",)),
    Jump(0),
    JumpIf(0, 1),
    Spawn(0, 1, (HOLE, 2)),
    Yield(),
    Halt(),
    Acquire(0),
    Release(0),
    Fork(1),
    Join(),
    Abort(),
    OpenBundle(0, (0, 1), OpenOptions(seal=Seal.ROUND)),
    Timer(2, 1),
)
IMAGE: Final = Image(
    (PROTOCOL,),
    (Effect("price_of", FIELDS[:2], POINT),),
    (
        Program("main", (), 4, (Halt(),)),
        Program("all", FIELDS, 9, CODE, tuple(range(len(CODE)))),
    ),
    0,
    "all.troth",
    ("door", "window"),
    (Bundle("Both", ("X", "Y"), (BundleChild("one", 0, (1, 0)), BundleChild("two", 0, (0, 1)))),),
)


def rows() -> list[Any]:
    """The image as nested lists, to be spoilt."""
    unpacked = msgpack.unpackb(encode_image(IMAGE))
    assert isinstance(unpacked, list)
    return unpacked


def refused(raw: object) -> Malformed:
    with pytest.raises(Malformed) as caught:
        decode_image(msgpack.packb(raw))
    return caught.value


def test_an_image_of_everything_round_trips() -> None:
    assert {type(instruction) for instruction in CODE} == set(Instruction.__args__)
    data = encode_image(IMAGE)
    assert decode_image(data) == IMAGE
    assert encode_image(decode_image(data)) == data
    assert decode_protocol(encode_protocol(PROTOCOL)) == PROTOCOL
    library = replace(IMAGE, entry=None)
    assert decode_image(encode_image(library)) == library


def test_types_of_constants_survive() -> None:
    decoded = decode_image(encode_image(IMAGE)).programs[1].code
    values = [item.value for item in decoded if isinstance(item, Set)]
    assert [type(value) for value in values] == [type(value) for value in CONSTANTS]


def test_the_smallest_image_by_hand() -> None:
    image = Image((), (), (Program("main", (), 1, (Set(0, 5), Halt()), (1, 2)),), 0, "x.troth")
    data = msgpack.packb(
        [1, [], [], [["main", [], 1, [[9, 0, b"\x05"], [16]], [1, 2]]], 0, "x.troth", []]
    )
    assert encode_image(image) == data
    assert decode_image(data) == image
    expected = blake3(data, derive_key_context="troth/v1 image id").digest()
    assert image_id(data) == expected


def test_other_images_have_other_ids() -> None:
    others = [
        IMAGE,
        replace(IMAGE, entry=None),
        replace(IMAGE, source="other.troth"),
        replace(IMAGE, effects=()),
    ]
    assert len({image_id(encode_image(image)) for image in others}) == len(others)


def test_another_version() -> None:
    raw = rows()
    raw[0] = 2
    # A later version may look quite different: the version is told before anything else.
    for other in (raw, [2, "something new"]):
        error = refused(other)
        assert error.code == "image.version"
        assert (error.expected, error.actual) == ("1", "2")


SPOILT: Final = [
    ([1], 5, "protocols"),
    ([1, 0], [], "protocols[0]"),
    ([1, 0, 0], "", "protocols[0].name"),
    ([1, 0, 0], "a b", "protocols[0].name"),
    ([1, 0, 0], "a\x1b[31m", "protocols[0].name"),
    ([1, 0, 0], "x" * (NAME_BYTES_MAX + 1), "protocols[0].name"),
    ([1, 0, 0], b"x", "protocols[0].name"),
    ([1, 0, 1, 1], None, "protocols[0].roles[1]"),
    ([1, 0, 2, 0, 0, 0, 0], 4, "protocols[0].local_types[0].states[0].kind"),
    ([1, 0, 2, 0, 0, 0, 0], False, "protocols[0].local_types[0].states[0].kind"),
    ([1, 0, 2, 0, 0, 0, 2, 0, 2], -1, "protocols[0].local_types[0].states[0].transitions[0].next"),
    ([1, 0, 3, 0, 2], "always", "protocols[0].edges[0].replay"),
    ([1, 0, 3, 0, 4], -1, "protocols[0].edges[0].capacity"),
    ([1, 0, 3, 0, 4], True, "protocols[0].edges[0].capacity"),
    ([2, 0, 2], 7, "effects[0].result"),
    ([2, 0, 2], -1, "effects[0].result"),
    ([2, 0, 2], True, "effects[0].result"),
    ([2, 0, 2], [3, 1], "effects[0].result"),
    ([2, 0, 2], [False, 1], "effects[0].result"),
    ([2, 0, 3], 0, "effects[0].revertible"),
    ([2, 0, 2], [0], "effects[0].result"),
    ([2, 0, 2], [1, [["b", 1], ["a", 1]]], "effects[0].result.fields[1]"),
    ([2, 0, 2], [1, [["a", 1], ["a", 1]]], "effects[0].result.fields[1]"),
    ([2, 0, 2], [1, [["a"]]], "effects[0].result.fields[0]"),
    ([2, 0, 2], [2, "Job", 5], "effects[0].result"),
    ([3, 1, 2], -1, "programs[1].register_count"),
    ([3, 1, 3, 0], [], "programs[1].code[0]"),
    ([3, 1, 3, 0], [99], "programs[1].code[0]"),
    ([3, 1, 3, 0], [-1], "programs[1].code[0]"),
    ([3, 1, 3, 0], [False], "programs[1].code[0]"),
    ([3, 1, 3, 0], ["halt"], "programs[1].code[0]"),
    ([3, 1, 3, 0], [16, 0], "programs[1].code[0]"),
    ([3, 1, 3, 0], [5], "programs[1].code[0]"),
    ([3, 1, 3, 2, 1], -1, "programs[1].code[2].endpoint"),
    ([3, 1, 3, 2, 4, 1], "1", "programs[1].code[2].arguments[1]"),
    ([3, 1, 3, 5, 3, 1, 2], 1 << 40, "programs[1].code[5].cases[1].target"),
    ([3, 1, 3, 10, 2], 5, "programs[1].code[10].value"),
    ([3, 1, 3, 10, 2], b"\xcc\x05", "programs[1].code[10].value"),
    ([3, 1, 3, 10, 2], codec.encode(Blob(1, bytes(32)))[:-1], "programs[1].code[10].value"),
    ([3, 1, 3, 22, 1], "xor", "programs[1].code[22].operator"),
    ([3, 1, 4, 0], "1", "programs[1].lines[0]"),
    ([4], -1, "entry"),
    ([4], "main", "entry"),
    ([5], None, "source"),
    ([5], "x" * 5_000, "source"),
]


@pytest.mark.parametrize(("path", "value", "position"), SPOILT)
def test_shapes_are_checked_everywhere(path: list[int], value: object, position: str) -> None:
    raw: Any = rows()
    row = raw
    for step in path[:-1]:
        row = row[step]
    row[path[-1]] = value
    error = refused(raw)
    assert error.code == "image.shape"
    assert error.place.position == position
    assert error.expected
    assert error.actual


@pytest.mark.parametrize("raw", [None, 5, "image", [], ["1"], [True], [1], [1, [], [], [], None]])
def test_what_is_no_image_at_all(raw: object) -> None:
    assert refused(raw).code == "image.shape"


def test_an_endpoint_is_no_constant() -> None:
    raw = rows()
    raw[3][1][3][10][2] = bytes.fromhex("c72a0192c420" + "00" * 32 + "a6536572766572")
    assert refused(raw).place.position == "programs[1].code[10].value"


def test_bytes_are_canonical() -> None:
    data = encode_image(IMAGE)
    for spoilt, code in (
        (data + b"\x00", "codec.trailing"),
        (data[:-1], "codec.truncated"),
        (b"\xdc\x00\x08" + data[1:], "codec.canonical"),
        (b"", "codec.truncated"),
        (msgpack.packb([1, {}]), "codec.type"),
        (msgpack.packb([1.0]), "codec.type"),
    ):
        with pytest.raises(Malformed) as caught:
            decode_image(spoilt)
        assert caught.value.code == code


def test_size_one_past_the_limit() -> None:
    with pytest.raises(Malformed) as caught:
        decode_image(bytes(IMAGE_BYTES_MAX + 1))
    assert caught.value.code == "codec.size"


def test_instructions_at_the_limit_and_one_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_image(IMAGE)
    count = sum(len(program.code) for program in IMAGE.programs)
    monkeypatch.setattr(image_codec, "IMAGE_INSTRUCTIONS_MAX", count)
    decode_image(data)
    monkeypatch.setattr(image_codec, "IMAGE_INSTRUCTIONS_MAX", count - 1)
    with pytest.raises(Malformed) as caught:
        decode_image(data)
    assert caught.value.place.position == "programs"


def _with_result(kind: ValueType) -> Image:
    return replace(IMAGE, effects=(Effect("e", (), kind),))


def test_depth_of_types_at_the_limit_and_one_past_it() -> None:
    kind: ValueType = INT
    for level in range(NESTING_DEPTH_MAX):
        kind = ListType(kind) if level % 2 else RecordType((Field("f", kind),))
    image = _with_result(kind)
    assert decode_image(encode_image(image)) == image
    with pytest.raises(Invalid) as caught:
        encode_image(_with_result(ListType(kind)))
    assert caught.value.code == "image.type.depth"
    raw = msgpack.unpackb(encode_image(image))
    raw[2][0][2] = [0, raw[2][0][2]]
    assert refused(raw).code == "image.shape"


def test_parts_of_types_at_the_limit_and_one_past_it() -> None:
    def wide(count: int) -> Image:
        return _with_result(RecordType(tuple(Field(f"f{place:05}", INT) for place in range(count))))

    image = wide(TYPE_NODES_MAX - 1)
    assert decode_image(encode_image(image)) == image
    with pytest.raises(Malformed) as caught:
        decode_image(encode_image(wide(TYPE_NODES_MAX)))
    assert caught.value.code == "image.shape"


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (replace(IMAGE, source="\udc80.troth"), "codec.text"),
        (replace(IMAGE, programs=(Program("p", (), 1, (Set(0, -0.0),)),)), "codec.float"),
        (replace(IMAGE, programs=(Program("p", (), 1, (Set(0, 1 << 64),)),)), "codec.int"),
    ],
)
def test_what_has_no_encoding_is_refused(image: Image, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        encode_image(image)
    assert caught.value.code == code


def test_every_changed_byte_is_refused_or_another_image() -> None:
    data = encode_image(IMAGE)
    accepted = 0
    for place in range(len(data)):
        for flip in (0x01, 0x40, 0x80):
            changed = data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
            try:
                image = decode_image(changed)
            except Malformed:
                continue
            accepted += 1
            assert image != IMAGE
            assert encode_image(image) == changed
    assert accepted > 0
