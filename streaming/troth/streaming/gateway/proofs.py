"""What parties and gateway sign to each other when a connection begins.

A party signs the gateway's key and nonce, so its signature is of no use at another gateway or at
another time; the gateway signs the party's nonce, so the party knows whom it talks to.
"""

from __future__ import annotations

from typing import Final

from nacl.bindings import crypto_sign

from troth.streaming.gateway.messages import Challenge, Register
from troth.vm.signatures import verify
from troth.vm.statements import SIGNATURE_BYTES

REGISTER_PREFIX: Final = b"\x00troth gateway register 1\n"
BOUND_PREFIX: Final = b"\x00troth gateway bound 1\n"


def register_statement(challenge: Challenge, register: Register) -> bytes:
    fixed = challenge.gateway_key + challenge.nonce + register.key + register.nonce
    parts = (register.kind.encode(), register.name.encode(), register.exchange_key,
             register.host.encode(), register.port.to_bytes(2, "big"))  # fmt: skip
    return REGISTER_PREFIX + fixed + b"".join(len(p).to_bytes(2, "big") + p for p in parts)


def bound_statement(challenge: Challenge, register: Register) -> bytes:
    return BOUND_PREFIX + challenge.nonce + register.nonce + register.key


def sign(signing_key: bytes, statement: bytes) -> bytes:
    return crypto_sign(statement, signing_key)[:SIGNATURE_BYTES]


def is_registered_by(challenge: Challenge, register: Register) -> bool:
    """Whether the key itself says this, here and now."""
    return verify(register.key, register_statement(challenge, register), register.signature)


def is_bound_by(challenge: Challenge, register: Register, signature: bytes) -> bool:
    return verify(challenge.gateway_key, bound_statement(challenge, register), signature)
