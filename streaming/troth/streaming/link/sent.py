"""What has been sent and not been reported on: for feedback, and for sending it again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from troth.streaming.link.arrival import decode_feedback
from troth.streaming.link.clocks import ClockMap
from troth.streaming.link.congestion import Feedback
from troth.streaming.link.rtt import RoundTrip
from troth.streaming.transport_limits import SECOND_NS, SENT_HISTORY_PACKETS

KEPT_NS: Final = 2 * SECOND_NS
LIMITED_NS: Final = SECOND_NS // 4
LIMITED_SHARE: Final = 0.7


@dataclass(slots=True)
class Sent:
    """One packet: `fragment` is the body of the chunk that may be sent again."""

    sent_ns: int
    size: int
    fragment: bytes | None
    expires_ns: int
    repeated: bool = False


class SentPackets:
    """The packets of one direction, seen from where they leave."""

    def __init__(self, rtt: RoundTrip) -> None:
        self._rtt = rtt
        self.clock = ClockMap()
        self._packets: dict[int, Sent] = {}
        self._oldest = 0
        self._last_arrival_ns = 0
        self._first = 0
        """The first packet that feedback is believed about: those before went another way."""

        self._target_bits = 0
        self._history: deque[tuple[int, int]] = deque()
        """Times and sizes of what was sent in the last quarter of a second."""
        self._history_bytes = 0

    def aim(self, target_bits: int) -> None:
        """What may be sent from now on."""
        self._target_bits = target_bits

    def on_path_change(self, next_number: int) -> None:
        """What becomes of packets before that one says nothing of the path as it is now."""
        self._first = next_number
        self._last_arrival_ns = 0

    def _is_limited(self, now_ns: int) -> bool:
        """Whether less was sent than might have been: then a rate says nothing of the path."""
        while self._history and now_ns - self._history[0][0] > LIMITED_NS:
            self._history_bytes -= self._history.popleft()[1]
        sent_bits = self._history_bytes * 8 * SECOND_NS // LIMITED_NS
        return sent_bits < self._target_bits * LIMITED_SHARE

    def add(self, number: int, sent: Sent) -> None:
        self._packets[number] = sent
        self._history.append((sent.sent_ns, sent.size))
        self._history_bytes += sent.size
        if len(self._packets) > SENT_HISTORY_PACKETS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        # Not the first key of the dict: to find that one behind many deleted ones takes long.
        while self._packets.pop(self._oldest, None) is None:
            self._oldest += 1
        self._oldest += 1

    def prune(self, now_ns: int) -> None:
        while self._history and now_ns - self._history[0][0] > LIMITED_NS:
            self._history_bytes -= self._history.popleft()[1]
        while self._packets:
            sent = self._packets.get(self._oldest)
            if sent is not None and now_ns - sent.sent_ns < KEPT_NS:
                break
            self._drop_oldest()

    def repeat(self, number: int, now_ns: int) -> tuple[bytes, int] | None:
        """The fragment of a packet that the peer misses and until when it is of use, once."""
        sent = self._packets.get(number)
        if sent is None or sent.fragment is None or sent.repeated:
            return None
        sent.repeated = True
        if now_ns + self._rtt.smoothed_ns // 2 > sent.expires_ns:
            return None
        return sent.fragment, sent.expires_ns

    def feedback(self, body: bytes, now_ns: int) -> Feedback | None:
        """The peer's report, joined with what we know; None when it says nothing new.

        Raises:
            Malformed: code `transport.chunk`.
        """
        first, count, _, held_ns, arrived = decode_feedback(body)
        count -= min(count, max(0, self._first - first))
        delays, total, last_ns, newest, newest_ns = [], 0, 0, None, 0
        for number, arrived_ns in arrived:
            sent = self._packets.get(number) if number >= self._first else None
            if sent is not None:
                delays.append(arrived_ns - sent.sent_ns)
                total += sent.size
                last_ns = max(last_ns, arrived_ns)
                newest, newest_ns = sent, arrived_ns
        if newest is None:
            return None
        rtt_ns = now_ns - newest.sent_ns - held_ns
        self._rtt.add(rtt_ns)
        self.clock.exchanged(newest.sent_ns, newest_ns, held_ns, now_ns)
        interval_ns = last_ns - self._last_arrival_ns if self._last_arrival_ns else 0
        self._last_arrival_ns = max(last_ns, self._last_arrival_ns)
        delays.sort()
        return Feedback(
            now_ns=now_ns,
            rtt_ns=max(rtt_ns, 0),
            delay_ns=delays[len(delays) // 2],
            delay_min_ns=delays[0],
            received_packets=len(delays),
            received_bytes=total,
            lost_packets=min(count, SENT_HISTORY_PACKETS) - len(delays),
            interval_ns=max(interval_ns, 0),
            limited=self._is_limited(now_ns),
        )
