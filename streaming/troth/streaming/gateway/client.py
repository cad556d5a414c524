"""A party's side of its connection to a gateway, without a socket or a clock.

It beats once it is known; everything else it hands on. `binding` has how it comes to be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import FrameReader, encode
from troth.streaming.gateway.limits import SECOND_NS
from troth.vm.errors import TrothError
from troth.vm.keys import KeyPair

BEAT_NS: Final = 5 * SECOND_NS
SILENCE_NS: Final = 3 * BEAT_NS
NO_SIGNATURE: Final = bytes(64)


class LinkState(Enum):
    WAITING = "not known yet"
    BOUND = "bound"
    ENDED = "ended"


class LinkSignal(Enum):
    TAKEN = "the gateway knows us"
    END = "the connection is of no more use"


_S, _E = LinkState, LinkSignal

LINK_TRANSITIONS: Final[Mapping[tuple[LinkState, LinkSignal], LinkState]] = {
    (_S.WAITING, _E.TAKEN): _S.BOUND,
    (_S.WAITING, _E.END): _S.ENDED,
    (_S.BOUND, _E.END): _S.ENDED,
}
"""What is not listed changes nothing."""


class GatewayLink:
    """Feed it with `receive`; write what `to_write` gives."""

    def __init__(self, key: KeyPair, now_ns: int) -> None:
        self.state = LinkState.WAITING
        self.key = key
        self._reader = FrameReader()
        self._out = bytearray()
        self._heard_ns = now_ns
        self._beat_ns = now_ns + BEAT_NS
        self._requests = 0

    @property
    def name(self) -> str:
        """Ours at the gateway."""
        return self.key.name

    @property
    def deadline_ns(self) -> int | None:
        return None if self.state is LinkState.ENDED else self._beat_ns

    def to_write(self) -> bytes:
        data = bytes(self._out)
        self._out.clear()
        return data

    def next_request(self) -> int:
        """A number for a request: what comes of it has the same."""
        self._requests += 1
        return self._requests

    def send(self, message: m.Message) -> None:
        self._out += encode(message)

    def receive(self, data: bytes, now_ns: int) -> list[m.Message]:
        """The messages for the link's owner.

        Raises:
            Malformed: what came is no message; the connection is of no more use.
        """
        self._heard_ns = now_ns
        found: list[m.Message] = []
        try:
            found += [it for it in self._reader.feed(data) if not isinstance(it, m.BeatBack)]
        except TrothError:
            self.end()
            raise
        return found

    def tick(self, now_ns: int) -> bool:
        """Beats when it is time; False when the gateway has been silent for too long."""
        if now_ns >= self._beat_ns:
            self._beat_ns = now_ns + BEAT_NS
            if self.state is LinkState.BOUND:
                self.send(m.Beat())
        return now_ns - self._heard_ns < SILENCE_NS

    def end(self) -> None:
        self._signal(LinkSignal.END)

    def bound(self) -> None:
        """The gateway knows us."""
        self._signal(LinkSignal.TAKEN)

    def _signal(self, signal: LinkSignal) -> None:
        self.state = LINK_TRANSITIONS.get((self.state, signal), self.state)
