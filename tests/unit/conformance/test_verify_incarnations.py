"""What the verifier thinks of runs that were resumed, and of records that only say so."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import Record, find, join, parse
from resume_samples import Recording, record_example
from troth import conformance
from troth.conformance.inspection import Inspection, to_text
from troth.vm.records import Kind


@pytest.fixture(params=["message", "round"])
def resumed(request: pytest.FixtureRequest, tmp_path: Path) -> Recording:
    """A recording that was stopped twice; `data` is the whole of it."""
    recording = record_example(tmp_path, "two_buyer", request.param)
    path = recording.cut(len(recording.data) // 2)
    recording.resume(path)
    recording.data = path.read_bytes()
    path = recording.cut(len(recording.data) * 3 // 4)
    recording.resume(path)
    recording.data = path.read_bytes()
    return recording


def test_a_resumed_run_is_valid_at_every_level(resumed: Recording) -> None:
    verdict = conformance.verify(io.BytesIO(resumed.data), trust=resumed.trust)
    assert (verdict.exit_code, verdict.counts.incarnations) == (0, 2)
    assert all(level.ran and level.ok for level in verdict.levels)
    assert '"incarnations": 2' in conformance.to_json(verdict)
    assert "the run was resumed 2 times after a stop" in conformance.to_prose(verdict)


def test_inspect_tells_of_it(resumed: Recording) -> None:
    lines: list[str] = []
    inspection = Inspection(io.BytesIO(resumed.data), lines.append)
    assert "resumed after a stop: 2" in to_text(inspection, "a")
    assert any("INCARNATION 1, resumed after round" in line for line in lines)


def _renumbered(records: list[Record]) -> None:
    at = find(records, Kind.INCARNATION, 1)
    records[at] = (Kind.INCARNATION, 3, *records[at][2:])


def _backwards(records: list[Record]) -> None:
    at = find(records, Kind.INCARNATION, 1)
    records[at] = (Kind.INCARNATION, 2, 0, *records[at][3:])


def _first_is_gone(records: list[Record]) -> None:
    del records[find(records, Kind.INCARNATION)]


def _last_is_gone(records: list[Record]) -> None:
    del records[find(records, Kind.INCARNATION, 1)]


def _another_time(records: list[Record]) -> None:
    at = find(records, Kind.INCARNATION, 1)
    records[at] = (*records[at][:3], records[at][3] + 1)


def _earlier(records: list[Record]) -> None:
    at = find(records, Kind.INCARNATION, 1)
    records.insert(at - 1, records.pop(at))


def _after_the_end(records: list[Record]) -> None:
    end = find(records, Kind.END)
    records.insert(end + 1, (Kind.INCARNATION, 3, records[end][1], 0))


LIES: Final[dict[Callable[[list[Record]], None], str]] = {
    _renumbered: "structure.order",
    _backwards: "structure.round",
    _first_is_gone: "structure.order",
    _last_is_gone: "structure.count",
    _another_time: "integrity.",
    _earlier: "integrity.",
    _after_the_end: "structure.surplus",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_about_it_is_found(resumed: Recording, lie: Callable[[list[Record]], None]) -> None:
    records = parse(resumed.data)
    lie(records)
    verdict = conformance.verify(io.BytesIO(join(records)), trust=resumed.trust)
    assert verdict.exit_code == 2
    codes = [finding.code for finding in verdict.findings]
    assert any(code.startswith(LIES[lie]) for code in codes), codes


def test_a_resumption_within_a_round_is_found_by_level_5(tmp_path: Path) -> None:
    """Only the machine's log covers it here, and no seal: the file stops before one."""
    recording = record_example(tmp_path, "hello", "message")
    records = parse(recording.data)
    at = find(records, Kind.HALT) + 1
    records = [*records[:at], (Kind.INCARNATION, 1, 0, 0), *records[at : at + 4]]
    verdict = conformance.verify(io.BytesIO(join(records)), trust=recording.trust)
    assert verdict.exit_code == 2
    assert verdict.findings[0].code == "replay.divergence"
