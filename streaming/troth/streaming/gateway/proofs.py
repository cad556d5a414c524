"""What parties and gateway sign to each other when a connection begins.

A party signs the gateway's key and nonce, so its signature is of no use at another gateway or at
another time; the gateway signs the party's nonce, so the party knows whom it talks to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.vm import sodium
from troth.vm.signatures import verify

REGISTER_PREFIX: Final = b"\x00troth gateway register 1\n"
BOUND_PREFIX: Final = b"\x00troth gateway bound 1\n"


@dataclass(frozen=True, slots=True)
class Challenge:
    """Gateway, first: sign this."""

    version: int
    gateway_key: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Registration:
    """Party: who I am, and the proof. The last three are a relay's."""

    kind: str
    name: str
    key: bytes
    nonce: bytes
    signature: bytes
    exchange_key: bytes
    host: str
    port: int


def register_statement(challenge: Challenge, registration: Registration) -> bytes:
    fixed = challenge.gateway_key + challenge.nonce + registration.key + registration.nonce
    parts = (registration.kind.encode(), registration.name.encode(), registration.exchange_key,
             registration.host.encode(), registration.port.to_bytes(2, "big"))  # fmt: skip
    return REGISTER_PREFIX + fixed + b"".join(len(p).to_bytes(2, "big") + p for p in parts)


def bound_statement(challenge: Challenge, registration: Registration) -> bytes:
    return BOUND_PREFIX + challenge.nonce + registration.nonce + registration.key


def sign(signing_key: bytes, statement: bytes) -> bytes:
    return sodium.sign(signing_key, statement)


def is_registered_by(challenge: Challenge, registration: Registration) -> bool:
    """Whether the key itself says this, here and now."""
    return verify(
        registration.key, register_statement(challenge, registration), registration.signature
    )


def is_bound_by(challenge: Challenge, registration: Registration, signature: bytes) -> bool:
    return verify(challenge.gateway_key, bound_statement(challenge, registration), signature)
