"""Reads how much of the processor this process and the whole machine have used."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from troth.streaming.load import CpuTimes, Load, load_between

STAT: Final = Path("/proc/stat")
STAT_BYTES_MAX: Final = 4_096
_IDLE_FIELDS: Final = (3, 4)
"""Of the first line of `/proc/stat`: idle, and waiting for a disk."""

_USER_FIELDS: Final = 8
"""What follows is time of guests, which is counted in the first two already."""


class LoadMeter:
    """What happened since it was asked last."""

    def __init__(self, read: Callable[[], CpuTimes] | None = None) -> None:
        self._read = read or cpu_times
        self._before = self._read()

    def look(self) -> Load:
        before, self._before = self._before, self._read()
        return load_between(before, self._before)


def cpu_times() -> CpuTimes:
    """Where the system does not say what others use, only our own use is known."""
    own_ns = time.process_time_ns()
    return CpuTimes(time.monotonic_ns(), own_ns, _busy_ns(own_ns), os.cpu_count() or 1)


def _busy_ns(own_ns: int) -> int:
    try:
        with STAT.open("rb") as file:
            words = file.read(STAT_BYTES_MAX).split(b"\n", 1)[0].split()[1 : _USER_FIELDS + 1]
        ticks = [int(word) for word in words]
    except (OSError, ValueError):
        return own_ns
    busy = sum(ticks) - sum(ticks[place] for place in _IDLE_FIELDS if place < len(ticks))
    return busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
