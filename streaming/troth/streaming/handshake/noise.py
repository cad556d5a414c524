"""Noise_XX_25519_ChaChaPoly_BLAKE2s, after revision 34 of the Noise protocol framework.

States are frozen values: reading a message gives a new state, and a message that does not
authenticate leaves the old one as it was. So a forged third message cannot wedge a responder.

The keys of the transport come from `split`, that is from the chaining key, which holds what only
the two parties can compute. The handshake hash is public to whoever saw the messages; it binds
signatures to the handshake and is never a key.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Final

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from troth.vm.errors import Malformed

PROTOCOL_NAME: Final = b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
_NONCE_SALT: Final = bytes(4)


def noise_nonce(number: int) -> bytes:
    """Noise's nonce: four zero bytes and the number, little-endian."""
    return _NONCE_SALT + number.to_bytes(8, "little")


def refused(what: str, expected: str, actual: str) -> Malformed:
    return Malformed(
        "transport.handshake",
        f"{what} of a handshake does not hold",
        expected=expected,
        actual=actual,
        advice="It is dropped; the handshake goes on with the next one that is right",
    )


def hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Noise's HKDF with two outputs, over HMAC-BLAKE2s."""
    secret = hmac.digest(chaining_key, material, "blake2s")
    first = hmac.digest(secret, b"\x01", "blake2s")
    return first, hmac.digest(secret, first + b"\x02", "blake2s")


def public_of(private: bytes) -> bytes:
    """The X25519 public key of a private one."""
    return crypto_scalarmult_base(private)


def _shared(private: bytes, public: bytes) -> bytes:
    try:
        return crypto_scalarmult(private, public)
    except (CryptoError, RuntimeError) as error:
        raise refused("a public key", "a point of large order", public.hex()) from error


@dataclass(frozen=True, slots=True)
class SymmetricState:
    """Noise's symmetric state; `key` is None until the first exchange of keys."""

    hash: bytes
    chaining_key: bytes
    key: bytes | None = None
    number: int = 0

    @classmethod
    def start(cls, prologue: bytes) -> SymmetricState:
        name = hashlib.blake2s(PROTOCOL_NAME).digest()  # it is longer than a hash
        return cls(name, name).mix_hash(prologue)

    def mix_hash(self, data: bytes) -> SymmetricState:
        return replace(self, hash=hashlib.blake2s(self.hash + data).digest())

    def mix_key(self, material: bytes) -> SymmetricState:
        chaining_key, key = hkdf(self.chaining_key, material)
        return replace(self, chaining_key=chaining_key, key=key, number=0)

    def seal(self, plain: bytes) -> tuple[SymmetricState, bytes]:
        if self.key is None:
            return self.mix_hash(plain), plain
        sealed = crypto_aead_chacha20poly1305_ietf_encrypt(
            plain, self.hash, noise_nonce(self.number), self.key
        )
        return replace(self.mix_hash(sealed), number=self.number + 1), sealed

    def open(self, sealed: bytes) -> tuple[SymmetricState, bytes]:
        if self.key is None:
            return self.mix_hash(sealed), sealed
        try:
            plain = crypto_aead_chacha20poly1305_ietf_decrypt(
                sealed, self.hash, noise_nonce(self.number), self.key
            )
        except CryptoError as error:
            raise refused("a tag", "authentic bytes", f"{len(sealed)} others") from error
        return replace(self.mix_hash(sealed), number=self.number + 1), plain

    def split(self) -> tuple[bytes, bytes]:
        """The keys of the transport: from the initiator, and to it."""
        return hkdf(self.chaining_key, b"")


@dataclass(frozen=True, slots=True)
class HandshakeState:
    """One side of an XX handshake. Private keys are those of X25519."""

    symmetric: SymmetricState
    static: bytes
    ephemeral: bytes
    remote_ephemeral: bytes = b""
    remote_static: bytes = b""

    @classmethod
    def start(cls, prologue: bytes, static: bytes, ephemeral: bytes) -> HandshakeState:
        return cls(SymmetricState.start(prologue), static, ephemeral)

    @property
    def hash(self) -> bytes:
        return self.symmetric.hash

    def _with(self, symmetric: SymmetricState, **keys: bytes) -> HandshakeState:
        return replace(self, symmetric=symmetric, **keys)

    # -> e
    def write_first(self, payload: bytes = b"") -> tuple[HandshakeState, bytes]:
        public = public_of(self.ephemeral)
        symmetric, sealed = self.symmetric.mix_hash(public).seal(payload)
        return self._with(symmetric), public + sealed

    def read_first(self, message: bytes) -> tuple[HandshakeState, bytes]:
        public, rest = _take(message, KEY_BYTES)
        symmetric, payload = self.symmetric.mix_hash(public).open(rest)
        return self._with(symmetric, remote_ephemeral=public), payload

    # <- e, ee, s, es
    def write_second_keys(self) -> tuple[HandshakeState, bytes]:
        """The second message up to its payload, so that the payload can sign the hash."""
        public = public_of(self.ephemeral)
        symmetric = self.symmetric.mix_hash(public)
        symmetric = symmetric.mix_key(_shared(self.ephemeral, self.remote_ephemeral))
        symmetric, static = symmetric.seal(public_of(self.static))
        symmetric = symmetric.mix_key(_shared(self.static, self.remote_ephemeral))
        return self._with(symmetric), public + static

    def read_second_keys(self, message: bytes) -> tuple[HandshakeState, bytes]:
        """The state in front of the payload, and the sealed payload."""
        public, rest = _take(message, KEY_BYTES)
        sealed_static, rest = _take(rest, KEY_BYTES + TAG_BYTES)
        symmetric = self.symmetric.mix_hash(public).mix_key(_shared(self.ephemeral, public))
        symmetric, static = symmetric.open(sealed_static)
        symmetric = symmetric.mix_key(_shared(self.ephemeral, static))
        return self._with(symmetric, remote_ephemeral=public, remote_static=static), rest

    # -> s, se
    def write_third_keys(self) -> tuple[HandshakeState, bytes]:
        symmetric, static = self.symmetric.seal(public_of(self.static))
        symmetric = symmetric.mix_key(_shared(self.static, self.remote_ephemeral))
        return self._with(symmetric), static

    def read_third_keys(self, message: bytes) -> tuple[HandshakeState, bytes]:
        sealed_static, rest = _take(message, KEY_BYTES + TAG_BYTES)
        symmetric, static = self.symmetric.open(sealed_static)
        symmetric = symmetric.mix_key(_shared(self.ephemeral, static))
        return self._with(symmetric, remote_static=static), rest

    def seal_payload(self, payload: bytes) -> tuple[HandshakeState, bytes]:
        symmetric, sealed = self.symmetric.seal(payload)
        return self._with(symmetric), sealed

    def open_payload(self, sealed: bytes) -> tuple[HandshakeState, bytes]:
        symmetric, payload = self.symmetric.open(sealed)
        return self._with(symmetric), payload

    def split(self) -> tuple[bytes, bytes]:
        return self.symmetric.split()


def _take(data: bytes, count: int) -> tuple[bytes, bytes]:
    if len(data) < count:
        raise refused("a message", f"at least {count} more bytes", str(len(data)))
    return data[:count], data[count:]
