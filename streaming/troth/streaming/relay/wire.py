"""The datagrams between a party and a relay.

All of them are one header, a body, and a code of 8 bytes over both:

    kind u8 | version u8 | channel u32 | sequence u64 | body | code

in network order. The code is BLAKE2b keyed with the lease's key of that direction. The body of a
forwarded datagram is opaque: the relay looks into none. Sequences are the lease's own and start
anywhere; a receiver takes each once, so a packet that was copied does nothing the second time.

`kind` has its two high bits set, so no datagram here looks like STUN, which has them clear.
"""

from __future__ import annotations

import hashlib
import struct
from enum import IntEnum
from typing import Final, NamedTuple

from troth.vm.errors import Malformed

VERSION: Final = 1
KIND_BASE: Final = 0xE0
HEADER: Final = struct.Struct("!BBIQ")
HEADER_BYTES: Final = HEADER.size
CODE_BYTES: Final = 8
OVERHEAD_BYTES: Final = HEADER_BYTES + CODE_BYTES
"""What a datagram grows by on its way through a relay."""
DATAGRAM_BYTES_MAX: Final = 1_500
NO_CHANNEL: Final = 0
NO_CODE: Final = bytes(CODE_BYTES)
SEQUENCE_MAX: Final = (1 << 64) - 1
CHALLENGE_BYTES: Final = 8


class Kind(IntEnum):
    """What a datagram is, and who sends it."""

    PRESENT = 0xE1
    """Party: here is a lease. The body is the token."""
    BOUND = 0xE2
    """Relay: the lease is taken; the channel in the header is the party's own."""
    REFUSED = 0xE3
    """Relay: it is not, and this is why. Without a code where no lease is known."""
    FORWARD = 0xE4
    """Either: an opaque datagram for, or from, the other party."""
    RELEASE = 0xE5
    """Party: I am done."""
    NOTICE = 0xE6
    """Relay: something the party should know."""
    CHALLENGE = 0xE7
    """Relay, to a new address of a party: say this back."""
    CHALLENGE_REPLY = 0xE8
    """Party, from its new address."""


class Refusal(IntEnum):
    """Why a lease was refused. The text is for people."""

    MALFORMED = 1
    SIGNATURE = 2
    WRONG_RELAY = 3
    EXPIRED = 4
    NOT_YET = 5
    TOO_LONG = 6
    REVOKED = 7
    SPENT = 8
    SUPERSEDED = 9
    HOLDER = 10
    FULL = 11
    BUSY = 12
    TOO_OFTEN = 13
    UNKNOWN_CHANNEL = 14
    DRAINING = 15


REFUSAL_TEXTS: Final = {
    Refusal.MALFORMED: "the token is not a lease",
    Refusal.SIGNATURE: "no gateway of this relay signed the lease",
    Refusal.WRONG_RELAY: "the lease is for another relay",
    Refusal.EXPIRED: "the lease has expired",
    Refusal.NOT_YET: "the lease is not valid yet",
    Refusal.TOO_LONG: "the lease runs longer than this relay believes any",
    Refusal.REVOKED: "the session was revoked",
    Refusal.SPENT: "the lease was used and given back",
    Refusal.SUPERSEDED: "a newer lease for the same party is in use",
    Refusal.HOLDER: "the presentation does not come from the lease's holder",
    Refusal.FULL: "the relay has all the sessions it can take (sessions_max)",
    Refusal.BUSY: "the relay gets more presentations than it checks (presents_per_s)",
    Refusal.TOO_OFTEN: "this address presents too often (presents_per_source_s)",
    Refusal.UNKNOWN_CHANNEL: "the relay does not know the channel; present the lease again",
    Refusal.DRAINING: "the relay takes no new sessions",
}


class Notice(IntEnum):
    """What a relay tells a party that has a lease there."""

    PEER_BOUND = 1
    PEER_GONE = 2
    BYTES_LIMITED = 3
    PACKETS_LIMITED = 4
    EXPIRED = 5
    REVOKED = 6
    IDLE = 7
    DRAINING = 8
    SUPERSEDED = 9
    RELEASED = 10


NOTICE_TEXTS: Final = {
    Notice.PEER_BOUND: "the other party is there",
    Notice.PEER_GONE: "the other party is gone",
    Notice.BYTES_LIMITED: "datagrams were dropped: more bytes than the lease allows (bytes_per_s)",
    Notice.PACKETS_LIMITED: "datagrams were dropped: more than the lease allows (packets_per_s)",
    Notice.EXPIRED: "the lease expired",
    Notice.REVOKED: "the session was revoked",
    Notice.IDLE: "nothing came for too long (idle_ns)",
    Notice.DRAINING: "the relay is going down",
    Notice.SUPERSEDED: "a newer lease for the same party took over",
    Notice.RELEASED: "the lease was given back",
}

ENDING_NOTICES: Final = frozenset(
    {Notice.EXPIRED, Notice.REVOKED, Notice.IDLE, Notice.SUPERSEDED, Notice.RELEASED}
)
"""After one of these the party's place at the relay is gone."""

_BOUND_BODY: Final = struct.Struct("!QIB")
_REFUSED_BODY: Final = struct.Struct("!QBI")
_NOTICE_BODY: Final = struct.Struct("!B")
_KINDS: Final = {int(kind): kind for kind in Kind}


class Packet(NamedTuple):
    """A datagram's parts. `signed` is what the code is over."""

    kind: Kind
    channel: int
    sequence: int
    body: bytes
    code: bytes
    signed: bytes


class Bound(NamedTuple):
    echo: int
    lasts_s: int
    peer_bound: bool


class Refused(NamedTuple):
    echo: int
    refusal: Refusal
    wait_ms: int


def code_of(key: bytes, signed: bytes) -> bytes:
    return hashlib.blake2b(signed, key=key, digest_size=CODE_BYTES).digest()


def seal(key: bytes, kind: Kind, channel: int, sequence: int, body: bytes) -> bytes:
    signed = HEADER.pack(kind, VERSION, channel, sequence) + body
    return signed + hashlib.blake2b(signed, key=key, digest_size=CODE_BYTES).digest()


def unsealed_refusal(echo: int, refusal: Refusal, wait_ms: int = 0) -> bytes:
    """A refusal to somebody whom the relay has no key for."""
    header = HEADER.pack(Kind.REFUSED, VERSION, NO_CHANNEL, 0)
    return header + refused_body(echo, refusal, wait_ms) + NO_CODE


def parse(datagram: bytes) -> Packet:
    """Takes a datagram apart; the code is not checked.

    Raises:
        Malformed: code `relay.datagram`.
    """
    if not OVERHEAD_BYTES <= len(datagram) <= DATAGRAM_BYTES_MAX:
        expected = f"{OVERHEAD_BYTES} to {DATAGRAM_BYTES_MAX} bytes"
        raise malformed(expected, f"{len(datagram)}")
    kind_byte, version, channel, sequence = HEADER.unpack_from(datagram)
    kind = _KINDS.get(kind_byte)
    if kind is None:
        raise malformed("a kind of datagram that there is", f"{kind_byte:#04x}")
    if version != VERSION:
        raise malformed(f"version {VERSION}", str(version))
    signed = datagram[:-CODE_BYTES]
    return Packet(
        kind, channel, sequence, signed[HEADER_BYTES:], datagram[-CODE_BYTES:], signed
    )  # fmt: skip


def is_relayed(datagram: bytes) -> bool:
    """Whether a datagram from a relay's address is one of these at all."""
    return len(datagram) >= OVERHEAD_BYTES and datagram[0] in _KINDS and datagram[1] == VERSION


def bound_body(echo: int, lasts_s: int, peer_bound: bool) -> bytes:
    return _BOUND_BODY.pack(echo, lasts_s, peer_bound)


def read_bound(body: bytes) -> Bound:
    if len(body) != _BOUND_BODY.size:
        raise malformed(f"a body of {_BOUND_BODY.size} bytes", f"{len(body)}")
    echo, lasts_s, peer_bound = _BOUND_BODY.unpack(body)
    if peer_bound > 1:
        raise malformed("0 or 1", str(peer_bound))
    return Bound(echo, lasts_s, bool(peer_bound))


def refused_body(echo: int, refusal: Refusal, wait_ms: int = 0) -> bytes:
    return _REFUSED_BODY.pack(echo, refusal, wait_ms)


def read_refused(body: bytes) -> Refused:
    if len(body) != _REFUSED_BODY.size:
        raise malformed(f"a body of {_REFUSED_BODY.size} bytes", f"{len(body)}")
    echo, refusal, wait_ms = _REFUSED_BODY.unpack(body)
    if refusal not in tuple(Refusal):
        raise malformed("a reason that there is", str(refusal))
    return Refused(echo, Refusal(refusal), wait_ms)


def notice_body(notice: Notice) -> bytes:
    return _NOTICE_BODY.pack(notice)


def read_notice(body: bytes) -> Notice:
    if len(body) != _NOTICE_BODY.size or body[0] not in tuple(Notice):
        raise malformed("one byte with a notice that there is", f"{len(body)} bytes")
    return Notice(body[0])


def malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "relay.datagram",
        "this is not a datagram of a relay",
        expected=expected,
        actual=actual,
        advice="See that both ends have the same version",
    )
