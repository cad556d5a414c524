"""Whether a machine keeps up: the processor time of this process and of others, judged.

The two tell a host that is too slow by itself from one whose machine is busy with something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BUSY_PERCENT: Final = 85
"""Of one core for our own process, which has one loop; of all cores for the machine."""
CLEAR_PERCENT: Final = 70
BUSY_SAMPLES: Final = 4
"""So many samples in a row before anything is said: one second of epochs."""


class LoadState(StrEnum):
    """What keeps the host from keeping up."""

    CLEAR = "clear"
    OWN = "own"
    """This process uses what one core gives."""
    OTHERS = "others"
    """Other processes use what the machine gives."""


@dataclass(frozen=True, slots=True)
class Load:
    """Shares of the time since the last look: of one core, and of all of them."""

    own_percent: int
    others_percent: int


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """What has been used since the machine began, in nanoseconds of all cores together."""

    wall_ns: int
    own_ns: int
    busy_ns: int
    cores: int


def load_between(before: CpuTimes, after: CpuTimes) -> Load:
    """The load between two looks; nothing, where no time has gone by."""
    wall_ns = after.wall_ns - before.wall_ns
    if wall_ns <= 0:
        return Load(0, 0)
    own_ns = max(0, after.own_ns - before.own_ns)
    others_ns = max(0, after.busy_ns - before.busy_ns - own_ns)
    return Load(
        _percent(own_ns, wall_ns), min(100, _percent(others_ns, wall_ns * max(1, after.cores)))
    )


class LoadJudge:
    """Says when a machine becomes busy and when it no longer is, with hysteresis."""

    def __init__(self) -> None:
        self.state = LoadState.CLEAR
        self._candidate = LoadState.CLEAR
        self._since = 0

    def judge(self, load: Load) -> LoadState | None:
        """The new state, when there is one."""
        found = self._of(load)
        if found is self.state:
            self._since = 0
            return None
        self._since = self._since + 1 if found is self._candidate else 1
        self._candidate = found
        if self._since < BUSY_SAMPLES:
            return None
        self.state, self._since = found, 0
        return found

    def _of(self, load: Load) -> LoadState:
        limit = BUSY_PERCENT if self.state is LoadState.CLEAR else CLEAR_PERCENT
        if load.own_percent >= limit and load.own_percent >= load.others_percent:
            return LoadState.OWN
        if load.others_percent >= limit:
            return LoadState.OTHERS
        return LoadState.OWN if load.own_percent >= limit else LoadState.CLEAR


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole)
