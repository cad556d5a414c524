"""A record that is cut anywhere can be gone on with, and comes out as if it had not been cut.

Every example, both seals, effects and linger clocks in real files, cut at a dense sample of all
bytes (`TROTH_LONG=1` in the environment takes every byte); and random programs with random hosts
in memory. The numbers tried are printed (`pytest -s`, or `-rP`).
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import Sample, raw_records
from property.script_generator import script_text
from replay_samples import Host, Refusal, record_run, surplus
from resume_samples import (
    EXAMPLES,
    Recording,
    done_by_programs,
    record_example,
    record_image,
    resume_in_memory,
)
from troth import conformance, vm
from troth.dsl.compile import compile_source
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.values import RegisterValue

LONG: Final = os.environ.get("TROTH_LONG") == "1"
CUTS: Final = 25
SEALS: Final = ("message", "round")
NAMES: Final = sorted(path.stem for path in EXAMPLES.glob("*.troth"))
STEPS_MAX: Final = 60


def _cuts(recording: Recording) -> list[int]:
    size = len(recording.data)
    return list(range(size + 1)) if LONG else sorted({*range(0, size, size // CUTS), size})


def _require_resumable(recording: Recording) -> None:
    whole = conformance.verify(io.BytesIO(recording.data), trust=recording.trust)
    expected = done_by_programs(recording.data)
    begun = raw_records(recording.data)[2].offset
    resumed = 0
    cuts = _cuts(recording)
    for size in cuts:
        path, printed = recording.cut(size), list[str]()
        if size < begun:
            # Before the image is there, nothing of the run can have left.
            with pytest.raises(vm.Unusable, match=r"resume\.empty"):
                recording.resume(path, printed)
            assert path.read_bytes() == recording.data[:size]
            continue
        result = recording.resume(path, printed)
        resumed += not result.ended_before
        assert result.ended_before == (size == len(recording.data))
        data = path.read_bytes()
        verdict = conformance.verify(path, trust=recording.trust)
        assert (verdict.exit_code, verdict.findings) == (0, ()), (size, verdict.findings)
        assert verdict.counts.incarnations == result.incarnation <= 1
        assert verdict.fragment == whole.fragment, size
        assert done_by_programs(data) == expected, size
        assert recording.printed[len(recording.printed) - len(printed) :] == printed, size
    print(f"{len(cuts)} cuts, {resumed} resumed")
    assert resumed > 0


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("name", NAMES)
def test_every_example_can_be_resumed_wherever_it_is_cut(
    name: str, seal: str, tmp_path: Path
) -> None:
    _require_resumable(record_example(tmp_path, name, seal))


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("naps", [0, 3])
def test_so_can_a_run_whose_session_lingers(seal: str, naps: int, tmp_path: Path) -> None:
    _require_resumable(record_image(tmp_path, surplus(50, naps=naps), seal=seal))


SEEDS: Final = st.integers(min_value=0, max_value=2**32)


def _look(number: int) -> RegisterValue:
    if number % 5 == 3:
        raise Refusal("not today")
    return "x" * (number % 7)


def _host(rng: Random) -> Host:
    cancels = tuple(sorted(rng.randrange(12) for _ in range(rng.choice((0, 0, 1, 3)))))
    start = rng.randrange(3)
    return Host(
        effects={"look": _look},
        delay=rng.choice((0, 0, 1, 7)),
        cancel_after=cancels,
        end_after=tuple(sorted(rng.randrange(12) for _ in range(rng.choice((0, 0, 1, 3))))),
        now_ns=lambda rounds: start * rounds,
    )


@settings(max_examples=60)
@given(SEEDS)
def test_random_runs_are_reproduced_to_where_they_stop_and_go_on(seed: int) -> None:
    rng = Random(seed)
    image = compile_source(script_text(rng), "right.troth")
    seal_every = rng.choice((2, 50, 4096))
    sample = record_run(
        image,
        _host(rng),
        quantum=rng.choice((1, 3, 64, 1000)),
        replay=rng.choice((None, *ReplayMode)),
        seal=rng.choice((None, *Seal)),
        seal_every=seal_every,
        steps_max=STEPS_MAX,
    )
    begun = raw_records(sample.data)[2].offset
    for _ in range(4):
        size = rng.randrange(begun, len(sample.data) + 1)
        one = resume_in_memory(sample, size, seal_every=seal_every)
        # What was torn has been finished, and exactly as it was.
        assert sample.data.startswith(one.file.written)
        assert len(one.file.written) >= one.file.survey.loose_from
        if not one.past.ended:
            _require_consistent(one.go_on(_host(rng), STEPS_MAX), sample)


def _require_consistent(resumed: Sample, original: Sample) -> None:
    verdict = conformance.verify(io.BytesIO(resumed.data), trust=original.trust)
    wrong = [one for one in verdict.findings if not one.code.startswith("incomplete.")]
    assert not wrong, wrong[0]
    assert verdict.counts.incarnations == 1
