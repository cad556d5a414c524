"""A minute of the mutation campaign: both verifiers refuse every change, and say the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import join
from mutation_campaign import campaign, holds, judge_portion, portions, summary
from mutation_corpus import CORPUS
from mutation_location import located

CHANGES: Final = int(os.environ.get("TROTH_CHANGES", "4600"))
EACH: Final = 10


@pytest.mark.slow
def test_every_change_is_refused_by_both_verifiers(tmp_path: Path) -> None:
    total = campaign(CHANGES, min(2, os.cpu_count() or 1), tmp_path / "state", size=EACH)
    print(summary(total))
    assert len(CORPUS) >= 50
    assert total["tried"] > CHANGES // 2
    assert holds(total), summary(total)


def test_a_campaign_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    state = tmp_path / "portions.jsonl"
    first = campaign(6, 1, state, size=3)
    kept = state.read_text()
    state.write_text(kept + '{"portion": ["cut')
    assert campaign(6, 1, state, size=3) == first
    assert sum(first[name] for name in ("tried", "none")) == 6


def test_a_change_is_made_from_its_number_alone() -> None:
    portion = next(portions(3, 3))
    assert judge_portion(portion) == judge_portion(portion)


def test_a_finding_in_the_wrong_place_is_not_located() -> None:
    records = [(17, 0), (18, 1, "a"), (18, 2, "b"), (18, 1, "c"), (17, 1), (22, 1, 5, "ok")]
    data = join(records)
    assert located(records, data, 1, 1)
    assert not located(records, data, 1, 0)
    assert not located(records, data, 1, 4)
    assert not located(records, data, 1, None)
