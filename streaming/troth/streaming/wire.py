"""The header of every datagram: sixteen bytes, authenticated and not encrypted.

    0        kind: the version in the upper two bits, the kind below
    1        epoch: which key of its direction sealed this
    2..3     path: the number that the sender has for the path
    4..7     connection: chosen by the receiver, how it finds the link
    8..15    number: the packet's, per direction, never used twice

All integers are big-endian. The header is the associated data of the AEAD, so a changed bit in it
is a failed authentication. There is no checksum beside that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from troth.vm.errors import Malformed, Place

VERSION: Final = 1
_VERSION_SHIFT: Final = 6
_KIND_MASK: Final = (1 << _VERSION_SHIFT) - 1
_LAYOUT: Final = Struct(">BBHIQ")
HEADER_BYTES: Final = _LAYOUT.size
TAG_BYTES: Final = 16
DATAGRAM_BYTES_ABSOLUTE_MAX: Final = 65_507
"""What UDP over IPv4 can carry at all."""


class PacketKind(IntEnum):
    """What a datagram is."""

    INITIATE = 1
    RETRY = 2
    RESPOND = 3
    COMPLETE = 4
    SEALED = 5
    VERSIONS = 6


_KINDS: Final = {kind.value: kind for kind in PacketKind}


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one datagram."""

    kind: PacketKind
    epoch: int
    path: int
    connection: int
    number: int

    def encode(self) -> bytes:
        first = VERSION << _VERSION_SHIFT | self.kind
        return _LAYOUT.pack(first, self.epoch, self.path, self.connection, self.number)


def encode_header(kind: int, epoch: int, path: int, connection: int, number: int) -> bytes:
    """The same without a value in between, for the many."""
    return _LAYOUT.pack(VERSION << _VERSION_SHIFT | kind, epoch, path, connection, number)


SEALED_FIRST_BYTE: Final = VERSION << _VERSION_SHIFT | PacketKind.SEALED
"""How a sealed datagram of this version begins."""

unpack_header: Final = _LAYOUT.unpack_from
"""The five numbers of a header of at least sixteen bytes, not looked at."""


def version_of(datagram: bytes) -> int | None:
    """The version that a datagram claims, if it is long enough to be one of ours."""
    return datagram[0] >> _VERSION_SHIFT if len(datagram) >= HEADER_BYTES else None


def decode_header(datagram: bytes) -> Header:
    """Reads the header of a datagram.

    Raises:
        Malformed: codes `transport.short`, `transport.long`, `transport.version`,
            `transport.kind`.
    """
    if len(datagram) < HEADER_BYTES:
        raise malformed("short", f"at least {HEADER_BYTES} bytes", len(datagram), len(datagram))
    if len(datagram) > DATAGRAM_BYTES_ABSOLUTE_MAX:
        expected = f"at most {DATAGRAM_BYTES_ABSOLUTE_MAX} bytes"
        raise malformed("long", expected, len(datagram), DATAGRAM_BYTES_ABSOLUTE_MAX)
    first, epoch, path, connection, number = _LAYOUT.unpack_from(datagram)
    version = first >> _VERSION_SHIFT
    if version != VERSION:
        raise malformed("version", f"version {VERSION}", version, 0)
    kind = _KINDS.get(first & _KIND_MASK)
    if kind is None:
        raise malformed("kind", "a kind from 1 to 6", first & _KIND_MASK, 0)
    return Header(kind, epoch, path, connection, number)


_WHAT: Final = {
    "short": "a datagram is too short",
    "long": "a datagram is too long",
    "version": "a datagram has another version",
    "kind": "a datagram is of no known kind",
    "size": "a handshake datagram has the wrong size",
    "chunk": "a sealed packet holds no well-formed chunk",
}


def malformed(what: str, expected: str, actual: int | str, offset: int) -> Malformed:
    """The error of a datagram that is not what it must be."""
    return Malformed(
        f"transport.{what}",
        _WHAT[what],
        place=Place(offset=offset),
        expected=expected,
        actual=str(actual),
        advice="It is dropped and counted; many of them mean a stranger, or a broken path",
    )
