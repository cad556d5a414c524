"""What the sender of an edge remembers, so that it can check its receiver's receipts.

A receipt in mode `sequence` holds the hash chain over everything the receiver took. The sender
has made the same chain over what it sent; a receipt with another root is about other messages.
"""

from __future__ import annotations

from collections import deque

from troth.vm import statements


class SentHistory:
    """The roots after each message that no receipt covers yet, and the one before them."""

    __slots__ = ("_roots", "acknowledged")

    def __init__(self) -> None:
        self.acknowledged = 0
        self._roots: deque[bytes] = deque([statements.history_start()])

    def add(self, statement: bytes) -> None:
        """One more message was sent."""
        self._roots.append(statements.history_step(self._roots[-1], statement))

    def holds(self, count: int, root: bytes | None) -> bool:
        """Whether `root` is that of the first `count` messages, of which none was forgotten."""
        place = count - self.acknowledged
        return 0 <= place < len(self._roots) and self._roots[place] == root

    def acknowledge(self, count: int) -> None:
        """The receiver has signed for `count` messages."""
        while self.acknowledged < count:
            self._roots.popleft()
            self.acknowledged += 1
