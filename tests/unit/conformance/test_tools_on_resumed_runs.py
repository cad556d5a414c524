"""Runs that were gone on with after a crash: proved, published, redacted, compared, shown."""

from __future__ import annotations

import io

import pytest

from artifact_surgery import parse
from proof_samples import check
from resume_samples import Recording, record_example
from troth.conformance.proof_check import Known
from troth.conformance.proving import event_of
from troth.conformance.publishing import final_heads
from troth.conformance.redaction import Redactor, Selection, check_redaction
from troth.conformance.run_diff import Comparison
from troth.conformance.shell_files import verify
from troth.conformance.state_at import state_at
from troth.vm.records import Kind


@pytest.fixture(scope="module", params=["message", "round"])
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Recording:
    return record_example(tmp_path_factory.mktemp("resumed"), "delegation", request.param)


@pytest.fixture(scope="module")
def resumed(recording: Recording) -> bytes:
    path = recording.cut(len(recording.data) * 3 // 4)
    assert recording.resume(path).incarnation == 1
    return path.read_bytes()


def test_each_of_its_records_can_be_proved(resumed: bytes) -> None:
    records = parse(resumed)
    assert any(items[0] == Kind.INCARNATION for items in records)
    for number, items in enumerate(records):
        if items[0] != Kind.SEAL:
            verdict = check(event_of(io.BytesIO(resumed), number), Known())
            assert verdict.code == "proof.trust", verdict.reason


def test_it_can_be_published(resumed: bytes) -> None:
    assert all(head.final for _, head in final_heads(io.BytesIO(resumed)).values())


def test_it_is_the_same_run_as_one_without_a_crash(recording: Recording, resumed: bytes) -> None:
    report = Comparison(io.BytesIO(recording.data), io.BytesIO(resumed)).report("whole", "resumed")
    assert (report.exit_code, report.first) == (0, None)


def test_it_can_be_redacted(resumed: bytes) -> None:
    redactor = Redactor(io.BytesIO(resumed), Selection())
    data = b"".join(redactor)
    assert verify(io.BytesIO(data)).exit_code == verify(io.BytesIO(resumed)).exit_code == 5
    assert check_redaction(io.BytesIO(resumed), io.BytesIO(data)) == redactor.result()


def test_it_can_be_shown_at_each_record(resumed: bytes) -> None:
    for number in range(len(parse(resumed))):
        assert state_at(io.BytesIO(resumed), number, "resumed").contradicted is None
