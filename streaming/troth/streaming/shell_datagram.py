"""A link or a listener on a UDP socket, with asyncio.

The shell reads the clock, the socket and the system's entropy, and decides nothing. It ticks what
it drives when its deadline has come, and after everything that came in.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

from troth.streaming.link import Address, LinkOptions, Listener, SecureLink
from troth.vm.errors import Unusable

BUFFER_BYTES: Final = 4 << 20
EXPEDITED: Final = 0xB8
"""The type-of-service byte of expedited forwarding."""

READ_BYTES: Final = 65_536
"""More than a datagram holds. With the 256 KiB that asyncio asks for, every read of a datagram
maps and unmaps memory, which costs several times what the read does."""


class Driven(Protocol):
    """What a shell can drive."""

    def receive(self, datagram: bytes, address: Address, now_ns: int) -> None: ...

    def tick(self, now_ns: int) -> None: ...

    @property
    def deadline_ns(self) -> int | None: ...

    def datagrams(self) -> Sequence[tuple[Address, bytes]]: ...


class DatagramShell(asyncio.DatagramProtocol):
    """Drives one core over one socket. `wake` it after every call that may send something."""

    def __init__(self, core: Driven, on_change: Callable[[], None] | None = None) -> None:
        self.core = core
        self.errors = 0
        """What the socket has complained about: an unreachable port, for instance."""

        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._closed = self._loop.create_future()

    @property
    def address(self) -> Address:
        """Where it listens."""
        assert self._transport is not None, "the socket is open"
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BYTES
        opened = transport.get_extra_info("socket")
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            opened.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        if opened.family == socket.AF_INET:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
        self.wake()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.core.receive(data, addr[:2], time.monotonic_ns())
        self.wake()

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 - it is counted
        self.errors += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - we close it
        if not self._closed.done():
            self._closed.set_result(None)

    def wake(self) -> None:
        """Something may be due: looks at it before the loop waits again."""
        if not self._scheduled and self._transport is not None:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._transport is None or self._transport.is_closing():
            return
        now_ns = time.monotonic_ns()
        deadline_ns = self.core.deadline_ns
        if deadline_ns is not None and deadline_ns <= now_ns:
            self.core.tick(now_ns)
        send = self._transport.sendto
        for address, data in self.core.datagrams():
            send(data, address)
        if self._on_change is not None:
            self._on_change()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_ns = self.core.deadline_ns
        if deadline_ns is not None:
            wait_s = max(0, deadline_ns - time.monotonic_ns()) / 1e9
            self._timer = self._loop.call_later(wait_s, self.wake)

    async def close(self) -> None:
        """Closes the socket; says nothing to anybody, so close the links before."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
            await self._closed


async def open_shell(
    core: Driven,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    on_change: Callable[[], None] | None = None,
) -> DatagramShell:
    """Opens a socket and drives the core over it.

    Raises:
        Unusable: code `transport.socket`.
    """
    loop = asyncio.get_running_loop()
    try:
        _, shell = await loop.create_datagram_endpoint(
            lambda: DatagramShell(core, on_change), local_addr=(host, port)
        )
    except OSError as error:
        raise Unusable(
            "transport.socket",
            f"there is no socket at {host}:{port}",
            expected="an address of this machine and a port that is free",
            actual=error.strerror or str(error),
            advice="Choose another port, or 0 for any",
        ) from error
    return shell


def connect(options: LinkOptions, address: Address) -> SecureLink:
    """A link that begins its handshake with that address as soon as a shell drives it."""
    return SecureLink.connect(options, address, entropy=os.urandom, now_ns=time.monotonic_ns())


def listen(options: LinkOptions) -> Listener:
    """A listener with the entropy of the system."""
    return Listener(options, entropy=os.urandom)
