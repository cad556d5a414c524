"""How fast a resumed run catches up, against the run that made the record.

The record is cut before its end, so that everything but that is run again and compared.
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
from troth.vm import resume
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.reader import read
from troth.vm.records import Kind


def measure(rounds: int, sessions: int, pairs: int) -> list[Ratio]:
    ring, streams = ring_image(rounds), streams_image(sessions)
    with tempfile.TemporaryDirectory() as folder:
        record, keys = Path(folder) / "run.replay", Path(folder) / "keys"

        def run_round_sealed() -> None:
            run_streams(
                streams, replay=ReplayMode.SEQUENCE, seal=Seal.ROUND, record=record, keys=keys
            )

        return [
            _ratio(
                "resuming over the run of ring.troth, each message signed (events)",
                lambda: run_ring(ring, record=record, keys=keys),
                record,
                keys,
                events=2 * ring_messages(rounds),
                pairs=pairs,
            ),
            _ratio(
                f"resuming over the run of {sessions} sessions sealed by round (events)",
                run_round_sealed,
                record,
                keys,
                events=2 * streams_messages(sessions),
                pairs=pairs,
            ),
        ]


def _ratio(
    name: str,
    work: Callable[[], object],
    record: Path,
    keys: Path,
    *,
    events: int,
    pairs: int,
) -> Ratio:
    ratios, resume_rates, run_rates = [], [], []
    for _ in range(pairs):
        run = seconds(work)
        _cut_end(record)
        resumed = seconds(lambda: _resume(record, keys))
        run_rates.append(events / run)
        resume_rates.append(events / resumed)
        ratios.append(run / resumed)
    return Ratio(
        name,
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        pairs,
        statistics.median(resume_rates),
        statistics.median(run_rates),
        ">= 0.5",
    )


def _cut_end(record: Path) -> None:
    with record.open("r+b") as file:
        end = next(one.offset for one in read(file) if one.items[0] == Kind.END)
        file.truncate(end)


def _resume(record: Path, keys: Path) -> None:
    result = resume(record, keys=keys, write_line=lambda _: None)
    if not result.ok or result.rounds != result.rounds_recorded:
        raise AssertionError(f"the run was not resumed at its end: {result}")
