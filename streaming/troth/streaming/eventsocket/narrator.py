"""Tells a connection as messages: facts in, messages of its protocol file out.

It never decides anything: whether what it tells is allowed, the local types say. Commands go one
at a time. A caller who gave up before the reply came leaves a command unanswered; its late reply
is a remark among the events, since by then another command may be on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from troth.streaming.eventsocket.endings import Ending, Outcome
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.facts import Asked, Fact, Over, Replied, Seen, Shut
from troth.streaming.eventsocket.headers import text_of
from troth.streaming.eventsocket.messages import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    DisconnectNotice,
    LogLine,
    OtherMessage,
)
from troth.streaming.eventsocket.privacy import Privacy, sound
from troth.streaming.eventsocket.running import EXECUTE_COMPLETE

APP: Final = "App"
EXIT: Final = "exit"
SWITCH: Final = "Switch"
_EXECUTE: Final = b"\ncall-command: execute\n"
_SECRETS: Final = ("auth", "userauth")
_CONNECT: Final = {"connect": "connect"}
_AUTHENTICATE: Final = dict.fromkeys(_SECRETS, "authenticate")
"""Commands with a message of their own, by the label of that message."""
_NAME_CHARACTERS_MAX: Final = 255


class Plane(Enum):
    """One of the two sessions of a connection's bundle, by its name there."""

    COMMANDS = "commands"
    EVENTS = "events"


Tell = Callable[[Plane, str, str, tuple[object, ...]], None]
"""Plane, role that speaks, label, values."""


class Narrator:
    """The facts of one connection, told in order to `tell`."""

    def __init__(
        self, tell: Tell, privacy: Privacy, *, one_call: bool = True, strict: bool = False
    ) -> None:
        """`one_call`: the connection is that of a call, and ends with it.

        `strict`: a reply that answers nothing is told as a reply, for the local types to refuse.
        """
        self._tell = tell
        self._privacy = privacy
        self._one_call = one_call
        self._strict = strict
        self._openings = _CONNECT if one_call else _AUTHENTICATE
        self._waiting: str | None = None
        self._given_up = 0
        self._uuid: str | None = None
        self._over: Outcome | None = None
        self._said_exit = False
        self._events("observing", privacy.stated())

    @property
    def uuid(self) -> str | None:
        """The call's channel, once the switch has named it."""
        return self._uuid

    def note(self, fact: Fact) -> None:
        match fact:
            case Asked():
                self._asked(fact)
            case Replied():
                self._replied(fact)
            case Seen(message):
                self._seen(message)
            case Over(outcome):
                self._end(outcome)
            case Shut():
                self._shut()

    # --- commands -----------------------------------------------------------------------------

    def _asked(self, fact: Asked) -> None:
        if self._waiting is not None:
            self._given_up += 1
            self._answer("unanswered", "its caller has given up")
        if fact.label == EXIT:
            self._said_exit = True
            self._command(EXIT)
            return
        label, _, rest = fact.label.partition(" ")
        self._waiting = label
        if fact.data.startswith(b"sendmsg") and _EXECUTE in fact.data:
            self._execute(fact)
        elif label in self._openings:
            self._command(self._openings[label])
        else:
            is_api = label == "api"
            word = rest if is_api else label
            argument = _argument_of(fact, 2 if is_api else 1)
            kept = ("", 1) if label in _SECRETS else self._privacy.argument(argument)
            name = sound(word)[:_NAME_CHARACTERS_MAX]
            self._command("api" if is_api else "command", name, *kept)

    def _execute(self, fact: Asked) -> None:
        head, _, body = text_of(fact.data).partition("\n\n")
        fields = dict(line.partition(": ")[::2] for line in head.split("\n")[1:])
        argument = fields.get("execute-app-arg", body)
        name, uuid = fields.get("execute-app-name", ""), fields.get("Event-UUID", "")
        self._command("execute", sound(name), sound(uuid), *self._privacy.argument(argument))

    def _replied(self, fact: Replied) -> None:
        reply = fact.reply
        nobodys = not fact.due or self._given_up or self._waiting is None
        if nobodys and not self._strict:
            self._given_up -= bool(fact.due and self._given_up)
            what = "late reply" if fact.due else "stray reply"
            self._remark(what, self._privacy.reply(reply.text)[0])
            return
        text, hidden = self._privacy.reply(reply.text)
        if isinstance(reply, ApiResponse):
            self._answer("output", text, hidden)
        elif reply.is_error:
            self._answer("refused", text)
        elif (opening := self._openings.get(self._waiting or "")) is None:
            self._answer("accepted", text, hidden)
        elif opening == "authenticate":
            self._answer("admitted")
        else:
            self._connected(reply)

    def _connected(self, reply: CommandReply) -> None:
        self._uuid = reply.headers.get("Unique-ID")
        self._answer("connected", sound(self._uuid or ""), *self._privacy.pairs(reply.headers))

    # --- events -------------------------------------------------------------------------------

    def _seen(self, message: object) -> None:
        if isinstance(message, Event):
            self._event(message)
        elif isinstance(message, DisconnectNotice):
            said = "shutdown" if message.is_shutdown else message.disposition.value
            self._events("notice", said)
        elif isinstance(message, AuthRequest) and not self._one_call:
            self._events("request")
        elif isinstance(message, LogLine):
            self._remark("log", self._privacy.reply(message.text)[0])
        elif isinstance(message, OtherMessage):
            self._remark("message", sound(message.content_type or "")[:_NAME_CHARACTERS_MAX])
        else:
            self._remark("message", type(message).__name__)

    def _event(self, event: Event) -> None:
        name = event.name
        ours = self._one_call and (self._uuid is None or event.uuid == self._uuid)
        if ours and name in ("CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"):
            label = "hangup" if name == "CHANNEL_HANGUP" else "hangup_complete"
            self._events(label, sound(event.get("Hangup-Cause") or ""))
            return
        kept, hidden = self._privacy.pairs(event.headers)
        if name == EXECUTE_COMPLETE:
            said = (event.get("Application"), event.get("Application-UUID"))
            self._events("completed", *(sound(value or "") for value in said), kept, hidden)
        else:
            self._events("event", sound(name or ""), sound(event.uuid or ""), kept, hidden)

    def _remark(self, what: str, detail: str) -> None:
        self._events("remark", what, detail)

    # --- the end ------------------------------------------------------------------------------

    def _end(self, outcome: Outcome) -> None:
        self._over = outcome
        if self._waiting is not None:
            self._answer("unanswered", outcome.ending.value)
        if outcome.ending is Ending.LATCHED:
            self._events("latched")
        else:
            self._events("ended", outcome.ending.value, list(outcome.missing))

    def _shut(self) -> None:
        if not self._said_exit:
            ending = self._over.ending.value if self._over is not None else ""
            self._command("gone", ending)

    # --- telling ------------------------------------------------------------------------------

    def _command(self, label: str, *values: object) -> None:
        self._tell(Plane.COMMANDS, APP, label, values)

    def _answer(self, label: str, *values: object) -> None:
        self._waiting = None
        self._tell(Plane.COMMANDS, SWITCH, label, values)

    def _events(self, label: str, *values: object) -> None:
        self._tell(Plane.EVENTS, SWITCH, label, values)


def _argument_of(fact: Asked, words: int) -> str:
    """What stands behind the first words of a command, its own lines and body included."""
    parts = text_of(fact.data).rstrip("\n").split(" ", words)
    return parts[words] if len(parts) > words else ""
