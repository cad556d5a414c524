"""A reliable ordered stream of messages over packets that may be lost, doubled and reordered.

Messages are cut into segments with numbers. The receiver says which number it expects next, and
which of the 64 after it are there. A segment is sent again when three later ones have arrived
and it has not, or when its time is over; the time grows with every repetition.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from troth.streaming.link import chunks
from troth.streaming.link.rtt import RoundTrip
from troth.streaming.transport_limits import (
    CONTROL_BUFFER_BYTES_MAX,
    CONTROL_MESSAGE_BYTES_MAX,
    CONTROL_QUEUE_NS,
    CONTROL_TRIES_SUSPECT,
    CONTROL_WINDOW_FIRST,
    CONTROL_WINDOW_LEAST,
    CONTROL_WINDOW_SEGMENTS,
    RTO_MAX_NS,
)
from troth.streaming.wire import malformed
from troth.vm.errors import LimitExceeded

LAST: Final = 1
"""The flag of a message's last segment."""

SELECTED_BITS: Final = 64
LATER_SEGMENTS: Final = 3
SHRINK_QUEUE: Final = 0.8
SHRINK_LOSS: Final = 0.7
NUMBERS: Final = 1 << 32


@dataclass(slots=True)
class _Segment:
    number: int
    body: bytes
    sent_ns: int = 0
    tries: int = 0
    lost: bool = False


class Window:
    """How many full segments' worth of bytes may be in flight.

    It grows while the round trip is near its lowest, and shrinks when it is longer or something
    is lost, so a long message does not fill a queue that frames and input have to wait in.
    """

    def __init__(self, rtt: RoundTrip) -> None:
        self._rtt = rtt
        self._segments = float(CONTROL_WINDOW_FIRST)
        self._grows_fast = True
        self._shrunk_ns = 0

    @property
    def segments(self) -> int:
        return int(self._segments)

    def acknowledged(self, count: int, now_ns: int) -> None:
        queue_ns = self._rtt.latest_ns - self._rtt.lowest_ns
        if queue_ns > CONTROL_QUEUE_NS:
            self.shrink(now_ns, SHRINK_QUEUE)
            return
        grown = count if self._grows_fast else count / self._segments
        self._segments = min(self._segments + grown, CONTROL_WINDOW_SEGMENTS)

    def shrink(self, now_ns: int, factor: float) -> None:
        """Once in a round trip."""
        self._grows_fast = False
        if now_ns - self._shrunk_ns >= self._rtt.smoothed_ns:
            self._shrunk_ns = now_ns
            self._segments = max(self._segments * factor, CONTROL_WINDOW_LEAST)


class StreamSender:
    """Our half of a stream. `due` gives the bodies of segments that are to be sent now."""

    def __init__(self, stream: int, segment_bytes: int, rtt: RoundTrip) -> None:
        self.stream = stream
        self._segment_bytes = segment_bytes
        self._rtt = rtt
        self._next = 0
        self._waiting: deque[_Segment] = deque()
        self._flight: dict[int, _Segment] = {}
        self._bytes = 0
        self._flight_bytes = 0
        self._window = Window(rtt)
        self._repeats_from_ns = 0
        """Before this time nothing is sent again only because its own time is over."""
        self.queued = 0
        """How many segments there have been, sent or waiting."""
        self.repeated = 0

    @property
    def idle(self) -> bool:
        """Whether everything has been acknowledged."""
        return not self._waiting and not self._flight

    @property
    def suspect(self) -> bool:
        """Whether a segment was repeated so often that the path is in doubt."""
        return any(s.tries > CONTROL_TRIES_SUSPECT for s in self._flight.values())

    @property
    def backlog_ns(self) -> int:
        """How long what has not been sent even once will wait, at a window in a round trip."""
        sent_bytes = self._flight_bytes - len(self._flight) * chunks.SEGMENT.size
        waiting_bytes = self._bytes - sent_bytes
        window_bytes = self._window.segments * self._segment_bytes
        return max(0, waiting_bytes) * self._rtt.smoothed_ns // window_bytes

    def send(self, message: bytes) -> None:
        """Takes a message, whole or not at all.

        Raises:
            LimitExceeded: code `transport.message` or `transport.buffer`.
        """
        if len(message) > CONTROL_MESSAGE_BYTES_MAX:
            raise _too_much("message", "CONTROL_MESSAGE_BYTES_MAX", CONTROL_MESSAGE_BYTES_MAX)
        if self._bytes + len(message) > CONTROL_BUFFER_BYTES_MAX:
            raise _too_much("buffer", "CONTROL_BUFFER_BYTES_MAX", CONTROL_BUFFER_BYTES_MAX)
        size = self._segment_bytes
        starts = range(0, len(message) or 1, size)
        for at in starts:
            flags = LAST if at + size >= len(message) else 0
            head = chunks.SEGMENT.pack(self.stream, self._next, flags)
            self._waiting.append(_Segment(self._next, head + message[at : at + size]))
            self._next = (self._next + 1) % NUMBERS
            self.queued += 1
        self._bytes += len(message)

    @property
    def arrived(self) -> int:
        """So many of the first of them are known to have arrived."""
        oldest = next(iter(self._flight), self._waiting[0].number if self._waiting else self._next)
        return self.queued - (self._next - oldest) % NUMBERS

    @property
    def deadline_ns(self) -> int | None:
        if self._may_send_new():
            return 0
        if not self._flight:
            return None
        times = [0 if s.lost else s.sent_ns + self._timeout_ns(s) for s in self._flight.values()]
        return max(min(times), 0 if 0 in times else self._repeats_from_ns)

    def due(self, now_ns: int) -> list[bytes]:
        """Bodies of SEGMENT chunks, to be sent now."""
        found = self._repeat(now_ns)
        while self._may_send_new():
            segment = self._waiting.popleft()
            self._flight[segment.number] = segment
            self._flight_bytes += len(segment.body)
            found.append(self._mark(segment, now_ns))
        return found

    def _repeat(self, now_ns: int) -> list[bytes]:
        """What is known to be lost, and of what may be only late no more than a window at a time.

        On a way that has slowed down everything in flight is late: to say all of it again would
        fill the way with repetitions, and nothing new would come through any more.
        """
        found: list[bytes] = []
        left_bytes = self._window.segments * self._segment_bytes
        may_be_late = now_ns >= self._repeats_from_ns
        for segment in self._flight.values():
            late = now_ns >= segment.sent_ns + self._timeout_ns(segment)
            if not segment.lost:
                if not (late and may_be_late and left_bytes > 0):
                    continue
                left_bytes -= len(segment.body)
                late_ns = now_ns + self._timeout_ns(segment)
                self._repeats_from_ns = max(self._repeats_from_ns, late_ns)
            self.repeated += 1
            self._window.shrink(now_ns, SHRINK_LOSS)
            found.append(self._mark(segment, now_ns))
        return found

    def acknowledged(self, body: bytes, now_ns: int) -> None:
        """An ACKNOWLEDGEMENT chunk of this stream."""
        _, expected, selected = chunks.unpack_exactly(chunks.ACKNOWLEDGEMENT, body)
        arrived = [n for n in self._flight if (expected - 1 - n) % NUMBERS < NUMBERS // 2]
        arrived += [
            number
            for bit in range(selected.bit_length())
            if selected >> bit & 1 and (number := (expected + 1 + bit) % NUMBERS) in self._flight
        ]
        if not arrived:
            return
        latest_ns = 0
        for number in arrived:
            segment = self._flight.pop(number)
            self._bytes -= len(segment.body) - chunks.SEGMENT.size
            self._flight_bytes -= len(segment.body)
            latest_ns = max(latest_ns, segment.sent_ns)
            if segment.tries == 1:
                self._rtt.add(now_ns - segment.sent_ns)
        self._window.acknowledged(len(arrived), now_ns)
        self._find_lost(selected, latest_ns)

    def on_path_change(self) -> None:
        """What is in flight went over another path: all of it is sent again, over this one.

        Nothing is known of the new path, so nothing that the old one did counts any more.
        """
        self._window = Window(self._rtt)
        self._repeats_from_ns = 0
        for segment in self._flight.values():
            segment.tries = 1
        self._waiting.extendleft(reversed(self._flight.values()))
        self._flight.clear()
        self._flight_bytes = 0

    def _find_lost(self, selected: int, latest_ns: int) -> None:
        """What was sent before something that has arrived, with three behind it, is lost."""
        if selected.bit_count() < LATER_SEGMENTS:
            return
        for segment in self._flight.values():
            if segment.sent_ns + self._rtt.smoothed_ns // 4 < latest_ns:
                segment.lost = True

    def _may_send_new(self) -> bool:
        """A window counts bytes, so that many small messages are not as slow as many large ones.

        Beyond the selected ones the receiver keeps no more than a window of segments.
        """
        return (
            bool(self._waiting)
            and len(self._flight) < CONTROL_WINDOW_SEGMENTS - SELECTED_BITS
            and self._flight_bytes < self._window.segments * self._segment_bytes
        )

    def _mark(self, segment: _Segment, now_ns: int) -> bytes:
        segment.sent_ns, segment.lost = now_ns, False
        segment.tries += 1
        return segment.body

    def _timeout_ns(self, segment: _Segment) -> int:
        return min(self._rtt.timeout_ns << min(segment.tries - 1, 8), RTO_MAX_NS)


class StreamReceiver:
    """The peer's half of a stream: segments in, messages out."""

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self._expected = 0
        self._early: dict[int, tuple[int, bytes]] = {}
        self._parts: list[bytes] = []
        self._part_bytes = 0
        self.duplicates = 0

    def receive(self, number: int, flags: int, data: bytes) -> list[bytes]:
        """A segment; gives the messages that it completes.

        Raises:
            LimitExceeded: code `transport.message`: the peer's message is too long.
            Malformed: code `transport.chunk`: it is beyond the window.
        """
        ahead = (number - self._expected) % NUMBERS
        if ahead >= NUMBERS // 2 or number in self._early:
            self.duplicates += 1
            return []
        if ahead >= CONTROL_WINDOW_SEGMENTS:
            raise malformed("chunk", "a segment within the window", ahead, 0)
        self._early[number] = (flags, data)
        messages = []
        while self._expected in self._early:
            flags, data = self._early.pop(self._expected)
            self._expected = (self._expected + 1) % NUMBERS
            self._part_bytes += len(data)
            if self._part_bytes > CONTROL_MESSAGE_BYTES_MAX:
                raise _too_much("message", "CONTROL_MESSAGE_BYTES_MAX", CONTROL_MESSAGE_BYTES_MAX)
            self._parts.append(data)
            if flags & LAST:
                messages.append(b"".join(self._parts))
                self._parts, self._part_bytes = [], 0
        return messages

    def acknowledgement(self) -> bytes:
        """The body of an ACKNOWLEDGEMENT chunk."""
        selected = 0
        for number in self._early:
            bit = (number - self._expected - 1) % NUMBERS
            if bit < SELECTED_BITS:
                selected |= 1 << bit
        return chunks.ACKNOWLEDGEMENT.pack(self.stream, self._expected, selected)


def _too_much(what: str, name: str, limit: int) -> LimitExceeded:
    return LimitExceeded(
        f"transport.{what}",
        "a control message is too long" if what == "message" else "too much waits to be sent",
        expected=f"at most {name}={limit:,} bytes",
        actual="more",
        advice="Send it in parts, or wait until what was sent has been acknowledged",
    )
