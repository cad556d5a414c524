"""A second reader of C2SP notes, checkpoints, cosignatures and proofs, straight from their pages.

It shares no code with the project: signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof and
RFC 6962, section 2.1, as they are written. Slow and plain; every refusal is an `AssertionError`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from nacl.signing import SigningKey, VerifyKey


def key_id(name: str, signature_type: int, public_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([signature_type]) + public_key).digest()[:4]


def split_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    text, _, signatures = note.rpartition("\n\n")
    assert signatures.endswith("\n")
    lines = []
    for line in signatures[:-1].split("\n"):
        dash, name, encoded = line.split(" ")
        assert dash == "\u2014"
        data = b64decode(encoded, validate=True)
        lines.append((name, data[:4], data[4:]))
    return text + "\n", lines


def open_note(note: str, verifier_key: str) -> str:
    """The text, when the key has signed it."""
    name, identifier, encoded = verifier_key.split("+", 2)
    kind, public_key = b64decode(encoded)[0], b64decode(encoded)[1:]
    assert kind == 1
    assert bytes.fromhex(identifier) == key_id(name, kind, public_key)
    text, lines = split_note(note)
    own = [signature for who, key, signature in lines if (who, key.hex()) == (name, identifier)]
    assert own, "the key has not signed"
    for signature in own:
        VerifyKey(public_key).verify(text.encode(), signature)
    return text


@dataclass(frozen=True)
class Head:
    origin: str
    size: int
    root: bytes


def read_checkpoint(text: str) -> Head:
    origin, size, root, *_ = text.split("\n")
    return Head(origin, int(size), b64decode(root))


def cosign(note: str, name: str, key: SigningKey, unix_time: int) -> str:
    """The note with the line of one more witness."""
    text, _ = split_note(note)
    message = f"cosignature/v1\ntime {unix_time}\n{text}".encode()
    signature = unix_time.to_bytes(8, "big") + key.sign(message).signature
    identifier = key_id(name, 4, bytes(key.verify_key))
    return f"{note}\u2014 {name} {b64encode(identifier + signature).decode()}\n"


def witness_key(name: str, key: SigningKey) -> str:
    public_key = bytes(key.verify_key)
    encoded = b64encode(b"\x04" + public_key).decode()
    return f"{name}+{key_id(name, 4, public_key).hex()}+{encoded}"


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    split = 1
    while split * 2 < size:
        split *= 2
    return split


def tree_hash(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = _split(len(leaves))
    return _node(tree_hash(leaves[:split]), tree_hash(leaves[split:]))


def root_by_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """RFC 6962, section 2.1.1, read backwards: from the leaf to the root."""
    if size == 1:
        assert not path
        return leaf_hash(leaf)
    split = _split(size)
    *below, last = path
    if index < split:
        return _node(root_by_path(leaf, index, split, below), last)
    return _node(last, root_by_path(leaf, index - split, size - split, below))


def roots_by_growth(
    old_size: int, size: int, path: list[bytes], old_root: bytes
) -> tuple[bytes, bytes]:
    """RFC 6962, section 2.1.2, read backwards: both roots that the hashes lead to."""

    def subproof(m: int, n: int, hashes: list[bytes], whole: bool) -> tuple[bytes, bytes]:
        if m == n:
            if whole:
                assert not hashes
                return old_root, old_root
            (only,) = hashes
            return only, only
        *below, last = hashes
        split = _split(n)
        if m <= split:
            old, new = subproof(m, split, below, whole)
            return old, _node(new, last)
        old, new = subproof(m - split, n - split, below, False)
        return _node(last, old), _node(last, new)

    return subproof(old_size, size, path, True)


@dataclass(frozen=True)
class TlogProof:
    extra: bytes
    index: int
    path: list[bytes]
    note: str


def read_tlog_proof(text: str) -> TlogProof:
    first, rest = text.split("\n", 1)
    assert first == "c2sp.org/tlog-proof@v1"
    extra = b""
    if rest.startswith("extra "):
        line, rest = rest.split("\n", 1)
        extra = b64decode(line.removeprefix("extra "))
    line, rest = rest.split("\n", 1)
    path = []
    while not rest.startswith("\n"):
        encoded, rest = rest.split("\n", 1)
        path.append(b64decode(encoded))
    return TlogProof(extra, int(line.removeprefix("index ")), path, rest[1:])
