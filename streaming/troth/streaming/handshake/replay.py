"""Which packets of one direction have been taken: a window of numbers below the highest.

`check` looks and `commit` takes. Only packets that have been authenticated are committed, so that
nobody without the key can move the window.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from troth.streaming.transport_limits import REPLAY_WINDOW_PACKETS

_MASK: Final = (1 << REPLAY_WINDOW_PACKETS) - 1


class Freshness(Enum):
    """What the window says of a number."""

    FRESH = "fresh"
    DUPLICATE = "taken before"
    OLD = "below the window"


class ReplayWindow:
    """The numbers that were taken, as bits below the highest."""

    def __init__(self) -> None:
        self.highest = -1
        self._taken = 0

    def check(self, number: int) -> Freshness:
        below = self.highest - number
        if below < 0:
            return Freshness.FRESH
        if below >= REPLAY_WINDOW_PACKETS:
            return Freshness.OLD
        return Freshness.DUPLICATE if self._taken >> below & 1 else Freshness.FRESH

    def commit(self, number: int) -> None:
        """Takes a number that `check` called fresh."""
        ahead = number - self.highest
        if ahead <= 0:
            self._taken |= 1 << -ahead
        elif ahead >= REPLAY_WINDOW_PACKETS:
            self._taken, self.highest = 1, number
        else:
            self._taken = (self._taken << ahead | 1) & _MASK
            self.highest = number
