"""The messages of a switch, typed. They are values: equal when they say the same.

`offset` is where a message began in the bytes from the switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.headers import (
    NO_HEADERS,
    Headers,
    LineMemory,
    decoded_headers,
    text_of,
)

ERROR: Final = "-ERR"


class Disposition(Enum):
    """What a disconnect notice announces."""

    LINGER = "linger"
    DISCONNECT = "disconnect"
    UNSAID = ""


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """The switch wants a password before anything else."""

    offset: int


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The answer to any command but `api`. That to `connect` has the call's data as headers."""

    headers: Headers
    body: bytes
    offset: int

    @property
    def text(self) -> str:
        return self.headers.get("Reply-Text", "").strip()

    @property
    def is_error(self) -> bool:
        return self.text.startswith(ERROR)

    @property
    def content(self) -> Headers:
        return content_of(self.body)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """The output of an `api` command; an error is in the body too."""

    headers: Headers
    body: bytes
    offset: int

    @property
    def text(self) -> str:
        return text_of(self.body)

    @property
    def is_error(self) -> bool:
        reply_text = self.headers.get("Reply-Text", "")
        return self.body.startswith(ERROR.encode()) or reply_text.startswith(ERROR)

    @property
    def content(self) -> Headers:
        """The body as headers, such as that of `uuid_dump`."""
        return content_of(self.body)


@dataclass(frozen=True, slots=True)
class DisconnectNotice:
    """The switch is about to close, or lingers. It may come twice."""

    headers: Headers
    body: bytes
    offset: int

    @property
    def disposition(self) -> Disposition:
        stated = self.headers.get("Content-Disposition", "").lower()
        try:
            return Disposition(stated)
        except ValueError:
            return Disposition.UNSAID

    @property
    def uuid(self) -> str | None:
        return self.headers.get("Controlled-Session-UUID")

    @property
    def is_shutdown(self) -> bool:
        return self.body.startswith(b"The system is being shut down")


@dataclass(frozen=True, slots=True)
class Rejection:
    """The switch's access list does not admit us."""

    body: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the switch's log, after `log LEVEL`."""

    headers: Headers
    body: bytes
    offset: int

    @property
    def level(self) -> str | None:
        return self.headers.get("Log-Level")

    @property
    def text(self) -> str:
        return text_of(self.body)


@dataclass(frozen=True, slots=True)
class OtherMessage:
    """A message of a type that is not known here, or of none."""

    headers: Headers
    body: bytes
    offset: int

    @property
    def content_type(self) -> str | None:
        return self.headers.get("Content-Type")

    @property
    def content(self) -> Headers:
        return content_of(self.body)


Message = (
    AuthRequest
    | CommandReply
    | ApiResponse
    | Event
    | DisconnectNotice
    | Rejection
    | LogLine
    | OtherMessage
)


def content_of(body: bytes) -> Headers:
    """A body as headers, if it is made of header lines; otherwise none."""
    head = body.partition(b"\n\n")[0]
    lines = [line for line in head.split(b"\n") if line]
    if not lines or not all(b":" in line for line in lines):
        return NO_HEADERS
    return decoded_headers(head, LineMemory())
