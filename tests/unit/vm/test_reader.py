"""The reader believes nothing: damaged, cut, hostile and arbitrary bytes."""

from __future__ import annotations

import random
import tracemalloc
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import BinaryIO, cast

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence_samples import HEADER, record, whole_run
from troth.vm.errors import LimitExceeded, Malformed, Place, TrothError, Unusable
from troth.vm.limits import NAME_BYTES_MAX, RECORD_BYTES_MAX
from troth.vm.reader import ArtifactReader, RawRecord, UnsupportedVersion, read
from troth.vm.record_codec import FIELDS, LIST_ITEMS_MAX, NIL_TOGETHER, Items, validate
from troth.vm.record_frames import DEPTH_MAX, ITEMS_MAX, Framer, measure
from troth.vm.records import MAGIC, Kind
from troth.vm.shell_artifact import ArtifactWriter, open_artifact

SAMPLE = record(whole_run())
HEADER_RECORD: bytes = msgpack.packb((0, 1, *HEADER))
BEGINNING = MAGIC + HEADER_RECORD


def _read(data: bytes) -> tuple[list[RawRecord], ArtifactReader]:
    reader = ArtifactReader(BytesIO(data))
    return list(reader), reader


def _code(data: bytes) -> str:
    with pytest.raises(TrothError) as caught:
        _read(data)
    assert caught.value.place.offset is not None
    return caught.value.code


class _Trickle(RawIOBase):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, size: int) -> None:
        self._stream = BytesIO(data)
        self._size = size

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(min(size, self._size))


def test_records_are_the_file_without_its_magic() -> None:
    records, reader = _read(SAMPLE)
    assert MAGIC + b"".join(record.data for record in records) == SAMPLE
    assert [record.index for record in records] == list(range(len(records)))
    for entry in records:
        assert SAMPLE[entry.offset : entry.offset + len(entry.data)] == entry.data
        assert msgpack.packb(entry.items) == entry.data
    assert reader.torn is None
    assert reader.offset == len(SAMPLE)
    assert list(read(BytesIO(SAMPLE))) == records


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_it_does_not_matter_how_the_bytes_arrive(size: int) -> None:
    reader = ArtifactReader(cast("BinaryIO", _Trickle(SAMPLE, size)))
    assert list(reader) == _read(SAMPLE)[0]


def test_a_file_cut_anywhere_is_read_up_to_there() -> None:
    whole, _ = _read(SAMPLE)
    ends = {len(MAGIC)} | {record.offset + len(record.data) for record in whole}
    for cut in range(len(SAMPLE)):
        records, reader = _read(SAMPLE[:cut])
        assert records == whole[: len(records)]
        if cut in ends:
            assert reader.torn is None
        else:
            assert reader.torn is not None
            assert reader.torn.record == len(records)
            assert reader.torn.offset == (0 if cut < len(MAGIC) else reader.offset)
            assert reader.torn.reason


@pytest.mark.parametrize(
    "data", [b"x", b"TROTH", MAGIC[:7] + b"x", b"\0" * 8, b"\x89PNG\r\n\x1a\n"]
)
def test_other_files_are_recognised(data: bytes) -> None:
    assert _code(data) == "artifact.magic"


def test_a_file_mangled_by_a_text_transfer_is_recognised() -> None:
    assert _code(SAMPLE.replace(b"\r\n", b"\n")) == "artifact.magic"


@pytest.mark.parametrize("version", [0, 2, 255, 1 << 40])
def test_other_versions_are_unsupported_whatever_their_shape(version: int) -> None:
    data = MAGIC + msgpack.packb((0, version, {"new": [1.5]} and "anything"))
    with pytest.raises(UnsupportedVersion) as caught:
        _read(data)
    assert caught.value.code == "artifact.version"
    assert str(version) in (caught.value.actual or "")


def test_the_header_is_first_and_nowhere_else() -> None:
    halt = msgpack.packb((Kind.HALT, 0))
    assert _code(MAGIC + halt + HEADER_RECORD) == "structure.order"
    assert _code(BEGINNING + halt + HEADER_RECORD) == "structure.order"
    assert _code(MAGIC + msgpack.packb((0, "1"))) == "structure.shape"
    assert _code(MAGIC + msgpack.packb((0,))) == "structure.shape"


# --- canonical bytes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("92 11 cc00"),  # HALT 0 with a uint8
        bytes.fromhex("92 11 d000"),  # with an int8
        bytes.fromhex("92 11 cf0000000000000000"),
        bytes.fromhex("dc0002 11 00"),  # an array16 of two
        bytes.fromhex("dd00000002 11 00"),
        bytes.fromhex("93 12 00 d90161"),  # PRINT 0 "a" with a str8
        bytes.fromhex("93 12 00 da000161"),
    ],
)
def test_another_encoding_of_the_same_record_is_refused(data: bytes) -> None:
    assert _code(BEGINNING + data) == "artifact.record"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("00", "artifact.record"),  # no array
        ("c0", "artifact.record"),
        ("c1", "artifact.record"),  # reserved
        ("a161", "artifact.record"),
        ("80", "artifact.record"),  # a map
        ("9181a16101", "artifact.record"),  # a map inside
        ("92 11 81 c0 c0", "artifact.record"),
        ("92 11 d40100", "artifact.record"),  # an extension
        ("92 11 c70001", "structure.shape"),  # an empty extension
        ("92 11 d6ff00000000", "artifact.record"),  # a timestamp
        ("92 11 80", "structure.shape"),  # an empty map
        ("92 11 ca00000000", "structure.shape"),  # a float
        ("93 12 00 a1ff", "artifact.record"),  # no UTF-8
        ("93 12 a1ff", "artifact.record"),  # nor could it become a record with more bytes
        ("93 12 00 a3eda080", "artifact.record"),  # a lone surrogate
        ("90", "artifact.record"),  # an empty record
        ("91 7f", "artifact.record"),  # kind 127
        ("91 ff", "artifact.record"),  # kind -1
        ("91 c3", "artifact.record"),  # kind true
        ("91 91 00", "artifact.record"),  # kind [0]
        ("92 11 ff", "structure.shape"),  # HALT -1
        ("92 11 c3", "structure.shape"),  # HALT true
        ("92 11 cfffffffffffffffff", "structure.shape"),
        ("91 11", "structure.shape"),  # too few
        ("93 11 00 00", "structure.shape"),  # too many
    ],
)
def test_what_no_record_can_be(data: str, code: str) -> None:
    assert _code(BEGINNING + bytes.fromhex(data)) == code


# --- hostile lengths -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x92\x01\xc6\xff\xff\xff\xff", "artifact.limit"),  # 4 GiB of bytes
        (b"\x92\x01\xdb\x7f\xff\xff\xff", "artifact.limit"),
        (b"\xdd\xff\xff\xff\xff", "artifact.limit"),
        (b"\xdd\x00\x02\x00\x01", "artifact.limit"),
        (b"\x91" * 2000 + b"\x00", "artifact.limit"),
        (b"\xdd\x00\x01\xff\xff" * 2000, "artifact.limit"),
        (b"\xdf\xff\xff\xff\xff", "artifact.record"),
        (b"\x91\xc9\xff\xff\xff\xff\x01", "artifact.record"),
    ],
)
def test_lengths_that_no_record_has_cost_nothing(data: bytes, code: str) -> None:
    tracemalloc.start()
    try:
        assert _code(BEGINNING + data) == code
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_length_within_limits_whose_bytes_are_missing_is_a_torn_tail() -> None:
    _, reader = _read(BEGINNING + b"\x92\x01\xc6" + (1 << 20).to_bytes(4, "big") + b"some")
    assert reader.torn is not None
    assert reader.torn.offset == len(BEGINNING)
    _, reader = _read(BEGINNING + b"\x95\x03\xc4\x20" + bytes(32) + b"\xa1P\xdd\x00\x00\xff\xff")
    assert reader.torn is not None


def _image(length: int) -> bytes:
    return b"\x92\x01\xc6" + length.to_bytes(4, "big") + bytes(length)


def test_the_longest_record_and_one_byte_more() -> None:
    overhead = len(_image(1 << 16)) - (1 << 16)
    records, _ = _read(BEGINNING + _image(RECORD_BYTES_MAX - overhead) + _image(1 << 16))
    assert [len(r.data) for r in records[1:]] == [RECORD_BYTES_MAX, (1 << 16) + overhead]
    assert _code(BEGINNING + _image(RECORD_BYTES_MAX - overhead + 1)) == "artifact.limit"


def _protocol(labels: int) -> bytes:
    names = tuple(f"label{i}" for i in range(labels))
    packed: bytes = msgpack.packb((Kind.PROTOCOL, bytes(32), "P", ("A", "B"), names))
    return packed


@pytest.mark.parametrize("labels", [4095, 4096, 4097, LIST_ITEMS_MAX])
def test_long_lists_are_read_as_well_as_short_ones(labels: int) -> None:
    data = BEGINNING + _protocol(labels) + _protocol(3) + _protocol(labels) + _protocol(1)
    records, reader = _read(data)
    assert [len(r.items[4]) for r in records[1:]] == [labels, 3, labels, 1]
    assert reader.torn is None
    trickled = ArtifactReader(cast("BinaryIO", _Trickle(data, 50_000)))
    assert [r.data for r in trickled] == [r.data for r in records]


def test_a_list_beyond_the_limit() -> None:
    assert _code(BEGINNING + _protocol(LIST_ITEMS_MAX + 1)) == "artifact.limit"


def test_very_many_long_lists_do_not_nest_the_reader() -> None:
    count = 1100  # more than Python allows calls within calls
    long_list = b"\xdc" + (4097).to_bytes(2, "big") + b"\xc0" * 4097
    framer = Framer(0)
    assert sum(1 for _ in framer.feed(long_list * count)) == count
    assert framer.finish() == 0


# --- measure against the decoder -----------------------------------------------------------


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20).map(tuple),
    max_leaves=40,
)


def _depth(item: object) -> int:
    return 1 + max(map(_depth, item), default=0) if isinstance(item, tuple) else 0


@given(st.lists(_PLAIN, max_size=20).map(tuple), st.binary(max_size=5))
def test_measure_finds_the_end(items: tuple[object, ...], behind: bytes) -> None:
    data = msgpack.packb(items)
    if _depth(items) > DEPTH_MAX:
        with pytest.raises(LimitExceeded):
            measure(data + behind, 0, Place())
        return
    assert measure(b"xx" + data + behind, 2, Place()) == 2 + len(data)
    for cut in range(len(data)):
        assert measure(data[:cut], 0, Place()) is None


def test_measure_counts_items() -> None:
    rows = ITEMS_MAX // 100_000 + 1
    data = msgpack.packb(((0,) * 100_000,) * rows)
    with pytest.raises(LimitExceeded):
        measure(data, 0, Place())


# --- arbitrary bytes -----------------------------------------------------------------------


def _attempt(data: bytes) -> None:
    """Reads or refuses with a place; whatever comes out is canonical."""
    reader = ArtifactReader(BytesIO(data))
    seen = len(MAGIC)
    try:
        for entry in reader:
            assert entry.offset == seen
            assert data[seen : seen + len(entry.data)] == entry.data
            seen += len(entry.data)
    except TrothError as error:
        located = error.place.offset is not None and bool(error.code)
    else:
        located = reader.torn is not None or seen == len(data)
    assert located


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    for beginning in (b"", MAGIC, BEGINNING):
        _attempt(beginning + data)


@given(st.lists(_PLAIN | st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=3)))
def test_arbitrary_records(items: list[object]) -> None:
    _attempt(BEGINNING + b"".join(msgpack.packb(item) for item in items))


@given(st.sampled_from(Kind), st.lists(_PLAIN, max_size=12))
def test_arbitrary_fields(kind: Kind, items: list[object]) -> None:
    _attempt(BEGINNING + msgpack.packb((kind, *items)))


def test_every_flipped_bit_is_survived() -> None:
    for position in range(len(SAMPLE)):
        changed = bytearray(SAMPLE)
        changed[position] ^= 1 << position % 8
        _attempt(bytes(changed))


def test_random_splices_are_survived() -> None:
    source = random.Random(1)
    for _ in range(1000):
        a, b, c = sorted(source.randrange(len(SAMPLE)) for _ in range(3))
        _attempt(SAMPLE[:a] + SAMPLE[b:c] + SAMPLE[a:b])


# --- shapes --------------------------------------------------------------------------------


def _samples() -> dict[Kind, Items]:
    return {Kind(r.items[0]): r.items for r in _read(SAMPLE)[0]}


@pytest.mark.parametrize("kind", Kind)
def test_every_field_of_every_kind_is_checked(kind: Kind) -> None:
    """Whatever value of another type is put in a field, it is refused by the field's name."""
    items = _samples()[kind]
    validate(items, 0, 0)
    wrongs: tuple[object, ...] = (1.5, -1, True, "x" * 300, b"x", (b"x", 1.5), ((),), {})
    for number, field in enumerate(FIELDS[kind], start=1):
        for wrong in wrongs:
            changed = (*items[:number], wrong, *items[number + 1 :])
            if _acceptable(field.type, field.low, field.high, wrong):
                continue
            with pytest.raises(Malformed) as caught:
                validate(changed, 3, 4)
            assert caught.value.code == "structure.shape"
            assert kind.name in caught.value.message
            assert caught.value.place == Place(offset=4, record=3)
            assert caught.value.expected


def _acceptable(kind: type, low: int, high: int, value: object) -> bool:
    if type(value) is not kind or kind is tuple:
        return False
    size = value if isinstance(value, int) else len(cast("bytes", value))
    return low <= size <= high


@pytest.mark.parametrize("kind", Kind)
def test_nil_is_allowed_only_where_the_table_says(kind: Kind) -> None:
    sets = NIL_TOGETHER.get(kind, (frozenset[str](),))
    items = _samples()[kind]
    now = frozenset(f.name for f, v in zip(FIELDS[kind], items[1:], strict=True) if v is None)
    assert now in sets
    for number, field in enumerate(FIELDS[kind], start=1):
        nil = now | {field.name}
        if nil in sets:
            continue
        with pytest.raises(Malformed):
            validate((*items[:number], None, *items[number + 1 :]), 0, 0)


def test_a_send_has_a_payload_or_a_commitment() -> None:
    send = _samples()[Kind.SEND]
    digest = (*send[:8], None, None, bytes(32), send[11])
    validate(digest, 0, 0)
    for salt, payload, commitment in [
        (send[8], send[9], bytes(32)),
        (None, send[9], None),
        (send[8], None, None),
        (None, None, None),
        (None, send[9], bytes(32)),
    ]:
        with pytest.raises(Malformed) as caught:
            validate((*send[:8], salt, payload, commitment, send[11]), 0, 0)
        assert "nil" in (caught.value.expected or "")


def test_a_statement_has_at_most_one_signature() -> None:
    """Whether it must have one is for the verifier: that depends on the session's seal."""
    cancel = _samples()[Kind.CANCEL]
    validate(cancel, 0, 0)
    for role in (None, 0):
        validate((*cancel[:2], role, *cancel[3:5], b""), 0, 0)
    with pytest.raises(Malformed):
        validate((*cancel[:-1], bytes(65)), 0, 0)


def test_only_a_cancel_without_a_role_has_a_round() -> None:
    cancel = _samples()[Kind.CANCEL]
    validate((*cancel[:2], None, cancel[3], 7, b""), 0, 0)
    with pytest.raises(Malformed):
        validate((*cancel[:4], 7, cancel[5]), 0, 0)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("", True),
        ("x" * NAME_BYTES_MAX, True),
        ("x" * (NAME_BYTES_MAX + 1), False),
        ("ä" * (NAME_BYTES_MAX // 2), True),
        ("ä" * (NAME_BYTES_MAX // 2 + 1), False),
    ],
)
def test_names_are_limited_in_bytes(name: str, *, fits: bool) -> None:
    items = (Kind.PRINCIPAL.value, name, bytes(32))
    if fits:
        validate(items, 0, 0)
    else:
        with pytest.raises(Malformed):
            validate(items, 0, 0)


def test_choices_are_closed() -> None:
    opened = _samples()[Kind.OPEN]
    row = opened[4][0]
    for number in (2, 3, 5, 7):
        changed = (*row[:number], "another", *row[number + 1 :])
        with pytest.raises(Malformed) as caught:
            validate((*opened[:4], (changed,), *opened[5:]), 0, 0)
        assert "edges" in caught.value.message
    with pytest.raises(Malformed) as caught:
        validate((*opened[:5], "never", *opened[6:]), 0, 0)
    assert caught.value.expected == "one of message, round"


# --- files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"program f():\n", b"\x89PNG\r\n\x1a\n", b"\x89TROTH\r!"])
def test_a_file_of_another_kind_is_never_replaced(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "precious"
    path.write_bytes(before)
    with pytest.raises(Unusable) as caught:
        ArtifactWriter(path)
    assert caught.value.code == "artifact.other"
    assert caught.value.advice
    assert path.read_bytes() == before


@pytest.mark.parametrize("before", [b"", SAMPLE[:3], SAMPLE])
def test_an_empty_file_or_an_artifact_is_replaced(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "run.replay"
    path.write_bytes(before)
    writer = ArtifactWriter(path)
    writer.write(SAMPLE[:50])
    writer.close()
    assert path.read_bytes() == SAMPLE[:50]


def test_a_written_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run.replay"
    path.write_bytes(SAMPLE + b"what was there before")
    writer = ArtifactWriter(path)
    writer.write(SAMPLE[:100])
    assert path.read_bytes() == SAMPLE[:100]
    writer.write(SAMPLE[100:])
    writer.close()
    with open_artifact(path) as stream:
        assert [r.data for r in ArtifactReader(stream)] == [r.data for r in _read(SAMPLE)[0]]


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    for use in (ArtifactWriter, open_artifact):
        for path in (tmp_path / "no" / "folder", Path("nul\0")):
            with pytest.raises(Unusable) as caught:
                use(path)
            assert caught.value.code == "artifact.io"


def test_a_full_disk_is_an_error_and_no_crash() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    writer = ArtifactWriter(full)
    with pytest.raises(Unusable) as caught:
        writer.write(SAMPLE)
    assert caught.value.code == "artifact.io"
    writer.close()


def test_a_failing_stream_is_an_error_and_no_crash(tmp_path: Path) -> None:
    class Failing(BytesIO):
        def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002
            raise OSError(5, "Input/output error")

    with pytest.raises(Unusable) as caught:
        list(ArtifactReader(Failing()))
    assert caught.value.code == "artifact.io"
    with pytest.raises(Unusable), open_artifact(tmp_path) as stream:
        list(ArtifactReader(stream))
