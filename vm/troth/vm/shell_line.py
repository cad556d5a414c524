"""TCP between machines: frames with their length in front, 4 bytes, big endian.

A `Line` is one connection. `Lines` keeps them: it listens, calls the others again and again until
they answer, and gives what comes to whoever asked for it. Nothing here is trusted or secret: what
matters is signed, and who needs privacy puts a tunnel around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, NamedTuple, Protocol

from troth.vm.errors import Malformed, TrothError, Unusable
from troth.vm.link_frames import (
    FRAME_BYTES_MAX,
    ID_BYTES,
    LINK_VERSION,
    Frame,
    Hello,
    Ping,
    Prove,
    decode_frame,
    encode_frame,
)
from troth.vm.signatures import acceptable_key, verify
from troth.vm.statements import link_statement

LENGTH_BYTES: Final = 4
CALL_AGAIN_SECONDS: Final = 0.2
CALL_AGAIN_SECONDS_MAX: Final = 3.0
HELLO_SECONDS_MAX: Final = 10.0
PING_SECONDS: Final = 5.0
SILENT_SECONDS_MAX: Final = 20.0
"""A connection on which nothing came for so long is given up and made again."""

LINES_MAX: Final = 256
UNSENT_BYTES_MAX: Final = 16 << 20
"""Of a line whose other side does not read: what is beyond is sent again later."""


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`HOST:PORT`, with an IPv6 address in brackets.

    Raises:
        Unusable: code `link.address`.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Unusable(
            "link.address",
            "this is not an address",
            expected="HOST:PORT, such as 127.0.0.1:4000",
            actual=ascii(text[:80]),
        )
    return Address(host, int(port))


class AnyLine(Protocol):
    """What a machine needs of a connection."""

    @property
    def hello(self) -> Hello: ...

    @property
    def keys(self) -> frozenset[bytes]: ...

    @property
    def congested(self) -> bool: ...

    def send(self, frames: Sequence[Frame]) -> None: ...


class Line:
    """One connection on which the other side has proved who it is: with which keys it speaks."""

    def __init__(self, hello: Hello, keys: frozenset[bytes], writer: asyncio.StreamWriter) -> None:
        self.hello = hello
        self.keys = keys
        self._writer = writer

    @property
    def congested(self) -> bool:
        """The other side does not read as fast as it is written to."""
        return self._writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX

    def send(self, frames: Sequence[Frame]) -> None:
        """Nobody waits: what cannot be sent is sent again on the next connection."""
        for frame in frames:
            _write(self._writer, frame)

    def close(self) -> None:
        self._writer.close()


class Lines:
    """All connections of one machine.

    Attributes:
        address: where it listens, once it does.
        problems: why connections were refused or broke, the last few, for a person to read.
    """

    def __init__(
        self,
        hello: Hello,
        *,
        prove: Callable[[bytes], Prove],
        on_line: Callable[[AnyLine], None],
        on_frame: Callable[[AnyLine, Frame], None],
        on_lost: Callable[[AnyLine], None],
    ) -> None:
        """`prove` signs a challenge; `on_line` may refuse a line with a `TrothError`."""
        self.address: Address | None = None
        self.problems: list[str] = []
        self._hello = hello
        self._prove = prove
        self._on_line = on_line
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._closed = False

    async def listen(self, address: Address) -> None:
        """
        Raises:
            Unusable: code `link.listen`.
        """
        try:
            self._server = await asyncio.start_server(self._answer, address.host, address.port)
        except OSError as error:
            raise Unusable(
                "link.listen",
                f"nobody can be heard at {address}: {error.strerror or error}",
                advice="Choose another port, or end what listens there",
            ) from error
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = Address(host, port)

    def call(self, address: Address) -> None:
        """Connects, and connects again whenever the connection is lost, until `close`."""
        self._start(self._keep_calling(address))

    async def close(self) -> None:
        """Ends all connections after what was sent has gone."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_calling(self, address: Address) -> None:
        pause = CALL_AGAIN_SECONDS
        while not self._closed:
            try:
                reader, writer = await asyncio.open_connection(address.host, address.port)
            except OSError as error:
                self._problem(f"{address}: {error.strerror or error}")
            else:
                pause = CALL_AGAIN_SECONDS
                await self._talk(reader, writer)
            await asyncio.sleep(pause)
            pause = min(pause * 2, CALL_AGAIN_SECONDS_MAX)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= LINES_MAX:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None, "a server answers in a task"
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await self._talk(reader, writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """From the greeting to the end of the connection, however it ends."""
        line: Line | None = None
        pinging: asyncio.Task[None] | None = None
        try:
            greeted = await self._greet(reader, writer)
            self._on_line(greeted)
            line = greeted
            pinging = asyncio.ensure_future(_ping(line))
            while True:
                self._on_frame(line, await _read(reader, SILENT_SECONDS_MAX))
        except (TrothError, OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            if not isinstance(error, asyncio.IncompleteReadError):
                self._problem(str(error) or type(error).__name__)
        finally:
            if pinging is not None:
                pinging.cancel()
            if line is not None:
                self._on_lost(line)
            await _close(writer)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Line:
        """Each side says who it is, and proves it over the other's fresh challenge.

        Raises:
            Malformed: codes `link.frame`, `link.hello`, `link.proof`.
        """
        own = self._hello._replace(challenge=os.urandom(ID_BYTES))
        _write(writer, own)
        hello = checked_hello(await _read(reader, HELLO_SECONDS_MAX), own)
        _write(writer, self._prove(hello.challenge))
        keys = proved_keys(await _read(reader, HELLO_SECONDS_MAX), own.challenge, hello)
        return Line(hello, keys, writer)

    def _problem(self, text: str) -> None:
        self.problems = [*self.problems[-9:], text]


def proved_keys(proof: Frame, challenge: bytes, hello: Hello) -> frozenset[bytes]:
    """The keys with which the other side of a connection speaks.

    Raises:
        Malformed: code `link.proof`.
    """
    statement = link_statement(challenge, hello.party, hello.incarnation)
    if not isinstance(proof, Prove) or not all(
        acceptable_key(key) and verify(key, statement, signature) for key, signature in proof.keys
    ):
        raise Malformed(
            "link.proof",
            "the other side does not hold the keys that it speaks with",
            expected="a signature of each over this connection's challenge",
            actual="none, or one that does not verify",
        )
    return frozenset(key for key, _ in proof.keys)


def _write(writer: asyncio.StreamWriter, frame: Frame) -> None:
    data = encode_frame(frame)
    writer.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)


async def _read(reader: asyncio.StreamReader, seconds_max: float) -> Frame:
    # Not `wait_for`, which loses a cancellation that comes together with the end of the line.
    async with asyncio.timeout(seconds_max):
        length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
        if length > FRAME_BYTES_MAX:
            raise Malformed(
                "link.frame",
                "a frame is too long",
                expected=f"at most {FRAME_BYTES_MAX} bytes",
                actual=str(length),
            )
        return decode_frame(await reader.readexactly(length))


def checked_hello(frame: Frame, own: Hello) -> Hello:
    """The greeting of another machine.

    Raises:
        Malformed: code `link.hello`.
    """
    if not isinstance(frame, Hello) or frame.version != LINK_VERSION or frame.party == own.party:
        raise Malformed(
            "link.hello",
            "the other side does not greet as another machine of this version does",
            expected=f"a hello of version {LINK_VERSION} from another machine",
            actual=f"version {frame.version}" if isinstance(frame, Hello) else "another frame",
        )
    return frame


async def _ping(line: Line) -> None:
    while True:
        await asyncio.sleep(PING_SECONDS)
        line.send([Ping()])


async def _close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()
