"""Whether the other party is still there, judged by when something authentic came last.

Alive, degraded, lost, ended: each has its time, and only the last is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from troth.streaming.paths.limits import PathLimits


class Liveness(Enum):
    ALIVE = "alive"
    DEGRADED = "degraded"
    LOST = "lost"
    ENDED = "ended"


class LivenessSignal(Enum):
    HEARD = "something authentic came"
    QUIET = "nothing for degraded_ns"
    SILENT = "nothing for lost_ns"
    OVER = "nothing for ended_ns"


_S, _E = Liveness, LivenessSignal

LIVENESS_TRANSITIONS: Final[Mapping[tuple[Liveness, LivenessSignal], Liveness]] = {
    (_S.ALIVE, _E.QUIET): _S.DEGRADED,
    (_S.DEGRADED, _E.HEARD): _S.ALIVE,
    (_S.DEGRADED, _E.SILENT): _S.LOST,
    (_S.LOST, _E.HEARD): _S.ALIVE,
    (_S.LOST, _E.OVER): _S.ENDED,
}
"""What is not listed changes nothing: what is ended stays so."""


class LivenessCore:
    """`heard` and `tick` say which states were entered, in order."""

    def __init__(self, limits: PathLimits, now_ns: int) -> None:
        self.state = Liveness.ALIVE
        self.heard_ns = now_ns
        self._limits = limits

    @property
    def deadline_ns(self) -> int | None:
        """When the next state comes if nothing does."""
        limits = self._limits
        wait_ns = {
            Liveness.ALIVE: limits.degraded_ns,
            Liveness.DEGRADED: limits.lost_ns,
            Liveness.LOST: limits.ended_ns,
        }.get(self.state)
        return None if wait_ns is None else self.heard_ns + wait_ns

    def heard(self, now_ns: int) -> list[Liveness]:
        if self.state is not Liveness.ENDED:
            self.heard_ns = now_ns
        return self._signal(LivenessSignal.HEARD)

    def tick(self, now_ns: int) -> list[Liveness]:
        """After a long sleep of ours all states on the way are passed through."""
        quiet_ns, entered = now_ns - self.heard_ns, []
        for wait_ns, signal in (
            (self._limits.degraded_ns, LivenessSignal.QUIET),
            (self._limits.lost_ns, LivenessSignal.SILENT),
            (self._limits.ended_ns, LivenessSignal.OVER),
        ):
            if quiet_ns >= wait_ns:
                entered += self._signal(signal)
        return entered

    def _signal(self, signal: LivenessSignal) -> list[Liveness]:
        found = LIVENESS_TRANSITIONS.get((self.state, signal))
        if found is None:
            return []
        self.state = found
        return [found]
