"""The end of a link: said until the peer has heard it, or until it was said often enough."""

from __future__ import annotations

from typing import Final

from troth.streaming.link import chunks
from troth.streaming.link.chunks import ChunkKind
from troth.streaming.link.outputs import Closed, CloseReason
from troth.streaming.transport_limits import CLOSE_RETRY_NS, CLOSE_TRIES

CLOSE_TEXT_BYTES_MAX: Final = 200
_REASONS: Final = {reason.value: reason for reason in CloseReason}


class Closing:
    """We want the link to end as `closed` says, and tell the peer."""

    def __init__(self, closed: Closed, now_ns: int) -> None:
        self.closed = closed
        self.deadline_ns = now_ns
        """When it is said again, or given up."""

        self._tries = 0
        text = closed.text.encode()[:CLOSE_TEXT_BYTES_MAX]
        body = chunks.CLOSE.pack(closed.reason) + text
        self._chunk = chunks.encode(ChunkKind.CLOSE, body)

    def due(self, now_ns: int) -> bytes | None:
        """The chunk that says it, when it is time to say it."""
        if now_ns < self.deadline_ns or self._tries >= CLOSE_TRIES:
            return None
        self._tries += 1
        self.deadline_ns = now_ns + CLOSE_RETRY_NS
        return self._chunk

    def is_over(self, now_ns: int) -> bool:
        """Whether it was said as often as it is said at most, and nobody has answered."""
        return self._tries >= CLOSE_TRIES and now_ns >= self.deadline_ns


def read_close(body: bytes) -> Closed:
    """What the peer says of the end. Its text is for people, and is made harmless for them.

    Raises:
        Malformed: code `transport.chunk`.
    """
    (number,) = chunks.unpack(chunks.CLOSE, body)
    raw = body[chunks.CLOSE.size : chunks.CLOSE.size + CLOSE_TEXT_BYTES_MAX]
    text = "".join(c if c.isprintable() else "?" for c in raw.decode(errors="replace"))
    return Closed(_REASONS.get(number, CloseReason.UNKNOWN), text, by_peer=True)
