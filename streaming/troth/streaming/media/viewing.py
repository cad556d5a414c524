"""What a viewer has seen: frames shown in order, freezes, delay and what was lost of them.

Everything is counted from frames whose number was read back from their pixels.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FREEZE_US: Final = 200_000
"""Without a new frame for longer than this, a user sees that the picture stands."""
DELAYS_KEPT: Final = 4096
_PPM: Final = 1_000_000


class Outcome(StrEnum):
    """What became of a frame."""

    SHOWN = "shown"
    LOST = "lost"
    LATE = "late"
    BROKEN = "broken"
    """It came, and the one before it is missing."""
    FORGED = "forged"
    """What came is not what its message names."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What was seen since the last report; the fields are those of the session's `Report`."""

    epoch: int
    span_ms: int
    received: int
    shown: int
    lost_before_repair_ppm: int
    lost_after_repair_ppm: int
    burst: int
    delay_us: int
    jitter_us: int
    frozen_ms: int
    bytes: int
    playout_delay_us: int = 0
    """How much of the delay is there so that what is sent again comes in time."""

    latency_us: int = 0
    """The delay less the difference of the clocks; 0 while nobody knows that."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """The picture stood for `ms` milliseconds, until `ended_at_us`."""

    ms: int
    ended_at_us: int


@dataclass(frozen=True, slots=True)
class LaneCounts:
    """What the way beneath has counted from the beginning: pieces, not frames."""

    expected: int
    lost: int
    burst: int
    playout_delay_us: int = 0
    """How long whole pictures wait now; of all fields the only one that is no count."""


class Viewing:
    """One viewer's account of its frames."""

    def __init__(self, began_at_us: int) -> None:
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.freezes: deque[Freeze] = deque(maxlen=DELAYS_KEPT)
        self.frozen_us = 0
        self.freezes_count = 0
        self.delays_us: deque[int] = deque(maxlen=DELAYS_KEPT)
        """From end to end, of the frames where that is known."""

        self.last_shown = -1
        self.last_shown_at_us = began_at_us
        self.bytes = 0
        self._epoch = 0
        self._epoch_began_us = began_at_us
        self._before: dict[Outcome, int] = dict(self.outcomes)
        self._bytes_before = 0
        self._frozen_before_us = 0
        self._lane_before = LaneCounts(0, 0, 0)
        self._transit_us: int | None = None
        self._jitter_us = 0
        self._epoch_delays: list[int] = []
        self._epoch_latencies: list[int] = []

    def shown(
        self, number: int, captured_at_us: int, now_us: int, *, ahead_us: int | None = 0
    ) -> Freeze | None:
        """A frame was shown; the freeze that it ended, if it did.

        It was captured at that time of the host's clock, which is `ahead_us` ahead of ours; None
        while nobody knows that.
        """
        self.outcomes[Outcome.SHOWN] += 1
        delay_us = now_us - captured_at_us
        if ahead_us is not None:
            # The offset is not exact, and nothing is shown before it was captured.
            self.delays_us.append(max(1, delay_us + ahead_us))
            self._epoch_latencies.append(self.delays_us[-1])
        self._epoch_delays.append(delay_us)
        if self._transit_us is not None:
            # As RFC 3550 has it: the difference of transit times, smoothed by a sixteenth.
            difference = abs(delay_us - self._transit_us)
            self._jitter_us += (difference - self._jitter_us) // 16
        self._transit_us = delay_us
        gap_us = now_us - self.last_shown_at_us
        self.last_shown, self.last_shown_at_us = number, now_us
        if gap_us <= FREEZE_US:
            return None
        freeze = Freeze(gap_us // 1000, now_us)
        self.freezes.append(freeze)
        self.freezes_count += 1
        self.frozen_us += gap_us
        return freeze

    def missed(self, outcome: Outcome) -> None:
        self.outcomes[outcome] += 1

    def received(self, size: int) -> None:
        self.bytes += size

    def silent_us(self, now_us: int) -> int:
        """For how long nothing new has been shown."""
        return now_us - self.last_shown_at_us

    def report(self, now_us: int, lane: LaneCounts) -> Epoch:
        """Closes the epoch."""
        counts = {outcome: self.outcomes[outcome] - self._before[outcome] for outcome in Outcome}
        lost = counts[Outcome.LOST] + counts[Outcome.FORGED]
        received = sum(counts.values()) - lost
        expected = lane.expected - self._lane_before.expected
        missing = lane.lost - self._lane_before.lost
        delays, latencies = sorted(self._epoch_delays), sorted(self._epoch_latencies)
        epoch = Epoch(
            epoch=self._epoch,
            span_ms=(now_us - self._epoch_began_us) // 1000,
            received=received,
            shown=counts[Outcome.SHOWN],
            lost_before_repair_ppm=_ppm(missing, expected),
            lost_after_repair_ppm=_ppm(lost, lost + received),
            burst=lane.burst,
            delay_us=delays[len(delays) // 2] if delays else 0,
            jitter_us=self._jitter_us,
            frozen_ms=(self.frozen_us - self._frozen_before_us) // 1000,
            bytes=self.bytes - self._bytes_before,
            playout_delay_us=lane.playout_delay_us,
            latency_us=latencies[len(latencies) // 2] if latencies else 0,
        )
        self._epoch += 1
        self._epoch_began_us = now_us
        self._before = dict(self.outcomes)
        self._bytes_before = self.bytes
        self._frozen_before_us = self.frozen_us
        self._lane_before = lane
        self._epoch_delays, self._epoch_latencies = [], []
        return epoch


def percentile(values: deque[int], share: float) -> int:
    """The value below which `share` of them lie; 0 of none."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def delay_text(delays_us: deque[int]) -> str:
    """The middle and the slow end of the delays, for a person."""
    if not delays_us:
        return "not known, since the two clocks have not been compared"
    return f"p50 {percentile(delays_us, 0.5)} us, p95 {percentile(delays_us, 0.95)} us"


def _ppm(part: int, whole: int) -> int:
    return part * _PPM // whole if whole > 0 else 0
