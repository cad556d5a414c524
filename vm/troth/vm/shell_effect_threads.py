"""Where effects are performed besides the thread of the run: workers, and an event loop.

All threads here are daemons: a function of the host that never returns must not keep a run, or
the process, from ending. Nobody can stop such a thread, so it is left behind.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Collection
from typing import Final

EFFECT_THREADS_MAX: Final = 32
"""Blocking effects that overlap; more of them wait for their turn."""

CLOSE_SECONDS: Final = 2.0
"""How long asynchronous effects get to clean up when a run ends before they do."""

THREAD_NAME: Final = "troth-effects"

Work = Callable[[], None]


class WorkerPool:
    """At most `threads_max` threads; a new one is started only when all others are busy."""

    def __init__(self, threads_max: int = EFFECT_THREADS_MAX) -> None:
        self._threads_max = threads_max
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    def submit(self, work: Work) -> None:
        """Has `work` done, which must not raise."""
        with self._lock:
            self._unfinished += 1
            if len(self._threads) < min(self._unfinished, self._threads_max):
                name = f"{THREAD_NAME}-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._queue.put(work)

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            with self._lock:
                self._unfinished -= 1

    def close(self) -> None:
        """Ends every thread that is not busy, and the others when they are done."""
        with self._lock:
            threads, self._threads = self._threads, []
            busy = self._unfinished
        for _ in threads:
            self._queue.put(None)
        if not busy:
            for thread in threads:
                thread.join(CLOSE_SECONDS)


class LoopThread:
    """An event loop of its own, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._ended = threading.Event()
        self._ending: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._serve, name=f"{THREAD_NAME}-loop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def close(self) -> None:
        """Cancels what runs there, lets it clean up, and stops.

        What never gives way, because it blocks the loop or refuses to be cancelled, is left
        behind with its thread.
        """
        self.loop.call_soon_threadsafe(self._begin_end)
        if self._ended.wait(2 * CLOSE_SECONDS):
            self._thread.join(CLOSE_SECONDS)

    def _begin_end(self) -> None:
        self._ending = self.loop.create_task(self._end())

    async def _end(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not self._ending]
        if await end_tasks(tasks):
            self.loop.stop()
            self._ended.set()


def left_behind() -> bool:
    """Whether a function of the host still runs in a thread, which nobody can stop."""
    return any(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate())


async def end_tasks(tasks: Collection[asyncio.Task[None]]) -> bool:
    """Cancels tasks and waits a moment for them; whether all of them ended."""
    for task in tasks:
        task.cancel()
    if not tasks:
        return True
    _, refusing = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
    return not refusing
