"""Bytes of a gateway's connections over asyncio: bounded both ways, and closed in time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

READ_BYTES: Final = 65_536
CLOSE_S: Final = 2.0
UNIX_NS = time.time_ns


def now_ns() -> int:
    """The clock of all cores here."""
    return time.monotonic_ns()


def unix_offset_ns() -> int:
    """What the Unix time has over that clock, now."""
    return time.time_ns() - time.monotonic_ns()


async def close_writer(writer: asyncio.StreamWriter) -> None:
    """Lets what was written go out, for a moment, and closes."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await writer.wait_closed()
