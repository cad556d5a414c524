"""Whether a lower rate has to do with the delay that it was lowered for.

A queue of ours gets shorter as fast as the lower rate allows, and gets shorter at all. A delay
that is gone faster was none: a process waited for its processor, or a radio for its turn. And one
that stands still whatever we send is the path's own: it has become longer.
"""

from __future__ import annotations

from typing import Final

from troth.streaming.transport_limits import MILLISECOND_NS

MARGIN: Final = 1.5
SLACK_NS: Final = 5 * MILLISECOND_NS
STILL_NS: Final = 5 * MILLISECOND_NS
"""A delay that moves less than this stands still."""

IN_VAIN_NS: Final = 500 * MILLISECOND_NS
SETTLE_NS: Final = 100 * MILLISECOND_NS


class Drain:
    """From the moment at which the rate is lowered, until the delay is short again."""

    def __init__(self, now_ns: int) -> None:
        self._since_ns = now_ns
        self._queue_ns = 0
        self._share = 0.0
        """How much of a queue the lower rate empties in a time, of that time."""

        self._still_since_ns = now_ns
        self._least_ns = 0
        self._most_ns = 0

    def lowered(self, queue_ns: int, share: float) -> None:
        """The rate was lowered, for a queue that long, so that it empties by that share."""
        self._queue_ns = max(self._queue_ns, queue_ns)
        self._share = max(self._share, share)

    def explains(self, queue_ns: int, now_ns: int, rtt_ns: int) -> bool:
        """Whether the lower rate can have made the queue as short as it is now."""
        effective_ns = max(0, now_ns - self._since_ns - rtt_ns // 2)
        possible_ns = MARGIN * self._share * effective_ns + SLACK_NS
        return self._queue_ns - queue_ns <= possible_ns

    def is_in_vain(self, queue_ns: int, now_ns: int, rtt_ns: int) -> bool:
        """Whether the delay has stood still for so long that it cannot be a queue of ours."""
        self._least_ns = min(self._least_ns, queue_ns)
        self._most_ns = max(self._most_ns, queue_ns)
        settled = now_ns - self._since_ns > rtt_ns + SETTLE_NS
        if not settled or self._most_ns - self._least_ns > STILL_NS:
            self._least_ns = self._most_ns = queue_ns
            self._still_since_ns = now_ns
        return now_ns - self._still_since_ns >= IN_VAIN_NS
