"""Machines meet inside an encrypted link: their frames are messages of its control stream."""

from __future__ import annotations

from collections.abc import Callable

from blake3 import blake3

from troth.streaming.link import SecureLink
from troth.streaming.shell_one_line import OneLinePlace
from troth.vm.errors import LimitExceeded, Unusable


class LinkPlace(OneLinePlace):
    """The meeting place of two machines. `wake` is called when the link has something to send."""

    def __init__(self, link: SecureLink, wake: Callable[[], None]) -> None:
        super().__init__()
        self.link = link
        self.wake = wake
        self._under_way: dict[bytes, int] = {}
        """What the stream carries and has not yet handed over, and the mark where it ends."""

    def peer_key(self) -> bytes | None:
        established = self.link.established
        return None if established is None else established.peer.public_key

    def carry(self, data: bytes) -> bool:
        """
        The stream is reliable: what it still carries is not put behind itself once more, however
        long it takes. Else a slow way would be filled with what is on its way already.
        """
        digest = blake3(data).digest()
        arrived = self.link.control_arrived
        while self._under_way and next(iter(self._under_way.values())) <= arrived:
            del self._under_way[next(iter(self._under_way))]
        if digest in self._under_way:
            return True
        try:
            self.link.send_control(data)
        except (LimitExceeded, Unusable):
            return False
        self._under_way[digest] = self.link.control_queued
        self.wake()
        return True
