"""Bytes from the switch in, messages out, whatever the chunks.

A message is a block of header lines, an empty line, and exactly as many bytes as the header
`Content-Length` says, a header of that very name and no other. There is no separator after a body;
newlines before a block are skipped. What is held is bounded by the limits. After an error the
parser gives the same error for ever: a stream that is out of step cannot be trusted again. Messages
before the error are given first.
"""

from __future__ import annotations

import re
from typing import Final

from troth.streaming.eventsocket.errors import at
from troth.streaming.eventsocket.event import Event, EventFormat
from troth.streaming.eventsocket.headers import Headers, LineMemory, decoded_headers, raw_headers
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    DisconnectNotice,
    LogLine,
    Message,
    OtherMessage,
    Rejection,
)
from troth.vm.errors import LimitExceeded, Malformed, TrothError

_PLAIN_EVENT: Final = re.compile(
    rb"Content-Length: (?P<length>[0-9]{1,9})\nContent-Type: text/event-plain"
)
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_NAME: Final = b"Event-Name:"
_LATER_NAME: Final = b"\nEvent-Name:"
_ANY_LENGTH: Final = b"content-length"
_EVENT_FORMATS: Final = {form.value: form for form in EventFormat}
_PLAIN: Final = EventFormat.PLAIN.value
_LOG: Final = "log/data"
_NEWLINES: Final = b"\r\n"


class _Head:
    """The header block of the message whose body is awaited; no headers for a plain event."""

    __slots__ = ("headers", "kind", "length", "offset")

    def __init__(self, kind: str, length: int, offset: int, headers: Headers | None) -> None:
        self.kind = kind
        self.length = length
        self.offset = offset
        self.headers = headers


class MessageParser:
    """`feed` it bytes and call `next_message` until it gives None."""

    def __init__(self, limits: Limits | None = None, *, memory: LineMemory | None = None) -> None:
        self._limits = limits or Limits()
        self._memory = LineMemory() if memory is None else memory
        self._buffer = bytearray()
        self._scanned = 0
        self._consumed = 0
        self._head: _Head | None = None
        self._error: TrothError | None = None

    @property
    def bytes_held(self) -> int:
        return len(self._buffer)

    @property
    def offset(self) -> int:
        """Where the next message begins, or where the error is."""
        return self._consumed

    def feed(self, data: bytes) -> None:
        if self._error is None:
            self._buffer += data

    def next_message(self) -> Message | None:
        """The next whole message, or None when more bytes are needed.

        Raises:
            Malformed: the bytes cannot be a message.
            LimitExceeded: a message is larger than the limits allow.
        """
        if self._error is not None:
            raise self._error
        try:
            head = self._head or self._next_head()
        except TrothError as error:
            self._error = error
            self._buffer.clear()
            raise
        self._head = head
        if head is None or len(self._buffer) < head.length:
            return None
        body = bytes(self._buffer[: head.length])
        self._take(head.length)
        self._head = None
        return self._message(head, body)

    def finish(self) -> None:
        """The stream has ended.

        Raises:
            Malformed: it ended inside of a message.
        """
        if self._error is not None:
            raise self._error
        left = bytes(self._buffer).strip(_NEWLINES)
        if self._head is None and not left:
            return
        needed = "the end of a header block" if self._head is None else f"{self._head.length} bytes"
        raise Malformed(
            "esl.malformed.cut",
            "the connection ended inside of a message",
            place=at(self._consumed if self._head is None else self._head.offset),
            expected=needed,
            actual=f"{len(self._buffer)} bytes",
            advice="What came before it was complete and was handed on",
        )

    def _take(self, count: int) -> None:
        del self._buffer[:count]
        self._consumed += count
        self._scanned = 0

    def _next_head(self) -> _Head | None:
        buffer = self._buffer
        if buffer and buffer[0] in _NEWLINES:
            self._take(len(buffer) - len(buffer.lstrip(_NEWLINES)))
        end = buffer.find(b"\n\n", max(0, self._scanned - 1))
        self._scanned = len(buffer)
        seen = len(buffer) - 1 if end < 0 else end
        if seen > self._limits.header_bytes_max:
            raise self._exceeded("header_bytes_max", self._limits.header_bytes_max, "header block")
        if end < 0:
            return None
        block = bytes(buffer[:end])
        head = self._read_head(block)
        self._take(end + 2)
        return head

    def _read_head(self, block: bytes) -> _Head:
        offset = self._consumed
        plain = _PLAIN_EVENT.fullmatch(block)
        if plain is not None:
            length = int(plain["length"])
            self._check_length(length, _PLAIN)
            return _Head(_PLAIN, length, offset, None)
        if 0 in block:
            raise Malformed(
                "esl.malformed.nul",
                "a header block has a NUL byte in it",
                place=at(offset + block.index(0)),
                expected="text",
                actual="byte 0",
                advice="This is not an event socket, or something between changes its bytes",
            )
        if block.count(b"\n") >= self._limits.header_count_max:
            raise self._exceeded("header_count_max", self._limits.header_count_max, "header block")
        # The reply to `connect` is an event in the shape of a reply: only then values are encoded.
        encoded = block.startswith(_NAME) or _LATER_NAME in block
        headers = decoded_headers(block, self._memory) if encoded else raw_headers(block)
        kind = headers.get("Content-Type", "").lower()
        # The reply to `connect` has a hundred headers, and none of them is a length.
        length = self._content_length(headers) if _ANY_LENGTH in block.lower() else 0
        self._check_length(length, kind)
        return _Head(kind, length, offset, headers)

    def _content_length(self, headers: Headers) -> int:
        stated = headers.every("Content-Length")
        if not stated:
            return 0
        if len(stated) > 1:
            raise self._bad_length("one Content-Length", f"{len(stated)} of them")
        if not _LENGTH.fullmatch(stated[0]):
            raise self._bad_length("a number of bytes", repr(stated[0][:40]))
        return int(stated[0])

    def _bad_length(self, expected: str, actual: str) -> Malformed:
        return Malformed(
            "esl.malformed.content_length",
            "the length of a message cannot be told",
            place=at(self._consumed),
            expected=expected,
            actual=actual,
            advice="This is not an event socket, or something between changes its bytes",
        )

    def _check_length(self, length: int, kind: str) -> None:
        small = kind in _EVENT_FORMATS or kind == _LOG
        name = "event_bytes_max" if small else "body_bytes_max"
        most: int = getattr(self._limits, name)
        if length > most:
            raise self._exceeded(name, most, f"body of {length} bytes")

    def _exceeded(self, name: str, most: int, what: str) -> LimitExceeded:
        return LimitExceeded(
            f"esl.limit.{name}",
            f"a {what} from the switch is over a limit",
            place=at(self._consumed),
            expected=f"at most {name}={most}",
            actual="more",
            advice="Raise the limit if the switch really sends such messages",
        )

    def _message(self, head: _Head, body: bytes) -> Message:
        form = _EVENT_FORMATS.get(head.kind)
        if form is not None:
            return Event(body, form, head.offset, self._memory, self._limits)
        headers, offset = head.headers, head.offset
        assert headers is not None, "only a plain event has no headers of its own"
        match head.kind:
            case "command/reply":
                return CommandReply(headers, body, offset)
            case "api/response":
                return ApiResponse(headers, body, offset)
            case "text/disconnect-notice":
                return DisconnectNotice(headers, body, offset)
            case "auth/request":
                return AuthRequest(offset)
            case "text/rude-rejection":
                return Rejection(body, offset)
            case "log/data":
                return LogLine(headers, body, offset)
            case _:
                return OtherMessage(headers, body, offset)
