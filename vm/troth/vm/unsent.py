"""What is to be said to another machine and has no number on the line yet, in order.

What may not be lost is kept: its senders have credit for so much of it. What may be lost is kept
as long as there is room, and the oldest of it goes first; so a line that is down or slow costs a
bounded amount of memory. A head of a log goes with the last message that it was to prove.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, NamedTuple

LOSSY_MAX: Final = 1024
"""Messages that may be lost, of one line."""

LOSSY_BYTES_MAX: Final = 32 << 20
"""How long they may be together."""


class Care(Enum):
    """What becomes of an envelope where there is no room for all."""

    RELIABLE = "it is kept"
    LOSSY = "it may be lost"
    HEAD = "it is kept while a message needs it"


class Said(NamedTuple):
    """An encoded envelope, and the group that it belongs to."""

    envelope: bytes
    care: Care
    group: int


class _Group:
    """Heads of logs, and how many of the messages said with them are still here."""

    __slots__ = ("heads", "messages")

    def __init__(self) -> None:
        self.heads: list[int] = []
        self.messages = 0


class Unsent:
    """A queue from which what may be lost is taken out when there is too much of it."""

    __slots__ = ("_group", "_groups", "_lossy", "_lossy_bytes", "_next", "_said")

    def __init__(self) -> None:
        self._said: dict[int, Said] = {}
        self._lossy: deque[int] = deque()
        self._lossy_bytes = 0
        self._groups: dict[int, _Group] = {0: _Group()}
        self._group = 0
        self._next = 0

    def __len__(self) -> int:
        return len(self._said)

    def add(self, envelope: bytes, care: Care, *, opens: bool = False) -> None:
        """`opens` says that nothing from here on needs a head that was said before."""
        if opens:
            before, self._group = self._group, self._group + 1
            self._groups[self._group] = _Group()
            self._prune(before)
        group = self._groups[self._group]
        if care is Care.HEAD:
            group.heads.append(self._next)
        else:
            group.messages += 1
        self._said[self._next] = Said(envelope, care, self._group)
        if care is Care.LOSSY:
            self._lossy.append(self._next)
            self._lossy_bytes += len(envelope)
        self._next += 1
        while len(self._lossy) > LOSSY_MAX or self._lossy_bytes > LOSSY_BYTES_MAX:
            self._remove(self._lossy[0])

    def take(self) -> Said:
        """The oldest, which is not here any more."""
        return self._remove(next(iter(self._said)))

    def _remove(self, place: int) -> Said:
        said = self._said.pop(place)
        group = self._groups[said.group]
        if said.care is Care.HEAD:
            group.heads.remove(place)
        else:
            group.messages -= 1
        if said.care is Care.LOSSY:
            # What is taken is the oldest of all, what is lost the oldest that may be.
            self._lossy.popleft()
            self._lossy_bytes -= len(said.envelope)
        self._prune(said.group)
        return said

    def _prune(self, number: int) -> None:
        group = self._groups.get(number)
        if group is None or group.messages or number == self._group:
            return
        for head in group.heads:
            del self._said[head]
        del self._groups[number]
