"""What passes on a connection, as an observer sees it: in order, before anything comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from troth.streaming.eventsocket.endings import Outcome
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.messages import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    DisconnectNotice,
    LogLine,
    OtherMessage,
    Rejection,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A command went to the switch. `label` is how messages call it."""

    label: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Replied:
    """A reply came; `due` unless nobody had asked for it."""

    reply: CommandReply | ApiResponse
    due: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The switch said something by itself."""

    message: Event | DisconnectNotice | LogLine | AuthRequest | Rejection | OtherMessage


@dataclass(frozen=True, slots=True)
class Over:
    """The session has ended: nothing is received any more."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Shut:
    """The connection is of no more use to anybody."""


Fact = Asked | Replied | Seen | Over | Shut
