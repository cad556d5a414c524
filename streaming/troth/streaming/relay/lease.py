"""Leases: what lets one party of one session use one relay for some time.

A lease is a token that a gateway signs. The relay checks it without asking anybody: it knows the
gateway's public key and its own name. Whoever only sees a token cannot use it, since it names a
public X25519 key, and everything sent under it has a code that only the holder of the secret half
and the relay can make. The relay learns no key of the session from it.

The token is the gateway's Ed25519 signature over `STATEMENT_PREFIX` and the body, followed by the
body: one msgpack array in its shortest form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import msgpack
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from troth.vm import sodium
from troth.vm.errors import Malformed
from troth.vm.signatures import verify
from troth.vm.statements import PUBLIC_KEY_BYTES, SIGNATURE_BYTES

VERSION: Final = 1
STATEMENT_PREFIX: Final = b"\x00troth relay lease 1\n"
SESSION_ID_BYTES: Final = 16
LEASE_ID_BYTES: Final = 16
RELAY_NAME_BYTES_MAX: Final = 64
TOKEN_BYTES_MAX: Final = 512
RATE_MAX: Final = 1 << 40
TIME_MAX_S: Final = 1 << 40
GENERATION_MAX: Final = (1 << 32) - 1

_CODE_KEY_PERSON: Final = b"troth relay code"
_RELAY_KEY_PERSON: Final = b"troth relay key"
_FIELDS: Final = 12

RandomBytes = Callable[[int], bytes]
"""So many bytes that nobody can guess."""


class Role(IntEnum):
    """Which party of the session a lease is for."""

    CLIENT = 0
    HOST = 1

    @property
    def other(self) -> Role:
        return Role.HOST if self is Role.CLIENT else Role.CLIENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a token says. A newer one for the same session and role has a higher `generation`."""

    relay: str
    session: bytes
    role: Role
    generation: int
    lease_id: bytes
    holder_key: bytes
    relay_key: bytes
    not_before_s: int
    expires_s: int
    bytes_per_s: int
    packets_per_s: int


@dataclass(frozen=True, slots=True)
class Codes:
    """The two keys by which relay and holder know each other's packets, one a direction."""

    to_relay: bytes
    from_relay: bytes


@dataclass(frozen=True, slots=True)
class ExchangeKey:
    """An X25519 key pair: of a relay for its life, of a holder for one session."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"ExchangeKey(public={self.public.hex()})"


def new_exchange_key(random: RandomBytes) -> ExchangeKey:
    secret = random(PUBLIC_KEY_BYTES)
    return ExchangeKey(crypto_scalarmult_base(secret), secret)


def relay_exchange_key(seed: bytes) -> ExchangeKey:
    """The pair of a relay from its identity's seed, so that leases outlive a restart."""
    return new_exchange_key(
        lambda length: hashlib.blake2b(
            key=seed, person=_RELAY_KEY_PERSON, digest_size=length
        ).digest()
    )


def codes_of(own: ExchangeKey, other_public: bytes, lease: Lease) -> Codes:
    """What both sides derive, each from its own secret.

    Raises:
        Malformed: code `relay.lease`, when the other key is of small order.
    """
    try:
        shared = crypto_scalarmult(own.secret, other_public)
    except (CryptoError, RuntimeError):
        raise _malformed("an X25519 key of full order", "one of small order") from None
    said = lease.holder_key + lease.relay_key + lease.lease_id
    both = hashlib.blake2b(said, key=shared, person=_CODE_KEY_PERSON, digest_size=64).digest()
    return Codes(both[:32], both[32:])


def issue(lease: Lease, signing_key: bytes) -> bytes:
    """The token, signed with a gateway's key as libsodium has it."""
    body = _body(lease)
    return sodium.sign(signing_key, STATEMENT_PREFIX + body) + body


def read_unverified(token: bytes) -> Lease:
    """What a token says, whoever signed it: for its holder, and to refuse early.

    Raises:
        Malformed: code `relay.lease`.
    """
    if len(token) > TOKEN_BYTES_MAX or len(token) <= SIGNATURE_BYTES:
        raise _malformed(f"{SIGNATURE_BYTES + 1} to {TOKEN_BYTES_MAX} bytes", f"{len(token)}")
    body = token[SIGNATURE_BYTES:]
    try:
        items = msgpack.unpackb(body, max_array_len=_FIELDS, max_map_len=0, max_ext_len=0)
    except (ValueError, msgpack.UnpackException):
        raise _malformed("one msgpack array", "other bytes") from None
    lease = _lease(items)
    if _body(lease) != body:
        raise _malformed("the shortest form", "another form of the same")
    return lease


def signed_by(token: bytes, gateway_key: bytes) -> bool:
    """Whether the gateway of that key signed exactly this token. Never raises."""
    signature, body = token[:SIGNATURE_BYTES], token[SIGNATURE_BYTES:]
    return verify(gateway_key, STATEMENT_PREFIX + body, signature)


def _body(lease: Lease) -> bytes:
    items = (
        VERSION, lease.relay, lease.session, int(lease.role), lease.generation, lease.lease_id,
        lease.holder_key, lease.relay_key, lease.not_before_s, lease.expires_s,
        lease.bytes_per_s, lease.packets_per_s,
    )  # fmt: skip
    packed: bytes = msgpack.packb(items)
    return packed


def _lease(items: object) -> Lease:
    if not isinstance(items, list) or len(items) != _FIELDS:
        raise _malformed(f"an array of {_FIELDS}", "another shape")
    version, relay, session, role, generation, lease_id, holder, relay_key, *numbers = items
    if version != VERSION or type(version) is not int:
        raise _malformed(f"version {VERSION}", ascii(version)[:20])
    if not isinstance(relay, str) or not 0 < len(relay.encode()) <= RELAY_NAME_BYTES_MAX:
        raise _malformed("the name of a relay", "something else")
    return Lease(
        relay=relay,
        session=_bytes(session, SESSION_ID_BYTES, "session"),
        role=Role(_number(role, 0, len(Role) - 1, "role")),
        generation=_number(generation, 1, GENERATION_MAX, "generation"),
        lease_id=_bytes(lease_id, LEASE_ID_BYTES, "lease_id"),
        holder_key=_bytes(holder, PUBLIC_KEY_BYTES, "holder_key"),
        relay_key=_bytes(relay_key, PUBLIC_KEY_BYTES, "relay_key"),
        not_before_s=_number(numbers[0], 0, TIME_MAX_S, "not_before_s"),
        expires_s=_number(numbers[1], 0, TIME_MAX_S, "expires_s"),
        bytes_per_s=_number(numbers[2], 1, RATE_MAX, "bytes_per_s"),
        packets_per_s=_number(numbers[3], 1, RATE_MAX, "packets_per_s"),
    )


def _bytes(value: object, length: int, name: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != length:
        raise _malformed(f"{name} of {length} bytes", "something else")
    return value


def _number(value: object, least: int, most: int, name: str) -> int:
    if type(value) is not int or not least <= value <= most:
        raise _malformed(f"{name} from {least} to {most}", "something else")
    return value


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "relay.lease",
        "this is not a lease",
        expected=expected,
        actual=actual,
        advice="Ask the gateway for a new one",
    )
