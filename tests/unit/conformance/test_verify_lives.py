"""Honest artifacts of every way in which a session can live and end are accepted."""

from __future__ import annotations

import io

import pytest

from troth.conformance import Verdict, verify
from verify_samples import sample, sealed_often

NAMES = ["hello", "drain", "delegation", "nested_recursion", "cancelled", "faulted", "hidden"]


def _verify(name: str, *, fragment: bool = False) -> Verdict:
    recorded = sample(name)
    return verify(io.BytesIO(recorded.data), trust=recorded.trust, fragment=fragment)


@pytest.mark.parametrize("name", [*NAMES, "hidden_delegation"])
def test_an_honest_artifact_is_valid(name: str) -> None:
    verdict = _verify(name)
    assert (verdict.exit_code, verdict.findings) == (0, ())
    assert [(level.ran, level.ok) for level in verdict.levels[:4]] == [(True, True)] * 4
    assert verdict.sealing.complete


def test_a_run_without_sessions_proves_nothing() -> None:
    verdict = _verify("nobody")
    assert (verdict.exit_code, verdict.findings) == (5, ())
    assert "opens no session" in verdict.reason


def test_counts() -> None:
    counts = _verify("cancelled").counts
    assert (counts.sessions, counts.cancelled, counts.closed, counts.open) == (1, 1, 0, 0)
    assert (counts.messages, counts.received, counts.undelivered) == (3, 0, 3)
    faulted = _verify("faulted").counts
    assert (faulted.faulted, faulted.undelivered) == (1, 1)
    assert _verify("delegation").counts.delegations == 1
    assert _verify("hidden").counts.effects == 1


def test_the_delegate_is_named_as_playing_the_role() -> None:
    roles = {report.name: report.roles for report in _verify("delegation").principals}
    assert roles["Worker"] == ("Hire.Worker", "Job.Server")


def test_the_fragment_is_that_of_the_events() -> None:
    first, again = _verify("drain", fragment=True), _verify("drain", fragment=True)
    assert first.fragment is not None
    assert first.fragment == again.fragment
    assert _verify("drain").fragment is None


@pytest.mark.parametrize("every", [1, 2, 5])
def test_seals_in_the_middle_are_followed(every: int) -> None:
    """The recorder seals as often as it is told to; all those heads must hold."""
    recorded = sealed_often("drain", every)
    verdict = verify(io.BytesIO(recorded.data), trust=recorded.trust)
    assert (verdict.exit_code, verdict.findings) == (0, ())
    assert verdict.counts.seals > 2
