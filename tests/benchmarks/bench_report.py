"""Making a page of an artifact, against verifying it, which is a part of making it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import Ratio, paired
from benchmarks.workloads import ring_image, ring_messages, run_ring
from troth.conformance import report, verify


def measure(rounds: int, pairs: int) -> tuple[Ratio, str]:
    """The ratio, and a line on how large the page is."""
    with tempfile.TemporaryDirectory() as folder:
        artifact, page = Path(folder) / "ring.replay", Path(folder) / "ring.html"
        run_ring(ring_image(rounds), record=artifact)
        records = verify(artifact, replay=None).counts.records
        ratio = paired(
            "a report of the artifact of ring.troth, over its verification at levels 1 to 4 "
            "(events)",
            ">= 0.5",
            lambda: report(artifact, page, replay=None),
            lambda: verify(artifact, replay=None, fragment=True),
            operations=2 * ring_messages(rounds),
            baseline_operations=2 * ring_messages(rounds),
            pairs=pairs,
        )
        size = page.stat().st_size
        line = (
            f"report of {records:,} records ({artifact.stat().st_size:,} bytes): {size:,} bytes, "
            f"{size / records:.1f} a record"
        )
    return ratio, line
