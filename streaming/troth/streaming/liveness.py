"""Whether the other party is still there, judged by when something authentic came last.

Alive, degraded, lost, ended: each has its time, and only the last is final.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

ENTERED_KEPT: Final = 16
"""States that a watcher has not taken."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long nothing authentic may come, before each state."""

    degraded_ns: int
    lost_ns: int
    ended_ns: int


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
    """One clock of silence, which several parts may look at: each is told of every state."""

    def __init__(self, patience: Patience, now_ns: int) -> None:
        self.state = Liveness.ALIVE
        self.heard_ns = now_ns
        self._patience = patience
        self._watchers: list[deque[Liveness]] = []

    def watch(self) -> deque[Liveness]:
        """What is entered from now on, in order; whoever watches takes it out."""
        entered: deque[Liveness] = deque(maxlen=ENTERED_KEPT)
        self._watchers.append(entered)
        return entered

    @property
    def deadline_ns(self) -> int | None:
        """When the next state comes if nothing does."""
        patience = self._patience
        wait_ns = {
            Liveness.ALIVE: patience.degraded_ns,
            Liveness.DEGRADED: patience.lost_ns,
            Liveness.LOST: patience.ended_ns,
        }.get(self.state)
        return None if wait_ns is None else self.heard_ns + wait_ns

    def heard(self, now_ns: int) -> None:
        """Cheap, since it is for every packet."""
        if self.state is Liveness.ALIVE:
            self.heard_ns = now_ns
        elif self.state is not Liveness.ENDED:
            self.heard_ns = now_ns
            self._signal(LivenessSignal.HEARD)

    def tick(self, now_ns: int) -> None:
        """After a long sleep of ours all states on the way are passed through."""
        quiet_ns = now_ns - self.heard_ns
        if quiet_ns < self._patience.degraded_ns:
            return
        for wait_ns, signal in (
            (self._patience.degraded_ns, LivenessSignal.QUIET),
            (self._patience.lost_ns, LivenessSignal.SILENT),
            (self._patience.ended_ns, LivenessSignal.OVER),
        ):
            if quiet_ns >= wait_ns:
                self._signal(signal)

    def _signal(self, signal: LivenessSignal) -> None:
        found = LIVENESS_TRANSITIONS.get((self.state, signal))
        if found is not None:
            self.state = found
            for entered in self._watchers:
                entered.append(found)
