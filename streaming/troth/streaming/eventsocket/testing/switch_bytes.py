"""What a switch writes, byte for byte as mod_event_socket does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

_ENCODED: Final = frozenset('\r\n #%&+:;<=>?@[\\]^`{|}"')
_UPPER_HEX: Final = frozenset("0123456789ABCDEF")
_ASCII_MAX: Final = 0x7E
_BLANK: Final = 0x20

GOODBYE: Final = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
SHUTDOWN: Final = b"The system is being shut down.\n"
REJECTION: Final = b"Access Denied, go away.\n"


def encode(value: str) -> str:
    """The percent encoding of events. What looks like an escape already is left alone."""
    parts = []
    for index, character in enumerate(value):
        code = ord(character)
        escape = value[index + 1 : index + 3]
        if character == "%" and len(escape) == 2 and _UPPER_HEX.issuperset(escape):
            parts.append(character)
        elif code < _BLANK or code > _ASCII_MAX or character in _ENCODED:
            parts.append("".join(f"%{byte:02X}" for byte in character.encode()))
        else:
            parts.append(character)
    return "".join(parts)


def header_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {encode(value) or '_undef_'}\n" for name, value in headers).encode()


def event(headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """A plain event."""
    inner = header_lines(headers.items())
    inner += b"\n" if body is None else b"Content-Length: %d\n\n%b" % (len(body), body)
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(inner), inner)


def reply(text: str, headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"{name}: {value}\n" for name, value in (headers or {}).items()]
    return f"Content-Type: command/reply\nReply-Text: {text}\n{''.join(lines)}\n".encode()


def connect_reply(headers: Mapping[str, str], mode: str, control: str) -> bytes:
    """The reply to `connect` is an encoded event in the shape of a reply."""
    tail = f"Content-Type: command/reply\nReply-Text: %2BOK%0A\nSocket-Mode: {mode}\n"
    return header_lines(headers.items()) + f"{tail}Control: {control}\n\n".encode()


def response(text: str) -> bytes:
    body = text.encode() or b"-ERR no reply\n"
    return b"Content-Type: api/response\nContent-Length: %d\n\n%b" % (len(body), body)


def notice(body: bytes = GOODBYE, uuid: str | None = None) -> bytes:
    session = b""
    if uuid is not None:
        session = f"Controlled-Session-UUID: {uuid}\nContent-Disposition: disconnect\n".encode()
    head = b"Content-Type: text/disconnect-notice\n" + session
    return head + b"Content-Length: %d\n\n%b" % (len(body), body)


def linger_notice(uuid: str, channel: str, seconds: int | None) -> bytes:
    return (
        "Content-Type: text/disconnect-notice\n"
        f"Controlled-Session-UUID: {uuid}\nContent-Disposition: linger\n"
        f"Channel-Name: {channel}\nLinger-Time: {-1 if seconds is None else seconds}\n"
        "Content-Length: 0\n\n"
    ).encode()


def rejection() -> bytes:
    head = b"Content-Type: text/rude-rejection\nContent-Length: %d\n\n" % len(REJECTION)
    return head + REJECTION + notice()
