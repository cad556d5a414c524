"""Sessions that are taken away from a party: what its program of `revoke` asks it for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from troth.streaming.gateway.hub import Order
from troth.streaming.gateway.legs import LegOwner

Stop = Callable[[bytes, str], Awaitable[None]]
"""Stops the session, because of that; there may be none. Done when it has stopped."""


async def nothing_to_stop(_session: bytes, _reason: str) -> None:
    """For a party that has no session, or had that one."""


class Stopping(LegOwner):
    """The party's effects of one run."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    async def stop_sessions(self, orders: list[Order]) -> None:
        stops = (self._stop(order["session"], order["reason"]) for order in orders)
        # A run that has said that it is late ends without waiting; what stops goes on stopping.
        await asyncio.shield(asyncio.gather(*stops))
