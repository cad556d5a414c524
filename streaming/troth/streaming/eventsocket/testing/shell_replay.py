"""Plays a recorded connection to an application over a real socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from troth.streaming.eventsocket.testing.replay import Part, commands_in


async def play(
    port: int,
    parts: Sequence[Part],
    *,
    host: str = "127.0.0.1",
    speed: float = 1.0,
    seed: int | None = None,
    patience_s: float = 5.0,
    stay: bool = False,
) -> bytes:
    """Sends every part at its time and returns what the application sent.

    With `seed` the timing is adversarial: parts are cut at random and come as fast as they can.
    With `stay` the connection is kept after the last part until the application says `exit`.
    When a command does not come within `patience_s` the rest is not sent.
    """
    reader, writer = await asyncio.open_connection(host, port)
    draw = random.Random(seed)
    received = bytearray()
    more = asyncio.Event()

    async def read() -> None:
        while True:
            try:
                data = await reader.read(1 << 16)
            except ConnectionError:
                data = b""
            received.extend(data)
            more.set()
            if not data:
                return

    async def commands(count: int) -> None:
        while commands_in(received) < count and not reading.done():
            more.clear()
            await more.wait()

    async def leave() -> None:
        while not received.endswith(b"exit\n\n") and not reading.done():
            more.clear()
            await more.wait()

    reading = asyncio.get_running_loop().create_task(read())
    try:
        for part in parts:
            try:
                await asyncio.wait_for(commands(part.after_commands), patience_s)
            except TimeoutError:
                break
            if seed is None:
                await asyncio.sleep(part.wait_s / speed)
            for piece in _pieces(part.data, draw if seed is not None else None):
                if not writer.is_closing():
                    writer.write(piece)
                await asyncio.sleep(0)
        if stay:
            await asyncio.wait_for(leave(), patience_s)
    finally:
        writer.close()
        await asyncio.wait([reading], timeout=patience_s)
        reading.cancel()
    return bytes(received)


def _pieces(data: bytes, draw: random.Random | None) -> list[bytes]:
    if draw is None:
        return [data]
    found = []
    while data:
        size = draw.choice((1, 7, 100, 3000, len(data)))
        found.append(data[:size])
        data = data[size:]
    return found
