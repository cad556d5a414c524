"""Runs a scenario on real sockets, and holds it to leaving nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from event_socket_calls import OK
from troth.streaming.eventsocket import Call, EventSocketServer, ServerOptions, SessionReport
from troth.streaming.eventsocket import start_server as _start
from troth.streaming.eventsocket.testing import Part

T = TypeVar("T")
SCENARIO_S = 30.0
"""Only there so that a scenario that waits for ever fails the test instead of stopping it."""


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0


def run(scenario: Callable[[], Coroutine[object, object, T]]) -> T:
    """The scenario's result. No task, no socket and no unseen error may be left."""
    problems: list[str] = []

    async def guarded() -> T:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(str(context)))
        before = open_files()
        result = await asyncio.wait_for(scenario(), SCENARIO_S)
        for _ in range(5):
            await asyncio.sleep(0)
        gc.collect()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left: {left}"
        assert open_files() <= before, "sockets are left"
        return result

    result = asyncio.run(guarded())
    assert not problems, problems
    return result


class Reports(list[SessionReport]):
    """The reports of a server, in the order in which its sessions ended."""

    def one(self) -> SessionReport:
        (report,) = self
        return report


def idle(call: Call) -> Awaitable[object]:
    """A handler that waits until its call is over."""
    return _until_over(call)


async def _until_over(call: Call) -> None:
    async for _ in call.events():
        pass


async def start(
    handler: Callable[[Call], Awaitable[object]], reports: Reports, **options: object
) -> EventSocketServer:
    """A server on a free port whose reports go to a list."""
    made = ServerOptions(on_report=reports.append, **options)  # type: ignore[arg-type]
    return await _start(handler, port=0, options=made)


def bare(*pieces: bytes) -> list[Part]:
    """Three replies for the set-up, then pieces as one burst."""
    return [Part(OK, 0, 1), Part(OK, 0, 2), Part(OK, 0, 3), Part(b"".join(pieces), 0, 3)]
