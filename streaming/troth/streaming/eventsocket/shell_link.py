"""A core on a real socket: bytes, a timer, and futures for those who wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from troth.streaming.eventsocket.completion import Completion
from troth.streaming.eventsocket.endings import Ending, Outcome
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.facts import Fact
from troth.streaming.eventsocket.limits import NANOSECONDS_PER_SECOND
from troth.streaming.eventsocket.messages import ApiResponse, CommandReply, LogLine
from troth.streaming.eventsocket.outputs import (
    Abandon,
    Answered,
    Close,
    Completed,
    Deliver,
    Failed,
    Noted,
    Output,
    Ready,
    Remark,
    Settle,
    Write,
)
from troth.streaming.eventsocket.replies import Expected
from troth.streaming.eventsocket.reports import Counts


class Core(Protocol):
    """What a link needs of `OutboundCore` and `InboundCore`."""

    def receive(self, data: bytes, now_ns: int) -> None: ...
    def lost(self, ending: Ending, detail: str, now_ns: int) -> None: ...
    def tick(self, now_ns: int) -> None: ...
    def poll(self) -> Output | None: ...
    def deadline_ns(self) -> int | None: ...
    def forget(self, serial: int, now_ns: int) -> None: ...
    def command(
        self,
        label: str,
        data: bytes,
        now_ns: int,
        *,
        expected: Expected = Expected.REPLY,
        limit_s: float | None = None,
    ) -> int: ...
    def execute(
        self,
        application: str,
        argument: str,
        now_ns: int,
        *,
        uuid: str | None = None,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> int: ...


class Owner(Protocol):
    """Who a link tells what happens."""

    def ready(self) -> None: ...
    def deliver(self, message: Event | LogLine) -> None: ...
    def settle(self, outcome: Outcome) -> None: ...
    def abandon(self) -> None: ...
    def closed(self, outcome: Outcome) -> None: ...
    def remark(self, what: str, detail: str) -> None: ...


class Recorder(Protocol):
    """Who keeps the record of a connection."""

    def note(self, fact: Fact) -> None: ...
    def flush(self) -> None: ...


CoreT = TypeVar("CoreT", bound=Core)
Result = CommandReply | ApiResponse | Completion


def now_ns() -> int:
    return time.monotonic_ns()


class Link(asyncio.Protocol, Generic[CoreT]):
    """Carries out what its core decides, in order."""

    def __init__(
        self, make_core: Callable[[int], CoreT], owner: Owner, recorder: Recorder | None = None
    ) -> None:
        self.core = make_core(now_ns())
        self.counts = Counts()
        self._owner = owner
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._futures: dict[int, asyncio.Future[Result]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns: int | None = None
        self._outputs: deque[Output] = deque()
        self._flushing = False
        self._over = False

    # --- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.core.receive(data, now_ns())
        self.flush()

    def eof_received(self) -> bool:
        self.core.lost(Ending.CUT, "", now_ns())
        self.flush()
        # Kept open: what is queued for the switch still goes out, and `closed` closes it.
        return not self._over

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        ending = Ending.CUT if exc is None else Ending.RESET
        detail = "" if exc is None else str(exc)
        self.core.lost(ending, detail, now_ns())
        self.flush()

    # --- asking the core --------------------------------------------------------------------

    async def command(
        self,
        label: str,
        data: bytes,
        *,
        expected: Expected = Expected.REPLY,
        limit_s: float | None = None,
    ) -> CommandReply | ApiResponse:
        serial = self.core.command(label, data, now_ns(), expected=expected, limit_s=limit_s)
        result = await self._result(serial)
        assert not isinstance(result, Completion), "a command has a reply"
        return result

    async def execute(
        self,
        application: str,
        argument: str,
        *,
        uuid: str | None = None,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        serial = self.core.execute(
            application,
            argument,
            now_ns(),
            uuid=uuid,
            event_lock=event_lock,
            loops=loops,
            headers=headers,
        )
        result = await self._result(serial)
        assert isinstance(result, Completion), "an application has a completion"
        return result

    async def _result(self, serial: int) -> Result:
        future: asyncio.Future[Result] = self._loop.create_future()
        self._futures[serial] = future
        self.flush()
        try:
            return await future
        except asyncio.CancelledError:
            self.counts.commands_forgotten += 1
            self.core.forget(serial, now_ns())
            self.flush()
            raise
        finally:
            self._futures.pop(serial, None)

    # --- carrying out -----------------------------------------------------------------------

    def flush(self) -> None:
        """Carries out every output of the core, and sets the timer."""
        if self._flushing:
            return
        self._flushing = True
        try:
            self._poll()
            while self._outputs:
                self._carry_out(self._outputs.popleft())
                if not self._outputs:
                    self._poll()
        finally:
            self._flushing = False
        self._set_timer()

    def _poll(self) -> None:
        """Takes all that the core has to say; what happened is on record before any of it is done.

        Most of what a switch says comes in bursts: so a burst costs one seal and one write.
        """
        while (output := self.core.poll()) is not None:
            if isinstance(output, Noted):
                if self._recorder is not None:
                    self._recorder.note(output.fact)
            else:
                self._outputs.append(output)
        if self._recorder is not None:
            self._recorder.flush()

    def _carry_out(self, output: Output) -> None:
        match output:
            case Write(data):
                if self._transport is not None and not self._transport.is_closing():
                    self._transport.write(data)
            case Deliver(message):
                self.counts.events += 1
                self._owner.deliver(message)
            case Answered(serial, reply):
                self.counts.commands_answered += 1
                self._settle_future(serial, reply)
            case Completed(serial, completion):
                self.counts.commands_answered += 1
                self._settle_future(serial, completion)
            case Failed(serial, error):
                refused = error.code == "esl.refused"
                self.counts.commands_refused += refused
                self.counts.commands_failed += not refused
                future = self._futures.get(serial)
                if future is not None and not future.done():
                    future.set_exception(error)
            case Ready():
                self._owner.ready()
            case Settle(outcome):
                self._owner.settle(outcome)
            case Abandon():
                self._owner.abandon()
            case Remark(what, detail):
                self.counts.remarks += 1
                self._owner.remark(what, detail)
            case Close(outcome):
                self._close(outcome)

    def _settle_future(self, serial: int, result: Result) -> None:
        future = self._futures.get(serial)
        if future is not None and not future.done():
            future.set_result(result)

    def _close(self, outcome: Outcome) -> None:
        self._over = True
        if self._transport is not None:
            self._transport.close()
        self._owner.closed(outcome)

    def _set_timer(self) -> None:
        deadline = None if self._over else self.core.deadline_ns()
        if deadline == self._timer_ns and (deadline is None or self._timer is not None):
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_ns = deadline
        if deadline is not None:
            delay_s = max(0, deadline - now_ns()) / NANOSECONDS_PER_SECOND
            self._timer = self._loop.call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._timer_ns = None
        self.core.tick(now_ns())
        self.flush()

    def abort(self) -> None:
        """Closes the socket with whatever is in it."""
        if self._transport is not None:
            self._transport.abort()
