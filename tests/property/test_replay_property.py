"""Level 5 on random programs and hosts: it reproduces what happened, and nothing else.

The programs open, spawn, delegate, choose, loop, call, print and cancel; the hosts are slow, fail,
and cancel in between. Some programs never end, and their files stop early.
"""

from __future__ import annotations

import io
from random import Random
from typing import Final

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import Record, Sample, parse, with_field
from property.script_generator import script_text
from replay_forgery import agreeing
from replay_samples import Host, Refusal, level_5, record_run
from troth.conformance import Verdict, verify
from troth.dsl.compile import compile_source
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.records import Kind
from troth.vm.values import RegisterValue

SEEDS: Final = st.integers(min_value=0, max_value=2**32)
STEPS_MAX: Final = 60
"""Rounds after which a run that goes on for ever is cut off."""


def _look(number: int) -> RegisterValue:
    if number % 5 == 3:
        raise Refusal("not today")
    return "x" * (number % 7)


def _run(rng: Random) -> Sample:
    image = compile_source(script_text(rng), "right.troth")
    cancels = sorted(rng.randrange(12) for _ in range(rng.choice((0, 0, 1, 3))))
    ends = sorted(rng.randrange(12) for _ in range(rng.choice((0, 0, 1, 3))))
    host = Host(
        effects={"look": _look},
        delay=rng.choice((0, 0, 1, 7)),
        cancel_after=tuple(cancels),
        end_after=tuple(ends),
    )
    return record_run(
        image,
        host,
        quantum=rng.choice((1, 3, 64, 1000)),
        replay=rng.choice((None, *ReplayMode)),
        seal=rng.choice((None, *Seal)),
        seal_every=rng.choice((2, 50, 4096)),
        steps_max=STEPS_MAX,
    )


def _verdict(sample: Sample) -> Verdict:
    return verify(io.BytesIO(sample.data), trust=sample.trust, fragment=True)


@settings(max_examples=120, deadline=None)
@given(SEEDS)
def test_what_happened_is_reproduced(seed: int) -> None:
    verdict = _verdict(_run(Random(seed)))
    wrong = [one for one in verdict.findings if not one.code.startswith("incomplete.")]
    assert not wrong, wrong[0]
    assert (level_5(verdict).ran, level_5(verdict).ok) == (True, True)


def _changed(record: Record) -> Record | None:
    """The record with something else that the program did; None when there is nothing to say."""
    if record[0] == Kind.PRINT:
        return with_field(record, 2, record[2] + "!")
    if record[0] == Kind.FAULT:
        return with_field(record, 3, record[3] + "!")
    field = {Kind.SEND: 9, Kind.INVOKE: 4}.get(record[0])
    if field is None or record[field] is None:
        return None
    payload = _other(record[field])
    return None if payload is None else with_field(record, field, payload)


def _other(payload: bytes) -> bytes | None:
    """Other values of the same types; endpoints stay, and what holds none cannot be changed."""
    values = msgpack.unpackb(payload)
    for place, value in enumerate(values):
        if isinstance(value, bool):
            values[place] = not value
        elif isinstance(value, int):
            values[place] = value ^ 1
        elif isinstance(value, str):
            values[place] = value + "!"
        else:
            continue
        packed: bytes = msgpack.packb(values)
        return packed
    return None


@settings(max_examples=80, deadline=None)
@given(SEEDS)
def test_what_did_not_happen_is_not(seed: int) -> None:
    """All principals agree on another value at one place: levels 1 to 5 do not."""
    rng = Random(seed)
    recorded = _run(rng)
    records = parse(recorded.data)
    places = [place for place, record in enumerate(records) if _changed(record) is not None]
    if not places:
        return
    place = rng.choice(places)
    records[place] = _changed(records[place]) or records[place]
    verdict = _verdict(Sample(agreeing(records, recorded), recorded.keys))
    assert verdict.exit_code == 2
    assert min(one.record or 0 for one in verdict.findings) == place, verdict.findings[0]
