"""Redaction of random runs: they verify as before, and the original proves what was taken out."""

from __future__ import annotations

import io
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import Sample, join, parse, with_field
from property.script_generator import script_text
from replay_samples import Host, record_run
from troth.conformance import verify
from troth.conformance.redaction import Redactor, Selection, check_redaction
from troth.dsl.compile import compile_source
from troth.vm.errors import Malformed
from troth.vm.instructions import Seal
from troth.vm.records import Kind
from troth.vm.values import RegisterValue

SEEDS: Final = st.integers(min_value=0, max_value=2**32)


def _look(number: int) -> RegisterValue:
    return "x" * (number % 7)


def _run(rng: Random) -> Sample:
    return record_run(
        compile_source(script_text(rng), "right.troth"),
        Host(effects={"look": _look}, delay=rng.choice((0, 2)), cancel_after=()),
        quantum=rng.choice((1, 64)),
        seal=rng.choice((None, *Seal)),
        seal_every=rng.choice((2, 4096)),
        steps_max=60,
    )


def _selection(rng: Random, run: Sample) -> Selection:
    records = parse(run.data)
    opened = sum(record[0] == Kind.OPEN for record in records)
    labels = [label for record in records if record[0] == Kind.PROTOCOL for label in record[4]]
    if rng.random() < 0.3 or not labels:
        return Selection()
    if rng.random() < 0.5:
        return Selection(sessions=frozenset({rng.randrange(opened + 1)}))
    return Selection(labels=frozenset(rng.sample(labels, 1)))


@settings(max_examples=40)
@given(SEEDS)
def test_a_redacted_run_verifies_as_before(seed: int) -> None:
    rng = Random(seed)
    run = _run(rng)
    redactor = Redactor(io.BytesIO(run.data), _selection(rng, run))
    data = b"".join(redactor)
    before, after = (
        verify(io.BytesIO(one), trust=run.trust, fragment=True) for one in (run.data, data)
    )
    assert after.exit_code == before.exit_code
    assert after.fragment == before.fragment
    assert [level.ok for level in after.levels] == [level.ok for level in before.levels]
    redaction = check_redaction(io.BytesIO(run.data), io.BytesIO(data))
    assert redaction == redactor.result()
    assert after.counts.withheld == redaction.messages + redaction.absent


@settings(max_examples=30)
@given(SEEDS)
def test_a_redacted_run_that_was_changed_is_told(seed: int) -> None:
    rng = Random(seed)
    run = _run(rng)
    records = parse(b"".join(Redactor(io.BytesIO(run.data), Selection())))
    at = rng.randrange(len(records))
    numbers = [i for i, item in enumerate(records[at]) if i and type(item) is int]
    if not numbers:
        return
    field = rng.choice(numbers)
    changed = [*records[:at], with_field(records[at], field, records[at][field] + 1)]
    data = join([*changed, *records[at + 1 :]])
    with pytest.raises(Malformed):
        check_redaction(io.BytesIO(run.data), io.BytesIO(data))
