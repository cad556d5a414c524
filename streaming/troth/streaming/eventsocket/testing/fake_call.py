"""A call of a fake switch, without a socket or a clock: commands in, bytes out at their times.

It answers commands in order, runs applications one after the other, and ends as its script says. It
writes what mod_event_socket writes, in the order in which that does.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import Final

from troth.streaming.eventsocket.limits import NANOSECONDS_PER_SECOND, nanoseconds
from troth.streaming.eventsocket.testing import switch_bytes as say
from troth.streaming.eventsocket.testing.commands_in import Command, CommandReader
from troth.streaming.eventsocket.testing.fake_line import FakeLine, Wire
from troth.streaming.eventsocket.testing.script import (
    DEFAULT_APPLICATIONS,
    App,
    EndOrder,
    Fault,
    Script,
    SetUp,
)

Headers = dict[str, str]
_FULL_ONLY: Final = ("linger", "api", "bgapi", "event", "log", "sendevent")
_PROMPTS: Final = {"play_and_get_digits": 7, "read": 3}
"""Where the name of the variable is among the words of a prompt's argument."""
_EPOCH_US: Final = 1_795_232_000_000_000


@dataclass(slots=True)
class _Running:
    name: str
    argument: str
    uuid: str
    rounds_left: int


class FakeCall(FakeLine):
    """Feed it with `receive` and `tick`; `take` gives what to write and what to do."""

    def __init__(self, script: Script, now_ns: int) -> None:
        super().__init__()
        self.script = script
        self.commands: list[Command] = []
        self.hung_up = False
        self._reader = CommandReader()
        self._now_ns = now_ns
        self._began_ns = now_ns
        self._later: list[tuple[int, int, str]] = []
        self._order = 0
        self._sequence = 0
        self._wants_events = False
        self._linger: int | None | bool = False
        self._silent = False
        self._queue: deque[_Running] = deque()
        self._current: _Running | None = None
        self._digits = deque(script.digits)
        self._variables: Headers = dict(script.variables)
        if script.fault is not None and script.fault_in is None:
            self._at(script.fault_after_s, "fault")
        if script.set_up is SetUp.HUNG_UP:
            self._close_with(say.notice(uuid=script.uuid))
        elif script.set_up is SetUp.REJECTED:
            self._close_with(say.rejection())

    # --- in and out -------------------------------------------------------------------------

    def receive(self, data: bytes, now_ns: int) -> None:
        """Bytes from the application."""
        self.tick(now_ns)
        for command in self._reader.feed(data):
            self.commands.append(command)
            if not self._silent and not self.closed:
                self._obey(command)

    def tick(self, now_ns: int) -> None:
        """Time has passed."""
        while self._later and self._later[0][0] <= now_ns:
            due_ns, _, what = heapq.heappop(self._later)
            self._now_ns = due_ns
            if not self.closed:
                self._happen(what)
        self._now_ns = now_ns

    def hang_up(self, now_ns: int, cause: str | None = None) -> None:
        """The caller hangs up."""
        self.tick(now_ns)
        self._hang_up(cause or self.script.hang_up_cause)

    def strike(self, fault: Fault, now_ns: int) -> None:
        """A fault, now."""
        self.tick(now_ns)
        self._strike(fault)

    def deadline_ns(self) -> int | None:
        return self._later[0][0] if self._later and not self.closed else None

    # --- commands ---------------------------------------------------------------------------

    def _obey(self, command: Command) -> None:
        word = command.word
        if word == "connect":
            self._connect()
        elif word == "exit":
            self._reply("+OK bye")
            self._close_with(say.notice(uuid=self.script.uuid))
        elif not self.script.full and word in _FULL_ONLY:
            self._reply("-ERR command not found")
        elif word == "myevents":
            self._reply("-ERR aready enabled." if self._wants_events else "+OK Events Enabled")
            self._wants_events = True
            if self.script.hang_up_after_s is not None:
                self._at(self.script.hang_up_after_s, "hang up")
        elif word == "linger":
            self._linger = int(command.rest) if command.rest else None
            self._reply("+OK will linger")
        elif word == "sendmsg":
            self._message(command)
        elif word == "api":
            self._out.append(say.response(self._api(command.rest)))
        elif word in ("nolinger", "filter", "event", "divert_events", "log", "nolog", "resume"):
            self._reply("+OK")
        else:
            self._reply("-ERR command not found")

    def _connect(self) -> None:
        if self.script.set_up is SetUp.SILENT:
            return
        if self.script.set_up is SetUp.BARE:
            self._reply("+OK")
            return
        mode = "static" if self.script.synchronous else "async"
        control = "full" if self.script.full else "single-channel"
        headers = {"Event-Name": "CHANNEL_DATA"} | self._channel()
        self._out.append(say.connect_reply(headers, mode, control))

    def _message(self, command: Command) -> None:
        kind = command.headers.get("call-command")
        if kind == "hangup":
            self._reply("+OK")
            self._hang_up(command.headers.get("hangup-cause", "NORMAL_CLEARING"))
            return
        name = command.headers.get("execute-app-name", "")
        app = self._app(name)
        if app.refusal is not None:
            self._reply(app.refusal)
            return
        self._reply("+OK")
        if kind != "execute" or self.hung_up:
            return
        argument = command.headers.get("execute-app-arg", command.body)
        uuid = command.headers.get("Event-UUID", f"random-{len(self.commands)}")
        loops = int(command.headers.get("loops", "1"))
        running = _Running(name, argument, uuid, loops)
        if command.headers.get("event-lock") != "true" and self._current is not None:
            self._nested(running)
            return
        self._queue.append(running)
        self._next()

    def _nested(self, running: _Running) -> None:
        """Without a lock an application runs inside of the one that is running."""
        app = self._app(running.name)
        self._event("CHANNEL_EXECUTE", self._application(running))
        self._take_effect(running, app)
        headers = self._application(running) | {"Application-Response": app.response}
        self._event("CHANNEL_EXECUTE_COMPLETE", headers)

    def _api(self, text: str) -> str:
        if text in self.script.api:
            return self.script.api[text]
        name, _, rest = text.partition(" ")
        if name == "uuid_getvar":
            return self._variables.get(rest.partition(" ")[2], "_undef_")
        if name == "uuid_dump":
            headers = {"Event-Name": "CHANNEL_DATA"} | self._channel()
            return say.header_lines(headers.items()).decode() + "\n"
        if name == "status":
            return "UP 0 years, 0 days, 0 hours, 0 minutes, 1 second\nFake switch is ready\n"
        if name == "uuid_kill":
            self._hang_up(self.script.hang_up_cause)
            return "+OK\n"
        return self.script.api.get(name, f"-ERR {name} Command not found!\n")

    # --- applications -----------------------------------------------------------------------

    def _app(self, name: str) -> App:
        default = DEFAULT_APPLICATIONS.get(name, App())
        return self.script.applications.get(name, default)

    def _next(self) -> None:
        if self._current is not None or not self._queue or self.hung_up:
            return
        self._current = running = self._queue.popleft()
        app = self._app(running.name)
        self._event("CHANNEL_EXECUTE", self._application(running))
        if self.script.fault is not None and running.name == self.script.fault_in:
            self._happen("fault")
            return
        if running.name == self.script.hang_up_in:
            self._at(app.seconds / 2, "hang up")
        seconds = app.seconds
        if running.name == "sleep" and running.argument.isdigit():
            seconds = int(running.argument) / 1000
        self._at(seconds, "complete")

    def _application(self, running: _Running) -> Headers:
        return {
            "Application": running.name,
            "Application-Data": running.argument,
            "Application-UUID": running.uuid,
        }

    def _complete(self, response: str | None = None) -> None:
        running = self._current
        if running is None:
            return
        if running.name == "hangup" and not self.hung_up:
            self._hang_up(running.argument or "NORMAL_CLEARING")
            return
        app = self._app(running.name)
        if response is None:
            self._take_effect(running, app)
        running.rounds_left -= 1
        headers = self._application(running)
        headers["Application-Response"] = response or app.response
        self._event("CHANNEL_EXECUTE_COMPLETE", headers)
        self._current = None
        if running.rounds_left > 0 and not self.hung_up:
            self._queue.appendleft(running)
        self._next()

    def _take_effect(self, running: _Running, app: App) -> None:
        self._variables.update(app.variables)
        if running.name == "set":
            name, _, value = running.argument.partition("=")
            self._variables[name] = value
        elif running.name in _PROMPTS:
            words = running.argument.split(" ")
            name = words[_PROMPTS[running.name]]
            self._variables.pop(name, None)
            if self._digits:
                self._variables[name] = self._digits.popleft()
        elif running.name == "answer":
            self._variables["endpoint_disposition"] = "ANSWER"
            self._event("CHANNEL_ANSWER", {})

    # --- the end ----------------------------------------------------------------------------

    def _hang_up(self, cause: str) -> None:
        if self.hung_up:
            return
        self.hung_up = True
        self._variables["hangup_cause"] = cause
        self._event("CHANNEL_HANGUP", {"Hangup-Cause": cause})
        if self.script.end is EndOrder.BURST_LOST:
            self._close_with(say.notice(uuid=self.script.uuid))
            return
        self._complete("PLAYBACK ERROR")
        socket = {"Application": "socket", "Application-UUID": "socket-uuid"}
        self._event("CHANNEL_EXECUTE_COMPLETE", socket)
        self._event("CHANNEL_STATE", {"Channel-State": "CS_HANGUP"})
        steps: dict[EndOrder, tuple[str, ...]] = {
            EndOrder.NATURAL: ("last event", "notice"),
            EndOrder.NOTICE_FIRST: ("notice", "last event"),
            EndOrder.NOTICE_TWICE: ("notice", "notice", "last event"),
            EndOrder.OTHER_LEG_FIRST: ("other leg", "notice", "last event"),
            EndOrder.NO_COMPLETE: ("notice",),
            EndOrder.NO_NOTICE: ("last event",),
        }
        for index, step in enumerate(steps[self.script.end]):
            if index and self.script.end_gap_s:
                self._at(index * self.script.end_gap_s, step)
            else:
                self._happen(step)

    def _happen(self, what: str) -> None:
        if what == "complete":
            self._complete()
        elif what == "hang up":
            self._hang_up(self.script.hang_up_cause)
        elif what == "fault":
            if self.script.fault is not None:
                self._strike(self.script.fault)
        elif what == "last event":
            self._event("CHANNEL_HANGUP_COMPLETE", {"Channel-State": "CS_REPORTING"})
        elif what == "other leg":
            self._event("CHANNEL_HANGUP_COMPLETE", {"Unique-ID": "another-leg"})
        elif what == "notice":
            self._notice()
        elif what == "goodbye":
            self._close_with(say.notice(uuid=self.script.uuid))

    def _notice(self) -> None:
        if self._linger is False:
            self._close_with(say.notice(uuid=self.script.uuid))
            return
        self._out.append(say.linger_notice(self.script.uuid, "loopback/fake", self._linger))
        if self._linger is not None and self.script.end is not EndOrder.NO_COMPLETE:
            self._at(self._linger + 0.25, "goodbye")

    def _strike(self, fault: Fault) -> None:
        if fault is Fault.SILENCE:
            self._silent = True
        elif fault is Fault.GARBAGE:
            self._out.append(b"Content-Length: -1\n\n")
        elif fault is Fault.SHUTDOWN:
            self._close_with(say.notice(say.SHUTDOWN, self.script.uuid))
        elif fault is Fault.RESET:
            self._end(Wire.RESET)
        elif fault is Fault.HALF_CLOSE:
            self._out.append(Wire.HALF_CLOSE)
            self._silent = True
        else:
            self._end(Wire.CLOSE)

    # --- events -----------------------------------------------------------------------------

    def _channel(self) -> Headers:
        self._sequence += 1
        timestamp_us = _EPOCH_US + (self._now_ns - self._began_ns) * 1_000_000 // (
            NANOSECONDS_PER_SECOND
        )
        headers = {
            "Core-UUID": "c0000000-0000-4000-8000-000000000000",
            "Event-Date-Timestamp": str(timestamp_us),
            "Event-Sequence": str(self._sequence),
            "Unique-ID": self.script.uuid,
            "Channel-Name": "loopback/fake",
            "Channel-State": "CS_EXECUTE",
            "Answer-State": "hangup" if self.hung_up else "ringing",
            "Caller-Caller-ID-Number": self.script.caller,
            "Caller-Destination-Number": self.script.destination,
        }
        if self.hung_up:
            headers["Hangup-Cause"] = self._variables["hangup_cause"]
        return headers | {f"variable_{name}": text for name, text in self._variables.items()}

    def _event(self, name: str, headers: Headers) -> None:
        if self._wants_events:
            self._out.append(say.event({"Event-Name": name} | self._channel() | headers))

    def _at(self, seconds: float, what: str) -> None:
        self._order += 1
        heapq.heappush(self._later, (self._now_ns + nanoseconds(seconds), self._order, what))
