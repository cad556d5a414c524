"""No small change to an artifact is accepted.

The numbers tried and caught are printed (`pytest -s`, or `-rP`). With `TROTH_LONG=1` in the
environment all 255 other values are tried at every position, and every record at every place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

import mutation_harness as harness
from artifact_surgery import EXAMPLES, Sample, record_script
from troth.vm.instructions import Seal
from verify_samples import DROPS, GUARDED, LATEST, ROTATES, SPECULATIVE, sealed_often

CASES: Final = (
    ("hello", None),
    ("drain", None),
    ("delegation", None),
    ("hello", Seal.ROUND),
    ("delegation", Seal.ROUND),
    ("guards", None),
    ("speculation", None),
    ("latest", None),
    ("latest", Seal.ROUND),
    ("drops", None),
    ("rotates", None),
    ("rotates", Seal.ROUND),
)
"""Which scripts, and how they are sealed; None leaves it to the script: by message."""
WRITTEN: Final = {
    "guards": GUARDED,
    "speculation": SPECULATIVE,
    "latest": LATEST,
    "drops": DROPS,
    "rotates": ROTATES,
}
"""The scripts that are not among the examples."""
SEED: Final = 20240229
LONG: Final = os.environ.get("TROTH_LONG") == "1"
SAMPLED_POSITIONS: Final = 12
"""Positions at which all 255 other values are tried in the ordinary run."""


@pytest.fixture(
    name="sample", params=CASES, ids=lambda case: "-".join(filter(None, case)), scope="module"
)
def _sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    name, seal = request.param
    folder: Path = tmp_path_factory.mktemp(name)
    if name in WRITTEN:
        script = folder / f"{name}.troth"
        script.write_text(WRITTEN[name])
        return record_script(script, folder, seal=seal)
    return record_script(EXAMPLES / f"{name}.troth", folder, seal=seal)


def _require_all_caught(tally: harness.Tally, name: str, at_least: int) -> None:
    print(tally.summary(name))
    assert not tally.missed, tally.missed[:5]
    assert tally.tried == tally.caught
    assert tally.tried >= at_least


@pytest.mark.slow
def test_one_flipped_bit_at_every_byte(sample: Sample) -> None:
    mutants = harness.bit_flips(sample.data, SEED)
    tally = harness.check_all(mutants, sample.data, sample.trust)
    _require_all_caught(tally, "bit flips", len(sample.data))


@pytest.mark.slow
def test_every_other_value_at_sampled_bytes(sample: Sample) -> None:
    positions: list[int] | range = harness.sampled_positions(sample.data, SAMPLED_POSITIONS, SEED)
    if LONG:
        positions = range(len(sample.data))
    mutants = harness.byte_values(sample.data, positions)
    tally = harness.check_all(mutants, sample.data, sample.trust)
    _require_all_caught(tally, "byte values", 255 * SAMPLED_POSITIONS)


@pytest.mark.slow
def test_every_truncation(sample: Sample) -> None:
    tally = harness.check_all(harness.truncations(sample.data), sample.data, sample.trust)
    _require_all_caught(tally, "truncations", len(sample.data))
    assert set(tally.by_exit) == {4}, "what is cut off is incomplete, never wrong"


@pytest.mark.slow
def test_every_record_dropped_repeated_and_swapped(sample: Sample) -> None:
    tally = harness.check_all(harness.record_changes(sample.data), sample.data, sample.trust)
    _require_all_caught(tally, "record changes", 400)


@pytest.mark.slow
def test_records_between_many_seals() -> None:
    """Seals are no leaves of any log: changing their order must be caught all the same."""
    often = sealed_often("hello", 2)
    tally = harness.check_all(harness.record_changes(often.data), often.data, often.trust)
    _require_all_caught(tally, "record changes between seals", 700)


@pytest.mark.skipif(not LONG, reason="part of the long run: TROTH_LONG=1")
def test_every_record_at_every_other_place(sample: Sample) -> None:
    tally = harness.check_all(harness.record_moves(sample.data), sample.data, sample.trust)
    _require_all_caught(tally, "record moves", 700)
