"""How far the peer's clock is ahead of ours, from the link's own exchanges.

The peer reports when a packet came by its clock, and for how long it held the report. Half of what
is left of the round trip is taken for the way there. How wrong that can be is half the round trip,
so of every second the exchange with the shortest one counts, and of those of the last minute the
ones that are nearly as short as the shortest. A line through them is the offset and its drift.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from troth.streaming.transport_limits import MILLISECOND_NS, SECOND_NS

SECONDS_KEPT: Final = 60
NEARLY_NS: Final = MILLISECOND_NS
"""So much longer than the shortest round trip is nearly as short."""

DRIFT_SECONDS: Final = 5
"""Over less time than this, noise would be taken for drift."""

DRIFT_MAX: Final = 500e-6
"""No clock of a computer drifts more than that; whoever says so is not believed."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The peer's clock is so far ahead of ours; the error is no more than that on any path."""

    ahead_ns: int
    error_ns: int


@dataclass(slots=True)
class _Exchange:
    at_ns: int
    rtt_ns: int
    ahead_ns: int


@dataclass(frozen=True, slots=True)
class _Line:
    """The offset over time, as the exchanges of the last minute have it."""

    middle_ns: int
    ahead_ns: int
    drift: float
    error_ns: int


class ClockMap:
    """Exchanges in, an offset out."""

    def __init__(self) -> None:
        self._best: deque[_Exchange] = deque(maxlen=SECONDS_KEPT)
        """The shortest exchange of each second in which there was one."""
        self._line: _Line | None = None
        """None when there is a better exchange since it was drawn."""

    def exchanged(self, sent_ns: int, arrived_ns: int, held_ns: int, now_ns: int) -> None:
        """A packet that we sent then came at that time of the peer's clock, who held its report.

        An exchange that took no time is none: whoever reports it is not believed.
        """
        rtt_ns = now_ns - sent_ns - held_ns
        if rtt_ns <= 0:
            return
        last = self._best[-1] if self._best else None
        new_second = last is None or now_ns // SECOND_NS != last.at_ns // SECOND_NS
        if last is not None and not new_second and rtt_ns >= last.rtt_ns:
            return
        found = _Exchange(now_ns, rtt_ns, arrived_ns - sent_ns - rtt_ns // 2)
        if new_second:
            self._best.append(found)
        else:
            self._best[-1] = found
        self._line = None

    def offset(self, now_ns: int) -> Offset | None:
        """The offset at that time of our clock; None when nothing is known."""
        if self._line is None:
            if not self._best:
                return None
            self._line = _line(self._best)
        line = self._line
        return Offset(line.ahead_ns + int(line.drift * (now_ns - line.middle_ns)), line.error_ns)


def _line(best: deque[_Exchange]) -> _Line:
    """Through what is nearly as short as the shortest of the last minute there was one in."""
    oldest_ns = best[-1].at_ns - SECONDS_KEPT * SECOND_NS
    recent = [one for one in best if one.at_ns >= oldest_ns]
    shortest_ns = min(one.rtt_ns for one in recent)
    short = [one for one in recent if one.rtt_ns <= shortest_ns + NEARLY_NS]
    middle_ns = sum(one.at_ns for one in short) // len(short)
    mean_ns = sum(one.ahead_ns for one in short) // len(short)
    return _Line(
        middle_ns, mean_ns, _drift(short, middle_ns, mean_ns), shortest_ns // 2 + NEARLY_NS
    )


def _drift(exchanges: list[_Exchange], middle_ns: int, mean_ns: int) -> float:
    """Nanoseconds that the peer's clock gains in each of ours, by least squares."""
    if exchanges[-1].at_ns - exchanges[0].at_ns < DRIFT_SECONDS * SECOND_NS:
        return 0.0
    spread = sum((one.at_ns - middle_ns) ** 2 for one in exchanges)
    moved = sum((one.at_ns - middle_ns) * (one.ahead_ns - mean_ns) for one in exchanges)
    return min(max(moved / spread, -DRIFT_MAX), DRIFT_MAX)
