"""Lines without sockets: machines of one event loop meet at a hub.

Frames travel as they do over TCP, in order and encoded, and everything that arrives is checked
as if it came from far away. A machine that leaves is lost to the others as over a broken line.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Protocol

from troth.vm.errors import TrothError, Unusable
from troth.vm.link_frames import ID_BYTES, Frame, Hello, Prove, decode_frame, encode_frame
from troth.vm.shell_line import Address, AnyLine, proved_keys


class MeetingLines(Protocol):
    """The lines of one machine at a meeting place; `Lines` has the others' methods, too."""

    @property
    def address(self) -> Address | None: ...

    def attach(self) -> None:
        """From now on lines may come, and frames on them."""

    async def listen(self, address: Address) -> None: ...

    def call(self, address: Address) -> None: ...

    async def close(self) -> None: ...


class MeetingPlace(Protocol):
    """Where machines meet without addresses of their own: a hub, or a link of the host's."""

    def lines(
        self,
        hello: Hello,
        *,
        prove: Callable[[bytes], Prove],
        on_line: Callable[[AnyLine], None],
        on_frame: Callable[[AnyLine, Frame], None],
        on_lost: Callable[[AnyLine], None],
    ) -> MeetingLines: ...


class Hub:
    """Where machines of one process and one event loop meet: `LinkOptions(hub=hub)`."""

    def __init__(self) -> None:
        self._members: list[HubLines] = []

    def lines(
        self,
        hello: Hello,
        *,
        prove: Callable[[bytes], Prove],
        on_line: Callable[[AnyLine], None],
        on_frame: Callable[[AnyLine, Frame], None],
        on_lost: Callable[[AnyLine], None],
    ) -> HubLines:
        """The lines of one machine, which joins with `attach`."""
        return HubLines(self._members, hello, prove, on_line, on_frame, on_lost)


class HubLines:
    """All lines of one machine at a hub, with the methods of `Lines`."""

    def __init__(
        self,
        members: list[HubLines],
        hello: Hello,
        prove: Callable[[bytes], Prove],
        on_line: Callable[[AnyLine], None],
        on_frame: Callable[[AnyLine, Frame], None],
        on_lost: Callable[[AnyLine], None],
    ) -> None:
        self.address: Address | None = None
        self.hello = hello
        self.prove = prove
        self.on_line = on_line
        self.on_frame = on_frame
        self.on_lost = on_lost
        self.problems: list[str] = []
        self._members = members
        self._lines: list[_HubLine] = []

    def attach(self) -> None:
        """Lines to everybody who is there."""
        others = list(self._members)
        self._members.append(self)
        for other in others:
            there, here = _HubLine(other, self), _HubLine(self, other)
            there.back, here.back = here, there
            try:
                self.on_line(there)
                other.on_line(here)
            except TrothError as error:
                # As over TCP: one that may not speak as it wants to is not spoken with.
                self.problems = [*self.problems[-9:], str(error)]
                self.on_lost(there)
                continue
            self._lines.append(there)
            other.add(here)

    def add(self, line: _HubLine) -> None:
        self._lines.append(line)

    def remove(self, line: _HubLine) -> None:
        self._lines.remove(line)

    async def listen(self, address: Address) -> None:
        raise _no_address(address)

    def call(self, address: Address) -> None:
        raise _no_address(address)

    async def close(self) -> None:
        """Leaves the hub after what was sent has arrived."""
        if self in self._members:
            self._members.remove(self)
        lines, self._lines = self._lines, []
        for line in lines:
            line.end()


class _HubLine:
    """The way to one other machine."""

    def __init__(self, to: HubLines, owner: HubLines) -> None:
        self.hello = to.hello
        challenge = os.urandom(ID_BYTES)
        self.keys = proved_keys(to.prove(challenge), challenge, to.hello)
        self.congested = False
        self.back: _HubLine | None = None
        self.open = True
        self._to = to
        self._owner = owner
        self._loop = asyncio.get_running_loop()

    def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._loop.call_soon(self._arrive, encode_frame(frame))

    def _arrive(self, data: bytes) -> None:
        back = self.back
        if back is not None and back.open:
            self._to.on_frame(back, decode_frame(data))

    def end(self) -> None:
        """The owner leaves."""
        self.open = False
        self._loop.call_soon(self._lost)

    def _lost(self) -> None:
        back = self.back
        if back is not None and back.open:
            back.open = False
            self._to.remove(back)
            self._to.on_lost(back)


def _no_address(address: Address) -> Unusable:
    return Unusable(
        "link.hub",
        f"machines of a hub meet without addresses, and {address} is one",
        expected="either a hub, or addresses to listen at and to connect to",
        actual="both",
    )
