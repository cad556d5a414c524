"""The ways in which the session of a call ends. Each has a stable value for logs and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Ending(Enum):
    """Why a session is over."""

    LATCHED = "latched"
    """The call is hung up and the switch has nothing more to say: the proper end."""
    TIME_LIMIT = "time limit"
    """The end had begun, and a part of it did not arrive within `latch_s`."""
    CLOSED_EARLY = "closed early"
    """The switch announced the end and closed before the call's last event."""
    CUT = "cut"
    """The switch closed without a word, or inside of a message: it was killed, or the network."""
    RESET = "reset"
    """The connection was reset."""
    SHUTDOWN = "shutdown"
    """The switch, or its event socket, is shutting down."""
    REJECTED = "rejected"
    """The switch's access list does not admit us."""
    NO_CALL = "no call"
    """The call was over before its session was set up."""
    SILENCE = "silence"
    """The switch did not answer within a limit."""
    LEFT = "left"
    """We left while the call lives."""
    REFUSED = "refused"
    """The switch refused a command without which there is no session."""
    MALFORMED = "malformed"
    """The switch sent what cannot be a message, or more than the limits allow."""
    STOPPED = "stopped"
    """Our own server or client was stopped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended, and what had not arrived by then, by the names of the protocol."""

    ending: Ending
    missing: tuple[str, ...] = ()
    detail: str = ""

    def describe(self) -> str:
        parts = [self.ending.value]
        if self.missing:
            parts.append("without " + " and ".join(self.missing))
        if self.detail:
            parts.append(self.detail)
        return "; ".join(parts)
