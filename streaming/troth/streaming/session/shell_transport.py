"""One end of a session's encrypted link: what it sends, what comes, and whom it tells.

The driver beneath, sockets or a network in memory, calls `look` after everything that happened.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

from troth.streaming.lane import Content, MediaWay, pack_content, unpack_content
from troth.streaming.link import (
    Adapted,
    Closed,
    CloseReason,
    ControlMessage,
    DelayController,
    DelayOptions,
    EpochReport,
    Established,
    Event,
    Frame,
    Identity,
    InputEdge,
    KeyFrameWanted,
    LinkOptions,
    PathSuspect,
    SecureLink,
)
from troth.streaming.link.outputs import PathState
from troth.streaming.media.viewing import LaneCounts
from troth.streaming.session.endings import Ending
from troth.streaming.session.shell_place import LinkPlace
from troth.streaming.session.ways_of_words import Stream
from troth.vm.errors import LimitExceeded, Malformed, Unusable
from troth.vm.keys import KeyPair, VerifierKey

STATIC_BYTES: Final = 32
FRAGMENT_BYTES: Final = 1100
"""About what one datagram carries of a frame, to turn a share of parity into fragments."""

QUEUE_KNOWN_NS: Final = 300_000_000
"""So long after the peer's last report it is believed that the queue of then is still there."""

WAY_SHARE: Final = 90
"""Of a hundred parts of what the way allows, so many are for frames; the rest is around them."""


class TransportEnd(MediaWay):
    """The host's or the client's end."""

    def __init__(
        self,
        link: SecureLink,
        wake: Callable[[], None],
        *,
        on_content: Callable[[Content], None] | None = None,
        on_key_frame: Callable[[], None] | None = None,
        on_path: Callable[[PathState, int], None] | None = None,
    ) -> None:
        self.link = link
        self.place = LinkPlace(link, wake)
        self.established = asyncio.Event()
        self.over = asyncio.Event()
        self.closed: Closed | None = None
        self.given_up: Ending | None = None
        self.dropped = 0
        """Contents that the link did not take, or that were none when they came."""
        self.refused = 0
        self.repaired = 0
        self.on_content = on_content
        self.on_key_frame = on_key_frame
        self.on_path = on_path
        self._wake = wake
        self._allowed_kbps = 0
        self._adapted_ns = 0
        self._expected = self._lost = self._burst = 0

    @property
    def lost_because(self) -> Ending | None:
        """Why the link ended under the session; None when it did not."""
        closed = self.closed
        if self.given_up is not None:
            return self.given_up
        if closed is None:
            return None
        if closed.by_peer and closed.reason is CloseReason.LIMIT:
            return Ending.BUSY
        return said_ending(closed) or Ending.PEER_LOST

    @property
    def binding(self) -> bytes:
        """What both ends have seen of the handshake."""
        return b"" if self.link.established is None else self.link.established.hash

    @property
    def counts(self) -> LaneCounts:
        delay_us = self.link.media.frames.delay.delay_ns // 1_000
        return LaneCounts(self._expected, self._lost, self._burst, delay_us)

    @property
    def clock_ahead_us(self) -> int | None:
        offset = self.link.media.peer_clock(time.monotonic_ns())
        return None if offset is None else offset.ahead_ns // 1_000

    @property
    def backlog_us(self) -> int:
        pacer = self.link.media.pacer
        return pacer.waiting_bytes * 8 * 1_000_000 // max(1, pacer.rate_bits)

    @property
    def queue_us(self) -> int:
        known = time.monotonic_ns() - self._adapted_ns < QUEUE_KNOWN_NS
        return self.link.media.controller.decision.queue_ns // 1_000 if known else 0

    @property
    def words_backlog_us(self) -> int:
        return self.link.backlog_ns(Stream.CONTROL) // 1_000

    @property
    def acts_backlog_us(self) -> int:
        return self.link.backlog_ns(Stream.INPUT) // 1_000

    @property
    def allowed_kbps(self) -> int:
        return self._allowed_kbps

    def send(self, content: Content, captured_at_us: int, parity_percent: int) -> None:
        data = pack_content(content)
        fragments = -(-len(data) // FRAGMENT_BYTES)
        parity = -(-fragments * parity_percent // 100) if parity_percent > 0 else None
        try:
            self.link.send_frame(
                content.lane,
                data,
                key=content.key,
                now_ns=time.monotonic_ns(),
                captured_ns=captured_at_us * 1000,
                parity=parity,
            )
        except (LimitExceeded, Unusable):
            # The session's message names it all the same, and the client says that it is lost.
            self.dropped += 1
        self._wake()

    def close(self, reason: CloseReason, text: str) -> None:
        self.link.close(reason, text, time.monotonic_ns())
        self._wake()

    def give_up(self, reason: Ending) -> None:
        """Nothing is said to the other side any more, and nothing is waited for."""
        self.given_up = self.given_up or reason
        self.close(CLOSE_REASONS.get(reason.value, CloseReason.CONNECTION_LOST), reason.value)
        self.look()
        self.over.set()
        self.established.set()
        self.place.lost()

    def look(self) -> None:
        """Takes what the link has to tell."""
        for event in self.link.events():
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, Established):
            self.established.set()
        elif isinstance(event, ControlMessage | InputEdge):
            self.place.take(event.data)
        elif isinstance(event, Frame):
            self._take_frame(event)
        elif isinstance(event, KeyFrameWanted):
            if self.on_key_frame is not None:
                self.on_key_frame()
        elif isinstance(event, EpochReport):
            own = event.own
            self._expected += own.packets_expected
            self._lost += own.packets_lost
            self._burst = own.burst_packets_max
        elif isinstance(event, Adapted):
            self._adapted_ns = time.monotonic_ns()
            self._allowed_kbps = event.decision.target_bits * WAY_SHARE // 100_000
        elif isinstance(event, PathSuspect):
            self._take_suspicion(event)
        elif isinstance(event, Closed):
            self.closed = event
            self.over.set()
            self.established.set()
            self.place.lost()

    def _take_frame(self, frame: Frame) -> None:
        self.repaired += frame.repaired
        try:
            content = unpack_content(frame.lane, frame.key, frame.data)
        except Malformed:
            self.refused += 1
            return
        if self.on_content is not None:
            self.on_content(content)

    def _take_suspicion(self, event: PathSuspect) -> None:
        if self.on_path is not None:
            self.on_path(event.state, event.silent_ns // 1_000_000)
        if event.state is PathState.LOST:
            # Nothing authentic for five seconds: whoever waits for the other side has waited.
            self.close(CloseReason.CONNECTION_LOST, "nothing came")
            self.place.lost()


def link_options(
    principal: KeyPair, peer: VerifierKey | None, context: bytes, bitrate_kbps: int
) -> LinkOptions:
    """Options of one end; the static key is new each time, and the principal signs it."""
    rates = DelayOptions(start_bits=bitrate_kbps * 1200)
    return LinkOptions(
        identity=Identity(principal, os.urandom(STATIC_BYTES)),
        peers=None if peer is None else (peer,),
        context=context,
        controller=lambda: DelayController(rates),
    )


def said_ending(closed: Closed) -> Ending | None:
    """The session's word in the link's last one; None when it is none, or belongs to another."""
    if closed.text not in tuple(Ending):
        return None
    found = Ending(closed.text)
    fits = CLOSE_REASONS.get(found.value, CloseReason.POLICY) is closed.reason
    return found if fits else None


CLOSE_REASONS: Final = {
    Ending.USER.value: CloseReason.USER,
    Ending.TIME.value: CloseReason.USER,
    Ending.EXIT.value: CloseReason.PROCESS_EXIT,
    Ending.REVOKED.value: CloseReason.REVOKED,
    Ending.CONNECTION_LOST.value: CloseReason.CONNECTION_LOST,
    Ending.VERSION.value: CloseReason.VERSION_MISMATCH,
    Ending.IDENTITY.value: CloseReason.IDENTITY_REFUSED,
}
