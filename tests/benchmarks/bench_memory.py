"""Memory of the verifier over artifacts of different lengths: it must not grow with the file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.workloads import ring_image, run_ring

CHILD = """
import resource, sys
from pathlib import Path
from troth.conformance import verify
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
verdict = verify(Path(sys.argv[1]))
assert verdict.exit_code == 5, verdict
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
EVENTS_PER_ROUND = 8


def measure(sizes: list[int]) -> list[str]:
    """One line per number of events: peak resident memory before and after verifying."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for events in sizes:
            artifact = Path(folder) / f"{events}.replay"
            run_ring(ring_image(events // EVENTS_PER_ROUND), record=artifact)
            output = subprocess.run(
                [sys.executable, "-c", CHILD, str(artifact)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.split()
            before, after = (int(part) / _UNITS_PER_MIB for part in output)
            lines.append(
                f"verifier memory at {events:,} events ({artifact.stat().st_size:,} bytes): "
                f"{before:.1f} MiB at start, {after:.1f} MiB at its peak"
            )
    return lines


_UNITS_PER_MIB = 1024 if sys.platform != "darwin" else 1024 * 1024
