"""A change planted anywhere in a run is the first difference that is found."""

from __future__ import annotations

import io
from random import Random
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import Record, Sample, join, parse, with_field
from property.script_generator import script_text
from replay_samples import Host, record_run
from troth.conformance.diff_render import to_prose
from troth.conformance.run_diff import Comparison, DiffReport
from troth.dsl.compile import compile_source
from troth.vm.records import Kind
from troth.vm.values import RegisterValue

SEEDS: Final = st.integers(min_value=0, max_value=2**32)


def _look(number: int) -> RegisterValue:
    return "x" * (number % 7)


def _run(rng: Random, quantum: int, seal_every: int) -> Sample:
    return record_run(
        compile_source(script_text(rng), "right.troth"),
        Host(effects={"look": _look}, delay=0, cancel_after=()),
        quantum=quantum,
        seal_every=seal_every,
        steps_max=60,
    )


def _diff(a: bytes, b: bytes) -> DiffReport:
    return Comparison(io.BytesIO(a), io.BytesIO(b)).report("A", "B")


def _changed(record: Record) -> Record | None:
    """The record with something else in it that two runs can differ in."""
    field: dict[int, tuple[int, object]] = {
        Kind.PRINT: (2, "planted"),
        Kind.INVOKE: (4, b"\x91\xa7planted"),
        Kind.COMPLETE: (3, b"\x91\xa7planted"),
        Kind.SEND: (9, b"\x91\xa7planted"),
        Kind.NOTICE: (3, ()),
        Kind.CANCEL: (3, "planted"),
    }
    if record[0] not in field:
        return None
    place, value = field[record[0]]
    if record[place] is None or record[place] == value:
        return None
    return with_field(record, place, value)


@settings(max_examples=60)
@given(SEEDS)
def test_a_planted_change_is_the_first_difference(seed: int) -> None:
    rng = Random(seed)
    run = _run(rng, 64, 4096)
    records = parse(run.data)
    places = [i for i, record in enumerate(records) if _changed(record) is not None]
    if not places:
        return
    at = rng.choice(places)
    changed = _changed(records[at])
    assert changed is not None
    planted = join([*records[:at], changed, *records[at + 1 :]])
    for a, b in ((run.data, planted), (planted, run.data)):
        report = _diff(a, b)
        assert report.exit_code == 2, to_prose(report)
        assert report.first is not None
        assert report.first.a is not None
        assert report.first.b is not None
        assert (report.first.a.record, report.first.b.record) == (at, at)
        assert report.tracks_differing == 1


@settings(max_examples=40)
@given(SEEDS)
def test_a_run_is_the_same_as_itself_sealed_otherwise(seed: int) -> None:
    one, other = (_run(Random(seed), 64, seal_every) for seal_every in (1, 4096))
    report = _diff(one.data, other.data)
    assert report.exit_code == _diff(one.data, one.data).exit_code
    assert report.exit_code in (0, 4)
    assert report.first is None


@settings(max_examples=40)
@given(SEEDS)
def test_a_cut_run_never_differs_from_the_whole(seed: int) -> None:
    rng = Random(seed)
    data = _run(rng, 64, 4096).data
    report = _diff(data, data[: rng.randrange(8, len(data))])
    assert report.first is None
    assert report.exit_code in (0, 4)
