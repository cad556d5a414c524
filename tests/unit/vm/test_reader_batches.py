"""Many records at a time are judged as one at a time: the same ones pass, the same one is named."""

from __future__ import annotations

from io import BytesIO
from itertools import accumulate, pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence_samples import HEADER, record, whole_run
from troth.vm.errors import Malformed, TrothError
from troth.vm.reader import ArtifactReader, RawRecord
from troth.vm.record_codec import Items, fit_together, validate
from troth.vm.record_frames import BATCH_RECORDS_MAX, Framer
from troth.vm.records import MAGIC, Kind

HEADER_RECORD: bytes = msgpack.packb((0, 1, *HEADER))
BEGINNING = MAGIC + HEADER_RECORD
HALT: bytes = msgpack.packb((int(Kind.HALT), 7))
RECORDS = list(ArtifactReader(BytesIO(record(whole_run()))))
NUMBER_OF_RECORDS = len(RECORDS)


def _fits(items: Items) -> bool:
    try:
        validate(items, 0, 0)
    except Malformed:
        return False
    return True


WRONGS: tuple[object, ...] = (None, True, -1, 1 << 63, 1.5, "x" * 300, bytes(500), ({},), {})
_ITEM = st.sampled_from((*WRONGS, 0, "", b"", bytes(32), bytes(64), (), (b"x",)))


@st.composite
def _rows(draw: st.DrawFn) -> list[Items]:
    """Records of a real file, some of them with an item changed, added or dropped."""
    rows = []
    for index in draw(st.lists(st.integers(0, NUMBER_OF_RECORDS - 1), max_size=12)):
        items = list(RECORDS[index].items)
        match draw(st.integers(0, 15)):
            case 0:
                items[draw(st.integers(0, len(items) - 1))] = draw(_ITEM)
            case 1:
                items.append(draw(_ITEM))
            case 2:
                items.pop(draw(st.integers(0, len(items) - 1)))
        rows.append(tuple(items))
    return rows


@given(_rows())
def test_columns_are_judged_as_records_are(rows: list[Items]) -> None:
    assert fit_together(rows) is all(map(_fits, rows))


@pytest.mark.parametrize("entry", RECORDS, ids=lambda entry: f"{entry.index}")
def test_every_changed_item_is_noticed_beside_a_sound_record(entry: RawRecord) -> None:
    assert fit_together([entry.items])
    for place in range(len(entry.items)):
        for wrong in WRONGS:
            changed = (*entry.items[:place], wrong, *entry.items[place + 1 :])
            assert fit_together([entry.items, changed]) is _fits(changed)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_batches_are_the_records_however_the_stream_is_cut(sizes: list[int]) -> None:
    data = b"".join(entry.data for entry in RECORDS)
    framer = Framer(len(MAGIC))
    found = []
    edges = [0, *(min(end, len(data)) for end in accumulate(sizes)), len(data)]
    for start, end in pairwise(edges):
        for frames in framer.feed(data[start:end]):
            assert frames.canonical
            found += list(zip(frames.data, frames.items, strict=True))
    assert found == [(entry.data, entry.items) for entry in RECORDS]
    assert framer.finish() == 0


def test_a_batch_is_not_longer_than_its_limit() -> None:
    count = 3 * BATCH_RECORDS_MAX + 5
    reader = ArtifactReader(BytesIO(BEGINNING + HALT * count))
    sizes = [len(batch) for batch in reader.batches()]
    assert sum(sizes) == count + 1
    assert max(sizes) == BATCH_RECORDS_MAX


@pytest.mark.parametrize(
    ("flaw", "code"),
    [
        (bytes.fromhex("92 11 cc07"), "artifact.record"),  # HALT 7, but not the shortest form
        (bytes.fromhex("92 11 cc07 92 11"), "artifact.record"),
        (bytes.fromhex("92 11 ff"), "structure.shape"),
        (bytes.fromhex("92 11 cfffffffffffffffff"), "structure.shape"),
        (bytes.fromhex("92 11 d0ff"), "structure.shape"),  # its shape comes before its form
        (bytes.fromhex("92 c3 00"), "artifact.record"),
        (bytes.fromhex("91 80"), "artifact.record"),
        (b"\x91" * 600 + b"\x00", "artifact.record"),
        (b"\x91" * 2000 + b"\x00", "artifact.limit"),
        (b"\x07", "artifact.record"),
        (b"\xc1", "artifact.record"),
        (HEADER_RECORD, "structure.order"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 100, BATCH_RECORDS_MAX - 1, 2 * BATCH_RECORDS_MAX])
@pytest.mark.parametrize("behind", [0, 1, 300])
def test_what_comes_before_a_flaw_is_handed_out(
    flaw: bytes, code: str, before: int, behind: int
) -> None:
    good = BEGINNING + HALT * before
    reader = ArtifactReader(BytesIO(good + flaw + HALT * behind))
    with pytest.raises(TrothError) as caught:
        list(reader)
    assert caught.value.code == code
    assert caught.value.place.offset == reader.offset == len(good)
    assert caught.value.place.record == before + 1
    reader = ArtifactReader(BytesIO(good + flaw + HALT * behind))
    records = iter(reader)
    for _ in range(before + 1):
        entry = next(records)
        assert reader.offset == entry.offset + len(entry.data)
    with pytest.raises(TrothError):
        next(records)
