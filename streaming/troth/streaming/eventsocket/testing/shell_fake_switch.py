"""A fake switch on real sockets: it hands calls to an application, and takes clients.

Nothing of it sleeps longer than its script says. With `chunk_bytes` what it writes arrives in
pieces of random size, so that no application can rely on how a network cuts.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.streaming.eventsocket.limits import NANOSECONDS_PER_SECOND
from troth.streaming.eventsocket.testing.commands_in import Command
from troth.streaming.eventsocket.testing.fake_call import FakeCall
from troth.streaming.eventsocket.testing.fake_line import Wire
from troth.streaming.eventsocket.testing.fake_server import FakeInbound, SwitchScript
from troth.streaming.eventsocket.testing.script import Fault, Script

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
_READ_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a fake switch saw of a call: the commands, all bytes both ways, and who closed.

    `ended_by_application` is False when the switch itself closed or was reset.
    """

    commands: Sequence[Command]
    received: bytes
    sent: bytes
    ended_by_application: bool

    def lines(self) -> list[str]:
        """The first line of every command."""
        return [command.line for command in self.commands]

    def applications(self) -> list[tuple[str, str]]:
        """Name and argument of every application that was asked for."""
        return [
            (command.headers["execute-app-name"], command.headers.get("execute-app-arg", ""))
            for command in self.commands
            if command.headers.get("call-command") == "execute"
        ]


class CallInProgress:
    """A call that a fake switch has handed over. `await finished()` gives its transcript."""

    def __init__(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seed: int,
        chunk_bytes: int | None,
    ) -> None:  # fmt: skip
        self._model = FakeCall(script, time.monotonic_ns())
        self._reader = reader
        self._writer = writer
        self._random = random.Random(seed)
        self._chunk_bytes = chunk_bytes
        self._received = bytearray()
        self._sent = bytearray()
        self._by_application = False
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def finished(self) -> Transcript:
        await asyncio.shield(self._task)
        return Transcript(
            tuple(self._model.commands),
            bytes(self._received),
            bytes(self._sent),
            self._by_application,
        )

    def hang_up(self, cause: str | None = None) -> None:
        """The caller hangs up, now."""
        self._model.hang_up(time.monotonic_ns(), cause)
        self._changed.set()

    def strike(self, fault: Fault) -> None:
        """Something goes wrong, now."""
        self._model.strike(fault, time.monotonic_ns())
        self._changed.set()

    def put(self, data: bytes) -> None:
        """Sends anything at all, now."""
        self._model.put(data)
        self._changed.set()

    async def _run(self) -> None:
        reading = asyncio.get_running_loop().create_task(self._read())
        try:
            while await self._write_out() and not reading.done():
                await self._sleep(reading)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            self._writer.close()

    async def _sleep(self, reading: asyncio.Task[None]) -> None:
        """Until something happened or something is due."""
        deadline = self._model.deadline_ns()
        timeout = None
        if deadline is not None:
            timeout = max(0, deadline - time.monotonic_ns()) / NANOSECONDS_PER_SECOND
        changed = asyncio.get_running_loop().create_task(self._changed.wait())
        await asyncio.wait([changed, reading], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        self._changed.clear()
        self._model.tick(time.monotonic_ns())

    async def _read(self) -> None:
        while True:
            try:
                data = await self._reader.read(_READ_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                self._by_application = not self._model.closed
                return
            self._received += data
            self._model.receive(data, time.monotonic_ns())
            self._changed.set()

    async def _write_out(self) -> bool:
        """Writes what is due. False when the connection is over."""
        while (item := self._model.take()) is not None:
            if isinstance(item, bytes):
                await self._write(item)
            elif item is Wire.HALF_CLOSE:
                self._writer.write_eof()
            else:
                if item is Wire.RESET:
                    reset(self._writer)
                return False
        return True

    async def _write(self, data: bytes) -> None:
        self._sent += data
        while data:
            size = len(data)
            if self._chunk_bytes is not None:
                size = self._random.randint(1, self._chunk_bytes)
            self._writer.write(data[:size])
            data = data[size:]
            if self._chunk_bytes is not None:
                await asyncio.sleep(0)


async def call(
    port: int,
    script: Script | None = None,
    *,
    host: str = "127.0.0.1",
    seed: int = 0,
    chunk_bytes: int | None = None,
) -> CallInProgress:
    """Hands a call to the application that listens there, as the dialplan's `socket` does."""
    reader, writer = await asyncio.open_connection(host, port)
    return CallInProgress(script or Script(), reader, writer, seed, chunk_bytes)


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes a connection so that the other side sees a reset."""
    found = writer.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    writer.transport.abort()


class FakeSwitch:
    """The event socket of a fake switch, for clients: `async with FakeSwitch() as switch`."""

    def __init__(self, script: SwitchScript | None = None) -> None:
        self.script = script or SwitchScript()
        self.connections: list[FakeInbound] = []
        self._faults = dict(self.script.faults)
        self._changed: dict[int, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None, "the switch was started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def send_event(self, name: str, headers: dict[str, str] | None = None) -> None:
        """An event for every client."""
        for connection in self.connections:
            connection.send_event({"Event-Name": name} | (headers or {}))
        self.wake()

    def strike(self, fault: Fault) -> None:
        """Something goes wrong for every client, now."""
        for connection in self.connections:
            if not connection.closed:
                connection.strike(fault)
        self.wake()

    def wake(self) -> None:
        for changed in self._changed.values():
            changed.set()

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._accept, host, port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def __aenter__(self) -> FakeSwitch:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a server's callback runs in a task"
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        model = FakeInbound(self.script, self._faults)
        number = len(self.connections)
        self.connections.append(model)
        self._changed[number] = changed = asyncio.Event()
        reading = asyncio.get_running_loop().create_task(_feed(reader, model, changed))
        try:
            while _write_out(writer, model) and not reading.done():
                await changed.wait()
                changed.clear()
        except asyncio.CancelledError:
            # The switch was closed: its clients see the end of the connection.
            writer.transport.abort()
        finally:
            model.closed = True
            del self._changed[number]
            reading.cancel()
            writer.close()


async def _feed(reader: asyncio.StreamReader, model: FakeInbound, changed: asyncio.Event) -> None:
    while True:
        try:
            data = await reader.read(_READ_BYTES)
        except ConnectionError:
            data = b""
        if data:
            model.receive(data)
        changed.set()
        if not data:
            return


def _write_out(writer: asyncio.StreamWriter, model: FakeInbound) -> bool:
    while (item := model.take()) is not None:
        if isinstance(item, bytes):
            writer.write(item)
        elif item is Wire.HALF_CLOSE:
            writer.write_eof()
        else:
            if item is Wire.RESET:
                reset(writer)
            return False
    return True
