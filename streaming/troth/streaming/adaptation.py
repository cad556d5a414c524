"""The host's decision after each epoch: bitrate, frame rate and parity, from one report.

Only integers go in: the reports, and what the congestion control of the way allows, which each
decision repeats. So whoever has the record of a session can make its decisions again, as
`troth stream replay-controller` does.

Delay is judged by how far it is above the lowest of the last minute, so a clock that is ahead
does no harm. The ladder goes down bitrate first, then frame rate, and up more slowly than down.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from troth.streaming.media.viewing import Epoch

BITRATE_KBPS_MIN: Final = 300
FRAME_RATES: Final = (15, 30, 45, 60, 90, 120)
QUEUE_TARGET_US: Final = 20_000
QUEUE_CLEAR_US: Final = 10_000
LOSS_LIMIT_PPM: Final = 20_000
LOWEST_EPOCHS: Final = 240
"""A minute of epochs, of which the lowest delay is what the way takes without a queue."""
DOWN_EPOCHS: Final = 12
"""So many bad epochs at the lowest useful bitrate lead one frame rate down: three seconds."""
UP_EPOCHS: Final = 40
"""So many good ones lead one up: ten seconds."""
PARITY_PERCENT_MIN: Final = 5
PARITY_PERCENT_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Decision:
    """The fields are those of the session's `Decision`."""

    epoch: int
    bitrate_kbps: int
    frames_per_second: int
    parity_percent: int
    way_kbps: int
    """What the congestion control of the way allowed, which the decision keeps to; 0: unknown."""

    cause: str


class Controller(Protocol):
    """Anything that decides from reports alone."""

    def decide(self, report: Epoch, way_kbps: int) -> Decision: ...

    def cap(self, bitrate_kbps: int) -> int:
        """The user wants no more than this; what holds from now on."""


class LadderController:
    """Reduces by 15 % on a queue or on loss, recovers by 5 % an epoch when the way is clear."""

    def __init__(self, bitrate_kbps: int, frames_per_second: int, bitrate_kbps_max: int) -> None:
        self._bitrate_kbps = bitrate_kbps
        self._bitrate_kbps_max = max(BITRATE_KBPS_MIN, bitrate_kbps_max)
        self._frame_rate_max = frames_per_second
        self._frame_rate = frames_per_second
        self._parity_percent = PARITY_PERCENT_MIN
        self._delays: deque[int] = deque(maxlen=LOWEST_EPOCHS)
        self._bad = 0
        self._good = 0

    def cap(self, bitrate_kbps: int) -> int:
        self._bitrate_kbps_max = max(BITRATE_KBPS_MIN, bitrate_kbps)
        self._bitrate_kbps = min(self._bitrate_kbps, self._bitrate_kbps_max)
        return self._bitrate_kbps_max

    def decide(self, report: Epoch, way_kbps: int = 0) -> Decision:
        # What pictures wait on purpose is no queue.
        delay_us = report.delay_us - report.playout_delay_us
        if report.shown > 0:
            self._delays.append(delay_us)
        queue_us = delay_us - min(self._delays, default=delay_us)
        cause = self._cause(report, queue_us)
        self._move(cause, report)
        self._step_frame_rate(cause)
        self._set_parity(report)
        if 0 < way_kbps < self._bitrate_kbps:
            self._bitrate_kbps, cause = max(way_kbps, BITRATE_KBPS_MIN), "way"
        return Decision(
            report.epoch,
            self._bitrate_kbps,
            self._frame_rate,
            self._parity_percent,
            way_kbps,
            cause,
        )

    def _cause(self, report: Epoch, queue_us: int) -> str:
        if report.received == 0:
            return "silence"
        if report.lost_after_repair_ppm > LOSS_LIMIT_PPM:
            return "loss"
        if queue_us > QUEUE_TARGET_US:
            return "queue"
        return "clear" if queue_us < QUEUE_CLEAR_US else "steady"

    def _move(self, cause: str, report: Epoch) -> None:
        kbps = self._bitrate_kbps
        if cause in ("loss", "queue", "silence"):
            kbps = kbps * 85 // 100
        elif cause == "clear" and report.span_ms > 0:
            delivered_kbps = report.bytes * 8 // report.span_ms
            # Not above what the way has shown to carry: a source that sends little proves little.
            kbps = max(kbps, min(kbps * 105 // 100, delivered_kbps * 3 // 2))
        self._bitrate_kbps = min(max(kbps, BITRATE_KBPS_MIN), self._bitrate_kbps_max)

    def _step_frame_rate(self, cause: str) -> None:
        bad = cause in ("loss", "queue", "silence")
        self._bad = self._bad + 1 if bad else 0
        self._good = self._good + 1 if cause == "clear" else 0
        lower = [rate for rate in FRAME_RATES if rate < self._frame_rate]
        higher = [rate for rate in FRAME_RATES if self._frame_rate < rate <= self._frame_rate_max]
        if self._bad >= DOWN_EPOCHS and lower:
            self._frame_rate, self._bad = lower[-1], 0
        elif self._good >= UP_EPOCHS and self._frame_rate < self._frame_rate_max:
            self._frame_rate, self._good = (higher or [self._frame_rate_max])[0], 0

    def _set_parity(self, report: Epoch) -> None:
        wanted = PARITY_PERCENT_MIN + 3 * report.lost_before_repair_ppm // 10_000
        if report.lost_before_repair_ppm > 0:
            wanted += 2 * max(0, report.burst - 1)
        wanted = min(wanted, PARITY_PERCENT_MAX)
        # Up at once, down slowly: loss comes back.
        self._parity_percent = max(wanted, self._parity_percent - 1)
