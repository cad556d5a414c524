"""Parts whose clock shows another time than the others' clocks, and runs faster or slower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from troth.streaming.netem import Node

ClockOf = Callable[[int], int]
"""What a clock shows at a true time; the difference changes by less than the time does."""
SECOND_NS: Final = 1_000_000_000
NEAR_NS: Final = 10_000


def clock_of(ahead_ns: int, gain_ns: int, began_ns: int = 0) -> ClockOf:
    """One that is ahead at the beginning, and gains so many nanoseconds in each second."""
    return lambda now_ns: now_ns + ahead_ns + (now_ns - began_ns) * gain_ns // SECOND_NS


@dataclass(slots=True)
class Skewed:
    """A node that is told the time of such a clock, wherever others go by the true one."""

    node: Node
    shows: ClockOf

    def receive(self, datagram: bytes, address: tuple[str, int], now_ns: int) -> None:
        self.node.receive(datagram, address, self.shows(now_ns))

    def tick(self, now_ns: int) -> None:
        self.node.tick(self.shows(now_ns))

    @property
    def deadline_ns(self) -> int | None:
        """The true time at which the clock shows the node's deadline, or a moment later."""
        shown_ns = self.node.deadline_ns
        if shown_ns is None:
            return None
        true_ns = shown_ns
        while (behind_ns := shown_ns - self.shows(true_ns)) > 0 or behind_ns < -NEAR_NS:
            true_ns += behind_ns + (behind_ns > 0)
        return max(0, true_ns)

    def datagrams(self) -> Sequence[tuple[tuple[str, int], bytes]]:
        return self.node.datagrams()
