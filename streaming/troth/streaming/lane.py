"""The way of media contents between two parties.

A lane promises nothing: what is sent may be lost or late. The messages of the session say what was
sent, by digest, so the receiver knows what it has to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from troth.streaming.media.viewing import LaneCounts
from troth.vm.errors import Malformed

_NUMBER_BYTES: Final = 8


class Lane(IntEnum):
    """What kind of content it is; the numbers are those of the link's lanes."""

    VIDEO = 0
    SOUND = 1


@dataclass(frozen=True, slots=True)
class Content:
    """A frame or a group of sound. `key`: it needs no other."""

    lane: Lane
    number: int
    data: bytes
    key: bool = False


class MediaWay(Protocol):
    """One direction, as the sender and the receiver see it."""

    def send(self, content: Content, captured_at_us: int, parity_percent: int) -> None: ...

    @property
    def counts(self) -> LaneCounts: ...

    @property
    def clock_ahead_us(self) -> int | None:
        """How far the other side's clock is ahead of ours; None while nobody knows."""
        ...

    @property
    def backlog_us(self) -> int:
        """How long what waits to be sent will take."""
        ...

    @property
    def queue_us(self) -> int:
        """How long what is sent now will stand in a queue of the way, as far as that is known."""
        ...

    @property
    def words_backlog_us(self) -> int:
        """How long a message of the session will wait before it is sent."""
        ...

    @property
    def acts_backlog_us(self) -> int:
        """The same of what the user does."""
        ...

    @property
    def allowed_kbps(self) -> int:
        """What the congestion control of the way allows to send; 0 when it does not know."""
        ...


def pack_content(content: Content) -> bytes:
    """The content with its number in front: a sender that drops one does not shift the others."""
    return content.number.to_bytes(_NUMBER_BYTES, "big") + content.data


def unpack_content(lane: int, key: bool, data: bytes) -> Content:
    """
    Raises:
        Malformed: code `media.content`.
    """
    if lane not in tuple(Lane) or len(data) < _NUMBER_BYTES:
        raise Malformed(
            "media.content",
            "this is no content of a session",
            expected=f"lane 0 or 1, and at least {_NUMBER_BYTES} bytes",
            actual=f"lane {lane}, {len(data)} bytes",
        )
    number = int.from_bytes(data[:_NUMBER_BYTES], "big")
    return Content(Lane(lane), number, data[_NUMBER_BYTES:], key)
