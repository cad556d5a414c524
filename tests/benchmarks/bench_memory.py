"""Memory of the verifier over artifacts of different lengths: it must not grow with the file.

The long one is a million events of sessions sealed by round: levels 1 to 4, with their speed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.workloads import (
    ring_image,
    run_ring,
    run_streams,
    streams_image,
    streams_messages,
)
from troth.vm.instructions import ReplayMode, Seal

CHILD = """
import resource, sys, time
from pathlib import Path
from troth.conformance import Budget, verify
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
verdict = verify(Path(sys.argv[1]), replay=Budget() if sys.argv[2] == "5" else None)
seconds = time.process_time() - start
assert verdict.exit_code == 5, verdict
assert verdict.levels[4].ok == (sys.argv[2] == "5"), verdict
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, seconds)
"""
EVENTS_PER_ROUND = 8
LONG_SESSIONS = 6_176
"""A little more than a million events; a session has 81 messages, each sent and received."""


def measure(sizes: list[int]) -> list[str]:
    """One line per number of events: peak resident memory before and after verifying."""
    return [
        _measured(
            events,
            5,
            lambda path, events=events: run_ring(  # type: ignore[misc]
                ring_image(events // EVENTS_PER_ROUND), record=path
            ),
        )
        for events in sizes
    ]


def measure_long(sessions: int = LONG_SESSIONS) -> str:
    """A million events sealed by round, in mode sequence, at levels 1 to 4."""
    image = streams_image(sessions)
    return _measured(
        2 * streams_messages(sessions),
        4,
        lambda path: run_streams(image, replay=ReplayMode.SEQUENCE, seal=Seal.ROUND, record=path),
    )


def _measured(events: int, levels: int, make: Callable[[Path], object]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "measured.replay"
        make(artifact)
        output = subprocess.run(
            [sys.executable, "-c", CHILD, str(artifact), str(levels)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        before, after = (int(part) / _UNITS_PER_MIB for part in output[:2])
        return (
            f"verifier memory at {events:,} events ({artifact.stat().st_size:,} bytes), levels 1 "
            f"to {levels}: {before:.1f} MiB at start, {after:.1f} MiB at its peak (goal <= 100 "
            f"MiB); {events / float(output[2]):,.0f} events a second"
        )


_UNITS_PER_MIB = 1024 if sys.platform != "darwin" else 1024 * 1024
