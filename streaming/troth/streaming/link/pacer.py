"""What waits to be sent, in its order of urgency, and when it may go."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from troth.streaming.transport_limits import (
    MILLISECOND_NS,
    OUTPUT_QUEUE_PACKETS_MAX,
    SECOND_NS,
)
from troth.vm.errors import LimitExceeded

BURST_NS: Final = 10 * MILLISECOND_NS
"""How far behind its time a packet may go: shells of a busy machine wake up that late."""

QUANTUM_NS: Final = 4 * MILLISECOND_NS
"""So much leaves at once: to wake up for every packet costs more than to send it."""

BITS_PER_BYTE: Final = 8


class Waiting(NamedTuple):
    """A fragment that waits; after `expires_ns` nobody wants it any more."""

    body: bytes
    expires_ns: int
    repeatable: bool


class Pacer:
    """Repetitions first, then fragments in their order, at the rate that was decided."""

    def __init__(self) -> None:
        self.rate_bits = 1
        self._again: deque[Waiting] = deque()
        self._fresh: deque[Waiting] = deque()
        self._free_ns = 0
        self._quantum_ends_ns = 0
        self.dropped = 0
        self.waiting_bytes = 0

    def __len__(self) -> int:
        return len(self._again) + len(self._fresh)

    def add(self, bodies: list[bytes], expires_ns: int) -> None:
        """Takes all fragments of a frame, or none.

        Raises:
            LimitExceeded: code `transport.queue`.
        """
        if len(self._fresh) + len(bodies) > OUTPUT_QUEUE_PACKETS_MAX:
            raise LimitExceeded(
                "transport.queue",
                "too many packets wait to be sent",
                expected=f"at most OUTPUT_QUEUE_PACKETS_MAX={OUTPUT_QUEUE_PACKETS_MAX}",
                actual=str(len(self._fresh) + len(bodies)),
                advice="Send frames no faster and no larger than the link's target allows",
            )
        self._fresh.extend([Waiting(body, expires_ns, True) for body in bodies])
        self.waiting_bytes += sum(map(len, bodies))

    def add_again(self, body: bytes, expires_ns: int) -> None:
        self._again.append(Waiting(body, expires_ns, True))
        self.waiting_bytes += len(body)

    @property
    def deadline_ns(self) -> int | None:
        return self._free_ns if self._again or self._fresh else None

    def take(self, now_ns: int) -> Waiting | None:
        """The next that may go now."""
        while self._again or self._fresh:
            if now_ns >= self._free_ns:
                self._quantum_ends_ns = now_ns + QUANTUM_NS
            elif self._free_ns >= self._quantum_ends_ns:
                return None
            queue = self._again or self._fresh
            waiting = queue.popleft()
            self.waiting_bytes -= len(waiting.body)
            if waiting.expires_ns < now_ns:
                self.dropped += 1
                continue
            size_bits = len(waiting.body) * BITS_PER_BYTE
            start_ns = max(self._free_ns, now_ns - BURST_NS)
            self._free_ns = start_ns + size_bits * SECOND_NS // self.rate_bits
            return waiting
        return None

    def clear(self) -> None:
        self._again.clear()
        self._fresh.clear()
        self.waiting_bytes = 0
