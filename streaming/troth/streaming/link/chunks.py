"""What is inside a sealed packet: chunks, one after the other.

    0        kind
    1..2     length of the body
    3..      the body, laid out by its kind below

All integers are big-endian. A packet whose chunks do not fill it exactly is refused as a whole:
only the peer can have made it.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct, error
from typing import Final

from troth.streaming.wire import malformed

CHUNK_HEADER_BYTES: Final = 3
CHUNKS_MAX: Final = 64
_CHUNK: Final = Struct(">BH")


class ChunkKind(IntEnum):
    """What a chunk is."""

    PADDING = 0
    SEGMENT = 1
    ACKNOWLEDGEMENT = 2
    FRAGMENT = 3
    INPUT_STATE = 4
    FEEDBACK = 5
    MISSING = 6
    REPORT = 7
    KEY_FRAME_REQUEST = 8
    PING = 9
    PONG = 10
    CONFIRM = 11
    CLOSE = 12
    CLOSE_ACKNOWLEDGEMENT = 13


SEGMENT: Final = Struct(">BIB")
"""Stream, number, flags; then data."""

ACKNOWLEDGEMENT: Final = Struct(">BIQ")
"""Stream, the number that is expected next, and a bit for each of the 64 after it."""

FRAGMENT: Final = Struct(">BBIIHBHQ")
"""Lane, flags, frame, bytes of the frame, bytes of a shard, parity per group, position, capture
time; then the shard."""

INPUT_STATE: Final = Struct(">I")
"""Number; then data."""

KEY_FRAME_REQUEST: Final = Struct(">BI")
"""Lane, the last frame that was good."""

PROBE: Final = Struct(">QH")
"""Nonce and path, of PING and PONG."""

CLOSE: Final = Struct(">H")
"""Reason; then text."""

MISSING_RANGE: Final = Struct(">QH")
"""First packet number and count."""


def encode(kind: int, body: bytes) -> bytes:
    return _CHUNK.pack(kind, len(body)) + body


def decode(plain: bytes) -> list[tuple[int, bytes]]:
    """The chunks of a packet.

    Raises:
        Malformed: code `transport.chunk`.
    """
    chunks: list[tuple[int, bytes]] = []
    at, size = 0, len(plain)
    while at < size:
        if size - at < CHUNK_HEADER_BYTES:
            raise malformed("chunk", f"{CHUNK_HEADER_BYTES} bytes of a chunk", size - at, at)
        kind, length = _CHUNK.unpack_from(plain, at)
        end = at + CHUNK_HEADER_BYTES + length
        if end > size:
            raise malformed("chunk", f"{length} bytes of a body", size - at, at)
        if kind != ChunkKind.PADDING:
            chunks.append((kind, plain[at + CHUNK_HEADER_BYTES : end]))
        if len(chunks) > CHUNKS_MAX:
            raise malformed("chunk", f"at most {CHUNKS_MAX} chunks", "more", at)
        at = end
    return chunks


def unpack(layout: Struct, body: bytes) -> tuple[int, ...]:
    """The numbers that a body begins with.

    Raises:
        Malformed: code `transport.chunk`.
    """
    try:
        return layout.unpack_from(body)
    except error:
        raise malformed("chunk", f"at least {layout.size} bytes", len(body), 0) from None


def unpack_exactly(layout: Struct, body: bytes) -> tuple[int, ...]:
    """The same of a body that ends there."""
    if len(body) != layout.size:
        raise malformed("chunk", f"{layout.size} bytes", len(body), 0)
    return layout.unpack(body)
