"""Who listens to the events of a session: hooks, each a task of its own, and streams.

A hook that fails is logged and ends nothing. No hook can hold up the reader. At the end of the
session hooks are awaited by whoever owns it.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Final

from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import LogLine
from troth.streaming.eventsocket.reports import Counts, SessionReport
from troth.vm.errors import LimitExceeded

LOGGER: Final = logging.getLogger("troth.eventsocket")

Hook = Callable[[Event], Awaitable[object] | None]


def give_report(listener: Callable[[SessionReport], None] | None, report: SessionReport) -> None:
    """Hands a report on. A listener that fails is logged, and spoils nothing."""
    if listener is None:
        return
    try:
        listener(report)
    except Exception:
        LOGGER.exception("a listener to reports failed")


class EventStream(AsyncIterator[Event]):
    """Events from now on, until the session ends.

    A reader that falls behind by more than `events_queued_max` gets those that are queued, and then
    an error that says so: nothing is dropped in silence.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: deque[Event] = deque()
        self._closed = False
        self._missed = 0
        self._wake = asyncio.Event()

    def put(self, event: Event) -> None:
        if self._closed or self._missed or len(self._queue) >= self._most:
            self._missed += not self._closed
        else:
            self._queue.append(event)
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._missed:
                raise LimitExceeded(
                    "esl.limit.events_queued_max",
                    "the reader of a stream of events fell behind",
                    expected=f"at most events_queued_max={self._most} waiting",
                    actual=f"{self._missed} more",
                    advice="Read faster, filter on the switch, or raise the limit",
                )
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._queue.popleft()


class Listeners:
    """The hooks and streams of one session, and the newest event of it."""

    def __init__(self, limits: Limits, counts: Counts, name: str) -> None:
        self._limits = limits
        self._counts = counts
        self._name = name
        self._by_name: dict[str, list[Hook]] = {}
        self._for_all: list[Hook] = []
        self._for_log: list[Callable[[LogLine], Awaitable[object] | None]] = []
        # A stream that nobody reads any more is gone.
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._tasks: set[asyncio.Task[None]] = set()
        self._queued: deque[Coroutine[object, object, None]] = deque()
        self._closed = False
        self.last_event: Event | None = None

    def on(self, name: str, hook: Hook) -> None:
        self._by_name.setdefault(name, []).append(hook)

    def on_event(self, hook: Hook) -> None:
        self._for_all.append(hook)

    def on_log(self, hook: Callable[[LogLine], Awaitable[object] | None]) -> None:
        self._for_log.append(hook)

    def stream(self) -> EventStream:
        stream = EventStream(self._limits.events_queued_max)
        if self._closed:
            stream.close()
        self._streams.add(stream)
        return stream

    def dispatch(self, message: Event | LogLine) -> None:
        """Starts the hooks of a message; the general ones first."""
        if isinstance(message, LogLine):
            for log_hook in self._for_log:
                self._start(self._run(log_hook, message))
            return
        self.last_event = message
        for stream in self._streams:
            stream.put(message)
        for hook in self._for_all:
            self._start(self._run(hook, message))
        if self._by_name:
            for hook in self._by_name.get(message.name or "", ()):
                self._start(self._run(hook, message))

    def _start(self, work: Coroutine[object, object, None]) -> None:
        if len(self._tasks) < self._limits.hooks_running_max:
            self._create(work)
        elif len(self._queued) < self._limits.events_queued_max:
            self._queued.append(work)
        else:
            work.close()
            self._counts.hooks_failed += 1
            LOGGER.error("%s: hooks fall behind; an event has none", self._name)

    def _create(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        self._counts.hooks_running += 1
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._counts.hooks_running -= 1
        self._counts.hooks_cancelled += task.cancelled()
        if self._queued and len(self._tasks) < self._limits.hooks_running_max:
            self._create(self._queued.popleft())

    async def _run(self, hook: Callable[..., Awaitable[object] | None], message: object) -> None:
        self._counts.hooks_run += 1
        try:
            result = hook(message)
            if isinstance(result, Awaitable):
                await result
        except Exception:
            self._counts.hooks_failed += 1
            LOGGER.exception("%s: a hook failed", self._name)

    # --- the end ----------------------------------------------------------------------------

    def close(self) -> None:
        """No event comes any more."""
        self._closed = True
        for stream in self._streams:
            stream.close()

    async def wait(self) -> None:
        """Returns when no hook runs and none is queued."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """What still runs has had its time."""
        while self._queued:
            self._queued.popleft().close()
            self._counts.hooks_cancelled += 1
        for task in list(self._tasks):
            task.cancel()
