"""Files that stop early, are something else, or come from the future."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import msgpack
import pytest

from artifact_surgery import find, join, parse, raw_records, with_field
from troth.conformance import Verdict, Word, verify
from troth.vm.errors import Unusable
from troth.vm.records import MAGIC, Kind
from verify_samples import sample, sealed_often


def _verdict(data: bytes) -> Verdict:
    return verify(io.BytesIO(data), trust=sample("hello").trust)


def test_an_empty_file() -> None:
    verdict = _verdict(b"")
    assert (verdict.exit_code, verdict.status) == (4, Word.INCOMPLETE)
    assert [finding.code for finding in verdict.findings] == ["incomplete.torn"]


def test_a_cut_inside_of_a_record() -> None:
    data = sample("hello").data
    last = raw_records(data)[-1]
    verdict = _verdict(data[: last.offset + 7])
    (finding,) = verdict.findings
    assert (finding.code, finding.offset, finding.record) == (
        "incomplete.torn",
        last.offset,
        last.index,
    )
    assert len(finding.context) == 3


def test_no_end() -> None:
    records = parse(sample("hello").data)
    verdict = _verdict(join(records[: find(records, Kind.END)]))
    assert [finding.code for finding in verdict.findings] == ["incomplete.end"]
    assert verdict.outcome_recorded is None
    assert [(level.ran, level.ok) for level in verdict.levels[1:4]] == [(True, True)] * 3


def test_a_final_seal_missing() -> None:
    verdict = _verdict(join(parse(sample("hello").data)[:-1]))
    assert [finding.code for finding in verdict.findings] == ["incomplete.seals"]
    assert "Server" in verdict.findings[0].message
    assert not verdict.sealing.complete


def test_what_is_sealed_before_the_cut() -> None:
    often = sealed_often("hello", 4)
    records = parse(often.data)
    second = find(records, Kind.SEAL, 3)
    cut = join(records[: second + 3])
    verdict = verify(io.BytesIO(cut), trust=often.trust)
    assert verdict.exit_code == 4
    assert 0 < verdict.sealing.records < second + 3
    assert verdict.sealing.unsealed > 0


def test_a_wrong_record_before_the_cut_is_wrong() -> None:
    records = parse(sample("hello").data)
    index = find(records, Kind.SEND)
    records[index] = with_field(records[index], 9, b"\x91\xa3abc")
    verdict = _verdict(join(records[: index + 1]))
    assert verdict.exit_code == 2
    assert [finding.code for finding in verdict.findings] == [
        "integrity.message",
        "incomplete.end",
    ]


def test_a_wrong_record_after_the_last_seal_is_wrong_too() -> None:
    often = sealed_often("hello", 4)
    records = parse(often.data)
    records = records[: find(records, Kind.END)]
    index = find(records, Kind.NOTICE, 1)
    records[index] = (*records[index][:-1], bytes(64))
    verdict = verify(io.BytesIO(join(records)), trust=often.trust)
    assert verdict.exit_code == 2


@pytest.mark.parametrize("data", [b"#!/bin/sh\n", b"\x89PNG\r\n\x1a\n", bytes(100)])
def test_something_else(data: bytes) -> None:
    verdict = _verdict(data)
    assert verdict.exit_code == 2
    assert [finding.code for finding in verdict.findings] == ["artifact.magic"]


@pytest.mark.parametrize("version", [0, 2, 1 << 40])
def test_another_version(version: int) -> None:
    records = parse(sample("hello").data)
    records[0] = with_field(records[0], 1, version)
    verdict = _verdict(join(records))
    assert (verdict.exit_code, verdict.status) == (3, Word.UNSUPPORTED)
    assert verdict.findings[0].code == "artifact.version"
    assert str(version) in str(verdict.findings[0].actual)


def test_nothing_but_a_header() -> None:
    records = parse(sample("hello").data)
    assert _verdict(join(records[:1])).exit_code == 4
    assert _verdict(join(records[1:])).exit_code == 2


def test_an_absurd_length() -> None:
    """A claim of four thousand million items costs nothing."""
    verdict = _verdict(MAGIC + b"\xdd\xff\xff\xff\xff")
    assert verdict.exit_code == 2
    assert verdict.findings[0].code in ("artifact.limit", "artifact.record")


def test_bytes_after_the_last_seal() -> None:
    data = sample("hello").data
    assert _verdict(data + b"\x00").findings[0].code == "artifact.record"
    more = data + msgpack.packb((Kind.TIME, 1, 1))
    assert _verdict(more).findings[0].code == "structure.surplus"


class _Failing(io.RawIOBase):
    """A disk that gives up."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        del size
        raise OSError(5, "Input/output error")


def test_an_unreadable_file_is_not_a_verdict() -> None:
    with pytest.raises(Unusable) as caught:
        verify(cast(BinaryIO, _Failing()))
    assert caught.value.code == "artifact.io"
