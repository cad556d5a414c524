"""What one more session costs does not depend on how many there are, or were."""

from __future__ import annotations

import pytest

from benchmarks.bench_long_life import curve
from benchmarks.bench_sessions import (
    GOAL_BYTES,
    bytes_per_session,
    memory_after,
    seconds_for_more,
)
from troth.vm.instructions import ReplayMode


@pytest.mark.parametrize("replay", ReplayMode)
def test_an_idle_session_of_two_takes_less_than_a_page(replay: ReplayMode) -> None:
    assert bytes_per_session(2_000, parked=False, replay=replay) <= GOAL_BYTES


def test_a_machine_forgets_the_sessions_that_have_ended() -> None:
    few, many = memory_after(200), memory_after(4_000)
    assert many <= 1.5 * few


def test_sessions_of_every_kind_leave_nothing_behind() -> None:
    """Closed, cancelled and faulted ones, bundles, clocks, generations, losses, endpoints sent."""
    first, *_, last = curve(1_500, points=3)
    assert last.sessions >= 3 * first.sessions - 30
    # What a machine is made of again: no session that has ended is among it.
    assert last.snapshot_bytes < 1.1 * first.snapshot_bytes


def test_one_more_session_costs_the_same_beside_many_others() -> None:
    """A cost that grew with the open sessions would be 50 times as large here."""
    beside_few = min(seconds_for_more(100, 100) for _ in range(3))
    beside_many = min(seconds_for_more(5_000, 100) for _ in range(3))
    assert beside_many < 10 * beside_few
