"""What can go wrong on an event socket, beside bytes that are malformed or too many.

`Malformed` and `LimitExceeded` of `troth.vm.errors` are for what the switch sends; the classes here
are for what it, or the network, does. Each says how far things had come, so that a caller knows
what may still happen.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from troth.vm.errors import NOWHERE, Place, TrothError

if TYPE_CHECKING:
    from troth.streaming.eventsocket.completion import Completion
    from troth.streaming.eventsocket.endings import Ending


class Progress(Enum):
    """How far a command had come when its connection ended."""

    NOT_SENT = "not sent"
    UNCONFIRMED = "sent, and nothing came back"
    ACCEPTED = "accepted, and not known to be finished"


class SessionFailure(TrothError):
    """The root of what the other side or the network did. Never raised itself."""


class CommandRefused(SessionFailure):
    """The switch answered `-ERR`; `reply_text` is its whole answer."""

    def __init__(self, command: str, reply_text: str) -> None:
        super().__init__(
            "esl.refused",
            f"the switch refused {command}",
            expected="+OK",
            actual=reply_text,
            advice="See what the switch allows on this connection, and the spelling",
        )
        self.command = command
        self.reply_text = reply_text


class ConnectionEnded(SessionFailure):
    """The connection ended before this was done; `progress` says how far it had come."""

    def __init__(self, what: str, progress: Progress, ending: Ending | None = None) -> None:
        why = "" if ending is None else f" ({ending.value})"
        super().__init__(
            "esl.ended",
            f"the connection ended{why} during {what}",
            expected="an answer",
            actual=progress.value,
            advice="Repeat it on a new connection only if doing it twice does no harm",
        )
        self.progress = progress
        self.ending = ending


class CallHungUp(SessionFailure):
    """The call is hung up, so no application can run on it any more.

    `completion` is what came of the application that was running, when something did.
    """

    def __init__(self, what: str, cause: str | None, completion: Completion | None = None) -> None:
        super().__init__(
            "esl.hung_up",
            f"the call was hung up before or during {what}",
            expected="a live call",
            actual=cause or "hung up",
            advice="Let the handler end; hooks still get the events of the end",
        )
        self.cause = cause
        self.completion = completion


class AuthenticationFailed(SessionFailure):
    """The switch does not take this password or this user. Trying again does not help."""

    def __init__(self, reply_text: str) -> None:
        super().__init__(
            "esl.authentication",
            "the switch refused the password",
            expected="+OK accepted",
            actual=reply_text,
            advice="Check the password in event_socket.conf.xml, or the user's esl-password",
        )
        self.reply_text = reply_text


class AccessDenied(SessionFailure):
    """The switch's access list does not admit this address. Trying again does not help."""

    def __init__(self) -> None:
        super().__init__(
            "esl.access",
            "the switch rejected this address",
            expected="auth/request",
            actual="text/rude-rejection",
            advice="Add the address to the list that apply-inbound-acl names",
        )


class Unreachable(SessionFailure):
    """There is no connection to the switch."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            "esl.unreachable",
            f"there is no connection to {host}:{port}",
            expected="an event socket that listens",
            actual=reason,
            advice="See that the switch runs, and that event_socket.conf.xml has this address",
        )


class NoAnswer(SessionFailure):
    """The switch kept silent for longer than the limit allows."""

    def __init__(self, what: str, limit_name: str, limit_s: float) -> None:
        super().__init__(
            "esl.silence",
            f"the switch did not answer {what}",
            expected=f"an answer within {limit_name}={limit_s:g} s",
            actual="silence",
            advice="Raise the limit if the switch is slow; api commands block the connection",
        )


def at(offset: int) -> Place:
    """A place in the bytes that came from the switch."""
    return NOWHERE if offset < 0 else Place(offset=offset)
