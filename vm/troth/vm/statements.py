"""Everything a principal signs, and every hash that names something: their exact bytes.

A signed statement is `0x00 "troth/v1/" kind 0x00` and a canonical msgpack array. The leading
zero byte keeps statements apart from text notes, the kind keeps them apart from one another.
Hashes are BLAKE3 in derive-key mode, one context string per use, so a value of one use can
never stand in for another (https://github.com/BLAKE3-team/BLAKE3-specs).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgpack
from blake3 import blake3

DIGEST_BYTES: Final = 32
SALT_BYTES: Final = 16
SIGNATURE_BYTES: Final = 64
PUBLIC_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 16

_MESSAGE: Final = b"\x00troth/v1/message\x00"
_NOTICE: Final = b"\x00troth/v1/notice\x00"
_RECEIPT: Final = b"\x00troth/v1/receipt\x00"
_ROTATE: Final = b"\x00troth/v1/rotate\x00"
_CANCEL: Final = b"\x00troth/v1/cancel\x00"
_DELEGATION: Final = b"\x00troth/v1/delegation\x00"
_HEAD: Final = b"\x00troth/v1/head\x00"
_JOIN: Final = b"\x00troth/v1/join\x00"
_FAIL: Final = b"\x00troth/v1/fail\x00"
_LINK: Final = b"\x00troth/v1/link\x00"


class StepKind(IntEnum):
    """What a message is to its sender: the only thing to say, or one of several."""

    MESSAGE = 0
    SELECTION = 1


_PACKER: Final = msgpack.Packer()
"""Keeps nothing from one call to the next; making one anew would cost as much as packing."""

_COMMITMENT: Final = blake3(derive_key_context="troth/v1 payload commitment")
_HISTORY: Final = blake3(derive_key_context="troth/v1 history")
_NULLIFIER: Final = blake3(derive_key_context="troth/v1 nullifier")
"""Hashers of the contexts that every message needs: only ever copied, never updated."""


def derived_hash(context: str, data: bytes) -> bytes:
    """BLAKE3 in derive-key mode: hashes of different contexts can never be taken for another."""
    return blake3(data, derive_key_context=context).digest()


def pack_array(items: Sequence[object]) -> bytes:
    """A canonical msgpack array of plain items."""
    packed: bytes = _PACKER.pack(items)
    return packed


def message_statement(
    session: bytes,
    sender: str,
    receiver: str,
    kind: int,
    label: str,
    generation: int,
    sequence: int,
    commitment: bytes,
) -> bytes:
    """The canonical identity of a message: what its sender signs."""
    # Packed here, not by `pack_array`: nothing is built as often as this.
    packed: bytes = _PACKER.pack(
        (session, sender, receiver, kind, label, generation, sequence, commitment)
    )
    return _MESSAGE + packed


def message_position(
    session: bytes, sender: str, receiver: str, generation: int, sequence: int
) -> bytes:
    """What the signer derives the payload salt from, together with its private key."""
    packed: bytes = _PACKER.pack((session, sender, receiver, generation, sequence))
    return packed


def payload_commitment(salt: bytes, payload: bytes) -> bytes:
    """Binds a payload without revealing it: `salt` has 16 bytes, `payload` is canonical."""
    hasher = _COMMITMENT.copy()
    hasher.update(salt + payload)
    return hasher.digest()


def identity_digest(statement: bytes) -> bytes:
    """The 32-byte name of a message."""
    return derived_hash("troth/v1 message identity", statement)


def nullifier(statement: bytes) -> bytes:
    """The public tag that marks a message as consumed. It hides nothing."""
    hasher = _NULLIFIER.copy()
    hasher.update(statement)
    return hasher.digest()


def notice_statement(session: bytes, role: str, finals: Sequence[tuple[str, int, int]]) -> bytes:
    """`finals` are (receiver, last generation, messages sent in all), sorted by receiver."""
    return _NOTICE + pack_array((session, role, tuple(finals)))


def receipt_statement(
    session: bytes,
    role: str,
    sender: str,
    generation: int,
    consumed: int,
    reliable: int,
    discarded: int,
    root: bytes | None,
) -> bytes:
    """`role` received `consumed` messages of `sender` in all, and discarded `discarded`.

    Of those that it received, `reliable` may not be lost.
    """
    counts = consumed, reliable, discarded
    return _RECEIPT + pack_array((session, role, sender, generation, *counts, root))


def rotate_statement(
    session: bytes, role: str, receiver: str, generation: int, count: int
) -> bytes:
    """`role` sent `count` messages of this generation to `receiver`, and goes on with the next."""
    return _ROTATE + pack_array((session, role, receiver, generation, count))


def cancel_statement(session: bytes, role: str, reason: str) -> bytes:
    return _CANCEL + pack_array((session, role, reason))


def delegation_statement(session: bytes, role: str, old: bytes, new: bytes) -> bytes:
    """The old signer hands the role's authority to the key `new`."""
    return _DELEGATION + pack_array((session, role, old, new))


def join_statement(session: bytes, role: str, nonce: bytes) -> bytes:
    """A role takes part in a session that several machines hold.

    The session id covers the nonces of all roles, so nobody can be made to join an old one.
    """
    return _JOIN + pack_array((session, role, nonce))


def fail_statement(session: bytes, role: str, code: str, reason: str) -> bytes:
    """The machine that holds `role` has ended the session: with a fault, or by its host."""
    return _FAIL + pack_array((session, role, code, reason))


def link_statement(challenge: bytes, party: bytes, incarnation: bytes) -> bytes:
    """Who is on the line: `challenge` is the other side's, fresh for this connection."""
    return _LINK + pack_array((challenge, party, incarnation))


def head_statement(
    log_id: bytes,
    size: int,
    root: bytes,
    previous_root: bytes,
    round_number: int,
    sessions_open: int,
    sessions_ended: int,
    final: bool,
) -> bytes:
    """The head of one principal's log. Roots are RFC 6962 SHA-256 tree hashes.

    `final` says that the run has ended: without it nobody can pass off a prefix as the whole.
    """
    return _HEAD + pack_array(
        (log_id, size, root, previous_root, round_number, sessions_open, sessions_ended, final)
    )


def arrival(
    statement: bytes, signature: bytes, proof: tuple[object, ...] | None, round_number: int
) -> bytes:
    """Covers the arrival of a message in its receiver's log; nobody signs it by itself."""
    return b"\x00troth/v1/arrival\x00" + pack_array((statement, signature, proof, round_number))


def session_id(descriptor: bytes) -> bytes:
    return derived_hash("troth/v1 session id", descriptor)


def bundle_id(descriptor: bytes) -> bytes:
    return derived_hash("troth/v1 bundle id", descriptor)


def child_nonce(bundle: bytes, child: str) -> bytes:
    """What binds the descriptor of a session to the bundle that it is a child of."""
    return derived_hash("troth/v1 child nonce", pack_array((bundle, child)))[:NONCE_BYTES]


def session_nonce(seed: bytes, opener: bytes, index: int) -> bytes:
    """`opener` is the coroutine's id, `index` counts the sessions it has opened before."""
    return derived_hash("troth/v1 session nonce", pack_array((seed, opener, index)))[:NONCE_BYTES]


def role_nonce(seed: bytes, opener: bytes, index: int, role: str) -> bytes:
    """What one role adds to the nonce of a session that several machines hold; 16 bytes."""
    packed = pack_array((seed, opener, index, role))
    return derived_hash("troth/v1 role nonce", packed)[:NONCE_BYTES]


def joint_nonce(nonces: Sequence[bytes]) -> bytes:
    """The nonce of a session that several machines hold, from those of all roles in order."""
    return derived_hash("troth/v1 joint nonce", pack_array(tuple(nonces)))[:NONCE_BYTES]


def place(parent: bytes, index: int) -> bytes:
    """Names a coroutine by its way down from the first one, whose place is b"".

    It names no seed: machines that run the same program agree on it.
    """
    return derived_hash("troth/v1 place", pack_array((parent, index)))[:16]


def meeting_id(protocol_id: bytes, opener: bytes, index: int) -> bytes:
    """16 bytes by which machines find that they open the same session.

    `opener` is the opener's place, `index` counts what it has opened before.
    """
    packed = pack_array((protocol_id, opener, index))
    return derived_hash("troth/v1 meeting id", packed)[:16]


def coroutine_id(seed: bytes, parent: bytes, index: int) -> bytes:
    """16 bytes; the first coroutine has the parent b"" and index 0."""
    return derived_hash("troth/v1 coroutine id", pack_array((seed, parent, index)))[:16]


def effect_id(coroutine: bytes, index: int) -> bytes:
    """16 bytes, an idempotency key: the same in a resumed run."""
    return derived_hash("troth/v1 effect id", pack_array((coroutine, index)))[:16]


def log_id(header: bytes, public_key: bytes) -> bytes:
    """Binds a principal's log to one artifact's header record."""
    return derived_hash("troth/v1 log id", pack_array((header, public_key)))


def history_start() -> bytes:
    """The root of an edge side that has consumed nothing."""
    return bytes(DIGEST_BYTES)


def history_step(root: bytes, statement: bytes) -> bytes:
    """The root after consuming one more message in `sequence` mode."""
    hasher = _HISTORY.copy()
    hasher.update(root + statement)
    return hasher.digest()
