"""Which path the controlling party uses, and when it takes another.

Trouble is noticed within `degraded_ns` of the last answer; then every path is checked at once and
the first that answers is taken, a relay too. Back to a direct path it goes only when that path has
been good without a break for `return_ns`. A direct path that did not last makes the next return
wait twice as long. So a path that comes and goes every second is left once and not taken again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from troth.streaming.paths.limits import PathLimits
from troth.streaming.paths.path import Path, PathState


class Choice(Enum):
    SEEKING = "seeking"
    DIRECT = "direct"
    ESCAPING = "escaping"
    RELAYED = "relayed"
    ENDED = "ended"


class ChoiceSignal(Enum):
    DIRECT_READY = "a direct path answers"
    RELAY_READY = "a path through a relay answers"
    TROUBLE = "the path in use is silent, or poor and another is better"
    HEALED = "the path in use answers again"
    PROVEN = "a direct path of less cost has been good for long enough"
    END = "the session is over"


class ChoiceAction(Enum):
    NOTHING = "nothing"
    TAKE_DIRECT = "take the direct path"
    TAKE_RELAY = "take the path through the relay"
    CHECK_ALL = "check every path at once"
    STOP = "stop checking"


_S, _E, _A = Choice, ChoiceSignal, ChoiceAction

CHOICE_TRANSITIONS: Final[Mapping[tuple[Choice, ChoiceSignal], tuple[Choice, ChoiceAction]]] = {
    (_S.SEEKING, _E.DIRECT_READY): (_S.DIRECT, _A.TAKE_DIRECT),
    (_S.SEEKING, _E.RELAY_READY): (_S.RELAYED, _A.TAKE_RELAY),
    (_S.SEEKING, _E.END): (_S.ENDED, _A.STOP),
    (_S.DIRECT, _E.TROUBLE): (_S.ESCAPING, _A.CHECK_ALL),
    (_S.DIRECT, _E.PROVEN): (_S.DIRECT, _A.TAKE_DIRECT),
    (_S.DIRECT, _E.END): (_S.ENDED, _A.STOP),
    (_S.ESCAPING, _E.HEALED): (_S.DIRECT, _A.NOTHING),
    (_S.ESCAPING, _E.DIRECT_READY): (_S.DIRECT, _A.TAKE_DIRECT),
    (_S.ESCAPING, _E.RELAY_READY): (_S.RELAYED, _A.TAKE_RELAY),
    (_S.ESCAPING, _E.END): (_S.ENDED, _A.STOP),
    (_S.RELAYED, _E.PROVEN): (_S.DIRECT, _A.TAKE_DIRECT),
    (_S.RELAYED, _E.TROUBLE): (_S.SEEKING, _A.CHECK_ALL),
    (_S.RELAYED, _E.END): (_S.ENDED, _A.STOP),
}
"""What is not listed changes nothing."""

HURRIED: Final = (Choice.SEEKING, Choice.ESCAPING)
"""In these states every path is checked as fast as checks may go."""


class Chooser:
    """Sees the paths, moves by the table, and says which path is in use."""

    def __init__(self, limits: PathLimits, now_ns: int) -> None:
        self.choice = Choice.SEEKING
        self.in_use: Path | None = None
        self.returns_after_ns = limits.return_ns
        self._limits = limits
        self._started_ns = now_ns
        self._since_ns = now_ns
        self._taken_ns = now_ns
        self._poor = False
        self._returned = False

    @property
    def hurried(self) -> bool:
        return self.choice in HURRIED

    def look(self, paths: Sequence[Path], now_ns: int) -> ChoiceSignal | None:
        """Finds at most one thing that has happened, acts on it, and says what it was."""
        if self.choice is Choice.DIRECT and now_ns - self._taken_ns >= self._limits.settled_ns:
            self.returns_after_ns = self._limits.return_ns
        for signal, path in self._signals(paths, now_ns):
            if (self.choice, signal) in CHOICE_TRANSITIONS:
                self._move(signal, path, now_ns)
                return signal
        return None

    def end(self, now_ns: int) -> None:
        self._move(ChoiceSignal.END, self.in_use, now_ns)

    def _signals(
        self, paths: Sequence[Path], now_ns: int
    ) -> list[tuple[ChoiceSignal, Path | None]]:  # fmt: skip
        """In the order in which they count when several things have happened."""
        found: list[tuple[ChoiceSignal, Path | None]] = []
        if self.hurried:
            if self.in_use is not None and not self.in_use.is_relay and self._healed(self.in_use):
                found.append((ChoiceSignal.HEALED, self.in_use))
            ready = [path for path in paths if self._ready(path, paths, now_ns)]
            direct = cheapest([path for path in ready if not path.is_relay])
            relayed = cheapest([path for path in ready if path.is_relay])
            found += [(ChoiceSignal.DIRECT_READY, direct)] if direct is not None else []
            found += [(ChoiceSignal.RELAY_READY, relayed)] if relayed is not None else []
            return found
        if self.in_use is not None and self._troubled(self.in_use, paths, now_ns):
            found.append((ChoiceSignal.TROUBLE, self.in_use))
        proven = cheapest([path for path in paths if self._proven(path, now_ns)])
        if proven is not None:
            found.append((ChoiceSignal.PROVEN, proven))
        return found

    def _ready(self, path: Path, paths: Sequence[Path], now_ns: int) -> bool:
        """Answers now; at the beginning those that cost less have a head start."""
        if path.state is not PathState.VALID or not path.answered_since(self._since_ns):
            return False
        if self.in_use is not None:
            return not (self._poor and path is self.in_use)
        waited = now_ns - self._started_ns >= self._limits.head_start_ns
        return waited or path.kind == min(other.kind for other in paths)

    def _healed(self, path: Path) -> bool:
        if self._poor:
            return path.steady_since_ns is not None
        return path.answered_since(self._since_ns)

    def _troubled(self, path: Path, paths: Sequence[Path], now_ns: int) -> bool:
        limits = self._limits
        heard_ns = max(path.answered_ns or 0, self._taken_ns)
        self._poor = False
        if now_ns - heard_ns >= limits.degraded_ns:
            return True
        if not path.is_poor(now_ns, limits):
            return False
        percent, _ = path.share(now_ns, limits)
        self._poor = any(
            other.state is PathState.VALID
            and other.share(now_ns, limits)[0] >= percent + limits.better_percent
            for other in paths
            if other is not path
        )
        return self._poor

    def _proven(self, path: Path, now_ns: int) -> bool:
        if self.in_use is None or path.is_relay or path.kind >= self.in_use.kind:
            return False
        good = path.state is PathState.VALID and path.steady_ns(now_ns) >= self.returns_after_ns
        return good and now_ns - self._taken_ns >= self.returns_after_ns

    def _move(self, signal: ChoiceSignal, path: Path | None, now_ns: int) -> None:
        found = CHOICE_TRANSITIONS.get((self.choice, signal))
        if found is None:
            return
        self.choice, action = found
        if action is ChoiceAction.CHECK_ALL:
            self._lasted(now_ns)
            self._since_ns = now_ns
        elif action in (ChoiceAction.TAKE_DIRECT, ChoiceAction.TAKE_RELAY):
            self.in_use, self._taken_ns, self._poor = path, now_ns, False
            self._returned = signal is ChoiceSignal.PROVEN

    def _lasted(self, now_ns: int) -> None:
        """A direct path that failed soon after a return makes the next return wait longer."""
        limits = self._limits
        if self._returned and now_ns - self._taken_ns < limits.settled_ns:
            longer_ns = min(2 * self.returns_after_ns, limits.return_longest_ns)
            self.returns_after_ns = longer_ns


def cheapest(paths: Sequence[Path]) -> Path | None:
    """By kind, then by round-trip time, then by age."""
    return min(paths, key=lambda p: (p.kind, p.rtt_ns or 0, p.number), default=None)
