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
from typing import Final, Protocol

from troth.streaming.link import Address, LinkOptions, Listener, SecureLink
from troth.vm.errors import Unusable

BUFFER_BYTES: Final = 4 << 20
EXPEDITED: Final = 0xB8
"""The type-of-service byte of expedited forwarding."""

READ_BYTES: Final = 16_384
"""More than a datagram of ours holds; what is longer is cut off, and no packet of ours."""

READS_MAX: Final = 64
"""Datagrams that are read at once, so that somebody who floods us is not all that happens."""


class Driven(Protocol):
    """What a shell can drive."""

    def receive(self, datagram: bytes, address: Address, now_ns: int) -> None: ...

    def tick(self, now_ns: int) -> None: ...

    @property
    def deadline_ns(self) -> int | None: ...

    def datagrams(self) -> Sequence[tuple[Address, bytes]]: ...


class DatagramShell:
    """Drives one core over one socket. `wake` it after every call that may send something.

    The socket is read until it is empty before the core is asked what follows: a burst of
    datagrams costs one turn, and not one each.
    """

    def __init__(
        self, core: Driven, opened: socket.socket, on_change: Callable[[], None] | None = None
    ) -> None:
        self.core = core
        self.errors = 0
        """What the socket has complained about: an unreachable port, or that it is full."""

        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = opened
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0
        """When the timer, if there is one, goes off."""

        self._scheduled = False
        self._loop.add_reader(opened.fileno(), self._read)
        self.wake()

    @property
    def address(self) -> Address:
        """Where it listens."""
        assert self._socket is not None, "the socket is open"
        host, port = self._socket.getsockname()[:2]
        return host, port

    def wake(self) -> None:
        """Something may be due: looks at it before the loop waits again."""
        if not self._scheduled and self._socket is not None:
            self._scheduled = True
            self._loop.call_soon(self._woken)

    def _woken(self) -> None:
        self._scheduled = False
        self._turn()

    def _read(self) -> None:
        receive = self.core.receive
        for _ in range(READS_MAX):
            if self._socket is None:
                return
            try:
                data, address = self._socket.recvfrom(READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                self.errors += 1
                continue
            receive(data, address[:2], time.monotonic_ns())
        self._turn()

    def _turn(self) -> None:
        if self._socket is None:
            return
        now_ns = time.monotonic_ns()
        deadline_ns = self.core.deadline_ns
        if deadline_ns is not None and deadline_ns <= now_ns:
            self.core.tick(now_ns)
        for address, data in self.core.datagrams():
            try:
                self._socket.sendto(data, address)
            except OSError:
                # As lost as one that the network drops, and found missing in the same way.
                self.errors += 1
        if self._on_change is not None:
            self._on_change()
        self._set_timer()

    def _set_timer(self) -> None:
        deadline_ns = self.core.deadline_ns
        if deadline_ns is None or self._socket is None:
            return
        if self._timer is not None:
            if self._due_ns <= deadline_ns:
                return  # it goes off before, and is set again then: cheaper than to set it now
            self._timer.cancel()
        self._due_ns = deadline_ns
        wait_s = max(0, deadline_ns - time.monotonic_ns()) / 1e9
        self._timer = self._loop.call_later(wait_s, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._turn()

    async def close(self) -> None:
        """Closes the socket; says nothing to anybody, so close the links before."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None


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
    try:
        opened = await _bound(host, port)
    except OSError as error:
        raise Unusable(
            "transport.socket",
            f"there is no socket at {host}:{port}",
            expected="an address of this machine and a port that is free",
            actual=error.strerror or str(error),
            advice="Choose another port, or 0 for any",
        ) from error
    return DatagramShell(core, opened, on_change)


async def _bound(host: str, port: int) -> socket.socket:
    """A socket of this machine that does not block."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        # A name: to look it up may take long, and is done on a thread.
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, kind, number, _, address = found[0]
    opened = socket.socket(family, kind, number)
    try:
        opened.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            opened.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        if family == socket.AF_INET:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


def connect(options: LinkOptions, address: Address) -> SecureLink:
    """A link that begins its handshake with that address as soon as a shell drives it."""
    return SecureLink.connect(options, address, entropy=os.urandom, now_ns=time.monotonic_ns())


def listen(options: LinkOptions) -> Listener:
    """A listener with the entropy of the system."""
    return Listener(options, entropy=os.urandom)
