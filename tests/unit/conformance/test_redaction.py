"""Redacted artifacts verify, say the same, and can be checked against the original."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import EXAMPLES, Record, Sample, find, join, parse, record_script, with_field
from troth.conformance import verify
from troth.conformance.redaction import (
    Redaction,
    Redactor,
    Selection,
    check_redaction,
)
from troth.conformance.shell_canon import build_fragment
from troth.vm.errors import Malformed
from troth.vm.instructions import Seal
from troth.vm.records import Kind
from verify_samples import sample

NAMES = ("hello", "delegation", "drain", "hidden", "hidden_delegation", "cancelled", "faulted")
EVERYTHING = Selection()


def redact(run: Sample, selection: Selection = EVERYTHING) -> tuple[bytes, Redaction]:
    redactor = Redactor(io.BytesIO(run.data), selection)
    data = b"".join(redactor)
    return data, redactor.result()


def payloads(data: bytes) -> list[bytes | None]:
    return [record[9] for record in parse(data) if record[0] == Kind.SEND]


@pytest.mark.parametrize("name", NAMES)
def test_without_any_payload_it_verifies_at_every_level(name: str) -> None:
    run = sample(name)
    before = verify(io.BytesIO(run.data), trust=run.trust, fragment=True)
    data, redaction = redact(run)
    after = verify(io.BytesIO(data), trust=run.trust, fragment=True)
    assert (after.exit_code, after.findings) == (before.exit_code, before.findings)
    assert after.exit_code == 0
    assert [level.ok for level in after.levels] == [True] * 5
    assert after.fragment == before.fragment, "what the run means is the same"
    assert after.counts.withheld == redaction.messages + redaction.absent == after.counts.messages
    assert payloads(data) == [None] * after.counts.messages
    assert check_redaction(io.BytesIO(run.data), io.BytesIO(data)) == redaction


def test_in_a_session_sealed_by_round_it_verifies_too(tmp_path: Path) -> None:
    run = record_script(EXAMPLES / "hello.troth", tmp_path, seal=Seal.ROUND)
    data, _ = redact(run)
    assert verify(io.BytesIO(data), trust=run.trust).exit_code == 0


def test_what_was_said_is_gone() -> None:
    run = sample("hidden")
    (answer,) = (payload for payload in payloads(run.data) if payload is not None)
    salts = [record[8] for record in parse(run.data) if record[0] == Kind.SEND and record[8]]
    data, _ = redact(run)
    assert answer in run.data
    assert all(salt not in data for salt in salts)


def test_only_what_was_chosen_is_taken_out() -> None:
    run = sample("hello")
    cases: tuple[tuple[Selection, list[int | None]], ...] = (
        (Selection(edges=frozenset({"Client->Server"})), [None, 0]),
        (Selection(labels=frozenset({"reply"})), [0, None]),
        (Selection(sessions=frozenset({0})), [None, None]),
        (Selection(sessions=frozenset({1})), [0, 0]),
        (Selection(edges=frozenset({"Client->Server"}), labels=frozenset({"reply"})), [0, 0]),
    )
    for selection, expected in cases:
        data, redaction = redact(run, selection)
        assert [None if payload is None else 0 for payload in payloads(data)] == expected
        assert redaction.messages == expected.count(None)
        assert redaction.kept == expected.count(0)


def test_the_report_says_what_is_still_there() -> None:
    _, redaction = redact(sample("hidden"))
    assert dict(redaction.in_clear) == {
        "image": 1,
        "prints": 1,
        "arguments_of_effects": 1,
        "results_of_effects": 1,
    }
    assert redaction.absent == 1
    (part,) = redaction.redacted
    where = (part.protocol, part.edge, part.label)
    assert (*where, part.messages) == ("Ask", "Server->Client", "answer", 1)


def test_redacting_twice_changes_nothing_more() -> None:
    run = sample("hello")
    data, _ = redact(run)
    again, redaction = redact(Sample(data, run.keys))
    assert again == data
    assert (redaction.messages, redaction.absent) == (0, 2)


@given(st.integers(8, 5000))
@settings(max_examples=40)
def test_a_cut_file_is_redacted_as_far_as_it_goes(size: int) -> None:
    """What is left of a record without its end may hold a payload, and goes."""
    run = sample("hello")
    cut = Sample(run.data[: min(size, len(run.data) - 1)], run.keys)
    data, redaction = redact(cut)
    assert redaction.cut or len(data) <= len(cut.data) + 200
    assert verify(io.BytesIO(data), trust=run.trust).exit_code == 4
    assert check_redaction(io.BytesIO(cut.data), io.BytesIO(data)) == redaction


Records: TypeAlias = list[Record]

LIES: dict[str, Callable[[Records], Records]] = {
    "a changed print": lambda r: _changed(r, Kind.PRINT, 2, "other"),
    "another commitment": lambda r: _changed(r, Kind.SEND, 10, bytes(32)),
    "another label": lambda r: _changed(r, Kind.SEND, 5, 1),
    "another signature": lambda r: _changed(r, Kind.SEND, 11, bytes(64)),
    "a dropped record": lambda r: r[:14] + r[15:],
    "a repeated record": lambda r: [*r[:14], r[14], *r[14:]],
    "a record more": lambda r: [*r, r[-1]],
    "a record less": lambda r: r[:-1],
}


def _changed(records: Records, kind: Kind, field: int, value: object) -> Records:
    at = find(records, kind)
    return [*records[:at], with_field(records[at], field, value), *records[at + 1 :]]


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_what_is_no_redaction_is_refused(lie: Callable[[Records], Records]) -> None:
    run = sample("hello")
    data, _ = redact(run)
    other = join(lie(parse(data)))
    with pytest.raises(Malformed, match=r"redact\.differs|structure|artifact"):
        check_redaction(io.BytesIO(run.data), io.BytesIO(other))


def test_a_payload_that_appears_is_no_redaction() -> None:
    run = sample("hello")
    data, _ = redact(run)
    with pytest.raises(Malformed, match=r"redact\.differs"):
        check_redaction(io.BytesIO(data), io.BytesIO(run.data))


def test_a_redacted_file_that_is_cut_is_refused() -> None:
    run = sample("hello")
    data, _ = redact(run)
    for cut in (data[:-1], data[: len(data) // 2]):
        with pytest.raises(Malformed, match=r"redact\.differs"):
            check_redaction(io.BytesIO(run.data), io.BytesIO(cut))


def test_the_digest_that_canon_prints_stays(tmp_path: Path) -> None:
    run = sample("delegation")
    folder = tmp_path
    (folder / "a").write_bytes(run.data)
    (folder / "b").write_bytes(redact(run)[0])
    digests = {build_fragment(folder / name, keep=False).digest() for name in "ab"}
    assert len(digests) == 1
