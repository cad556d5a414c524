"""Which sequences came already: the last so many, each once, in any order."""

from __future__ import annotations

from typing import Final

WINDOW_PACKETS: Final = 4_096
_ALL: Final = (1 << WINDOW_PACKETS) - 1


class Window:
    """`fresh` asks and changes nothing; `note` is for what has been authenticated."""

    __slots__ = ("_seen", "highest")

    def __init__(self) -> None:
        self.highest = -1
        self._seen = 0

    def fresh(self, sequence: int) -> bool:
        behind = self.highest - sequence
        return behind < 0 or (behind < WINDOW_PACKETS and not self._seen >> behind & 1)

    def note(self, sequence: int) -> None:
        ahead = sequence - self.highest
        if ahead > 0:
            # A shift by more than the window would only be cut off again, at a price.
            self._seen = (self._seen << ahead & _ALL if ahead < WINDOW_PACKETS else 0) | 1
            self.highest = sequence
        else:
            self._seen |= 1 << -ahead
