"""Verifying many artifacts with one process and with one for each core.

The ratio is how much of the added cores becomes speed: 1 is all of it. What the processes take
in all says how much of what is missing is work that was added, and not other work on the cores.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
from pathlib import Path

from benchmarks.measure import seconds
from benchmarks.workloads import ring_image, run_ring
from troth.conformance.batch import BatchOptions, Bounds
from troth.conformance.shell_batch_pool import Pool

ROUNDS = 10


def measure(files: int, pairs: int) -> str:
    """Uses all cores that the process may use."""
    cores = len(os.sched_getaffinity(0))
    image = ring_image(ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "first.replay"
        run_ring(image, record=data)
        paths = [Path(folder) / f"{number:05}.replay" for number in range(files)]
        for path in paths:
            path.write_bytes(data.read_bytes())
        names = [str(path) for path in paths]
        ratios, works, rates = [], [], []
        for _ in range(pairs):
            alone, alone_work = _judged(names, 1)
            together, together_work = _judged(names, cores)
            ratios.append(alone / (together * cores))
            works.append(together_work / alone_work)
            rates.append(files / together)
    return (
        f"{files:,} artifacts verified by {cores} processes over one, each core's share: ratio "
        f"{statistics.median(ratios):.3f} (goal >= 0.85; {pairs} pairs from {min(ratios):.3f} to "
        f"{max(ratios):.3f}); processor time {statistics.median(works):.3f} times as much; "
        f"{statistics.median(rates):,.0f} files a second"
    )


def _judged(files: list[str], jobs: int) -> tuple[float, float]:
    """Seconds that passed, and seconds of processors' work."""
    before = _work()
    taken = seconds(lambda: _all(files, jobs))
    return taken, _work() - before


def _all(files: list[str], jobs: int) -> None:
    with Pool(BatchOptions(), jobs, bounds=Bounds(), state=None) as pool:
        if any(result.exit_code != 5 for result in pool.judge(files)):
            raise AssertionError("an artifact did not verify")


def _work() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
