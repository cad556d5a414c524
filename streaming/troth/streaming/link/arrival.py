"""What arrives, by packet number: holes, losses, and the report of arrivals for the peer.

A number that is passed over is a hole. When it comes after all it was only late. When it does
not come it is asked for, once three later packets and a little time have passed, and is a loss
when a whole settling time has. What is sent again has a number of its own, so a repair neither
hides a loss nor looks like one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from struct import Struct, pack
from typing import Final

from troth.streaming.link import chunks
from troth.streaming.transport_limits import (
    FEEDBACK_PACKETS_MAX,
    HOLES_MAX,
    MILLISECOND_NS,
    NACK_PACKETS_MAX,
    NACK_REORDER_PACKETS,
    NACK_WAIT_NS,
)
from troth.streaming.wire import malformed

SETTLED_NS: Final = 100 * MILLISECOND_NS
ASKED_AGAIN_MIN_NS: Final = 20 * MILLISECOND_NS
ASKED_MAX: Final = 10
INSIST: Final = 2
"""After so many questions without an answer the way back is bad: then they follow sooner."""
IN_ORDER_PACKETS: Final = 2_000
"""A path that has put so many packets in no other order is asked again without waiting."""
FEEDBACK: Final = Struct(">QHQI")
"""First number, count, time of the first arrival, time since the last; then a bit for each
number, and for each that came its time after the first arrival, signed, in 16 microseconds."""

TICK_NS: Final = 16_000
SPAN_NS: Final = 500 * MILLISECOND_NS
"""What one report covers at most: a little less than its times can hold."""
_TICKS_MAX: Final = (1 << 15) - 1


@dataclass(slots=True)
class _Hole:
    since_ns: int
    last_frame: int
    asked_ns: int = 0
    asked: int = 0


class Arrivals:
    """All packets of one direction, seen from where they arrive."""

    def __init__(self) -> None:
        self.highest = -1
        self.received = 0
        self.received_bytes = 0
        self.expected = 0
        self.lost = 0
        self.late = 0
        self.bursts = 0
        self.burst_max = 0
        self._holes: dict[int, _Hole] = {}
        self._unasked = 0
        """Holes that nobody has been asked about."""

        self._gone: dict[int, None] = {}
        """Numbers that count as lost; they may still come."""
        self._run = (-2, 0)
        self._since: list[tuple[int, int]] = []
        """Number and time of what has arrived since the last feedback."""
        self._reported = -1
        self.media_arrived = False
        """Whether there is something to report: reports alone are not reported on."""
        self.reorder_ns = 0
        self._late_at = -IN_ORDER_PACKETS - 1
        """The highest number when a packet last came late."""
        self._frame = 0

    def add(
        self, number: int, size: int, frame: int | None, now_ns: int, *, media: bool = True
    ) -> None:
        """A packet that is authentic and fresh; `frame` is the video frame it is newly sent for."""
        self.received += 1
        self.received_bytes += size
        ahead = number - self.highest
        if ahead > 0:
            if ahead > 1:
                self._open_holes(number, frame, now_ns)
            self.expected += ahead
            self.highest = number
        else:
            self._fill(number, now_ns)
        if frame is not None and frame > self._frame:
            self._frame = frame
        if number > self._reported:
            self.media_arrived = self.media_arrived or media
            self._since.append((number, now_ns))
            if len(self._since) > 2 * FEEDBACK_PACKETS_MAX:
                self._reported = max(self._reported, self._since.pop(0)[0])

    def _open_holes(self, number: int, frame: int | None, now_ns: int) -> None:
        # In front of a repetition, or of what is no frame, it may be of the frame that is next.
        last = self._frame + 1 if frame is None else max(self._frame, frame)
        first_number = max(self.highest + 1, number - HOLES_MAX)
        self.lost += first_number - (self.highest + 1)
        for missing in range(first_number, number):
            self._holes[missing] = _Hole(now_ns, last)
        self._unasked += number - first_number
        while len(self._holes) > HOLES_MAX:
            self._lose(next(iter(self._holes)))

    def _fill(self, number: int, now_ns: int) -> None:
        self._late_at = self.highest
        hole = self._holes.pop(number, None)
        if hole is not None:
            self._unasked -= not hole.asked
            self.late += 1
            took_ns = now_ns - hole.since_ns
            self.reorder_ns += (took_ns - self.reorder_ns) // 4
        elif number in self._gone:
            del self._gone[number]
            self.late += 1
            self.lost -= 1

    def _lose(self, number: int) -> None:
        self._unasked -= not self._holes.pop(number).asked
        self._gone[number] = None
        if len(self._gone) > HOLES_MAX:
            del self._gone[next(iter(self._gone))]
        self.lost += 1
        last, run = self._run
        run = run + 1 if number == last + 1 else 1
        self._run = (number, run)
        self.bursts += run == 2
        self.burst_max = max(self.burst_max, run)

    def _settled_ns(self) -> int:
        return max(SETTLED_NS, 2 * self.reorder_ns)

    def settle(self, now_ns: int) -> None:
        """Holes that have been open for the settling time are losses."""
        settled_ns = now_ns - self._settled_ns()
        old = []
        for number, hole in self._holes.items():
            if hole.since_ns > settled_ns:
                break
            old.append(number)
        for number in old:
            self._lose(number)

    @property
    def has_holes(self) -> bool:
        return bool(self._holes)

    @property
    def has_questions(self) -> bool:
        """Whether there is a hole that nobody has been asked about."""
        return self._unasked > 0

    def question_ns(self, rtt_ns: int) -> int | None:
        """When a hole is to be asked for or is a loss, if nothing more comes."""
        again_ns, wait_ns = _again_ns(rtt_ns), self.wait_ns()
        times = [hole.since_ns + self._settled_ns() for hole in islice(self._holes.values(), 1)]
        for number, hole in self._holes.items():
            if hole.asked >= ASKED_MAX:
                continue
            pause_ns = again_ns if hole.asked < INSIST else again_ns // 2
            at_ns = hole.asked_ns + pause_ns if hole.asked else hole.since_ns + wait_ns
            if self._is_recent(number):
                at_ns = max(at_ns, hole.since_ns + again_ns)
            times.append(at_ns)
        return min(times, default=None)

    def wait_ns(self) -> int:
        """How old a hole has to be before it is asked for."""
        return max(NACK_WAIT_NS, self.reorder_ns // 4) if self._reorders else 0

    @property
    def _reorders(self) -> bool:
        """Whether the path has put packets in another order lately: what is missing may be late."""
        return self.highest - self._late_at < IN_ORDER_PACKETS

    def _is_recent(self, number: int) -> bool:
        """Whether so little came after it that it may only have been overtaken."""
        return self._reorders and number > self.highest - NACK_REORDER_PACKETS

    def missing(
        self, now_ns: int, rtt_ns: int, wanted: Callable[[int], bool]
    ) -> list[tuple[int, int]]:
        """Ranges of numbers to ask for now; `wanted` says whether any frame up to that one still
        misses anything."""
        again_ns, wait_ns = _again_ns(rtt_ns), self.wait_ns()
        ranges: list[tuple[int, int]] = []
        asked = 0
        for number, hole in self._holes.items():
            if self._is_recent(number) and now_ns - hole.since_ns < again_ns:
                continue
            if now_ns - hole.since_ns < wait_ns or hole.asked >= ASKED_MAX:
                continue
            pause_ns = again_ns if hole.asked < INSIST else again_ns // 2
            if hole.asked and now_ns - hole.asked_ns < pause_ns:
                continue
            self._unasked -= not hole.asked
            if not wanted(hole.last_frame):
                hole.asked = ASKED_MAX
                continue
            hole.asked, hole.asked_ns = hole.asked + 1, now_ns
            asked += 1
            if ranges and ranges[-1][0] + ranges[-1][1] == number:
                ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
            else:
                ranges.append((number, 1))
            if asked >= NACK_PACKETS_MAX:
                break
        return ranges

    @property
    def feedback_is_full(self) -> bool:
        return self.media_arrived and len(self._since) >= FEEDBACK_PACKETS_MAX

    def feedback(self, now_ns: int) -> bytes | None:
        """The body of a FEEDBACK chunk with what came since the last one, or None."""
        if not self._since:
            return None
        arrived = dict(self._since[:FEEDBACK_PACKETS_MAX])
        newest_ns = max(arrived.values())
        recent = {n: at for n, at in arrived.items() if at > newest_ns - SPAN_NS}
        # What came before a pause says nothing of the path as it is now, and its time would not
        # fit: such a report begins at the first packet after the pause.
        first = self._reported + 1 if len(recent) == len(arrived) else min(recent)
        arrived = recent
        last = max(arrived)
        if last - first >= 4 * FEEDBACK_PACKETS_MAX:
            first = min(arrived)
            last = min(last, first + 4 * FEEDBACK_PACKETS_MAX - 1)
        numbers = sorted(number for number in arrived if first <= number <= last)
        count = last - first + 1
        start_ns = min(arrived[number] for number in numbers)
        bits = 0
        for number in numbers:
            bits |= 1 << (number - first)
        ticks = [min((arrived[n] - start_ns) // TICK_NS, _TICKS_MAX) for n in numbers]
        self._reported = last
        self.media_arrived = False
        self._since = [one for one in self._since[FEEDBACK_PACKETS_MAX:] if one[0] > last]
        held_ns = min(max(0, now_ns - arrived[last]) if last in arrived else 0, (1 << 32) - 1)
        head = FEEDBACK.pack(first, count, start_ns, held_ns)
        bitmap = bits.to_bytes((count + 7) // 8, "little")
        return head + bitmap + pack(f">{len(ticks)}h", *ticks)


def _again_ns(rtt_ns: int) -> int:
    """After how long without an answer a hole is asked for once more."""
    return max(rtt_ns * 3 // 2, ASKED_AGAIN_MIN_NS)


def decode_feedback(body: bytes) -> tuple[int, int, int, int, list[tuple[int, int]]]:
    """First number, count, time held, and number and time of each arrival.

    Raises:
        Malformed: code `transport.chunk`.
    """
    first, count, start_ns, held_ns = chunks.unpack(FEEDBACK, body)
    size = (count + 7) // 8
    bitmap = body[FEEDBACK.size : FEEDBACK.size + size]
    ticks = body[FEEDBACK.size + size :]
    bits = int.from_bytes(bitmap, "little")
    right = len(bitmap) == size and bits >> count == 0 and 2 * bits.bit_count() == len(ticks)
    if not right:
        raise malformed("chunk", "a bit and a time for each packet", len(ticks), 0)
    arrived = []
    at = 0
    for offset in range(count):
        if bits >> offset & 1:
            tick = int.from_bytes(ticks[at : at + 2], "big", signed=True)
            arrived.append((first + offset, start_ns + tick * TICK_NS))
            at += 2
    return first, count, start_ns, held_ns, arrived
