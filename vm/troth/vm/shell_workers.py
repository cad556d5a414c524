"""Worker threads that sign, verify and execute lanes side by side: the threaded runner's outside.

The thread that runs the round is one of the workers. Every worker takes the next piece as soon as
it has finished one. Lanes share nothing that changes, so there is nothing to lock but the queue.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeAlias

import msgpack

from troth.vm.errors import Unusable
from troth.vm.signer import Roster

WORKERS_MAX: Final = 256
_Job: TypeAlias = Callable[[], None]


class ThreadWorkers:
    """`run_lanes.Workers` on threads. `close` ends them."""

    def __init__(self, count: int, *, lanes: bool = True) -> None:
        """`lanes` says whether lanes too are spread over the workers, or only signatures.

        Bytecode holds the interpreter's lock, so spreading lanes makes nothing faster. It shows
        that they commute.

        Raises:
            Unusable: code `run.workers`, when this Python's libraries do not bear several threads.
        """
        self.count = count
        if count > 1:
            _require_safe_libraries()
        self.lanes = lanes
        self._asked: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, jobs: Sequence[_Job]) -> None:
        """See `run_lanes.Workers`. Whatever happens, no job is running when this returns."""
        errors: dict[int, BaseException] = {}
        queue = deque(enumerate(jobs))

        def work() -> None:
            while True:
                try:
                    number, job = queue.popleft()
                except IndexError:
                    return
                try:
                    job()
                except BaseException as error:  # noqa: BLE001 - it is raised by the round's thread
                    errors[number] = error

        helpers = min(self.count, len(jobs)) - 1
        calls = self._ask(work, helpers) if helpers > 0 else []
        try:
            work()
        finally:
            for call in calls:
                call.join()
        if errors:
            raise errors[min(errors)]

    def share(self, count: int, work: Callable[[Iterator[int]], None]) -> None:
        """See `run_lanes.Workers`.

        Everyone takes the next number again and again: who is woken late takes fewer.
        """
        # An iterator of a range gives every number once, whoever asks.
        numbers = iter(range(count))
        self.run([partial(work, numbers)] * min(self.count, count))

    def close(self) -> None:
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _ask(self, work: _Job, helpers: int) -> list[_Call]:
        """Has so many threads do the work; they are made when they are first wanted."""
        while len(self._threads) < helpers:
            name = f"troth-lane-{len(self._threads)}"
            thread = threading.Thread(target=_serve, args=(self._asked,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        calls = [_Call(work) for _ in range(helpers)]
        for call in calls:
            self._asked.put(call)
        return calls


class _Call:
    """One worker's part in a piece of work.

    Futures of the standard library do the same, and take as long for it as the signing of a
    message: a condition is made and notified for each. This is a lock.
    """

    __slots__ = ("_running", "_work")

    def __init__(self, work: _Job) -> None:
        self._work = work
        self._running = threading.Lock()
        self._running.acquire()

    def run(self) -> None:
        try:
            self._work()
        finally:
            self._running.release()

    def join(self) -> None:
        """Returns when the work is done; an interrupt of the waiting thread is raised then."""
        interrupt: BaseException | None = None
        while self._running.locked():
            try:
                with self._running:
                    break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


def _serve(asked: SimpleQueue[_Call | None]) -> None:
    while (call := asked.get()) is not None:
        call.run()


def _require_safe_libraries() -> None:
    """The codec keeps one packer per process, which is safe where a call of it cannot be split."""
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    if locked and msgpack.Packer.__module__ != "msgpack.fallback":
        return
    raise Unusable(
        "run.workers",
        "this Python cannot run lanes on several threads",
        expected="an interpreter with its lock, and msgpack with its C extension",
        actual="msgpack in pure Python" if locked else "a free-threaded interpreter",
        advice="Use --workers 1, or --runner cooperative: the result is the same",
    )


class SerialRoster:
    """A roster that several threads may ask: it may make a role's key when it is first asked."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._lock = threading.Lock()

    def principal(self, protocol: str, role: str) -> bytes:
        with self._lock:
            return self._roster.principal(protocol, role)

    def name_of(self, principal: bytes) -> str:
        with self._lock:
            return self._roster.name_of(principal)
