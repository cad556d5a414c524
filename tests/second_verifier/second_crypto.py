"""Hashes, statements, signatures and Merkle roots.

The page: "Hashes", "Signed statements", "Logs", "Consumption roots".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from blake3 import blake3
from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_open
from nacl.exceptions import BadSignatureError

from second_verifier.second_wire import Refused, encoded


def derived(context: str, *parts: bytes) -> bytes:
    return blake3(b"".join(parts), derive_key_context=f"troth/v1 {context}").digest()


def short_id(context: str, *values: object) -> bytes:
    """The 16 bytes of a nonce or an id over an array."""
    return derived(context, encoded(list(values)))[:16]


def statement(tag: str, *values: object) -> bytes:
    return b"\0troth/v1/" + tag.encode() + b"\0" + encoded(list(values))


def require_key(key: bytes) -> None:
    if not crypto_core_ed25519_is_valid_point(key):
        raise Refused("not an acceptable public key")


def require_signature(key: bytes, said: bytes, signature: bytes) -> None:
    try:
        crypto_sign_open(signature + said, key)
    except (BadSignatureError, ValueError) as problem:
        raise Refused("not signed by the principal with authority") from problem


# --- logs ------------------------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def log_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return node_hash(log_root(leaves[:split]), log_root(leaves[split:]))


def _split(size: int) -> int:
    """The largest power of two below the size."""
    power: int = 1 << ((size - 1).bit_length() - 1)
    return power


def path_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root to which an audit path (RFC 6962, 2.1.1) leads."""
    if size == 1:
        if path:
            raise Refused("the path is too long")
        return leaf
    if not path:
        raise Refused("the path is too short")
    split = _split(size)
    if index < split:
        return node_hash(path_root(leaf, index, split, path[:-1]), path[-1])
    return node_hash(path[-1], path_root(leaf, index - split, size - split, path[:-1]))


# --- consumption -----------------------------------------------------------------------------


def history(root: bytes, said: bytes) -> bytes:
    return derived("history", root, said)


def set_root(keys: Sequence[bytes], bit: int = 0) -> bytes:
    """The path-compressed tree of the keys, which are sorted and agree before this bit."""
    if len(keys) == 1:
        return derived("set leaf", keys[0])
    while _bit(keys[0], bit) == _bit(keys[-1], bit):
        bit += 1
    zeros = [key for key in keys if not _bit(key, bit)]
    ones = [key for key in keys if _bit(key, bit)]
    return derived("set node", bytes([bit]), set_root(zeros, bit + 1), set_root(ones, bit + 1))


def _bit(key: bytes, bit: int) -> int:
    return key[bit // 8] >> (7 - bit % 8) & 1
