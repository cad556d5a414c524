"""A TCP proxy between two machines that does to their frames what networks do, from a seed.

It cuts connections, and repeats, delays and reorders frames. It counts what it did.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from random import Random

LENGTH_BYTES = 4


@dataclass
class ChaosProxy:
    """
    Attributes:
        cut, repeat, delay, swap: how often each happens to a frame, out of 1.
        cuts_max: after so many cuts the line holds, so that a run comes to its end.
        did: how often each happened, and how many frames passed.
    """

    port: int
    random: Random
    cut: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0
    swap: float = 0.0
    cuts_max: int = 20
    did: Counter[str] = field(default_factory=Counter)
    listening_at: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.listening_at = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        ends = (writer, other_writer)
        self._writers.update(ends)
        await asyncio.gather(
            self._pump(reader, other_writer, ends), self._pump(other_reader, writer, ends)
        )
        self._writers.difference_update(ends)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ends: tuple[asyncio.StreamWriter, ...],
    ) -> None:
        held: bytes | None = None
        greeting = 2
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(LENGTH_BYTES)
                frame = head + await reader.readexactly(int.from_bytes(head, "big"))
                self.did["frames"] += 1
                if greeting:
                    # The greeting and its proof come first on every line, or there is none.
                    greeting -= 1
                    writer.write(frame)
                    continue
                if self.did["cut"] < self.cuts_max and self._chance(self.cut, "cut"):
                    # Some bytes of the frame are on their way already.
                    writer.write(frame[: self.random.randrange(len(frame))])
                    break
                if self._chance(self.delay, "delay"):
                    await asyncio.sleep(self.random.random() / 50)
                if held is None and self._chance(self.swap, "swap"):
                    held = frame
                    continue
                for _ in range(2 if self._chance(self.repeat, "repeat") else 1):
                    writer.write(frame)
                if held is not None:
                    writer.write(held)
                    held = None
                await writer.drain()
        for end in ends:
            with contextlib.suppress(OSError):
                end.close()

    def _chance(self, often: float, what: str) -> bool:
        if self.random.random() >= often:
            return False
        self.did[what] += 1
        return True
