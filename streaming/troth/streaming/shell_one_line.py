"""Two machines meet on a way that is there already: its frames are messages of that way.

Each side greets and proves its keys as on every line, and one of those keys has to be the one
that the way was made with: so nobody can sit between machine and way.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from troth.vm.errors import Malformed, TrothError, Unusable
from troth.vm.link_frames import ID_BYTES, Frame, Hello, Prove, decode_frame, encode_frame
from troth.vm.shell_line import Address, AnyLine, checked_hello, proved_keys

EARLY_MAX: Final = 256
"""Messages kept for a machine that is not ready; what is beyond is said again."""


class OneLinePlace(ABC):
    """The meeting place of two machines on one way."""

    def __init__(self) -> None:
        self.lines_here: OneLine | None = None
        self._early: list[bytes] = []

    @abstractmethod
    def peer_key(self) -> bytes | None:
        """The key that the way was made with; None when there is no way."""

    def accepts(self, keys: frozenset[bytes]) -> bool:
        """Whether a machine that has proved these may be at the other end."""
        return self.peer_key() in keys

    @abstractmethod
    def carry(self, data: bytes) -> bool:
        """Sends a frame; whether it was taken. What was not is said again later."""

    def send(self, frames: Sequence[Frame]) -> None:
        """Sends what is to go out at once."""
        for frame in frames:
            self.carry(encode_frame(frame))

    def lines(
        self,
        hello: Hello,
        *,
        prove: Callable[[bytes], Prove],
        on_line: Callable[[AnyLine], None],
        on_frame: Callable[[AnyLine, Frame], None],
        on_lost: Callable[[AnyLine], None],
    ) -> OneLine:
        self.lines_here = OneLine(self, hello, prove, on_line, on_frame, on_lost)
        return self.lines_here

    def take(self, data: bytes) -> None:
        """A frame has come. Raises nothing, whatever it is."""
        if self.lines_here is None or not self.lines_here.attached:
            # The other machine may be ready before this one is; it says little until then.
            self._early = [*self._early, data][:EARLY_MAX]
            return
        self.lines_here.take(data)

    def lost(self) -> None:
        """The way is over, or has been silent for too long."""
        if self.lines_here is not None:
            self.lines_here.lose()

    def take_early(self) -> list[bytes]:
        found, self._early = self._early, []
        return found


class OneLine:
    """The one line of a machine at a `OneLinePlace`, with the methods of `Lines`."""

    def __init__(
        self,
        place: OneLinePlace,
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
        self._line: _Way | None = None

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
            self._require_key_of_way(keys)
            line = _Way(self, self._hello, keys)
            self._on_line(line)
            self._line = line

    def _require_key_of_way(self, keys: frozenset[bytes]) -> None:
        """
        Raises:
            Malformed: code `stream.identity`.
        """
        if not self._place.accepts(keys):
            raise Malformed(
                "stream.identity",
                "the machine at the other end is not who the way to it was made with",
                expected="the key that signed the handshake among the machine's keys",
                actual="other keys",
                advice="Give transport and machine the same folder of keys",
            )

    def send(self, frame: Frame) -> bool:
        """Whether it was taken; what was not is said again later, as on every line."""
        return self._place.carry(encode_frame(frame))

    def send_all(self, frames: Sequence[Frame]) -> None:
        self._place.send(frames)

    def lose(self) -> None:
        line = self._line
        if line is not None and line.open:
            line.open = False
            self._on_lost(line)

    @property
    def proved(self) -> frozenset[bytes]:
        """The keys that the other machine has proved."""
        return frozenset() if self._line is None else self._line.keys

    async def listen(self, address: Address) -> None:
        raise _no_address(address)

    def call(self, address: Address) -> None:
        raise _no_address(address)

    async def close(self) -> None:
        """The way belongs to whoever made it, and says its own goodbye."""
        if self._line is not None:
            self._line.open = False


class _Way:
    """The way to the machine at the other end."""

    def __init__(self, lines: OneLine, hello: Hello, keys: frozenset[bytes]) -> None:
        self.hello = hello
        self.keys = keys
        self.congested = False
        self.open = True
        self._lines = lines

    def send(self, frames: Sequence[Frame]) -> None:
        self._lines.send_all(frames)


def _no_address(address: Address) -> Unusable:
    return Unusable(
        "link.hub",
        f"machines meet on a way that is there already, and {address} is an address",
        expected="either a link, or addresses to listen at and to connect to",
        actual="both",
    )
