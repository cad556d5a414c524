"""Checking Ed25519 signatures and keys.

The rules, all of which libsodium enforces (https://doc.libsodium.org, RFC 8032):

* a public key is the canonical encoding of a point of the prime-order group, so neither of
  small nor of mixed order (`acceptable_key`);
* the scalar S of a signature is below the group order, so nobody but the signer can make a
  second signature from a first;
* R is not of small order, and the equation holds exactly: it is checked without the cofactor,
  so an R with a part of small order is refused too.

A signer can always make several valid signatures of one statement (Ed25519 has a free nonce),
so nothing is ever identified by its signature, only by its statement.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from nacl.bindings import crypto_core_ed25519_is_valid_point

from troth.vm import sodium
from troth.vm.statements import PUBLIC_KEY_BYTES, SIGNATURE_BYTES

_check: Final = sodium.check


def verify(public_key: bytes, statement: bytes, signature: bytes) -> bool:
    """Whether `signature` is the key's own over exactly `statement`. Never raises.

    Keys are to be checked with `acceptable_key` once, where they enter.
    """
    # libsodium reads 32 and 64 bytes whatever the lengths are, so they are checked here.
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    return _check(public_key, statement, signature)


def acceptable_key(public_key: bytes) -> bool:
    """Whether the key is 32 bytes, canonical, and of the prime order."""
    return len(public_key) == PUBLIC_KEY_BYTES and _is_valid_point(public_key)


@lru_cache(maxsize=1024)
def _is_valid_point(public_key: bytes) -> bool:
    """Remembered, because it costs as much as a signature and every session asks for its keys."""
    valid: bool = crypto_core_ed25519_is_valid_point(public_key)
    return valid
