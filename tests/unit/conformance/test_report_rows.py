"""Rows of a report: what goes in comes out, and an unknown kind is still a row."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from artifact_surgery import find, join, parse, raw_records, with_field
from page_samples import two_buyer, view_of
from troth.conformance.describe import kind_name
from troth.conformance.report_collect import Collector
from troth.conformance.report_model import ROWS_MAX, Rows
from troth.conformance.report_rows import GROUPS, NUMBER_MAX, SHAPES, Fields, RowWriter, zigzag
from troth.conformance.report_texts import LEFT_OUT
from troth.conformance.verdict import Word
from troth.conformance.world import World
from troth.vm.reader import RawRecord
from troth.vm.records import Kind


def read_rows(rows: Rows) -> list[dict[str, int]]:
    """What the page reads, written from the table in `report_rows`."""
    place, offset, session, found = 0, 0, 0, list[dict[str, int]]()

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = rows.data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    for _ in range(rows.count):
        kind = number()
        offset += number()
        row = {"kind": kind, "offset": offset}
        for letter in rows.shapes[kind]:
            value = number()
            if letter == "s":
                session += value // 2 if value % 2 == 0 else -(value + 1) // 2
                value = session
            elif letter in "ap":
                value -= 1
            row[letter] = value
        found.append(row)
    assert place == len(rows.data)
    return found


def test_every_record_is_a_row_at_its_place() -> None:
    data = two_buyer().data
    records = raw_records(data)
    rows = view_of(data).rows
    read = read_rows(rows)
    assert (rows.count, rows.seen) == (len(records), len(records))
    assert [(row["kind"], row["offset"]) for row in read] == [
        (record.items[0], record.offset) for record in records
    ]
    for row, record in zip(read, records, strict=True):
        if row["kind"] == Kind.SEND:
            assert [row[letter] for letter in "sapln"] == [record.items[i] for i in (1, 2, 3, 5, 7)]
        elif row["kind"] == Kind.RECEIVE:
            assert [row[letter] for letter in "sapn"] == [record.items[i] for i in (1, 2, 3, 5)]


def test_every_kind_has_a_shape_of_a_known_group() -> None:
    assert set(SHAPES) == set(Kind)
    assert {shape.group for shape in SHAPES.values()} == set(GROUPS)
    assert all(set(shape.letters) <= set("saplnct") for shape in SHAPES.values())


def test_texts_are_what_describe_says_without_the_session() -> None:
    view = view_of(two_buyer().data)
    texts = [view.rows.texts[row["t"]] for row in read_rows(view.rows) if "t" in row]
    assert '("The Art of War")' in texts
    assert "is closed" in texts
    assert any(text.endswith(": agreed") for text in texts)


def test_a_kind_that_the_table_does_not_know_is_a_row_with_a_text() -> None:
    collector = Collector()
    unknown: tuple[Any, ...] = (77, "something", 1)
    collector(RawRecord(0, 8, b"...", unknown), World())
    view = collector.view(view_of(b"").verdict, "x")
    assert read_rows(view.rows) == [{"kind": 77, "offset": 8, "t": 0}]
    assert view.rows.kinds == {77: ("kind 77", "machine")}
    assert kind_name(77) == "kind 77"


@given(
    st.lists(
        st.tuples(
            st.integers(-1, 2**40), st.integers(-1, 300), st.integers(0, 2**63), st.integers(0, 99)
        ),
        max_size=30,
    )
)
def test_numbers_come_back(values: list[tuple[int, int, int, int]]) -> None:
    writer = RowWriter()
    for place, (session, actor, number, text) in enumerate(values):
        fields = Fields(session, actor, number=number)
        writer.write(5, place * 1000, "sant", fields, 0, text)
    rows = Rows(bytes(writer.data), writer.count, writer.count, {5: "sant"}, {}, ("",), ())
    assert read_rows(rows) == [
        {
            "kind": 5,
            "offset": place * 1000,
            "s": session,
            "a": actor,
            "n": min(number, NUMBER_MAX),
            "t": text,
        }
        for place, (session, actor, number, text) in enumerate(values)
    ]


@given(st.integers(-(2**50), 2**50))
def test_zigzag(value: int) -> None:
    coded = zigzag(value)
    assert coded >= 0
    assert (coded // 2 if coded % 2 == 0 else -(coded + 1) // 2) == value


# --- limits --------------------------------------------------------------------------------


def _collected(data: bytes, collector: Collector) -> Any:
    for record in raw_records(data):
        collector(record, World())
    return collector.view(view_of(data).verdict, "x")


def test_records_past_the_limit_are_counted_and_said() -> None:
    data = two_buyer().data
    total = len(raw_records(data))
    for limit in (total, total - 1):
        view = _collected(data, Collector(rows_max=limit))
        assert (view.rows.count, view.rows.seen) == (limit, total)
        assert any("were verified and counted" in text for text in view.left_out) is (limit < total)
    assert total < ROWS_MAX


def test_texts_past_the_limit_are_left_out_and_said() -> None:
    view = _collected(two_buyer().data, Collector(text_bytes_max=300))
    assert sum(len(text) for text in view.rows.texts) < 400
    assert LEFT_OUT in view.rows.texts
    assert any("Some texts" in text for text in view.left_out)


def test_a_record_that_names_what_is_not_there_is_a_row() -> None:
    collector = Collector()
    for items in (
        (Kind.SEND, 999, 70, 80, 0, 5000, 0, 2**62, None, None, bytes(32), b""),
        (Kind.RECEIVE, 999, 70, 80, 0, 3, None),
        (Kind.STATUS, 999, 2, 1, ""),
        (Kind.NOTICE, 999, 70, (), b""),
    ):
        collector(RawRecord(0, 8, b"", items), World())
    view = collector.view(view_of(b"").verdict, "x")
    assert view.rows.count == 4
    assert view.edges == ()


def test_the_record_that_stops_the_verifier_is_the_last_row() -> None:
    records = parse(two_buyer().data)
    index = find(records, Kind.RECEIVE, 2)
    records[index] = with_field(records[index], 1, 99)
    view = view_of(join(records))
    (finding,) = view.verdict.findings
    assert (view.verdict.status, finding.code) == (Word.INVALID, "structure.reference")
    assert (finding.record, view.rows.count) == (index, index + 1)
    assert read_rows(view.rows)[-1]["offset"] == finding.offset
