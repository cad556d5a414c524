"""Two runs are the same, or the first thing that differs is named, with both sides."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from artifact_surgery import Sample, find, join, parse, record_image, with_field
from troth.conformance.diff_render import to_prose
from troth.conformance.json_form import to_json
from troth.conformance.redaction import Redactor, Selection
from troth.conformance.run_diff import WAITING_MAX, Comparison, DiffReport
from troth.dsl import compile_source
from troth.vm.errors import Malformed
from troth.vm.records import Kind
from verify_samples import HIDDEN, price_of, sample, sealed_often


def diff(a: bytes, b: bytes) -> DiffReport:
    return Comparison(io.BytesIO(a), io.BytesIO(b)).report("A", "B")


@cache
def run(text: str, *, effect: int = 0, seed: int = 1) -> Sample:
    def price(name: str) -> int:
        return price_of(name) + effect

    with TemporaryDirectory() as folder:
        image = compile_source(text, "run.troth")
        return record_image(image, Path(folder), seed=seed, effects={"price_of": price})


def redacted(one: Sample) -> bytes:
    return b"".join(Redactor(io.BytesIO(one.data), Selection()))


@pytest.mark.parametrize("name", ["hello", "delegation", "drain", "hidden", "cancelled", "faulted"])
def test_runs_of_one_program_are_the_same_whatever_their_seeds_and_keys(name: str) -> None:
    one, other = sample(name), sample(name, seed=2, variant=1)
    report = diff(one.data, other.data)
    assert (report.exit_code, report.status, report.first) == (0, "same", None)
    assert report.actions > 5
    names = [one.name for one in report.setup]
    assert names[0] == "seed"
    assert "key of principal 0" in names


def test_when_things_were_sealed_does_not_matter() -> None:
    one, other = sealed_often("delegation", 1), sealed_often("delegation", 50)
    assert one.data != other.data
    assert diff(one.data, other.data).exit_code == 0


def test_the_first_difference_is_where_the_host_answered_otherwise() -> None:
    report = diff(run(HIDDEN).data, run(HIDDEN, effect=1).data)
    assert report.exit_code == 2
    first = report.first
    assert first is not None
    assert first.a is not None
    assert first.b is not None
    assert first.only_content
    assert first.a.said.endswith("gave (8)")
    assert first.b.said.endswith("gave (9)")
    assert first.where == "coroutine 2"
    assert any("INVOKE" in line for line in first.before)
    assert {other.where for other in report.others} == {"session 0 of Ask, Server", "coroutine 1"}
    prose = to_prose(report)
    assert "first difference: coroutine 2, with another content" in prose


def test_another_step_is_told_from_another_content() -> None:
    other = HIDDEN.replace("    close s\n\nprogram server", '    cancel s "no"\n\nprogram server')
    with TemporaryDirectory() as folder:
        image = compile_source(other, "run.troth")
        cancelled = record_image(image, Path(folder), effects={"price_of": price_of}, ok=False)
    report = diff(run(HIDDEN).data, cancelled.data)
    assert report.first is not None
    assert report.first.where == "session 0 of Ask, Client"
    assert not report.first.only_content
    assert report.first.a is not None
    assert report.first.b is not None
    assert "NOTICE" in report.first.a.said
    assert "CANCEL" in report.first.b.said


def test_what_one_run_does_more_is_named() -> None:
    more = HIDDEN.replace("    print n\n", '    print n\n    print "more"\n')
    report = diff(run(HIDDEN).data, run(more).data)
    assert report.first is not None
    assert report.first.where == "coroutine 1"
    assert "PRINT" in (report.first.b.said if report.first.b else "")
    back = diff(run(more).data, run(HIDDEN).data)
    assert back.first is not None
    assert back.first.a == report.first.b


def test_a_file_that_stops_early_is_compared_as_far_as_it_goes() -> None:
    data = sample("delegation").data
    for size in (len(data) - 1, len(data) // 2, 700):
        for a, b in ((data, data[:size]), (data[:size], data)):
            report = diff(a, b)
            assert (report.exit_code, report.status) == (4, "incomplete"), to_prose(report)
            assert report.a_stops_early is (len(a) == size)
    other = run(HIDDEN, effect=1).data
    assert diff(run(HIDDEN).data, other[:-1]).exit_code == 2


def test_contents_that_are_not_there_are_counted() -> None:
    one, other = sample("hello"), sample("hello", seed=2)
    report = diff(redacted(one), other.data)
    assert (report.exit_code, report.contents_unknown) == (0, 2)
    same = diff(redacted(one), one.data)
    assert (same.exit_code, same.contents_unknown) == (0, 0), "the commitments say it"


def test_a_redacted_difference_is_seen_by_its_commitment() -> None:
    one, other = run(HIDDEN), run(HIDDEN, effect=1)
    report = diff(redacted(one), redacted(other))
    places = [report.first, *report.others]
    assert any(p is not None and p.role == "Server" and p.only_content for p in places)


def test_tracks_too_far_apart_are_given_up_and_said() -> None:
    records = parse(sample("hello").data)
    at = find(records, Kind.PRINT)
    lines = [with_field(records[at], 2, str(i)) for i in range(WAITING_MAX + 50)]
    late = [*records[:at], *lines, *records[at:]]
    # In the other file something else comes for a long time before these lines.
    spawns = find(records, Kind.HALT)
    noise = [with_field(records[at], 1, 2)] * (2 * WAITING_MAX + 200)
    earlier = [*records[:spawns], *noise, *late[spawns:]]
    report = diff(_recounted(late), _recounted(earlier))
    assert report.exit_code == 2
    assert report.tracks_given_up + report.tracks_differing >= 1


def _recounted(records: list[tuple[object, ...]]) -> bytes:
    at = next(i for i, record in enumerate(records) if record[0] == Kind.END)
    fixed = [*records]
    fixed[at] = (*records[at][:2], at, *records[at][3:])
    return join(fixed)


def test_what_makes_no_sense_is_refused() -> None:
    records = parse(sample("hello").data)
    moved = join([*records[:6], *records[7:]])
    with pytest.raises(Malformed, match="Verify the artifact"):
        diff(moved, sample("hello").data)
    with pytest.raises(Malformed, match=r"artifact\.magic"):
        diff(b"no artifact", sample("hello").data)


def test_text_of_a_file_cannot_reach_the_terminal() -> None:
    records = parse(sample("hello").data)
    at = find(records, Kind.PRINT)
    hostile = join([*records[:at], with_field(records[at], 2, "\x1b[2J\u202e"), *records[at + 1 :]])
    report = diff(sample("hello").data, hostile)
    assert report.exit_code == 2
    prose = to_prose(report)
    assert "\x1b" not in prose
    assert "\u202e" not in prose
    assert to_json(report).isascii()
