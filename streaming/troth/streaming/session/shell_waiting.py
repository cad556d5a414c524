"""Waiting for one of several things, at most so long."""

from __future__ import annotations

import asyncio


async def first(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Until one of them happens, or the time is over."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
