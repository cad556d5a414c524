"""The host's decision after each epoch: bitrate, frame rate, resolution, parity, from one report.

Only integers go in: the reports, and what the congestion control of the way allows, which each
decision repeats. So whoever has the record of a session can make its decisions again, as
`troth stream replay-controller` does.

Delay is judged by how far it is above the lowest of the last minute, so a clock that is ahead
does no harm. The ladder goes down bitrate first, then frame rate, then resolution, and up again
in the other order and more slowly. A step down is taken when the way is in trouble for seconds, or
when the bitrate is too low for so many pixels; a step up only where the bitrate carries it well.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from troth.streaming.media.interfaces import Picture
from troth.streaming.media.viewing import Epoch

SCALED_WIDTH_MIN: Final = 160
SCALED_HEIGHT_MIN: Final = 90
"""No picture is made smaller than this for want of bitrate."""

BITRATE_KBPS_MIN: Final = 300
FRAME_RATES: Final = (15, 30, 45, 60, 90, 120)
SCALES_PERCENT: Final = (25, 50, 75, 100)
"""What may be left of the width and the height of the picture."""
SCALE_PERCENT_MAX: Final = 100
CARRIED_MILLIBITS: Final = 20
"""A thousandth of a bit for each pixel: with fewer than so many no codec makes a good picture."""
CARRIED_WELL_MILLIBITS: Final = 30
"""A larger picture or more of them get at least so many, or they would soon be taken back."""
QUEUE_TARGET_US: Final = 20_000
QUEUE_CLEAR_US: Final = 10_000
LOSS_LIMIT_PPM: Final = 20_000
LOWEST_EPOCHS: Final = 240
"""A minute of epochs, of which the lowest delay is what the way takes without a queue."""
DOWN_EPOCHS: Final = 12
"""So many bad epochs lead one step of frame rate or resolution down: three seconds."""
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
    scale_percent: int = SCALE_PERCENT_MAX
    """What is left of the width and the height that were agreed on."""


class Controller(Protocol):
    """Anything that decides from reports alone."""

    def decide(self, report: Epoch, way_kbps: int) -> Decision: ...

    def cap(self, bitrate_kbps: int) -> int:
        """The user wants no more than this; what holds from now on."""


def scaled(whole: Picture, scale_percent: int, frames_per_second: int) -> Picture:
    """The picture at that scale. Sides are even, as codecs want them."""
    sides = (whole.width, whole.height)
    if scale_percent < SCALE_PERCENT_MAX:
        sides = (
            whole.width * scale_percent // SCALE_PERCENT_MAX // 2 * 2,
            whole.height * scale_percent // SCALE_PERCENT_MAX // 2 * 2,
        )
    return Picture(*sides, frames_per_second)


def lowest_scale(whole: Picture, wished_percent: int) -> int:
    """How far a picture may be scaled down: no further than is wished, and never too small."""
    for scale in SCALES_PERCENT:
        picture = scaled(whole, scale, whole.frames_per_second)
        large = picture.width >= SCALED_WIDTH_MIN and picture.height >= SCALED_HEIGHT_MIN
        if scale >= wished_percent and large:
            return scale
    return SCALE_PERCENT_MAX


class LadderController:
    """Reduces by 15 % on a queue or on loss, recovers by 5 % an epoch when the way is clear."""

    def __init__(
        self,
        bitrate_kbps: int,
        frames_per_second: int,
        bitrate_kbps_max: int,
        *,
        pixels: int = 0,
        scale_percent_min: int = SCALE_PERCENT_MAX,
    ) -> None:
        """`pixels` of the whole picture, or 0 where no bitrate is too low for it."""
        self._bitrate_kbps = bitrate_kbps
        self._bitrate_kbps_max = max(BITRATE_KBPS_MIN, bitrate_kbps_max)
        self._frame_rate_max = frames_per_second
        self._frame_rate = frames_per_second
        self._pixels = pixels
        self._scale_min = scale_percent_min
        self._scale = SCALE_PERCENT_MAX
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
        limited = 0 < way_kbps < self._bitrate_kbps
        if limited:
            self._bitrate_kbps = max(way_kbps, BITRATE_KBPS_MIN)
        self._step(cause)
        self._set_parity(report)
        cause = "way" if limited else cause
        return Decision(
            report.epoch,
            self._bitrate_kbps,
            self._frame_rate,
            self._parity_percent,
            way_kbps,
            cause,
            self._scale,
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

    def _step(self, cause: str) -> None:
        """One step down or up the ladder, when it has been time for it long enough."""
        starved = not self._carries(CARRIED_MILLIBITS, self._frame_rate, self._scale)
        bad = starved or cause in ("loss", "queue", "silence")
        self._bad = self._bad + 1 if bad else 0
        self._good = self._good + 1 if cause == "clear" and not starved else 0
        if self._bad >= DOWN_EPOCHS:
            self._step_down()
        elif self._good >= UP_EPOCHS:
            self._step_up()

    def _carries(self, millibits: int, frame_rate: int, scale: int) -> bool:
        """Whether the bitrate gives each pixel so much."""
        pixels = self._pixels * scale * scale // SCALE_PERCENT_MAX**2
        return self._bitrate_kbps * 1_000_000 >= millibits * pixels * frame_rate

    def _step_down(self) -> None:
        rates = [rate for rate in FRAME_RATES if rate < self._frame_rate]
        scales = [one for one in SCALES_PERCENT if self._scale_min <= one < self._scale]
        if rates:
            self._frame_rate, self._bad = rates[-1], 0
        elif scales:
            self._scale, self._bad = scales[-1], 0

    def _step_up(self) -> None:
        rates = [rate for rate in FRAME_RATES if self._frame_rate < rate < self._frame_rate_max]
        scales = [one for one in SCALES_PERCENT if one > self._scale]
        rate, scale = self._frame_rate, self._scale
        if scales:
            scale = scales[0]
        else:
            rate = (rates or [self._frame_rate_max])[0]
        if (rate, scale) != (self._frame_rate, self._scale) and self._carries(
            CARRIED_WELL_MILLIBITS, rate, scale
        ):
            self._frame_rate, self._scale, self._good = rate, scale, 0

    def _set_parity(self, report: Epoch) -> None:
        wanted = PARITY_PERCENT_MIN + 3 * report.lost_before_repair_ppm // 10_000
        if report.lost_before_repair_ppm > 0:
            wanted += 2 * max(0, report.burst - 1)
        wanted = min(wanted, PARITY_PERCENT_MAX)
        # Up at once, down slowly: loss comes back.
        self._parity_percent = max(wanted, self._parity_percent - 1)
