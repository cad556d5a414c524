"""Machines meet inside an encrypted link: their frames are messages of its reliable streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from blake3 import blake3

from troth.streaming.link import SecureLink
from troth.streaming.session.ways_of_words import Stream, streams_of
from troth.streaming.shell_one_line import OneLinePlace
from troth.streaming.transport_limits import INPUT_BYTES_MAX
from troth.vm.envelope import MessageEnvelope, beginning
from troth.vm.errors import LimitExceeded, Unusable
from troth.vm.link_frames import Frame, encode_frame


class LinkPlace(OneLinePlace):
    """The meeting place of two machines. `wake` is called when the link has something to send."""

    def __init__(self, link: SecureLink, wake: Callable[[], None]) -> None:
        super().__init__()
        self.link = link
        self.wake = wake
        self._urgent: tuple[bytes, ...] = ()
        self._under_way: dict[Stream, dict[bytes, int]] = {stream: {} for stream in Stream}
        """What each stream carries and has not yet handed over, and the mark where it ends."""

    def peer_key(self) -> bytes | None:
        established = self.link.established
        return None if established is None else established.peer.public_key

    def hurry(self, session: bytes) -> None:
        """The messages of that session are what a user does: nothing stands in front of them."""
        self._urgent += (beginning(MessageEnvelope, session),)

    def send(self, frames: Sequence[Frame]) -> None:
        for frame, streams in streams_of(frames, self._urgent):
            data = encode_frame(frame)
            for stream in streams:
                self._carry(data, stream if len(data) <= INPUT_BYTES_MAX else Stream.CONTROL)

    def carry(self, data: bytes) -> bool:
        return self._carry(data, Stream.CONTROL)

    def _carry(self, data: bytes, stream: Stream) -> bool:
        """
        The streams are reliable: what one still carries is not put behind itself once more,
        however long it takes. Else a slow way would be filled with what is on its way already.
        """
        digest = blake3(data).digest()
        under_way = self._under_way[stream]
        arrived = self.link.arrived(stream)
        while under_way and next(iter(under_way.values())) <= arrived:
            del under_way[next(iter(under_way))]
        if digest in under_way:
            return True
        try:
            if stream is Stream.INPUT:
                self.link.send_input_edge(data)
            else:
                self.link.send_control(data)
        except (LimitExceeded, Unusable):
            return False
        under_way[digest] = self.link.queued(stream)
        self.wake()
        return True
