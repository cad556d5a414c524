"""What every fake side of a connection writes, and how it ends."""

from __future__ import annotations

from collections import deque
from enum import Enum

from troth.streaming.eventsocket.testing import switch_bytes as say


class Wire(Enum):
    """What becomes of the connection."""

    CLOSE = "close"
    HALF_CLOSE = "half close"
    RESET = "reset"


class FakeLine:
    """What is still to be written, in order; `take` gives it away."""

    def __init__(self) -> None:
        self.closed = False
        self._said_all = False
        self._out: deque[bytes | Wire] = deque()

    def put(self, data: bytes) -> None:
        """Anything at all, now."""
        self._out.append(data)

    def take(self) -> bytes | Wire | None:
        """The next thing to write or to do; None when there is nothing.

        Behind its own half close a side can still hear, but say nothing any more.
        """
        while self._out:
            item = self._out.popleft()
            if item is Wire.HALF_CLOSE:
                self._said_all = True
            elif self._said_all and isinstance(item, bytes):
                continue
            return item
        return None

    def _reply(self, text: str) -> None:
        self._out.append(say.reply(text))

    def _close_with(self, data: bytes) -> None:
        self._out.append(data)
        self._end(Wire.CLOSE)

    def _end(self, wire: Wire) -> None:
        self._out.append(wire)
        self.closed = True
