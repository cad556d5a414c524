"""The server that a switch connects to, one connection for each call.

The server owns a call's session, not the handler: when the handler returns, the session goes on
until the call is really over, and events and hooks with it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from troth.streaming.eventsocket.endings import Ending, Outcome
from troth.streaming.eventsocket.errors import CallHungUp, ConnectionEnded, SessionFailure
from troth.streaming.eventsocket.event import Event, EventFormat
from troth.streaming.eventsocket.headers import LineMemory
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import LogLine
from troth.streaming.eventsocket.outbound_core import OutboundCore
from troth.streaming.eventsocket.reports import HandlerEnd, Metrics, SessionReport, told
from troth.streaming.eventsocket.shell_call import Call, new_uuid
from troth.streaming.eventsocket.shell_hooks import Listeners, give_report
from troth.streaming.eventsocket.shell_link import Link, now_ns
from troth.streaming.eventsocket.shell_record import (
    OUTBOUND,
    ConnectionRecorder,
    Recorders,
    Recording,
    recording_of,
)

LOGGER: Final = logging.getLogger("troth.eventsocket")

Handler = Callable[[Call], Awaitable[object]]
CallHook = Callable[[Call, Event], Awaitable[object] | None]

CANCELLED_S: Final = 1.0
"""How long a cancelled task may take; one that takes longer is left to itself and named."""

KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A machine that vanished is found out within a minute, however quiet the call is."""


class WhenDone(Enum):
    """What becomes of a call whose handler is done while it lives."""

    STAY = "stay with it until it is hung up"
    HANG_UP = "hang it up"
    LEAVE = "leave it to the dialplan"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How a server treats its calls.

    `linger_s` bounds how long the switch waits for us after the end; None is for as long as we
    like. `hooks` are those of every call, and miss no event. `on_report` gets one report for each
    session. Of calls beyond `calls_max` at once the connection is closed at once. With `record`
    each call is recorded in a file of its own.
    """

    limits: Limits = field(default_factory=Limits)
    calls_max: int = 10_000
    event_format: EventFormat = EventFormat.PLAIN
    linger: bool = True
    linger_s: int | None = None
    when_returned: WhenDone = WhenDone.STAY
    when_failed: WhenDone = WhenDone.HANG_UP
    failure_cause: str = "NORMAL_TEMPORARY_FAILURE"
    hooks: Mapping[str, CallHook] = field(default_factory=dict)
    on_report: Callable[[SessionReport], None] | None = None
    record: Recording | bool = False


class EventSocketServer:
    """Listens for calls. Get one from `start_server`."""

    def __init__(self, handler: Handler, options: ServerOptions) -> None:
        self.options = options
        self.metrics = Metrics()
        self.memory = LineMemory()
        self.handler = handler
        self._server: asyncio.Server | None = None
        self._sessions: dict[int, _Session] = {}
        self._next_session = 0
        recording = recording_of(options.record)
        self._recorders = None if recording is None else Recorders(recording, OUTBOUND)

    def new_recorder(self) -> ConnectionRecorder | None:
        return None if self._recorders is None else self._recorders.new()

    async def start(self, host: str, port: int, *, backlog: int = 1024) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host, port, backlog=backlog)

    def _accept(self) -> asyncio.Protocol:
        if len(self._sessions) >= self.options.calls_max:
            self.metrics.refused += 1
            LOGGER.error("a call is refused: calls_max=%d is reached", self.options.calls_max)
            return _Refusal()
        self._next_session += 1
        session = _Session(self, self._next_session)
        self._sessions[self._next_session] = session
        return session.link

    @property
    def port(self) -> int:
        assert self._server is not None, "the server was started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def sessions_open(self) -> int:
        return len(self._sessions)

    def forget(self, number: int) -> None:
        self._sessions.pop(number, None)

    async def serve_forever(self) -> None:
        assert self._server is not None, "the server was started"
        await self._server.serve_forever()

    async def close(self) -> None:
        """Takes no more calls, leaves those that live, and returns when all sessions are over."""
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions.values()):
            session.stop()
        await self.drained()

    async def drained(self) -> None:
        """Returns when no session is open."""
        while self._sessions:
            await asyncio.wait([session.over for session in self._sessions.values()])

    async def __aenter__(self) -> EventSocketServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def start_server(
    handler: Handler,
    host: str = "127.0.0.1",
    port: int = 8084,
    *,
    options: ServerOptions | None = None,
    backlog: int = 1024,
) -> EventSocketServer:
    """Listens on an address and runs `handler` for each call. Port 0 takes a free one."""
    server = EventSocketServer(handler, options or ServerOptions())
    await server.start(host, port, backlog=backlog)
    return server


class _Refusal(asyncio.Protocol):
    """Closes its connection: the dialplan goes on without us."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _CallLink(Link[OutboundCore]):
    """The link of a call: its socket is to notice when the other machine vanishes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        found = transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in KEEPALIVE:
                if hasattr(socket, name):
                    found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        super().connection_made(transport)


class _Session:
    """One call from its connection to its report: the owner of the link, handler and hooks."""

    def __init__(self, server: EventSocketServer, number: int) -> None:
        options = server.options
        self._server = server
        self._number = number
        self._began_ns = now_ns()
        self._set_up_ns: int | None = None
        self._handler_end = HandlerEnd.NOT_STARTED
        self._handler: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._abandoned = asyncio.Event()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._recorder = server.new_recorder()
        self.link = _CallLink(
            lambda now: OutboundCore(
                now_ns=now,
                next_uuid=new_uuid,
                limits=options.limits,
                memory=server.memory,
                event_format=options.event_format,
                linger=options.linger,
                linger_s=options.linger_s,
                recorded=self._recorder is not None,
            ),
            self,
            self._recorder,
        )
        self._listeners = Listeners(options.limits, self.link.counts, f"session {number}")
        self.call = Call(self.link, self._listeners)
        for name, hook in options.hooks.items():
            self._listeners.on(name, _bound(hook, self.call))
        server.metrics.started()
        server.metrics.watch(self.link.counts, number)
        LOGGER.info("%s", told("session started", number))

    # --- Owner ------------------------------------------------------------------------------

    def ready(self) -> None:
        self._set_up_ns = now_ns() - self._began_ns
        facts = {"uuid": self.call.uuid, "set_up_ns": self._set_up_ns}
        LOGGER.info("%s", told("session set up", self._number, **facts))
        self._handler = asyncio.get_running_loop().create_task(self._run_handler())

    def deliver(self, message: Event | LogLine) -> None:
        self._listeners.dispatch(message)

    def settle(self, outcome: Outcome) -> None:
        LOGGER.debug("session %d: %s", self._number, outcome.describe())
        self._listeners.close()
        self._settling = asyncio.get_running_loop().create_task(self._await_everything())

    def abandon(self) -> None:
        self._listeners.cancel()
        if self._handler is not None:
            self._handler.cancel()
        self._abandoned.set()

    def closed(self, outcome: Outcome) -> None:
        report = SessionReport(
            session=self._number,
            uuid=self.call.uuid,
            outcome=outcome,
            handler=self._handler_end,
            duration_ns=now_ns() - self._began_ns,
            set_up_ns=self._set_up_ns,
            counts=self.link.counts,
            record=None if self._recorder is None else self._recorder.path,
            record_failure=None if self._recorder is None else self._recorder.failure,
        )
        self._server.metrics.ended(report)
        self._server.forget(self._number)
        level = logging.INFO if outcome.ending in (Ending.LATCHED, Ending.LEFT) else logging.WARNING
        LOGGER.log(level, "%s", report.json())
        if not self.over.done():
            self.over.set_result(None)
        give_report(self._server.options.on_report, report)

    def remark(self, what: str, detail: str) -> None:
        LOGGER.warning("session %d: %s: %s", self._number, what, detail)

    def stop(self) -> None:
        self.link.core.leave(now_ns(), Ending.STOPPED)
        self.link.flush()

    # --- handler and hooks ------------------------------------------------------------------

    async def _run_handler(self) -> None:
        options = self._server.options
        try:
            await self._server.handler(self.call)
        except asyncio.CancelledError:
            self._handler_end = HandlerEnd.CANCELLED
            raise
        except (CallHungUp, ConnectionEnded) as error:
            self._handler_end = HandlerEnd.ENDED_WITH_CALL
            LOGGER.debug("session %d: the handler ended: %s", self._number, error)
            return
        except Exception:
            self._handler_end = HandlerEnd.FAILED
            LOGGER.exception("session %d: the handler failed", self._number)
            await self._after(options.when_failed, options.failure_cause)
            return
        self._handler_end = HandlerEnd.RETURNED
        await self._after(options.when_returned, "NORMAL_CLEARING")

    async def _after(self, when_done: WhenDone, cause: str) -> None:
        if self.call.hung_up or self.call.outcome is not None:
            return
        try:
            if when_done is WhenDone.HANG_UP:
                await self.call.hangup(cause)
            elif when_done is WhenDone.LEAVE:
                await self.call.leave()
        except SessionFailure as error:
            LOGGER.warning("session %d: %s", self._number, error)

    async def _await_everything(self) -> None:
        """Waits for handler and hooks; after `abandon` only as long as a cancellation takes."""
        waiting = asyncio.get_running_loop().create_task(self._wait())
        abandoned = asyncio.get_running_loop().create_task(self._abandoned.wait())
        await asyncio.wait([waiting, abandoned], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            await asyncio.wait([waiting], timeout=CANCELLED_S)
        if not waiting.done():
            LOGGER.error("session %d: something ignores its cancellation", self._number)
        for task in (waiting, abandoned):
            task.cancel()
        await asyncio.wait([waiting, abandoned])
        self.link.core.settled(now_ns())
        self.link.flush()

    async def _wait(self) -> None:
        if self._handler is not None:
            await asyncio.wait([self._handler])
        await self._listeners.wait()


def _bound(hook: CallHook, call: Call) -> Callable[[Event], Awaitable[object] | None]:
    return lambda event: hook(call, event)
