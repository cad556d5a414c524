"""Performs effects for a host: side by side where their functions allow it.

    performer = EffectPerformer(bound, blobs=store)
    performer.start(machine.poll_effects())
    while performer.outstanding:
        performer.wait()                      # or, on an event loop, await performer.wait_async()
        for finished in performer.poll():
            ...                               # machine.complete or machine.complete_failed
    performer.close()

Three kinds of functions:

* *serial* ones, which is every ordinary function that does not say otherwise: one at a time, in
  the order asked for, on the thread that calls `start` and `poll`; with a timeout, on a worker;
* *concurrent* ordinary ones: on worker threads, at most `EFFECT_THREADS_MAX` at once;
* asynchronous ones: as tasks of an event loop, the caller's or one in a thread of its own.

An effect that takes longer than its timeout has failed. An asynchronous one is cancelled; an
ordinary function cannot be, so it runs on, and what it still returns is dropped. `poll` gives
each effect once, so a host that tells its machine what it gives never tells it anything twice.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from troth.vm.blobs import BlobStore
from troth.vm.shell_effect_threads import LoopThread, WorkerPool, end_tasks
from troth.vm.shell_effects import BoundEffect, Call, EffectError, make_call, raised, take_result
from troth.vm.turn import EffectRequest
from troth.vm.values import RegisterValue

NANOSECONDS: Final = 1_000_000_000


class Finished(NamedTuple):
    """How one effect ended: `failure` is why it failed, None when `value` is its result."""

    effect_id: bytes
    failure: str | None
    value: RegisterValue


class _Outcome(NamedTuple):
    """What a function did: it raised `error`, or returned `result`."""

    error: BaseException | None
    result: object


_NOT_CALLED: Final = _Outcome(None, None)


@dataclass(slots=True, eq=False)
class _Running:
    """An effect from its start until `poll` gives it, and its function until that ends."""

    call: Call
    deadline_ns: int | None
    task: asyncio.Task[None] | None = None
    given_up: bool = False
    clocked: bool = False

    @property
    def serial(self) -> bool:
        return not self.call.bound.concurrent

    @property
    def inline(self) -> bool:
        """Whether it is called right where the run is."""
        bound = self.call.bound
        unlimited = self.deadline_ns is None and not self.clocked
        return self.serial and not bound.asynchronous and unlimited


class EffectPerformer:
    """Only `cancel`, `start`, `poll`, `wait` and `close` of one thread at a time may be called."""

    def __init__(
        self,
        bound: Mapping[str, BoundEffect],
        *,
        blobs: BlobStore,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """`loop` is the running loop of the caller, who then waits with `wait_async`."""
        self._bound = bound
        self._blobs = blobs
        self._loop = loop
        self._loop_thread: LoopThread | None = None
        self._workers: WorkerPool | None = None
        self._running: dict[bytes, _Running] = {}
        self._serial_count = 0
        self._serial: deque[_Running] = deque()
        self._serial_now: _Running | None = None
        self._deadlines: list[tuple[int, bytes]] = []
        self._given_up: list[Finished] = []
        self._arrived = threading.Condition()
        self._outcomes: deque[tuple[_Running, _Outcome]] = deque()
        self._woken = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._closed = False

    @property
    def outstanding(self) -> int:
        """Effects that were started and that `poll` has not given yet."""
        return len(self._running) + len(self._given_up)

    @property
    def serial_outstanding(self) -> int:
        """How many of these are serial: a host that waits for them repeats exactly."""
        return self._serial_count

    # --- the host's side ---------------------------------------------------------------------

    def start(self, requests: Iterable[EffectRequest], *, clocked: bool = False) -> None:
        """Begins what a machine asks for. Concurrent effects are under way before serial ones.

        `clocked` says that somebody may stop waiting for them: then none is called right here.
        """
        serial = []
        for request in requests:
            running = self._admit(request, clocked)
            if running.serial:
                serial.append(running)
            else:
                self._launch(running)
        self._serial.extend(serial)
        self._serial_count += len(serial)

    def _admit(self, request: EffectRequest, clocked: bool) -> _Running:
        bound = self._bound[request.name]
        seconds = bound.traits.timeout_seconds
        deadline_ns = None
        if seconds is not None:
            deadline_ns = time.monotonic_ns() + int(seconds * NANOSECONDS)
            heapq.heappush(self._deadlines, (deadline_ns, request.effect_id))
        call = make_call(bound, request.effect_id, request.arguments, self._blobs)
        running = self._running[request.effect_id] = _Running(call, deadline_ns, clocked=clocked)
        return running

    def poll(self) -> list[Finished]:
        """What has finished since the last call, in the order in which it did.

        Serial effects that need no other thread are performed here.

        Raises:
            KeyboardInterrupt: when a function of the host raised it.
        """
        self._expire()
        finished: list[Finished] = []
        while True:
            finished += self._given_up
            self._given_up.clear()
            while self._outcomes:
                running, outcome = self._outcomes.popleft()
                if running is self._serial_now:
                    self._serial_now = None
                if not running.given_up:
                    self._forget(running)
                    finished.append(self._finish(running.call, outcome))
            if not self._advance_serial():
                return finished

    def wait(self, at_most: float | None = None) -> None:
        """Returns when `poll` has something to give or to do, at once when nothing runs.

        And after `at_most` seconds.
        """
        ends = None if at_most is None else time.monotonic() + at_most
        with self._arrived:
            while not self._has_news():
                seconds = _earlier(
                    self._seconds_left(), None if ends is None else ends - time.monotonic()
                )
                if seconds is not None and seconds <= 0:
                    return
                self._arrived.wait(seconds)

    async def wait_async(self, at_most: float | None = None) -> None:
        """Like `wait`, on the event loop that the performer was given."""
        self._woken.clear()
        if self._has_news():
            # Whoever runs in this loop gets a turn all the same.
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(_earlier(self._seconds_left(), at_most)):
                await self._woken.wait()
        except TimeoutError:
            self._expire()

    def cancel(self, effect_id: bytes, failure: str) -> None:
        """Gives up an effect: `poll` says that it failed with `failure`.

        An asynchronous one is cancelled; what an ordinary function still returns is dropped.
        Nothing happens when the effect is not running any more.
        """
        running = self._running.get(effect_id)
        if running is None:
            return
        self._forget(running)
        running.given_up = True
        self._given_up.append(Finished(effect_id, failure, None))
        if running.call.bound.asynchronous and self._loop is not None:
            self._loop.call_soon_threadsafe(_cancel_task, running)

    def give_up(self, effect_id: bytes) -> None:
        """Nobody waits for an effect any longer: what comes of it is dropped.

        An asynchronous one is cancelled where its function says that it may be.
        """
        running = self._running.get(effect_id)
        if running is None:
            return
        self._forget(running)
        running.given_up = True
        bound = running.call.bound
        if bound.asynchronous and bound.traits.cancellable and self._loop is not None:
            self._loop.call_soon_threadsafe(_cancel_task, running)

    def cancellable(self) -> list[bytes]:
        """The effects under way whose functions say that they may be cancelled."""
        return [
            effect_id
            for effect_id, running in self._running.items()
            if running.call.bound.traits.cancellable
        ]

    def close(self) -> None:
        """Gives up everything that still runs. Asynchronous effects get a moment to clean up."""
        self._abandon()
        if self._loop_thread is not None:
            self._loop_thread.close()
            self._loop_thread = None
            self._loop = None

    async def aclose(self) -> None:
        """Like `close`, on the event loop that the performer was given."""
        self._abandon()
        await end_tasks(tuple(self._tasks))

    def _abandon(self) -> None:
        for effect_id in list(self._running):
            self.cancel(effect_id, "the run has ended")
        with self._arrived:
            self._closed = True
        self._serial.clear()
        if self._workers is not None:
            self._workers.close()

    # --- time --------------------------------------------------------------------------------

    def _has_news(self) -> bool:
        if self._outcomes or self._given_up or not self._running:
            return True
        return bool(self._serial) and self._serial_now is None

    def _seconds_left(self) -> float | None:
        while self._deadlines and self._deadlines[0][1] not in self._running:
            heapq.heappop(self._deadlines)
        if not self._deadlines:
            return None
        return (self._deadlines[0][0] - time.monotonic_ns()) / NANOSECONDS

    def _expire(self) -> None:
        while (seconds := self._seconds_left()) is not None and seconds <= 0:
            effect_id = heapq.heappop(self._deadlines)[1]
            allowed = self._running[effect_id].call.bound.traits.timeout_seconds
            assert allowed is not None, "only effects with a timeout have a deadline"
            self.cancel(effect_id, f"it took longer than its timeout of {allowed:g} seconds")

    def _forget(self, running: _Running) -> None:
        del self._running[running.call.effect_id]
        self._serial_count -= running.serial

    # --- performing --------------------------------------------------------------------------

    def _advance_serial(self) -> bool:
        """Performs, or begins, the next serial effect; False when there is none to begin."""
        while self._serial and self._serial_now is None:
            running = self._serial.popleft()
            if running.given_up:
                continue
            self._serial_now = running
            if running.inline:
                self._outcomes.append((running, _perform(running.call)))
                return True
            self._launch(running)
        return False

    def _launch(self, running: _Running) -> None:
        if running.call.bound.asynchronous:
            if self._loop is None:
                self._loop_thread = LoopThread()
                self._loop = self._loop_thread.loop
            if self._loop_thread is None:
                self._begin_task(running)
            else:
                self._loop.call_soon_threadsafe(self._begin_task, running)
            return
        if self._workers is None:
            self._workers = WorkerPool()
        self._workers.submit(lambda: self._work(running))

    def _work(self, running: _Running) -> None:
        """On a worker's thread. What was given up before its turn came is not called."""
        outcome = _NOT_CALLED if running.given_up else _perform(running.call)
        self._deliver(running, outcome)

    def _begin_task(self, running: _Running) -> None:
        """On the loop's thread."""
        if running.given_up:
            self._deliver(running, _NOT_CALLED)
            return
        task = asyncio.get_running_loop().create_task(self._perform_async(running))
        running.task = task
        self._tasks[task] = None
        task.add_done_callback(lambda ended: self._end_task(running, ended))

    def _end_task(self, running: _Running, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if task.cancelled():
            # Only before it began: from then on it takes what is thrown at it.
            self._deliver(running, _NOT_CALLED)

    async def _perform_async(self, running: _Running) -> None:
        try:
            result = await running.call.begin()  # type: ignore[misc]  # it is an `async def`
        except BaseException as error:  # noqa: BLE001
            # SystemExit too: what a function does must not end the loop.
            outcome = _Outcome(error, None)
        else:
            outcome = _Outcome(None, result)
        self._deliver(running, outcome)

    def _deliver(self, running: _Running, outcome: _Outcome) -> None:
        """On any thread: what a function did, for the next `poll`."""
        with self._arrived:
            if self._closed:
                return
            self._outcomes.append((running, outcome))
            self._arrived.notify()
            if self._loop is not None and self._loop_thread is None:
                self._loop.call_soon_threadsafe(self._woken.set)

    def _finish(self, call: Call, outcome: _Outcome) -> Finished:
        bound = call.bound
        if isinstance(outcome.error, KeyboardInterrupt):
            raise outcome.error
        try:
            if outcome.error is not None:
                raise raised(bound, outcome.error)
            return Finished(call.effect_id, None, take_result(bound, outcome.result, self._blobs))
        except EffectError as failure:
            return Finished(call.effect_id, str(failure), None)


def _earlier(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _perform(call: Call) -> _Outcome:
    try:
        return _Outcome(None, call.begin())
    except BaseException as error:  # noqa: BLE001
        # SystemExit too: an effect that fails must not end the run, or choose its exit code.
        return _Outcome(error, None)


def _cancel_task(running: _Running) -> None:
    """On the loop's thread."""
    if running.task is not None:
        running.task.cancel()
