"""Machines meet inside an encrypted link: their frames are messages of its control stream.

Each side greets and proves its keys as on every line, and one of those keys has to be the one
that the link's handshake was signed with: so nobody can sit between machine and transport.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from blake3 import blake3

from troth.streaming.link import SecureLink
from troth.vm.errors import LimitExceeded, Malformed, TrothError, Unusable
from troth.vm.link_frames import ID_BYTES, Frame, Hello, Prove, decode_frame, encode_frame
from troth.vm.shell_line import Address, AnyLine, checked_hello, proved_keys

EARLY_MAX: Final = 256
"""Messages kept for a machine that is not ready; what is beyond is said again."""


class LinkPlace:
    """The meeting place of two machines. `wake` is called when the link has something to send."""

    def __init__(self, link: SecureLink, wake: Callable[[], None]) -> None:
        self.link = link
        self.wake = wake
        self.lines_here: LinkLines | None = None
        self._early: list[bytes] = []

    def lines(
        self,
        hello: Hello,
        *,
        prove: Callable[[bytes], Prove],
        on_line: Callable[[AnyLine], None],
        on_frame: Callable[[AnyLine, Frame], None],
        on_lost: Callable[[AnyLine], None],
    ) -> LinkLines:
        self.lines_here = LinkLines(self, hello, prove, on_line, on_frame, on_lost)
        return self.lines_here

    def take(self, data: bytes) -> None:
        """A message of the control stream has come. Raises nothing, whatever it is."""
        if self.lines_here is None or not self.lines_here.attached:
            # The other machine may be ready before this one is; it says little until then.
            self._early = [*self._early, data][:EARLY_MAX]
            return
        self.lines_here.take(data)

    def lost(self) -> None:
        """The link is over, or has been silent for too long."""
        if self.lines_here is not None:
            self.lines_here.lose()

    def take_early(self) -> list[bytes]:
        found, self._early = self._early, []
        return found


class LinkLines:
    """The one line of a machine at a `LinkPlace`, with the methods of `Lines`."""

    def __init__(
        self,
        place: LinkPlace,
        hello: Hello,
        prove: Callable[[bytes], Prove],
        on_line: Callable[[AnyLine], None],
        on_frame: Callable[[AnyLine, Frame], None],
        on_lost: Callable[[AnyLine], None],
    ) -> None:
        self.address: Address | None = None
        self.attached = False
        self.problems: list[str] = []
        self._place = place
        self._own = hello._replace(challenge=os.urandom(ID_BYTES))
        self._prove = prove
        self._on_line = on_line
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._hello: Hello | None = None
        self._line: _LinkLine | None = None
        self._under_way: dict[bytes, int] = {}
        """What the stream carries and has not yet handed over, and the mark where it ends."""

    def attach(self) -> None:
        self.attached = True
        self.send(self._own)
        for data in self._place.take_early():
            self.take(data)

    def take(self, data: bytes) -> None:
        try:
            self._take(decode_frame(data))
        except TrothError as error:
            self.problems = [*self.problems[-9:], str(error)]
            self.lose()

    def _take(self, frame: Frame) -> None:
        if self._line is not None:
            if self._line.open:
                self._on_frame(self._line, frame)
        elif self._hello is None:
            self._hello = checked_hello(frame, self._own)
            self.send(self._prove(self._hello.challenge))
        else:
            keys = proved_keys(frame, self._own.challenge, self._hello)
            self._require_transport_key(keys)
            line = _LinkLine(self, self._hello, keys)
            self._on_line(line)
            self._line = line

    def _require_transport_key(self, keys: frozenset[bytes]) -> None:
        """
        Raises:
            Malformed: code `stream.identity`.
        """
        established = self._place.link.established
        if established is None or established.peer.public_key not in keys:
            raise Malformed(
                "stream.identity",
                "the machine at the other end is not who the link's handshake was with",
                expected="the key that signed the handshake among the machine's keys",
                actual="other keys",
                advice="Give transport and machine the same folder of keys",
            )

    def send(self, frame: Frame) -> bool:
        """Whether it was taken; what was not is said again later, as on every line.

        The stream is reliable: what it still carries is not put behind itself once more, however
        long it takes. Else a slow way would be filled with what is on its way already.
        """
        link, data = self._place.link, encode_frame(frame)
        digest = blake3(data).digest()
        arrived = link.control_arrived
        while self._under_way and next(iter(self._under_way.values())) <= arrived:
            del self._under_way[next(iter(self._under_way))]
        if digest in self._under_way:
            return True
        try:
            link.send_control(data)
        except (LimitExceeded, Unusable):
            return False
        self._under_way[digest] = link.control_queued
        self._place.wake()
        return True

    def lose(self) -> None:
        line = self._line
        if line is not None and line.open:
            line.open = False
            self._on_lost(line)

    async def listen(self, address: Address) -> None:
        raise _no_address(address)

    def call(self, address: Address) -> None:
        raise _no_address(address)

    async def close(self) -> None:
        """The link belongs to whoever made it, and says its own goodbye."""
        if self._line is not None:
            self._line.open = False


class _LinkLine:
    """The way to the machine at the other end."""

    def __init__(self, lines: LinkLines, hello: Hello, keys: frozenset[bytes]) -> None:
        self.hello = hello
        self.keys = keys
        self.congested = False
        self.open = True
        self._lines = lines

    def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._lines.send(frame)


def _no_address(address: Address) -> Unusable:
    return Unusable(
        "link.hub",
        f"machines meet inside an encrypted link, and {address} is an address",
        expected="either a link, or addresses to listen at and to connect to",
        actual="both",
    )
