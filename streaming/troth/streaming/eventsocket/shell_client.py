"""A client of a switch's event socket: it authenticates, subscribes, and comes back.

With a `Backoff` it connects again when the connection ends, and asks for the same events again.
A wrong password and an access list that does not admit us are errors, and end it: to try again
would lock the user out, not in.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.streaming.eventsocket import commands
from troth.streaming.eventsocket.api import ApiCommands, Job
from troth.streaming.eventsocket.backoff import Backoff
from troth.streaming.eventsocket.completion import Completion
from troth.streaming.eventsocket.dialplan import DialplanApplications
from troth.streaming.eventsocket.endings import Outcome
from troth.streaming.eventsocket.errors import (
    AccessDenied,
    AuthenticationFailed,
    ConnectionEnded,
    Progress,
    Unreachable,
)
from troth.streaming.eventsocket.event import Event, EventFormat
from troth.streaming.eventsocket.headers import NO_HEADERS, Headers, LineMemory
from troth.streaming.eventsocket.inbound_core import InboundCore
from troth.streaming.eventsocket.limits import NANOSECONDS_PER_SECOND, Limits
from troth.streaming.eventsocket.messages import ApiResponse, CommandReply, LogLine
from troth.streaming.eventsocket.reports import Counts, HandlerEnd, Metrics, SessionReport, told
from troth.streaming.eventsocket.running import EXECUTE, EXECUTE_COMPLETE
from troth.streaming.eventsocket.shell_call import new_uuid, run_api
from troth.streaming.eventsocket.shell_hooks import EventStream, Hook, Listeners, give_report
from troth.streaming.eventsocket.shell_link import Link, now_ns
from troth.streaming.eventsocket.shell_record import (
    INBOUND,
    ConnectionRecorder,
    Recorders,
    Recording,
    recording_of,
)
from troth.streaming.eventsocket.subscriptions import Subscriptions
from troth.vm.errors import TrothError

LOGGER: Final = logging.getLogger("troth.eventsocket")
BACKGROUND_JOB: Final = "BACKGROUND_JOB"
PERMANENT: Final = (AuthenticationFailed, AccessDenied)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client treats its connections.

    Without `reconnect` the first end is the last. `user` is for `userauth`, as `1000@example.com`.
    With `record` each connection is recorded in a file of its own.
    """

    limits: Limits = field(default_factory=Limits)
    user: str | None = None
    event_format: EventFormat = EventFormat.PLAIN
    reconnect: Backoff | None = None
    connect_s: float = 10.0
    on_report: Callable[[SessionReport], None] | None = None
    record: Recording | bool = False


class Client(ApiCommands):
    """One switch. Use it with `async with`, or call `connect` and `close`.

    While there is no connection, whatever is asked fails at once with `ConnectionEnded`;
    `connected` waits for the next one.
    """

    def __init__(
        self, host: str, port: int, password: str, *, options: ClientOptions | None = None
    ) -> None:
        self.host = host
        self.port = port
        self.options = options or ClientOptions()
        self.metrics = Metrics()
        self.connections = 0
        self.counts = Counts()
        self._password = password
        self._memory = LineMemory()
        self._subscriptions = Subscriptions(self.options.event_format)
        self.metrics.watch(self.counts)
        self._listeners = Listeners(self.options.limits, self.counts, f"client of {host}:{port}")
        self._jobs: dict[str, asyncio.Future[Event]] = {}
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._failure: TrothError | None = None
        self._closing = False
        recording = recording_of(self.options.record)
        self._recorders = None if recording is None else Recorders(recording, INBOUND)

    # --- connection -------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connects and authenticates; with `reconnect` it keeps trying, and keeps at it later.

        Raises:
            AuthenticationFailed: the switch does not take the password.
            AccessDenied: its access list does not admit us.
            Unreachable: nobody listens there, and there is no `reconnect`.
            SessionFailure: the connection ended before it was set up, likewise.
        """
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        await self.connected()

    async def connected(self) -> None:
        """Returns when there is a connection that is set up.

        Raises:
            TrothError: there will be none any more.
        """
        ready = asyncio.get_running_loop().create_task(self._ready.wait())
        try:
            assert self._keeper is not None, "connect() was called"
            await asyncio.wait([ready, self._keeper], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if not self._ready.is_set():
            raise self._failure or ConnectionEnded("connect", Progress.NOT_SENT)

    @property
    def is_connected(self) -> bool:
        return self._ready.is_set()

    @property
    def permissions(self) -> Headers:
        """What the switch said when it admitted us, such as `Allowed-Events` for a user."""
        connection = self._connection
        return NO_HEADERS if connection is None else connection.link.core.permissions

    async def wait_closed(self) -> None:
        """Returns when this client will not connect again.

        Raises:
            TrothError: why, unless it was closed by `close`.
        """
        if self._keeper is not None:
            await asyncio.wait([self._keeper])
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Says `exit`, and awaits the hooks that run."""
        self._closing = True
        connection = self._connection
        if connection is not None:
            connection.link.core.leave(now_ns())
            connection.link.flush()
        elif self._keeper is not None:
            self._keeper.cancel()
        if self._keeper is not None:
            await asyncio.wait([self._keeper])
        self._listeners.close()
        waiting = asyncio.get_running_loop().create_task(self._listeners.wait())
        await asyncio.wait([waiting], timeout=self.options.limits.hooks_s)
        self._listeners.cancel()
        await asyncio.wait([waiting], timeout=1)
        waiting.cancel()

    async def __aenter__(self) -> Client:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _keep(self) -> None:
        """Connects again until there is no point in it."""
        failures = 0
        try:
            while not self._closing:
                began_ns = now_ns()
                error = await self._one_connection()
                backoff = self.options.reconnect
                if self._closing or backoff is None or isinstance(error, PERMANENT):
                    self._failure = None if self._closing else error
                    return
                held_s = (now_ns() - began_ns) / NANOSECONDS_PER_SECOND
                failures = 1 if held_s >= backoff.stable_s else failures + 1
                delay_s = backoff.delay_s(failures, random.random)
                LOGGER.warning("%s; again in %.1f s", error, delay_s)
                await asyncio.sleep(delay_s)
        finally:
            self._listeners.close()

    async def _one_connection(self) -> TrothError:
        """Sets up one connection and stays until it ends; returns why."""
        loop = asyncio.get_running_loop()
        self.connections += 1
        connection = _Connection(self, self.connections)
        opening = loop.create_connection(lambda: connection.link, self.host, self.port)
        try:
            await asyncio.wait_for(opening, self.options.connect_s)
        except (OSError, TimeoutError) as error:
            return Unreachable(self.host, self.port, str(error) or "no answer")
        self.metrics.started()
        LOGGER.info("%s", told("session started", connection.number))
        self._connection = connection
        set_up = loop.create_task(self._set_up(connection))
        try:
            await asyncio.wait([connection.over])
        finally:
            set_up.cancel()
            await asyncio.wait([set_up])
            self._connection = None
            self._ready.clear()
            self._fail_jobs()
            connection.link.abort()
        refused = None if set_up.cancelled() else set_up.exception()
        if isinstance(refused, TrothError) and not isinstance(refused, ConnectionEnded):
            return refused
        outcome = connection.over.result()
        ended = ConnectionEnded("the connection", Progress.ACCEPTED, outcome.ending)
        return connection.link.core.error or ended

    async def _set_up(self, connection: _Connection) -> None:
        """Asks for what was asked for before, then lets everybody work."""
        await connection.admitted
        try:
            for label, data in self._subscriptions.commands():
                await connection.link.command(label, data)
        except TrothError:
            connection.link.core.leave(now_ns())
            connection.link.flush()
            raise
        connection.set_up_ns = now_ns() - connection.began_ns
        self._ready.set()

    def _link(self) -> Link[InboundCore]:
        if self._connection is None or not self._ready.is_set():
            raise ConnectionEnded("a command without a connection", Progress.NOT_SENT)
        return self._connection.link

    # --- events -----------------------------------------------------------------------------

    async def subscribe(self, *names: str, custom: Iterable[str] = ()) -> None:
        """Asks for events by name and for custom ones by subclass; for all without either."""
        subclasses = tuple(custom)
        data = commands.subscribe(names, subclasses, self.options.event_format)
        await self._link().command("event", data)
        self._subscriptions.add(names, subclasses)

    async def unsubscribe(self, *names: str, custom: Iterable[str] = ()) -> None:
        subclasses = tuple(custom)
        await self._link().command("nixevent", commands.unsubscribe(names, subclasses))
        self._subscriptions.remove(names, subclasses)

    async def filter(self, header: str, value: str) -> None:
        """Lets only matching events through; of several filters one is enough."""
        await self._link().command("filter", commands.filter_events(header, value))
        self._subscriptions.add_filter(header, value)

    async def unfilter(self, header: str | None = None, value: str | None = None) -> None:
        await self._link().command("filter", commands.unfilter_events(header, value))
        self._subscriptions.remove_filter(header, value)

    async def log(self, level: str | None) -> None:
        """Asks for the switch's log from a level on; None for no more of it."""
        await self.command("nolog" if level is None else f"log {level}")
        self._subscriptions.log_level = level

    def on(self, name: str, hook: Hook) -> None:
        """Runs `hook` for each event of that name, as a task; also after a reconnection."""
        self._listeners.on(name, hook)

    def on_event(self, hook: Hook) -> None:
        self._listeners.on_event(hook)

    def on_log(self, hook: Callable[[LogLine], Awaitable[object] | None]) -> None:
        self._listeners.on_log(hook)

    @property
    def last_event(self) -> Event | None:
        """The newest event of this connection, whether or not anything listens for it."""
        return self._listeners.last_event

    def events(self) -> EventStream:
        """Events from now on, across reconnections, until the client is closed."""
        return self._listeners.stream()

    # --- doing ------------------------------------------------------------------------------

    async def api(
        self, command: str, arguments: str = "", *, check: bool = True, limit_s: float | None = None
    ) -> str:
        """Runs an api command and gives its output. The connection does nothing else meanwhile.

        With `check` an output that begins with `-ERR` is raised as `CommandRefused`.
        """
        return await run_api(self._link(), command, arguments, check, limit_s)

    async def bgapi(self, command: str, arguments: str = "", *, limit_s: float = 300.0) -> Job:
        """Runs an api command in the background and waits for its result.

        Raises:
            TimeoutError: it took longer than `limit_s`; it goes on in the switch.
        """
        await self._need(BACKGROUND_JOB)
        uuid = new_uuid()
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._jobs[uuid] = future
        try:
            await self._link().command(f"bgapi {command}", commands.bgapi(command, arguments, uuid))
            return Job(uuid, await asyncio.wait_for(future, limit_s))
        finally:
            self._jobs.pop(uuid, None)

    async def command(self, text: str, *, limit_s: float | None = None) -> CommandReply:
        """Sends any other command of one line. It is not repeated on the next connection."""
        label = text.split(maxsplit=1)[0] if text.strip() else text
        return await self._reply(label, commands.line(text), limit_s)

    async def sendmsg(
        self, uuid: str, headers: Mapping[str, str], body: str | None = None
    ) -> CommandReply:
        """Sends any message to a channel. The reply only says that it is queued."""
        return await self._reply("sendmsg", commands.sendmsg(headers.items(), uuid, body), None)

    async def sendevent(
        self, name: str, headers: Mapping[str, str], body: str | None = None
    ) -> CommandReply:
        return await self._reply("sendevent", commands.sendevent(name, headers, body), None)

    def channel(self, uuid: str) -> Channel:
        """A channel of the switch, to run applications on."""
        return Channel(self, uuid)

    async def execute(
        self,
        uuid: str,
        application: str,
        argument: str = "",
        *,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        """Runs an application on a channel and waits for its own completion."""
        await self._need(EXECUTE, EXECUTE_COMPLETE)
        return await self._link().execute(
            application,
            argument,
            uuid=uuid,
            event_lock=event_lock,
            loops=loops,
            headers=headers,
        )

    async def _reply(self, label: str, data: bytes, limit_s: float | None) -> CommandReply:
        reply = await self._link().command(label, data, limit_s=limit_s)
        assert not isinstance(reply, ApiResponse), "only api has another kind of reply"
        return reply

    async def _need(self, *names: str) -> None:
        """Asks for events that an answer comes in, past any filters."""
        missing = [name for name in names if not self._subscriptions.includes(name)]
        if missing:
            await self.subscribe(*missing)
        if self._subscriptions.has_filters:
            for name in names:
                if not self._subscriptions.has_filter("Event-Name", name):
                    await self.filter("Event-Name", name)

    # --- what the connection tells ----------------------------------------------------------

    def deliver(self, message: Event | LogLine) -> None:
        if self._jobs and isinstance(message, Event) and message.name == BACKGROUND_JOB:
            self._finish_job(message)
        self._listeners.dispatch(message)

    def ended(self, report: SessionReport) -> None:
        self.metrics.ended(report)
        LOGGER.info("%s", report.json())
        give_report(self.options.on_report, report)

    def new_recorder(self) -> ConnectionRecorder | None:
        return None if self._recorders is None else self._recorders.new()

    def new_core(self, now: int) -> InboundCore:
        return InboundCore(
            now_ns=now,
            next_uuid=new_uuid,
            password=self._password,
            user=self.options.user,
            limits=self.options.limits,
            memory=self._memory,
            recorded=self._recorders is not None,
        )

    def _finish_job(self, event: Event) -> None:
        future = self._jobs.get(event.get("Job-UUID") or "")
        if future is not None and not future.done():
            future.set_result(event)

    def _fail_jobs(self) -> None:
        for future in self._jobs.values():
            if not future.done():
                future.set_exception(ConnectionEnded("bgapi", Progress.ACCEPTED))


class Channel(DialplanApplications):
    """A channel that some client controls by its UUID."""

    def __init__(self, client: Client, uuid: str) -> None:
        self.client = client
        self.uuid = uuid

    async def execute(
        self,
        application: str,
        argument: str = "",
        *,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        return await self.client.execute(
            self.uuid, application, argument, event_lock=event_lock, loops=loops, headers=headers
        )

    async def hangup(self, cause: str = "NORMAL_CLEARING") -> None:
        headers = {"call-command": "hangup", "hangup-cause": cause}
        await self.client.sendmsg(self.uuid, headers)


class _Connection:
    """One connection of a client: the owner of its link."""

    def __init__(self, client: Client, number: int) -> None:
        loop = asyncio.get_running_loop()
        self._client = client
        self.number = number
        self.began_ns = now_ns()
        self.set_up_ns: int | None = None
        self.admitted: asyncio.Future[None] = loop.create_future()
        self.over: asyncio.Future[Outcome] = loop.create_future()
        self._recorder = client.new_recorder()
        self.link = Link(client.new_core, self, self._recorder)

    def ready(self) -> None:
        if not self.admitted.done():
            self.admitted.set_result(None)

    def deliver(self, message: Event | LogLine) -> None:
        self._client.deliver(message)

    def settle(self, outcome: Outcome) -> None:
        raise AssertionError(f"a client's connection has no latch: {outcome.describe()}")

    def abandon(self) -> None:
        raise AssertionError("a client's connection has no latch")

    def closed(self, outcome: Outcome) -> None:
        if self.over.done():
            return
        self.over.set_result(outcome)
        self._client.ended(
            SessionReport(
                session=self.number,
                uuid=None,
                outcome=outcome,
                handler=HandlerEnd.NOT_STARTED,
                duration_ns=now_ns() - self.began_ns,
                set_up_ns=self.set_up_ns,
                counts=self.link.counts,
                record=None if self._recorder is None else self._recorder.path,
                record_failure=None if self._recorder is None else self._recorder.failure,
            )
        )

    def remark(self, what: str, detail: str) -> None:
        LOGGER.warning("client of %s: %s: %s", self._client.host, what, detail)


def connect(
    host: str, port: int = 8021, password: str = "ClueCon", *, options: ClientOptions | None = None
) -> Client:
    """A client for `async with`: `async with connect("switch", 8021, "secret") as client:`."""
    return Client(host, port, password, options=options)
