"""The media plane of a link: frames both ways, their repair, and the reports about them."""

from __future__ import annotations

from typing import Final

from troth.streaming.link import chunks
from troth.streaming.link.arrival import Arrivals
from troth.streaming.link.chunks import CHUNK_HEADER_BYTES, ChunkKind
from troth.streaming.link.clocks import Offset
from troth.streaming.link.counts import LinkCounts
from troth.streaming.link.fragments import LANES, as_repeated, is_repeated, read
from troth.streaming.link.frames_in import VIDEO, FrameReceiver
from troth.streaming.link.options import LinkOptions
from troth.streaming.link.outputs import Adapted, EpochReport, Event, KeyFrameWanted
from troth.streaming.link.pacer import Pacer
from troth.streaming.link.parity_policy import ParityPolicy
from troth.streaming.link.report import Report, decode_report
from troth.streaming.link.rtt import RoundTrip
from troth.streaming.link.sent import SentPackets
from troth.streaming.transport_limits import (
    EPOCH_NS,
    FEEDBACK_NS,
    GROUP_DATA_MAX,
    MILLISECOND_NS,
    NACK_PACKETS_MAX,
    NACK_WAIT_NS,
)
from troth.streaming.wire import malformed

CLOCK_NS_MAX: Final = (1 << 63) - 1
AUDIO: Final = 1
AUDIO_PARITY: Final = 1
"""An audio group is short: a second copy of it costs little."""

_GAUGES: Final = frozenset(
    {
        "epoch",
        "burst_packets_max",
        "jitter_ns",
        "rtt_ns",
        "playout_delay_ns",
        "clock_ahead_ns",
        "clock_error_ns",
    }
)
"""What a report gives as it is, and not as a difference."""


class Media:
    """What a link has besides its streams and its paths."""

    def __init__(
        self, options: LinkOptions, rtt: RoundTrip, counts: LinkCounts, now_ns: int
    ) -> None:
        self._options = options
        self._rtt = rtt
        self._counts = counts
        self.arrivals = Arrivals()
        self.sent = SentPackets(rtt)
        self.pacer = Pacer()
        self.frames = FrameReceiver(options.playout_ns)
        self.controller = options.controller()
        self.policy = ParityPolicy()
        self._aim()
        self._events: list[Event] = []
        self._feedback_ns = now_ns + FEEDBACK_NS
        self._epoch_ns = now_ns + EPOCH_NS
        self._epoch = 0
        self._base = Report(0)
        self._peer: Report | None = None

    def parity(self, lane: int, shards: int) -> int:
        """Parity per group for a frame of that lane."""
        if not self._options.parity:
            return 0
        if lane == AUDIO:
            return AUDIO_PARITY if self.policy.loss > 0 else 0
        return self.policy.parity(shards)

    def overhead(self, lane: int = VIDEO, shards: int = GROUP_DATA_MAX) -> float:
        """What a frame's bytes grow by on the wire, as things are: parity, and what is lost."""
        parity = self.parity(lane, shards)
        return (1 + parity / shards) * (1 + self.policy.loss)

    def on_path_change(self, now_ns: int) -> None:
        """What was learnt about the old path does not hold on the new one."""
        self.controller.reset(now_ns)
        self.policy = ParityPolicy()
        self.sent.on_path_change(self._counts.packets_sent)
        self._aim()

    def _aim(self) -> None:
        decision = self.controller.decision
        self.pacer.rate_bits = max(1, decision.pacing_bits)
        self.sent.aim(decision.target_bits)

    # --- in ---------------------------------------------------------------------------------

    def arrived(self, found: list[tuple[int, bytes]], number: int, size: int, now_ns: int) -> None:
        """An authentic packet with these chunks."""
        frame, media = None, False
        if found and found[0][0] == ChunkKind.FRAGMENT:
            media = True
            body = found[0][1]
            if body[:1] == b"\0" and not is_repeated(body):
                frame = int.from_bytes(body[2:6], "big")
        self.arrivals.add(number, size, frame, now_ns, media=media)

    def on_chunk(self, kind: int, body: bytes, now_ns: int) -> bool:
        """A chunk of the media plane; says whether there is something to send at once.

        Raises:
            Malformed: code `transport.chunk`.
        """
        if kind == ChunkKind.FRAGMENT:
            opened = self.frames.opened
            self._events += self.frames.receive(read(body), now_ns)
            return self.frames.opened != opened or self.arrivals.feedback_is_full
        if kind == ChunkKind.FEEDBACK:
            self._on_feedback(body, now_ns)
        elif kind == ChunkKind.MISSING:
            return self._on_missing(body, now_ns)
        elif kind == ChunkKind.REPORT:
            self._peer = decode_report(body)
            self.policy.on_report(self._peer)
        elif kind == ChunkKind.KEY_FRAME_REQUEST:
            lane, last_good = chunks.unpack_exactly(chunks.KEY_FRAME_REQUEST, body)
            if lane >= LANES:
                raise malformed("chunk", f"a lane below {LANES}", lane, 0)
            self._events.append(KeyFrameWanted(lane, last_good))
        else:
            raise malformed("chunk", "a kind that there is", kind, 0)
        return False

    def _on_feedback(self, body: bytes, now_ns: int) -> None:
        feedback = self.sent.feedback(body, now_ns)
        if feedback is None:
            return
        self.policy.on_feedback(feedback.lost_packets, feedback.received_packets)
        decision = self.controller.on_feedback(feedback)
        self._aim()
        self._events.append(Adapted(feedback, decision))

    def _on_missing(self, body: bytes, now_ns: int) -> bool:
        size = chunks.MISSING_RANGE.size
        if not body or len(body) % size:
            raise malformed("chunk", f"ranges of {size} bytes", len(body), 0)
        asked = 0
        for at in range(0, len(body), size):
            first, count = chunks.MISSING_RANGE.unpack_from(body, at)
            asked += count
            if asked > NACK_PACKETS_MAX:
                raise malformed("chunk", f"at most {NACK_PACKETS_MAX} packets", asked, at)
            for number in range(first, first + count):
                found = self.sent.repeat(number, now_ns)
                if found is not None:
                    fragment, expires_ns = found
                    self._counts.repeated_fragments += 1
                    self.pacer.add_again(as_repeated(fragment), expires_ns)
        return True

    def take_events(self) -> list[Event]:
        found, self._events = self._events, []
        return found

    # --- time -------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> list[Event]:
        self._events += self.frames.tick(now_ns)
        self.arrivals.settle(now_ns)
        self.sent.prune(now_ns)
        return self.take_events()

    def collect(self, now_ns: int) -> list[bytes]:
        """Chunks that are due, encoded."""
        encoded = []
        due = now_ns >= self._feedback_ns or self.arrivals.feedback_is_full
        if due and self.arrivals.media_arrived:
            self._feedback_ns = now_ns + FEEDBACK_NS
            body = self.arrivals.feedback(now_ns)
            if body is not None:
                encoded.append(chunks.encode(ChunkKind.FEEDBACK, body))
        encoded += self._missing(now_ns)
        for lane, last_good in self.frames.requests(now_ns):
            self._counts.key_frame_requests += 1
            body = chunks.KEY_FRAME_REQUEST.pack(lane, last_good)
            encoded.append(chunks.encode(ChunkKind.KEY_FRAME_REQUEST, body))
        if now_ns >= self._epoch_ns:
            self._epoch_ns = now_ns + EPOCH_NS
            report = self._close_epoch(now_ns)
            encoded.append(chunks.encode(ChunkKind.REPORT, report.encode()))
            self._events.append(EpochReport(report, self._peer))
        return encoded

    def _missing(self, now_ns: int) -> list[bytes]:
        ranges = []
        if self.arrivals.has_holes:
            ranges = self.arrivals.missing(now_ns, self._rtt.smoothed_ns, self.frames.wants)
        tail = min(self.frames.ask_tail(now_ns), NACK_PACKETS_MAX)
        if tail:
            # No later packet says that they are missing. That they may not have been sent yet
            # does no harm: who has nothing of that number repeats nothing.
            ranges.append((self.arrivals.highest + 1, tail))
        size = chunks.MISSING_RANGE.size
        room = (self._options.datagram_bytes // 2 - CHUNK_HEADER_BYTES) // size
        parts = [ranges[at : at + room] for at in range(0, len(ranges), room)]
        return [
            chunks.encode(
                ChunkKind.MISSING, b"".join(chunks.MISSING_RANGE.pack(*one) for one in part)
            )
            for part in parts
        ]

    def peer_clock(self, now_ns: int) -> Offset | None:
        """How far the peer's clock is ahead of ours, by our own exchanges or else by the peer's."""
        own = self.sent.clock.offset(now_ns)
        peer = self._peer
        if peer is None or peer.clock_error_ns == 0:
            return own
        if own is not None and own.error_ns <= peer.clock_error_ns:
            return own
        return Offset(-peer.clock_ahead_ns, peer.clock_error_ns)

    def _totals(self, now_ns: int) -> Report:
        clock = self.sent.clock.offset(now_ns) or Offset(0, 0)
        arrivals, frames, counts = self.arrivals, self.frames.counts, self._counts
        return Report(
            self._epoch,
            counts.packets_sent,
            counts.bytes_sent,
            arrivals.received,
            arrivals.received_bytes,
            arrivals.expected,
            arrivals.lost,
            arrivals.late,
            arrivals.bursts,
            arrivals.burst_max,
            frames.shown,
            frames.lost,
            frames.undecodable,
            frames.by_parity,
            frames.by_repetition,
            frames.jitter_ns,
            self._rtt.smoothed_ns,
            self.frames.delay.delay_ns,
            min(max(clock.ahead_ns, -CLOCK_NS_MAX), CLOCK_NS_MAX),
            min(clock.error_ns, CLOCK_NS_MAX),
        )

    def _close_epoch(self, now_ns: int) -> Report:
        totals, base = self._totals(now_ns), self._base
        self._base = totals
        changes = {
            name: value if name in _GAUGES else max(0, value - getattr(base, name))
            for name in Report.__dataclass_fields__
            if (value := getattr(totals, name)) is not None
        }
        self.arrivals.burst_max = 0
        self._epoch += 1
        return Report(**changes)

    def soonest_ns(self, now_ns: int) -> int:
        """When what has just arrived has to be looked at; cheap, for every packet."""
        soonest_ns = self._feedback_ns if self.arrivals.media_arrived else self._epoch_ns
        if self.arrivals.has_questions:
            soonest_ns = min(now_ns + NACK_WAIT_NS, self._feedback_ns)
        release_ns = self.frames.release_ns
        return soonest_ns if release_ns is None else min(soonest_ns, release_ns)

    def deadline_ns(self, now_ns: int) -> int:
        times = [self._epoch_ns]
        if self.arrivals.media_arrived:
            times.append(self._feedback_ns)
        question_ns = self.arrivals.question_ns(self._rtt.smoothed_ns)
        found = (question_ns, self.frames.deadline_ns, self.pacer.deadline_ns)
        times += [time_ns for time_ns in found if time_ns is not None]
        return max(min(times), now_ns + MILLISECOND_NS // 10)
