"""A call, as its handler sees it."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Awaitable, Callable, Mapping

from troth.streaming.eventsocket import commands
from troth.streaming.eventsocket.api import ApiCommands
from troth.streaming.eventsocket.completion import Completion
from troth.streaming.eventsocket.dialplan import DialplanApplications
from troth.streaming.eventsocket.endings import Outcome
from troth.streaming.eventsocket.errors import CommandRefused
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.headers import Headers
from troth.streaming.eventsocket.messages import ApiResponse, CommandReply, LogLine
from troth.streaming.eventsocket.outbound_core import OutboundCore
from troth.streaming.eventsocket.replies import Expected
from troth.streaming.eventsocket.shell_hooks import EventStream, Hook, Listeners
from troth.streaming.eventsocket.shell_link import CoreT, Link, now_ns


def new_uuid() -> str:
    return str(uuids.uuid4())


async def run_api(
    link: Link[CoreT], command: str, arguments: str, check: bool, limit_s: float | None
) -> str:
    data = commands.api(command, arguments)
    reply = await link.command(f"api {command}", data, expected=Expected.RESPONSE, limit_s=limit_s)
    if check and isinstance(reply, ApiResponse) and reply.is_error:
        raise CommandRefused(f"api {command}", reply.text.strip())
    return reply.text


class Call(DialplanApplications, ApiCommands):
    """One live call. Applications are methods; `execute`, `api` and `command` do the rest.

    A method that waits raises `CallHungUp` when the caller hangs up meanwhile, `CommandRefused`
    when the switch says `-ERR`, and `ConnectionEnded` when the connection ends first.
    """

    def __init__(self, link: Link[OutboundCore], listeners: Listeners) -> None:
        self._link = link
        self._listeners = listeners

    # --- what is known ----------------------------------------------------------------------

    @property
    def uuid(self) -> str | None:
        return self._link.core.uuid

    @property
    def headers(self) -> Headers:
        """The call's data: those of the last application that completed, at first `connect`'s."""
        return self._link.core.headers

    def variable(self, name: str) -> str | None:
        """A channel variable as the switch last told it; `uuid_getvar` asks anew."""
        return self.headers.variable(name)

    @property
    def hung_up(self) -> bool:
        return self._link.core.hung_up

    @property
    def hangup_cause(self) -> str | None:
        return self._link.core.hangup_cause

    @property
    def lingers(self) -> bool:
        """The switch keeps the connection until the last event. It does not without `full`."""
        return self._link.core.lingers

    @property
    def outcome(self) -> Outcome | None:
        """How the session ended; None while it lives."""
        return self._link.core.outcome

    # --- listening --------------------------------------------------------------------------

    def on(self, name: str, hook: Hook) -> None:
        """Runs `hook` for each event of that name, as a task."""
        self._listeners.on(name, hook)

    def on_event(self, hook: Hook) -> None:
        """Runs `hook` for every event, as a task."""
        self._listeners.on_event(hook)

    def on_log(self, hook: Callable[[LogLine], Awaitable[object] | None]) -> None:
        """Runs `hook` for every line of the switch's log, after `log LEVEL`."""
        self._listeners.on_log(hook)

    @property
    def last_event(self) -> Event | None:
        """The newest event of this call, whether or not anything listens for it."""
        return self._listeners.last_event

    def events(self) -> EventStream:
        """The call's events from now on: `async for event in call.events()`."""
        return self._listeners.stream()

    # --- doing ------------------------------------------------------------------------------

    async def execute(
        self,
        application: str,
        argument: str = "",
        *,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        """Runs any application and waits for its own completion.

        With `event_lock` (the default) it waits for those before it; without, it runs inside of
        the one that is running.
        """
        return await self._link.execute(
            application, argument, event_lock=event_lock, loops=loops, headers=headers
        )

    async def api(
        self, command: str, arguments: str = "", *, check: bool = True, limit_s: float | None = None
    ) -> str:
        """Runs any api command and gives its output. Needs `full` in the dialplan.

        With `check` an output that begins with `-ERR` is raised as `CommandRefused`.
        """
        return await run_api(self._link, command, arguments, check, limit_s)

    async def command(self, text: str, *, limit_s: float | None = None) -> CommandReply:
        """Sends any other command of one line."""
        label = text.split(maxsplit=1)[0] if text.strip() else text
        return await self._reply(label, commands.line(text), limit_s)

    async def sendmsg(
        self, headers: Mapping[str, str], body: str | None = None, *, uuid: str | None = None
    ) -> CommandReply:
        """Sends any message to a channel. The reply only says that it is queued."""
        return await self._reply("sendmsg", commands.sendmsg(headers.items(), uuid, body), None)

    async def hangup(self, cause: str = "NORMAL_CLEARING") -> None:
        """Hangs up. The session then waits for the call's last events by itself."""
        await self._reply("hangup", commands.hangup(cause), None)
        self._link.core.hanging_up(now_ns())
        self._link.flush()

    async def refresh(self) -> Headers:
        """Asks for the call's data anew. Needs `full` in the dialplan."""
        if self.uuid is not None:
            await self.api("uuid_dump", self.uuid)
        return self.headers

    async def leave(self) -> None:
        """Ends the session and lets the call live: it goes where the dialplan says."""
        self._link.core.leave(now_ns())
        self._link.flush()

    async def _reply(self, label: str, data: bytes, limit_s: float | None) -> CommandReply:
        reply = await self._link.command(label, data, limit_s=limit_s)
        assert isinstance(reply, CommandReply), "only api has another kind of reply"
        return reply
