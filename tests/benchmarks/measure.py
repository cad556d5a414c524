"""Measuring side by side: paired, interleaved, one core, medians with their spread.

The machines are shared and noisy, so nothing here judges an absolute time: what is compared is
measured in turns in the same run, and what is reported is the ratio of each pair.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """Rate of the subject over rate of the baseline, of each pair of runs."""

    name: str
    median: float
    lowest: float
    highest: float
    pairs: int
    subject_per_second: float
    baseline_per_second: float
    goal: str

    def line(self) -> str:
        return (
            f"{self.name}: ratio {self.median:.3f} (goal {self.goal}; {self.pairs} pairs from "
            f"{self.lowest:.3f} to {self.highest:.3f}); {self.subject_per_second:,.0f}/s against "
            f"{self.baseline_per_second:,.0f}/s"
        )


def one_core() -> None:
    """Pins this process to one of the cores it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired(
    name: str,
    goal: str,
    subject: Callable[[], object],
    baseline: Callable[[], object],
    *,
    operations: int,
    baseline_operations: int,
    pairs: int,
) -> Ratio:
    """Runs both in turns and gives the ratio of their rates."""
    subject()
    baseline()
    ratios, subject_rates, baseline_rates = [], [], []
    for index in range(pairs):
        # Every other pair starts with the other one, so a drift favours neither.
        order = (subject, baseline) if index % 2 == 0 else (baseline, subject)
        taken = {work: seconds(work) for work in order}
        subject_rates.append(operations / taken[subject])
        baseline_rates.append(baseline_operations / taken[baseline])
        ratios.append(subject_rates[-1] / baseline_rates[-1])
    return Ratio(
        name,
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        pairs,
        statistics.median(subject_rates),
        statistics.median(baseline_rates),
        goal,
    )


def describe_machine() -> str:
    return json.dumps(
        {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "implementation": sys.implementation.name,
        }
    )
