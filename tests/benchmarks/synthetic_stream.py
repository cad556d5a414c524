"""One synthetic stream for whoever is compared: its frames, its screen, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Final

from troth.streaming.media.interfaces import EncodedFrame, Picture
from troth.streaming.media.pixels import HEIGHT_MIN, WIDTH_MIN
from troth.streaming.media.synthetic import SyntheticScreen, SyntheticVideo
from troth.vm.errors import TrothError

FRAMES_PER_SECOND: Final = 60
FRAME_NS: Final = 1_000_000_000 // FRAMES_PER_SECOND
KBPS: Final = 4_000
TAIL_SECONDS: Final = 0.5
"""What is still on its way when the last frame was sent has so long to be shown."""


@dataclass(slots=True)
class Score:
    """What came of one stream. Times are of this machine's monotonic clock."""

    sent_ns: dict[int, int] = field(default_factory=dict)
    shown_ns: dict[int, int] = field(default_factory=dict)
    undecodable: int = 0
    skipped: int = 0
    """Frames that the sender did not even try to send."""

    processor_seconds: float = 0.0
    seconds: float = 0.0
    wire_bytes: int = 0

    def latencies_ms(self) -> list[float]:
        return sorted((at - self.sent_ns[n]) / 1e6 for n, at in self.shown_ns.items())

    def not_shown(self) -> float:
        """The share of frames; the last one is no part of it, since some wait for the next."""
        counted = len(self.sent_ns) - 1
        shown = sum(number < counted for number in self.shown_ns)
        return 1 - shown / counted

    def freezes_ms(self, *, patient: bool = False) -> list[float]:
        """The gaps of more than two frames, and the one at the end if there is one.

        A patient viewer shows every frame one frame later than it takes in the middle: that much
        of a repair is not seen. Some receivers wait like this by themselves.
        """
        wait_ns = int(1e6 * median(self.latencies_ms() or [0.0])) + FRAME_NS if patient else 0
        times = [max(at, self.sent_ns[n] + wait_ns) for n, at in self.shown_ns.items()]
        times.append(max(self.sent_ns.values()))
        gaps = [(later - sooner) - FRAME_NS for sooner, later in pairwise(times)]
        return sorted(gap / 1e6 for gap in gaps if gap > 2 * FRAME_NS)


class Stream:
    """Captures frames and shows them. `show` may be called in another thread than `capture`."""

    def __init__(self) -> None:
        self.score = Score()
        self.video = SyntheticVideo()
        self.video.start(Picture(WIDTH_MIN, HEIGHT_MIN, FRAMES_PER_SECOND), KBPS)
        self._screen = SyntheticScreen()

    def capture(self, kbps: int = KBPS) -> EncodedFrame:
        self.video.adapt(kbps, FRAMES_PER_SECOND)
        frame = self.video.capture(0)
        self.score.sent_ns[frame.number] = time.monotonic_ns()
        return frame

    def show(self, data: bytes) -> bool:
        """Whether the screen could show it; one that it cannot needs a key frame."""
        try:
            number = self._screen.present(data)
        except TrothError:
            self.score.undecodable += 1
            return False
        self.score.shown_ns[number] = time.monotonic_ns()
        return True


async def frame_times(count: int, act: Callable[[], None]) -> None:
    """Calls `act` for every frame when it is due."""
    start_ns = time.monotonic_ns()
    for number in range(count):
        wait_ns = start_ns + number * FRAME_NS - time.monotonic_ns()
        if wait_ns > 0:
            await asyncio.sleep(wait_ns / 1e9)
        act()


class Stopwatch:
    """Processor time of this process, both ends together, and the time of the stream."""

    def __init__(self) -> None:
        self._processor = time.process_time()
        self._start = time.monotonic()

    def stop(self, score: Score) -> None:
        score.processor_seconds = time.process_time() - self._processor
        score.seconds = time.monotonic() - self._start - TAIL_SECONDS


def source_alone(seconds: float) -> float:
    """The processor time a second of capturing and showing, with nothing between."""
    stream, count = Stream(), int(seconds * FRAMES_PER_SECOND)
    start = time.process_time()
    for _ in range(count):
        assert stream.show(stream.capture().data)
    return (time.process_time() - start) / seconds
