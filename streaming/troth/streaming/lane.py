"""The way of media contents between two parties, and one within a process that loses some.

A lane promises nothing: what comes may be lost, late or changed. The messages of the session say
what was sent, by digest, so the receiver knows what it has to be.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from troth.streaming.media.viewing import LaneCounts

PIECE_BYTES: Final = 1200
IN_FLIGHT_MAX: Final = 4096


class Lane(IntEnum):
    """What kind of content it is."""

    VIDEO = 0
    SOUND = 1


@dataclass(frozen=True, slots=True)
class Content:
    lane: Lane
    number: int
    data: bytes


class MediaWay(Protocol):
    """One direction, as the sender and the receiver see it."""

    def send(self, content: Content, now_us: int) -> None: ...

    @property
    def counts(self) -> LaneCounts: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the way does to contents. Loss is of pieces of `PIECE_BYTES`, before any repair."""

    loss: float = 0.0
    delay_us: int = 0
    jitter_us: int = 0
    blackout_us: tuple[int, int] | None = None
    """From when until when nothing arrives, counted from the first content."""


class EmulatedWay:
    """A way inside one process. The same chances, from 0 to 1, lose the same contents.

    A content is lost when a piece of it is lost and one repetition is lost as well: that stands
    for one round of repair.
    """

    def __init__(
        self,
        chance: Callable[[], float],
        conditions: Conditions,
        on_content: Callable[[Content], None],
    ) -> None:
        self.conditions = conditions
        self.contents_lost = 0
        self._chance = chance
        self._on_content = on_content
        self._on_way: list[tuple[int, int, Content]] = []
        self._sent = 0
        self._expected = 0
        self._lost = 0
        self._burst = 0
        self._run = 0
        self._began_us: int | None = None

    @property
    def counts(self) -> LaneCounts:
        return LaneCounts(self._expected, self._lost, self._burst)

    @property
    def due_us(self) -> int | None:
        """When the next content arrives."""
        return self._on_way[0][0] if self._on_way else None

    def send(self, content: Content, now_us: int) -> None:
        if self._began_us is None:
            self._began_us = now_us
        self._sent += 1
        if self._loses(content, now_us - self._began_us) or len(self._on_way) >= IN_FLIGHT_MAX:
            self.contents_lost += 1
            return
        jitter_us = int(self._chance() * (self.conditions.jitter_us + 1))
        arrives_us = now_us + self.conditions.delay_us + jitter_us
        heapq.heappush(self._on_way, (arrives_us, self._sent, content))

    def arrive(self, now_us: int) -> None:
        """Hands over what has come by now."""
        while self._on_way and self._on_way[0][0] <= now_us:
            self._on_content(heapq.heappop(self._on_way)[2])

    def _loses(self, content: Content, since_us: int) -> bool:
        conditions = self.conditions
        pieces = max(1, -(-len(content.data) // PIECE_BYTES))
        self._expected += pieces
        dark = conditions.blackout_us
        if dark is not None and dark[0] <= since_us < dark[1]:
            self._count(pieces)
            return True
        lost = sum(self._chance() < conditions.loss for _ in range(pieces))
        self._count(lost)
        return any(self._chance() < conditions.loss for _ in range(lost))

    def _count(self, lost: int) -> None:
        self._lost += lost
        self._run = self._run + lost if lost else 0
        self._burst = max(self._burst, self._run)
