"""A fake switch's own event socket, for clients: one connection, without a socket or a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.streaming.eventsocket.testing import switch_bytes as say
from troth.streaming.eventsocket.testing.commands_in import Command, CommandReader
from troth.streaming.eventsocket.testing.fake_line import FakeLine, Wire
from troth.streaming.eventsocket.testing.script import Fault

_EVENT_WORDS: Final = ("event", "nixevent", "noevents", "filter", "log", "nolog", "linger")
_EVENT_WORDS_MORE: Final = ("nolinger", "myevents", "divert_events", "sendevent")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchScript:
    """How a fake switch treats a client. `faults` strike at the command of that word, once each.

    `api` gives the output of an api command, by its whole text or its first word. Without
    `jobs_finish` a job in the background is accepted, and never heard of again.
    """

    password: str = "ClueCon"
    users: Mapping[str, str] = field(default_factory=dict)
    rejects: bool = False
    silent: bool = False
    api: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)
    jobs_finish: bool = True


class FakeInbound(FakeLine):
    """Feed it with `receive`; `take` gives what to write and what to do."""

    def __init__(self, script: SwitchScript, faults: dict[str, Fault]) -> None:
        super().__init__()
        self.script = script
        self.commands: list[Command] = []
        self.subscribed: list[str] = []
        self._faults = faults
        self._reader = CommandReader()
        self._admitted = False
        self._silent = script.silent
        if script.rejects:
            self._close_with(say.rejection())
        elif not script.silent:
            self._out.append(b"Content-Type: auth/request\n\n")

    def receive(self, data: bytes) -> None:
        """Bytes from the client."""
        for command in self._reader.feed(data):
            self.commands.append(command)
            fault = self._faults.pop(command.word, None)
            if fault is not None:
                self.strike(fault)
            elif not self._silent and not self.closed:
                self._obey(command)

    def send_event(self, headers: Mapping[str, str], body: bytes | None = None) -> None:
        """An event, whether the client asked for it or not."""
        self._out.append(say.event(headers, body))

    def strike(self, fault: Fault) -> None:
        """Something goes wrong, now."""
        if fault is Fault.SILENCE:
            self._silent = True
        elif fault is Fault.GARBAGE:
            self._out.append(b"Content-Length: -1\n\n")
        elif fault is Fault.SHUTDOWN:
            self._close_with(say.notice(say.SHUTDOWN))
        elif fault is Fault.HALF_CLOSE:
            self._out.append(Wire.HALF_CLOSE)
            self._silent = True
        else:
            self._end(Wire.RESET if fault is Fault.RESET else Wire.CLOSE)

    def _obey(self, command: Command) -> None:
        word = command.word
        if word == "exit":
            self._reply("+OK bye")
            self._close_with(say.notice())
        elif word in ("auth", "userauth"):
            self._authenticate(command)
        elif not self._admitted:
            self._reply("-ERR command not found")
        elif word == "api":
            self._out.append(say.response(self._api(command.rest)))
        elif word == "bgapi":
            self._background(command)
        elif word == "sendmsg":
            self._message(command)
        elif word in _EVENT_WORDS + _EVENT_WORDS_MORE:
            if word == "event":
                self.subscribed.append(command.rest)
            self._reply("+OK")
        else:
            self._reply("-ERR command not found")

    def _authenticate(self, command: Command) -> None:
        script = self.script
        user, _, password = command.rest.partition(":")
        is_user = command.word == "userauth"
        good = script.users.get(user) == password if is_user else command.rest == script.password
        if not good:
            self._reply("-ERR invalid")
            self._close_with(say.notice())
            return
        self._admitted = True
        self._out.append(say.reply("+OK accepted", {"Allowed-Events": "ALL"} if is_user else None))

    def _api(self, text: str) -> str:
        name = text.partition(" ")[0]
        if name == "status" and name not in self.script.api:
            return "UP 0 years, 0 days, 0 hours, 0 minutes, 1 second\nFake switch is ready\n"
        missing = f"-ERR {name} Command not found!\n"
        return self.script.api.get(text, self.script.api.get(name, missing))

    def _background(self, command: Command) -> None:
        uuid = command.headers.get("Job-UUID", f"job-{len(self.commands)}")
        self._out.append(say.reply(f"+OK Job-UUID: {uuid}", {"Job-UUID": uuid}))
        if not self.script.jobs_finish:
            return
        headers = {"Event-Name": "BACKGROUND_JOB", "Job-UUID": uuid}
        self.send_event(headers, self._api(command.rest).encode())

    def _message(self, command: Command) -> None:
        self._reply("+OK")
        if command.headers.get("call-command") != "execute":
            return
        headers = {
            "Unique-ID": command.rest,
            "Answer-State": "answered",
            "Application": command.headers.get("execute-app-name", ""),
            "Application-Data": command.headers.get("execute-app-arg", command.body),
            "Application-UUID": command.headers.get("Event-UUID", ""),
        }
        self.send_event({"Event-Name": "CHANNEL_EXECUTE"} | headers)
        self.send_event({"Event-Name": "CHANNEL_EXECUTE_COMPLETE"} | headers)
