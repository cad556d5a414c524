"""The datagrams of the handshake, byte by byte.

    INITIATE  connection of the initiator (4), cookie or zeros (16), first message (32), zeros
              up to 256 bytes in all, so that no answer is longer than its question
    RETRY     cookie (16)
    RESPOND   second message: keys (80), sealed connection of the responder and proof (116)
    COMPLETE  third message: static key (48), sealed proof (112)
    VERSIONS  the versions that are spoken here, one byte each

The header's connection is the receiver's; INITIATE has 0 there, the only one that may.
"""

from __future__ import annotations

from typing import Final

from troth.streaming.handshake.cookie import COOKIE_BYTES
from troth.streaming.handshake.identity import PROOF_BYTES
from troth.streaming.handshake.noise import KEY_BYTES
from troth.streaming.wire import HEADER_BYTES, TAG_BYTES, VERSION, PacketKind, encode_header
from troth.streaming.wire import malformed as wire_error

CONNECTION_BYTES: Final = 4
INITIATE_BYTES: Final = 256
RETRY_BYTES: Final = HEADER_BYTES + COOKIE_BYTES
SECOND_KEYS_BYTES: Final = KEY_BYTES + KEY_BYTES + TAG_BYTES
RESPOND_BYTES: Final = HEADER_BYTES + SECOND_KEYS_BYTES + CONNECTION_BYTES + PROOF_BYTES + TAG_BYTES
COMPLETE_BYTES: Final = HEADER_BYTES + KEY_BYTES + TAG_BYTES + PROOF_BYTES + TAG_BYTES
VERSIONS_MAX: Final = 4
CONNECTIONS: Final = 1 << 32
assert RESPOND_BYTES <= INITIATE_BYTES, "nobody is made to send more than they were sent"

_PROLOGUE: Final = b"troth transport v%d\0" % VERSION
CONTEXT_BYTES_MAX: Final = 1_024


def prologue(context: bytes, connection: int) -> bytes:
    """What both sides must agree on before the first message: what they speak, in which session."""
    return _PROLOGUE + len(context).to_bytes(4, "big") + context + connection.to_bytes(4, "big")


def initiate(connection: int, cookie: bytes, first: bytes, attempt: int) -> bytes:
    header = encode_header(PacketKind.INITIATE, 0, 0, 0, attempt)
    body = connection.to_bytes(CONNECTION_BYTES, "big") + cookie + first
    return (header + body).ljust(INITIATE_BYTES, b"\0")


def read_initiate(datagram: bytes) -> tuple[int, bytes, bytes]:
    """The initiator's connection, its cookie and its first message.

    Raises:
        Malformed: code `transport.size`.
    """
    _check_size(datagram, INITIATE_BYTES)
    at = HEADER_BYTES + CONNECTION_BYTES
    connection = int.from_bytes(datagram[HEADER_BYTES:at], "big")
    if connection == 0:
        raise wire_error("size", "a connection above 0", 0, HEADER_BYTES)
    cookie = datagram[at : at + COOKIE_BYTES]
    first = datagram[at + COOKIE_BYTES : at + COOKIE_BYTES + KEY_BYTES]
    return connection, cookie, first


def retry(connection: int, cookie: bytes) -> bytes:
    return encode_header(PacketKind.RETRY, 0, 0, connection, 0) + cookie


def respond(connection: int, message: bytes) -> bytes:
    return encode_header(PacketKind.RESPOND, 0, 0, connection, 0) + message


def complete(connection: int, message: bytes, attempt: int) -> bytes:
    return encode_header(PacketKind.COMPLETE, 0, 0, connection, attempt) + message


def versions(connection: int) -> bytes:
    """What is sent back to whoever speaks another version."""
    return encode_header(PacketKind.VERSIONS, 0, 0, connection, 0) + bytes([VERSION])


def body_of(datagram: bytes, size: int) -> bytes:
    """What follows the header of a datagram of exactly that size.

    Raises:
        Malformed: code `transport.size`.
    """
    _check_size(datagram, size)
    return datagram[HEADER_BYTES:]


def read_versions(datagram: bytes) -> tuple[int, ...]:
    """The versions that the other side speaks."""
    body = datagram[HEADER_BYTES:]
    if not 1 <= len(body) <= VERSIONS_MAX:
        raise wire_error("size", f"1 to {VERSIONS_MAX} versions", len(body), HEADER_BYTES)
    return tuple(body)


def _check_size(datagram: bytes, size: int) -> None:
    if len(datagram) != size:
        raise wire_error("size", f"{size} bytes", len(datagram), min(len(datagram), size))
