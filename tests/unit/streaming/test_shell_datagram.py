"""Links over real sockets on the loopback: everything that was tried in memory also works there."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import time
from collections.abc import Callable

import pytest

from link_pairs import CLIENT_OPTIONS, HOST_OPTIONS
from troth.streaming.link import (
    VIDEO,
    Closed,
    CloseReason,
    ControlMessage,
    Established,
    Event,
    Frame,
    SecureLink,
)
from troth.streaming.shell_datagram import (
    READ_BYTES,
    READS_MAX,
    DatagramShell,
    connect,
    listen,
    open_shell,
)
from troth.vm.errors import Unusable

SECONDS_MAX = 20
"""Only there so that what waits for ever fails."""


class _Session:
    """A client and a host, each with its socket."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.host_events: list[Event] = []
        self.host_link: SecureLink | None = None
        self._changed = asyncio.Event()

    async def open(self) -> None:
        self.listener = listen(HOST_OPTIONS)
        self.host_shell = await open_shell(self.listener, on_change=self._look)
        self.client = connect(CLIENT_OPTIONS, self.host_shell.address)
        self.client_shell = await open_shell(self.client, on_change=self._look)

    def _look(self) -> None:
        for link in self.listener.accepted():
            self.host_link = link
        self.events += self.client.events()
        if self.host_link is not None:
            self.host_events += self.host_link.events()
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS_MAX):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def close(self) -> None:
        await self.client_shell.close()
        await self.host_shell.close()


def _has(events: list[Event], kind: type[Event]) -> bool:
    return any(isinstance(event, kind) for event in events)


async def _one_session() -> _Session:
    session = _Session()
    await session.open()
    await session.until(lambda: _has(session.events, Established))
    session.client.send_control(b"hello")
    session.client_shell.wake()
    await session.until(lambda: ControlMessage(b"hello") in session.host_events)
    host = session.host_link
    assert host is not None
    host.send_frame(VIDEO, bytes(50_000), key=True, now_ns=time.monotonic_ns())
    session.host_shell.wake()
    await session.until(lambda: _has(session.events, Frame))
    session.client.close(CloseReason.USER, "done", time.monotonic_ns())
    session.client_shell.wake()
    await session.until(lambda: _has(session.events, Closed) and _has(session.host_events, Closed))
    await session.close()
    return session


def test_a_session_over_sockets_from_hello_to_goodbye() -> None:
    session = asyncio.run(_one_session())
    (closed,) = [event for event in session.host_events if isinstance(event, Closed)]
    assert (closed.reason, closed.by_peer) == (CloseReason.USER, True)
    (frame,) = [event for event in session.events if isinstance(event, Frame)]
    assert frame.data == bytes(50_000)


def _resources() -> tuple[int, int]:
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to count files")
def test_sessions_leave_no_file_and_no_thread_behind() -> None:
    async def many() -> tuple[tuple[int, int], tuple[int, int]]:
        await _one_session()
        before = _resources()
        for _ in range(20):
            await _one_session()
        return before, _resources()

    before, after = asyncio.run(many())
    assert after == before


def test_strangers_on_the_socket_are_counted() -> None:
    async def run() -> int:
        listener = listen(HOST_OPTIONS)
        done = asyncio.Event()

        def look() -> None:
            if listener.counts.bad_header:
                done.set()

        shell = await open_shell(listener, on_change=look)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"who is there?", shell.address)
        async with asyncio.timeout(SECONDS_MAX):
            await done.wait()
        await shell.close()
        return listener.counts.bad_header

    assert asyncio.run(run()) == 1


def test_a_port_in_use_is_said() -> None:
    async def run() -> None:
        shell: DatagramShell = await open_shell(listen(HOST_OPTIONS))
        try:
            with pytest.raises(Unusable) as caught:
                await open_shell(listen(HOST_OPTIONS), port=shell.address[1])
            assert caught.value.code == "transport.socket"
        finally:
            await shell.close()

    asyncio.run(run())


def test_a_flood_is_read_in_parts_and_a_full_socket_is_as_a_loss() -> None:
    class Core:
        deadline_ns: int | None = None

        def __init__(self) -> None:
            self.received: list[int] = []
            self.turns = 0
            self.sends: list[tuple[tuple[str, int], bytes]] = []

        def receive(self, datagram: bytes, address: tuple[str, int], now_ns: int) -> None:
            del address, now_ns
            self.received.append(len(datagram))

        def tick(self, now_ns: int) -> None:
            del now_ns

        def datagrams(self) -> list[tuple[tuple[str, int], bytes]]:
            self.turns += 1
            sends, self.sends = self.sends, []
            return sends

    async def run() -> None:
        core = Core()
        shell = await open_shell(core)
        await asyncio.sleep(0)
        turns = core.turns
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(READS_MAX + 1):
                stranger.sendto(bytes(100), shell.address)
            stranger.sendto(bytes(READ_BYTES + 1), shell.address)
            async with asyncio.timeout(SECONDS_MAX):
                while len(core.received) < READS_MAX + 2:
                    await asyncio.sleep(0)
        assert core.turns == turns + 2
        assert core.received[-1] == READ_BYTES
        core.sends = [(shell.address, bytes(70_000))]
        shell.wake()
        await asyncio.sleep(0.01)
        assert shell.errors == 1
        await shell.close()
        shell.wake()

    asyncio.run(run())
