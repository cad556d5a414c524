"""What a verdict says about protection that a run did without, and payloads that are not there."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from artifact_surgery import Record, collude, find, parse, record_image, reopen, with_field
from troth.conformance import Verdict, to_json, to_prose, verify
from troth.conformance.structure_head import LOADING_MAX, loading_limits
from troth.dsl import compile_source
from troth.vm import statements
from troth.vm.limits import Limits
from troth.vm.records import Kind
from verify_samples import TALK, sample

OFF = (
    TALK.replace("    rec Loop:", "    edge A -> B: replay = off\n    rec Loop:")
    + """
program giver(s: Talk.A):
    send s.B last()
    close s

program taker(s: Talk.B):
    recv s.A:
        item(n):
            cancel s "more"
        last():
            close s

main:
    open Talk as a, b
    spawn giver(a)
    spawn taker(b)
"""
)


def _withhold(records: list[Record]) -> None:
    """Takes out every payload: only the commitments stay."""
    for index, record in enumerate(records):
        if record[0] == Kind.SEND and record[9] is not None:
            commitment = statements.payload_commitment(record[8], record[9])
            records[index] = (*record[:8], None, None, commitment, record[11])


def _verify(name: str, records: list[Record]) -> Verdict:
    recorded = sample(name)
    data = collude(records, recorded)
    return verify(io.BytesIO(data), trust=recorded.trust, replay=None)


def test_the_verdict_counts_what_is_withheld() -> None:
    records = parse(sample("hello").data)
    _withhold(records)
    verdict = _verify("hello", records)
    assert verdict.findings == ()
    why = "payloads of 2 messages are not in the file: their types were not checked"
    assert verdict.levels[3].why == why
    assert f"ok: {why}" in to_prose(verdict)
    assert json.loads(to_json(verdict))["counts"]["withheld"] == 2


def test_nothing_withheld_is_not_remarked() -> None:
    verdict = _verify("hello", parse(sample("hello").data))
    assert (verdict.counts.withheld, verdict.levels[3].why) == (0, "")
    assert "replaced" not in to_prose(verdict)


def _other_taker(records: list[Record]) -> None:
    """The certificate names somebody else than the one who gets the message."""
    index = find(records, Kind.DELEGATE)
    right = records[index][3]
    wrong = next(n for n in range(3) if n != right)
    records[index] = with_field(records[index], 3, wrong)


def test_a_certificate_for_a_hidden_endpoint_names_the_receivers_signer() -> None:
    records = parse(sample("delegation").data)
    _withhold(records)
    assert _verify("delegation", records).findings == ()
    _other_taker(records)
    first = _verify("delegation", records).findings[0]
    assert first.code == "protocol.endpoint"
    assert "without a delegation certificate" in first.message


def test_an_endpoint_that_travels_hidden_is_used_by_nobody() -> None:
    records = parse(sample("delegation").data)
    _withhold(records)
    index = find(records, Kind.DELEGATE)
    session = records[index][1]
    answer = next(
        i
        for i, record in enumerate(records)
        if record[0] == Kind.RECEIVE and record[1] == session and i > index
    )
    arrival = next(
        i
        for i, record in enumerate(records)
        if record[0] == Kind.RECEIVE and record[1] != session and i > index
    )
    assert arrival < answer
    record = records.pop(arrival)
    records.insert(answer, record)
    codes = [finding.code for finding in _verify("delegation", records).findings]
    assert "protocol.endpoint" in codes


def test_the_verdict_names_what_the_run_replaced() -> None:
    records = parse(sample("hello").data)
    records[0] = with_field(with_field(records[0], 8, "off"), 9, "message")
    rows = tuple(with_field(row, 2, "off") for row in records[find(records, Kind.OPEN)][4])
    verdict = _verify("hello", reopen(records, 0, 4, rows))
    prose = to_prose(verdict)
    assert "the run replaced the scripts' replay mode by off" in prose
    assert "the run replaced the scripts' seal by message" in prose
    protection = json.loads(to_json(verdict))["protection"]
    assert (protection["replay_override"], protection["seal_override"]) == ("off", "message")


def test_the_verdict_names_edges_without_protection(tmp_path: Path) -> None:
    recorded = record_image(compile_source(OFF, "off.troth"), tmp_path)
    verdict = verify(io.BytesIO(recorded.data), trust=recorded.trust)
    assert verdict.exit_code == 0
    assert (verdict.protection.sessions_off, verdict.protection.edges_off) == (1, ("Talk: A -> B",))
    assert "1 session with edges where a repeated message was not refused: Talk: A -> B" in (
        to_prose(verdict)
    )


@pytest.mark.parametrize("name", LOADING_MAX)
def test_a_header_cannot_lift_what_loading_may_cost(name: str) -> None:
    claimed = loading_limits(Limits(**{name: 2**63 - 1}))
    assert getattr(claimed, name) == LOADING_MAX[name]
    assert loading_limits(Limits(**{name: 1})) == Limits(**{name: 1})
