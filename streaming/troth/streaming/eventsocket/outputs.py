"""What a session's core asks its shell to do, in order."""

from __future__ import annotations

from dataclasses import dataclass

from troth.streaming.eventsocket.completion import Completion
from troth.streaming.eventsocket.endings import Outcome
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.facts import Fact
from troth.streaming.eventsocket.messages import ApiResponse, CommandReply, LogLine
from troth.vm.errors import TrothError


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes for the switch."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """The reply to the command of that serial."""

    serial: int
    reply: CommandReply | ApiResponse


@dataclass(frozen=True, slots=True)
class Completed:
    """The application of that serial is done."""

    serial: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class Failed:
    """The command or application of that serial will not succeed."""

    serial: int
    error: TrothError


@dataclass(frozen=True, slots=True)
class Deliver:
    """An event or a log line for whoever listens."""

    message: Event | LogLine


@dataclass(frozen=True, slots=True)
class Ready:
    """The session is set up: the handler may start."""


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing more will be delivered: await what runs, then say `settled`."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Abandon:
    """What still runs has had its time: cancel it."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket; the session is over."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Remark:
    """Something worth a line in the log that ends nothing."""

    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something for the record; what comes of it follows. Only for a core that is recorded."""

    fact: Fact


Output = (
    Write
    | Answered
    | Completed
    | Failed
    | Deliver
    | Ready
    | Settle
    | Abandon
    | Close
    | Remark
    | Noted
)
