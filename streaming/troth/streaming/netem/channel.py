"""One direction between two places: datagrams in, the same or fewer or more out, later.

The rate comes first, with its queue; then loss, then delay. Draws are made for every datagram in
the same order whether they matter or not, so a changed chance does not change the other draws.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.streaming.netem.conditions import Conditions, Step, check_steps, conditions_at
from troth.streaming.netem.draws import Draws
from troth.streaming.netem.nat import Address

BITS_PER_BYTE: Final = 8
SECOND_NS: Final = 1_000_000_000

Envelope = tuple[Address, Address]
"""The sender's address as the receiver sees it, and the receiver's. Not bytes on the wire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCounts:
    """What a direction has done so far, in datagrams; `queue_ns_max` is the longest wait."""

    sent: int = 0
    sent_bytes: int = 0
    delivered: int = 0
    lost: int = 0
    lost_in_bursts: int = 0
    overflowed: int = 0
    blacked_out: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    queue_ns_max: int = 0


class Channel:
    """One direction. `send` takes a datagram, `receive` gives those that have arrived."""

    def __init__(self, steps: Sequence[Step], draws: Draws) -> None:
        check_steps(steps)
        self._steps = tuple(steps)
        self._draws = draws
        self._heap: list[tuple[int, int, bytes, Envelope | None]] = []
        self._serial = 0
        self._free_ns = 0
        """When the rate has carried everything that waits."""
        self._last_ns = 0
        self._bad = False
        self._counts = dict.fromkeys(ChannelCounts.__dataclass_fields__, 0)

    @property
    def counts(self) -> ChannelCounts:
        return ChannelCounts(**self._counts)

    @property
    def next_ns(self) -> int | None:
        """When the next datagram arrives."""
        return self._heap[0][0] if self._heap else None

    def queue_ns(self, now_ns: int) -> int:
        """What a datagram that is sent now waits for the rate."""
        return max(0, self._free_ns - now_ns)

    def set_steps(self, steps: Sequence[Step]) -> None:
        """Other conditions from now on; what is on its way stays on it."""
        check_steps(steps)
        self._steps = tuple(steps)

    def send(self, data: bytes, now_ns: int, envelope: Envelope | None = None) -> None:
        """Takes a datagram; its envelope, if it has one, arrives with every copy of it."""
        conditions = conditions_at(self._steps, now_ns)
        self._counts["sent"] += 1
        self._counts["sent_bytes"] += len(data)
        draws = [self._draws.chance() for _ in range(7)]
        lost = self._is_lost(conditions, draws)
        leaves_ns = self._through_rate(conditions, len(data), now_ns)
        if leaves_ns is None:
            self._counts["overflowed"] += 1
        elif lost is not None:
            self._counts[lost] += 1
        else:
            self._arrive(conditions, data, leaves_ns, draws, envelope)

    def receive(self, now_ns: int) -> list[bytes]:
        """What has arrived by now, in the order of arrival."""
        return [data for data, _ in self.receive_enveloped(now_ns)]

    def receive_enveloped(self, now_ns: int) -> list[tuple[bytes, Envelope | None]]:
        """The same, with the envelopes."""
        arrived = []
        while self._heap and self._heap[0][0] <= now_ns:
            _, _, data, envelope = heapq.heappop(self._heap)
            arrived.append((data, envelope))
        self._counts["delivered"] += len(arrived)
        return arrived

    def _is_lost(self, conditions: Conditions, draws: list[float]) -> str | None:
        bursts = conditions.bursts
        if bursts is None:
            self._bad = False
        else:
            change = bursts.leave if self._bad else bursts.enter
            if draws[0] < change:
                self._bad = not self._bad
        if conditions.blackout:
            return "blacked_out"
        if draws[1] < conditions.loss:
            return "lost"
        if bursts is not None and self._bad and draws[2] < bursts.loss:
            return "lost_in_bursts"
        return None

    def _through_rate(self, conditions: Conditions, size: int, now_ns: int) -> int | None:
        if conditions.rate_bits is None:
            self._free_ns = max(self._free_ns, now_ns)
            return self._free_ns
        waiting_ns = max(0, self._free_ns - now_ns)
        waiting_bytes = waiting_ns * conditions.rate_bits // (BITS_PER_BYTE * SECOND_NS)
        if waiting_bytes + size > conditions.queue_bytes:
            return None
        self._counts["queue_ns_max"] = max(self._counts["queue_ns_max"], waiting_ns)
        takes_ns = size * BITS_PER_BYTE * SECOND_NS // conditions.rate_bits
        self._free_ns = max(self._free_ns, now_ns) + takes_ns
        return self._free_ns

    def _arrive(
        self,
        conditions: Conditions,
        data: bytes,
        leaves_ns: int,
        draws: list[float],
        envelope: Envelope | None,
    ) -> None:
        arrives_ns = leaves_ns + conditions.delay_ns + int(conditions.jitter_ns * draws[3])
        if draws[4] < conditions.reorder:
            self._counts["reordered"] += 1
            arrives_ns += conditions.reorder_ns
        else:
            arrives_ns = max(arrives_ns, self._last_ns)
            self._last_ns = arrives_ns
        if draws[6] < conditions.corrupt and data:
            self._counts["corrupted"] += 1
            data = _flip(data, int(draws[6] / conditions.corrupt * len(data) * BITS_PER_BYTE))
        self._push(arrives_ns, data, envelope)
        if draws[5] < conditions.duplicate:
            self._counts["duplicated"] += 1
            self._push(arrives_ns, data, envelope)

    def _push(self, at_ns: int, data: bytes, envelope: Envelope | None) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (at_ns, self._serial, data, envelope))


def _flip(data: bytes, bit: int) -> bytes:
    place = min(bit // BITS_PER_BYTE, len(data) - 1)
    changed = data[place] ^ (1 << bit % BITS_PER_BYTE)
    return data[:place] + bytes([changed]) + data[place + 1 :]
