"""Honest artifacts of every way in which a session can live and end are accepted."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import Sample, record_image
from troth.conformance import Verdict, verify
from troth.conformance.pipeline import Pipeline
from troth.dsl import compile_source
from verify_samples import sample, sealed_often

NAMES = [
    "hello",
    "drain",
    "delegation",
    "nested_recursion",
    "cancelled",
    "faulted",
    "hidden",
    "late_fault",
]


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


MANY: Final = """
protocol Ping(A, B):
    A -> B: ping(n: int)

program a(s: Ping.A, n: int):
    send s.B ping(n)
    close s

program b(s: Ping.B):
    recv s.A ping(n)
    close s

main:
    for n in range(COUNT):
        open Ping as x, y
        spawn a(x, n)
        spawn b(y)
        yield
        yield
        yield
"""


def _many_sessions(count: int, folder: Path) -> Sample:
    image = compile_source(MANY.replace("COUNT", str(count)), "many.troth")
    return record_image(image, folder, seed=count)


def test_what_has_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    data = _many_sessions(30, tmp_path).data
    pipeline = Pipeline(io.BytesIO(data), pins=None, with_fragment=False)
    pipeline.run()
    world = pipeline.world
    assert pipeline.findings == []
    assert world.sessions_opened == 30
    assert not world.sessions
    assert not world.sessions_by_id
    assert not world.coroutines
    assert not world.effects


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> tuple[int, int]:
        data = _many_sessions(count, tmp_path).data
        stream = io.BytesIO(data)
        tracemalloc.start()
        try:
            assert verify(stream, replay=None).exit_code == 5
            return tracemalloc.get_traced_memory()[1], len(data)
        finally:
            tracemalloc.stop()

    small, small_bytes = peak(40)
    large, large_bytes = peak(400)
    assert large_bytes > 8 * small_bytes
    # The reader's chunk grows to its full size, and nothing else does.
    assert large < small + 500_000
