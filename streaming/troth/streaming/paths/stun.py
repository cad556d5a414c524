"""STUN messages (RFC 8489): the binding method, with the attributes that checks of paths need.

A message is decoded with bounds and without belief: who uses it asks `is_authentic` with a key.
What follows an integrity attribute is not covered by it and is left out, but for the fingerprint.
"""

from __future__ import annotations

import hmac
import ipaddress
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from troth.streaming.paths.addresses import Address
from troth.vm.errors import Malformed

MAGIC_COOKIE: Final = 0x2112_A442
HEADER: Final = struct.Struct("!HHI12s")
HEADER_BYTES: Final = HEADER.size
TRANSACTION_BYTES: Final = 12
MESSAGE_BYTES_MAX: Final = 548
"""What fits every path of IPv4; a binding needs far less."""
ATTRIBUTES_MAX: Final = 32
BINDING: Final = 0x001

_FAMILY_IPV4: Final = 1
_FAMILY_IPV6: Final = 2
_ATTRIBUTE: Final = struct.Struct("!HH")
_SHA1_BYTES: Final = 20
_SHA256_BYTES: Final = 32
_FINGERPRINT_XOR: Final = 0x5354_554E
_FINGERPRINT_BYTES: Final = 4


class MessageClass(IntEnum):
    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Attribute(IntEnum):
    """The attributes that are used here. Below 0x8000 a receiver must know them to go on."""

    MAPPED_ADDRESS = 0x0001
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    REALM = 0x0014
    NONCE = 0x0015
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    SOFTWARE = 0x8022
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A
    NOMINATION = 0xC001
    """How often the controlling party has chosen a path: the highest number counts."""
    CHECK_NUMBER = 0xC0F1
    """The sender's count of its checks, so that a copied one is known as such."""


_KNOWN: Final = frozenset(int(attribute) for attribute in Attribute)
_OPTIONAL_FROM: Final = 0x8000
_INTEGRITY: Final = {
    Attribute.MESSAGE_INTEGRITY: ("sha1", _SHA1_BYTES),
    Attribute.MESSAGE_INTEGRITY_SHA256: ("sha256", _SHA256_BYTES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StunMessage:
    """`integrity` has the bytes covered by the first such attribute, its type and its value."""

    message_class: MessageClass
    method: int
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...] = ()
    integrity: tuple[int, bytes, bytes] | None = None

    def get(self, attribute: Attribute) -> bytes | None:
        """The first value of an attribute, as the standard wants it."""
        return next((value for kind, value in self.attributes if kind == attribute), None)

    @property
    def unknown(self) -> tuple[int, ...]:
        """Attributes that one would have to know."""
        return tuple(
            kind for kind, _ in self.attributes if kind < _OPTIONAL_FROM and kind not in _KNOWN
        )


def is_stun(datagram: bytes) -> bool:
    """Whether this is meant as STUN: the two clear bits, the cookie, and the length."""
    return (
        len(datagram) >= HEADER_BYTES
        and datagram[0] < 0x40
        and datagram[4:8] == MAGIC_COOKIE.to_bytes(4, "big")
        and int.from_bytes(datagram[2:4], "big") + HEADER_BYTES == len(datagram)
    )


def encode(message: StunMessage, key: bytes | None = None, *, fingerprint: bool = True) -> bytes:
    """The bytes, with MESSAGE-INTEGRITY-SHA256 under `key` when there is one."""
    body = b"".join(_attribute(kind, value) for kind, value in message.attributes)
    if key is not None:
        covered = _header(message, len(body) + 4 + _SHA256_BYTES) + body
        code = hmac.digest(key, covered, "sha256")
        body += _attribute(Attribute.MESSAGE_INTEGRITY_SHA256, code)
    if fingerprint:
        covered = _header(message, len(body) + 4 + _FINGERPRINT_BYTES) + body
        body += _attribute(Attribute.FINGERPRINT, fingerprint_of(covered))
    return _header(message, len(body)) + body


def decode(data: bytes) -> StunMessage:
    """Takes a message apart and checks its form and, if it has one, its fingerprint.

    Raises:
        Malformed: code `path.stun`.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise _malformed(f"at most {MESSAGE_BYTES_MAX} bytes", f"{len(data)}")
    if not is_stun(data) or len(data) % 4:
        raise _malformed("the header of a STUN message", f"{data[:HEADER_BYTES].hex()}")
    kind, _, _, transaction = HEADER.unpack_from(data)
    attributes: list[tuple[int, bytes]] = []
    integrity: tuple[int, bytes, bytes] | None = None
    offset = HEADER_BYTES
    while offset < len(data):
        if len(attributes) == ATTRIBUTES_MAX:
            raise _malformed(f"at most {ATTRIBUTES_MAX} attributes", "more")
        attribute, value, end = _read_attribute(data, offset)
        if attribute == Attribute.FINGERPRINT:
            _check_fingerprint(data, offset, value, end)
        elif integrity is not None:
            offset = end
            continue
        elif attribute in _INTEGRITY:
            integrity = (attribute, _covered(data, offset, end), value)
        attributes.append((attribute, value))
        offset = end
    message_class, method = _split_type(kind)
    return StunMessage(
        message_class=message_class,
        method=method,
        transaction=transaction,
        attributes=tuple(attributes),
        integrity=integrity,
    )


def is_authentic(message: StunMessage, key: bytes) -> bool:
    """Whether who has the key made the attributes of this message."""
    if message.integrity is None:
        return False
    kind, covered, value = message.integrity
    digest, length = _INTEGRITY[Attribute(kind)]
    return len(value) == length and hmac.compare_digest(hmac.digest(key, covered, digest), value)


# --- addresses ------------------------------------------------------------------------------


def xor_address(address: Address, transaction: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS."""
    ip = address.ip
    family = _FAMILY_IPV4 if ip.version == 4 else _FAMILY_IPV6
    port = address.port ^ MAGIC_COOKIE >> 16
    return struct.pack("!BBH", 0, family, port) + _xored(ip.packed, transaction)


def mapped_address(message: StunMessage) -> Address:
    """The address in an answer.

    Raises:
        Malformed: code `path.stun`.
    """
    value = message.get(Attribute.XOR_MAPPED_ADDRESS)
    if value is not None:
        return _address(value, message.transaction)
    value = message.get(Attribute.MAPPED_ADDRESS)
    if value is not None:
        return _address(value, None)
    raise _malformed("an address", "none")


def _address(value: bytes, transaction: bytes | None) -> Address:
    lengths = {_FAMILY_IPV4: 8, _FAMILY_IPV6: 20}
    if len(value) < 4 or lengths.get(value[1]) != len(value):
        raise _malformed("an address of IPv4 or IPv6", value[:8].hex())
    port, packed = int.from_bytes(value[2:4], "big"), value[4:]
    if transaction is not None:
        port ^= MAGIC_COOKIE >> 16
        packed = _xored(packed, transaction)
    if port == 0:
        raise _malformed("a port above 0", "0")
    return Address(str(ipaddress.ip_address(packed)), port)


def _xored(packed: bytes, transaction: bytes) -> bytes:
    mask = (MAGIC_COOKIE.to_bytes(4, "big") + transaction)[: len(packed)]
    return bytes(left ^ right for left, right in zip(packed, mask, strict=True))


# --- parts ----------------------------------------------------------------------------------


def fingerprint_of(covered: bytes) -> bytes:
    return (zlib.crc32(covered) ^ _FINGERPRINT_XOR).to_bytes(_FINGERPRINT_BYTES, "big")


def _header(message: StunMessage, length: int) -> bytes:
    number, method = int(message.message_class), message.method
    spread = method & 0xF | (method & 0x70) << 1 | (method & 0xF80) << 2
    kind = spread | (number & 1) << 4 | (number & 2) << 7
    return HEADER.pack(kind, length, MAGIC_COOKIE, message.transaction)


def _split_type(kind: int) -> tuple[MessageClass, int]:
    message_class = MessageClass(kind >> 4 & 1 | kind >> 7 & 2)
    return message_class, kind & 0xF | kind >> 1 & 0x70 | kind >> 2 & 0xF80


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _read_attribute(data: bytes, offset: int) -> tuple[int, bytes, int]:
    kind, length = _ATTRIBUTE.unpack_from(data, offset)
    start = offset + _ATTRIBUTE.size
    end = start + length + -length % 4
    if end > len(data):
        raise _malformed("an attribute within the message", f"{length} bytes at {offset}")
    return kind, data[start : start + length], end


def _covered(data: bytes, offset: int, end: int) -> bytes:
    """What integrity or fingerprint is over: all before it, with the length up to its end."""
    return data[:2] + (end - HEADER_BYTES).to_bytes(2, "big") + data[4:offset]


def _check_fingerprint(data: bytes, offset: int, value: bytes, end: int) -> None:
    if end != len(data):
        raise _malformed("the fingerprint at the end", f"it at {offset} of {len(data)}")
    if fingerprint_of(_covered(data, offset, end)) != value:
        raise _malformed("the fingerprint of this message", value[:8].hex())


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "path.stun",
        "this is not a STUN message",
        expected=expected,
        actual=actual,
        advice="See that a STUN server, or the other party, is at this address",
    )
