"""Seconds of fuzzing of all that faces the network; `python -m fuzz.run_transport` goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fuzz import session_campaigns as sessions
from fuzz import transport_campaigns as campaigns
from fuzz.fuzzer import Campaign, all_problems, for_executions, fuzz

SEED = 1

EXECUTIONS: dict[Callable[[], Campaign], int] = {
    campaigns.headers: 500,
    campaigns.strangers_at_a_listener: 250,
    campaigns.strangers_at_an_initiator: 250,
    campaigns.peers_gone_bad: 300,
    sessions.pictures: 300,
    sessions.sound: 100,
    sessions.contents: 300,
    sessions.machines: 1_000,
    sessions.gateways_gone_bad: 300,
    sessions.candidates: 1_000,
    sessions.askers_for_metrics: 1_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("build", [*campaigns.ALL, *sessions.ALL], ids=lambda build: build.__name__)
def test_no_datagram_crashes_or_costs_too_much(build: Callable[[], Campaign]) -> None:
    report = fuzz(build(), SEED, for_executions(EXECUTIONS[build]))
    print(f"seed {SEED}; {report.summary()}")
    assert all_problems([report]) == []
    assert report.executions >= EXECUTIONS[build]
    assert report.edges >= report.edges_at_first > 0
    assert len(report.outcomes) >= 2
