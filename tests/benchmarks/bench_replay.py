"""Level 5 against the run that it does again: no key, no signature, but every event compared.

What level 5 takes is what verification takes with it and does not take without it.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Ratio, seconds
from benchmarks.workloads import (
    ring_image,
    ring_messages,
    run_ring,
    run_streams,
    streams_image,
    streams_messages,
)
from troth.conformance import Budget, verify
from troth.vm.instructions import ReplayMode, Seal


def measure(rounds: int, sessions: int, pairs: int) -> list[Ratio]:
    ring, streams = ring_image(rounds), streams_image(sessions)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "run.replay"
        return [
            _ratio(
                "level 5 over the recorded run of ring.troth, each message signed (events)",
                ">= 1",
                lambda: run_ring(ring, record=artifact),
                artifact,
                events=2 * ring_messages(rounds),
                pairs=pairs,
            ),
            _ratio(
                f"level 5 over the recorded run of {sessions} sessions sealed by round (events)",
                ">= 0.5",
                lambda: run_streams(
                    streams, replay=ReplayMode.SEQUENCE, seal=Seal.ROUND, record=artifact
                ),
                artifact,
                events=2 * streams_messages(sessions),
                pairs=pairs,
            ),
        ]


def _ratio(
    name: str,
    goal: str,
    work: Callable[[], object],
    artifact: Path,
    *,
    events: int,
    pairs: int,
) -> Ratio:
    ratios, alone_rates, run_rates = [], [], []
    for _ in range(pairs):
        run = seconds(work)
        without = seconds(lambda: _verified(artifact, None))
        alone = seconds(lambda: _verified(artifact, Budget())) - without
        run_rates.append(events / run)
        alone_rates.append(events / alone)
        ratios.append(run / alone)
    return Ratio(
        name,
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        pairs,
        statistics.median(alone_rates),
        statistics.median(run_rates),
        goal,
    )


def _verified(artifact: Path, budget: Budget | None) -> None:
    verdict = verify(artifact, replay=budget)
    if verdict.exit_code != 5 or verdict.levels[4].ok != (budget is not None):
        raise AssertionError(f"the artifact did not verify: {verdict}")
