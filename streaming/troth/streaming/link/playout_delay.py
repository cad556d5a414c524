"""How long whole frames wait before they are shown, so that a repair behind them is not seen.

What is sent again comes a round trip later. Where the frame before was shown at once, the picture
stands for that round trip; where every frame is shown a little later than it could be, the repair
comes in time. So frames are delayed when repairs are frequent, by what hides most of them, and
only when at most one frame hides them: a longer delay would be felt more than it helps.

All times are differences of one clock or the other, so it does not matter what the two show.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from troth.streaming.transport_limits import MILLISECOND_NS, PLAYOUT_DELAY_MAX_NS, SECOND_NS

NOTICED_FRAMES: Final = 2
"""A viewer notices when the picture stands for longer than so many frames."""

FREQUENT: Final = 3
"""So many repairs that would be noticed, within the memory, are frequent."""

MEMORY_NS: Final = 4 * SECOND_NS
WAITS_MAX: Final = 16
HIDDEN: Final = 0.8
"""The share of the waits in memory that the delay is to hide."""

MARGIN_NS: Final = MILLISECOND_NS
"""Timers and networks are not exact."""

SLACK: Final = 16
"""A delay falls to its aim by this part of the difference with every frame, and rises at once."""

_LOWEST_NS: Final = 10 * SECOND_NS
"""For so long, and so long again, the lowest transit is remembered: clocks drift, paths change."""


class PlayoutDelay:
    """The delay of one lane. `saw` takes every whole frame, `due_ns` says when it is shown."""

    def __init__(self, highest_ns: int = PLAYOUT_DELAY_MAX_NS) -> None:
        self.delay_ns = 0
        self._highest_ns = highest_ns
        self._aim_ns = 0
        self._waits: deque[tuple[int, int]] = deque(maxlen=WAITS_MAX)
        """When a repair would have been noticed, and the delay that would have hidden it."""

        self._interval_ns = 0
        self._captured: tuple[int, int] | None = None
        self._lowest: tuple[int, int | None, int] | None = None
        """Since when, the lowest transit of the span before, and that since then."""

    @property
    def _transit_ns(self) -> int:
        """What a frame takes from capture to completion when nothing holds it up."""
        assert self._lowest is not None, "a frame has been seen"
        _, before, current = self._lowest
        return current if before is None else min(before, current)

    def saw(self, number: int, captured_ns: int, completed_ns: int, *, again: bool) -> None:
        """A frame is whole; `again` says that it took something that was sent again."""
        self._learn(number, captured_ns, completed_ns)
        waited_ns = completed_ns - captured_ns - self._transit_ns
        noticed_ns = NOTICED_FRAMES * self._interval_ns
        if again and self._interval_ns and waited_ns > noticed_ns:
            self._waits.append((completed_ns, waited_ns - noticed_ns + MARGIN_NS))
        while self._waits and completed_ns - self._waits[0][0] > MEMORY_NS:
            self._waits.popleft()
        self._aim()

    def due_ns(self, captured_ns: int, completed_ns: int) -> int:
        """When a frame is to be shown: never later than the delay after it was whole."""
        if not self.delay_ns:
            return completed_ns
        on_time_ns = captured_ns + self._transit_ns + self.delay_ns
        return min(max(completed_ns, on_time_ns), completed_ns + self.delay_ns)

    def _learn(self, number: int, captured_ns: int, completed_ns: int) -> None:
        transit_ns = completed_ns - captured_ns
        if self._lowest is None:
            self._lowest = (completed_ns, None, transit_ns)
        else:
            since_ns, before_ns, current_ns = self._lowest
            if completed_ns - since_ns > _LOWEST_NS:
                self._lowest = (completed_ns, current_ns, transit_ns)
            else:
                self._lowest = (since_ns, before_ns, min(current_ns, transit_ns))
        if self._captured is not None and number == self._captured[0] + 1:
            interval_ns = max(0, captured_ns - self._captured[1])
            change_ns = interval_ns - self._interval_ns
            self._interval_ns += change_ns // 8 if self._interval_ns else change_ns
        if self._captured is None or number > self._captured[0]:
            self._captured = (number, captured_ns)

    def _aim(self) -> None:
        highest_ns = min(self._highest_ns, self._interval_ns)
        hideable = sorted(needed_ns for _, needed_ns in self._waits if needed_ns <= highest_ns)
        if len(hideable) >= FREQUENT:
            self._aim_ns = hideable[min(len(hideable) - 1, int(HIDDEN * len(hideable)))]
        elif not hideable:
            self._aim_ns = 0
        if self._aim_ns > self.delay_ns:
            self.delay_ns = self._aim_ns
        else:
            self.delay_ns -= -((self._aim_ns - self.delay_ns) // SLACK)
