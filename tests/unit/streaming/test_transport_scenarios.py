"""What must hold on bad networks, in short; `transport_scenarios` plays it at length."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import transport_scenarios as scenarios
from link_pairs import SECOND
from transport_scenarios import Finding, adaptations, play
from troth.streaming.link import DelayController, replay
from troth.streaming.netem import Conditions, Step

SEED = 3


def _hold(findings: Iterator[Finding]) -> None:
    found = list(findings)
    print(f"seed {SEED}")
    for finding in found:
        print(f"{finding.what}: {finding.value}")
    assert [finding for finding in found if not finding.holds] == []
    assert len(found) >= 3


@pytest.mark.slow
def test_the_rate_follows_the_capacity_down_and_up() -> None:
    _hold(scenarios.capacity(SEED, 5 * SECOND, 10 * SECOND))


@pytest.mark.slow
def test_a_stall_of_somebody_is_not_taken_for_a_queue() -> None:
    _hold(scenarios.stalling(SEED, 5))


@pytest.mark.slow
def test_a_longer_path_is_not_taken_for_a_queue_for_long() -> None:
    _hold(scenarios.lengthened(SEED, 3))


@pytest.mark.slow
def test_frames_survive_independent_loss() -> None:
    _hold(scenarios.independent_loss(SEED, 10))


@pytest.mark.slow
def test_bursts_freeze_nothing_for_long() -> None:
    _hold(scenarios.bursty_loss(SEED, 10))


@pytest.mark.slow
def test_reordering_is_not_loss() -> None:
    _hold(scenarios.reordering(SEED, 5))


@pytest.mark.slow
def test_recorded_feedback_decides_the_same_again() -> None:
    steps = [Step(0, Conditions(delay_ns=20_000_000, rate_bits=3_000_000, loss=0.01))]
    decided = adaptations(play(SEED, steps, 5 * SECOND))
    assert len(decided) > 50
    again = replay([one.feedback for one in decided], DelayController())
    assert again == [one.decision for one in decided]
