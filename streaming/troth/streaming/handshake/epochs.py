"""The keys of one direction, epoch by epoch.

The nonce is a salt of four bytes that belongs to the key, and the packet's number, which goes on
through all epochs: no nonce is used twice under one key, and none under two. The key of the next
epoch is derived from that of this one and cannot be turned back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
)

from troth.streaming.handshake.noise import hkdf
from troth.streaming.transport_limits import OLD_EPOCH_NS, REKEY_NS, REKEY_PACKETS

EPOCHS: Final = 256
SALT_BYTES: Final = 4
_NUMBER_BYTES: Final = 8

_seal: Final = crypto_aead_chacha20poly1305_ietf_encrypt
_open: Final = crypto_aead_chacha20poly1305_ietf_decrypt


@dataclass(frozen=True, slots=True)
class EpochKey:
    """A key with its salt, and what the next is made from."""

    chain: bytes
    key: bytes
    salt: bytes

    @classmethod
    def first(cls, secret: bytes) -> EpochKey:
        """The first of a direction, from what Noise's `split` gives for it."""
        chain, key = hkdf(secret, b"troth transport key")
        salt = hkdf(secret, b"troth transport salt")[0][:SALT_BYTES]
        return cls(chain, key, salt)

    def next(self) -> EpochKey:
        return EpochKey.first(self.chain)


class Sealer:
    """Seals what we send, and changes the key when it is time."""

    def __init__(self, secret: bytes, now_ns: int) -> None:
        self._key = EpochKey.first(secret)
        self.epoch = 0
        self._since_ns = now_ns
        self._sealed = 0

    def advance(self, now_ns: int) -> bool:
        """Goes to the next epoch when this one is used up or old; says whether it did."""
        if self._sealed < REKEY_PACKETS and now_ns - self._since_ns < REKEY_NS:
            return False
        self.rekey(now_ns)
        return True

    def rekey(self, now_ns: int) -> None:
        self._key = self._key.next()
        self.epoch = (self.epoch + 1) % EPOCHS
        self._since_ns, self._sealed = now_ns, 0

    def seal(self, header: bytes, number: int, plain: bytes) -> bytes:
        """The sealed bytes; `number` is the one in the header and is never given twice."""
        self._sealed += 1
        key = self._key
        nonce = key.salt + number.to_bytes(_NUMBER_BYTES, "big")
        return _seal(plain, header, nonce, key.key)


class Opener:
    """Opens what the peer sends: of this epoch, the next, and for a short time the one before."""

    def __init__(self, secret: bytes) -> None:
        self._key = EpochKey.first(secret)
        self.epoch = 0
        self._following = self._key.next()
        self._old: EpochKey | None = None
        self._old_until_ns = 0

    def open(self, header: bytes, epoch: int, number: int, sealed: bytes, now_ns: int) -> bytes:
        """The plain bytes.

        Raises:
            nacl.exceptions.CryptoError: it is not authentic.
            KeyError: there is no key of that epoch.
        """
        nonce = number.to_bytes(_NUMBER_BYTES, "big")
        if epoch == self.epoch:
            return _open(sealed, header, self._key.salt + nonce, self._key.key)
        ahead = (epoch - self.epoch) % EPOCHS
        if ahead == 1:
            plain = _open(sealed, header, self._following.salt + nonce, self._following.key)
            self._old, self._old_until_ns = self._key, now_ns + OLD_EPOCH_NS
            self._key, self.epoch = self._following, epoch
            self._following = self._key.next()
            return plain
        if ahead == EPOCHS - 1 and self._old is not None and now_ns < self._old_until_ns:
            return _open(sealed, header, self._old.salt + nonce, self._old.key)
        raise KeyError(epoch)
