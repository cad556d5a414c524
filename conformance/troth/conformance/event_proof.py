"""One record of one run, with all that ties it to its principal's signature and no other record.

What a log's leaf covers is the record's number and either the statement in the record or the
record's bytes. The proof holds that, the way from the leaf to the log's root, and the head that
the principal signed over that root. A payload can be opened: the statement has its commitment.
The session's descriptor can be added: the statement has the session's id, which is its hash.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgpack

from troth.conformance.heads import Head
from troth.conformance.proof_codes import refused
from troth.vm.limits import NAME_BYTES_MAX, RECORD_BYTES_MAX
from troth.vm.merkle import verify_inclusion
from troth.vm.record_codec import Items
from troth.vm.signatures import acceptable_key, verify
from troth.vm.statements import DIGEST_BYTES, PUBLIC_KEY_BYTES, SALT_BYTES, SIGNATURE_BYTES
from troth.vm.values import INT_MAX

EVENT_PROOF_VERSION: Final = 1
EVENT_PROOF_BYTES_MAX: Final = 3 * RECORD_BYTES_MAX
PATH_HASHES_MAX: Final = 64
_RECORD_NUMBER_BYTES: Final = 8


class EventProof(NamedTuple):
    """The items of the canonical array, after the version.

    `name` is what the file calls the principal; only the key is proved. `covered` is what the
    leaf has after the record's number.
    """

    name: str
    public_key: bytes
    record: int
    leaf_index: int
    covered: bytes
    path: tuple[bytes, ...]
    head: Head
    signature: bytes
    descriptor: bytes | None = None
    salt: bytes | None = None
    payload: bytes | None = None

    @property
    def leaf(self) -> bytes:
        return leaf_of(self.record, self.covered)

    def encode(self) -> bytes:
        packed: bytes = msgpack.packb((EVENT_PROOF_VERSION, *self))
        return packed


def leaf_of(record: int, covered: bytes) -> bytes:
    """What a run's log holds of a record."""
    return record.to_bytes(_RECORD_NUMBER_BYTES, "big") + covered


class _Shape(NamedTuple):
    name: str
    types: tuple[type, ...]
    low: int = 0
    high: int = INT_MAX


_NOTHING: Final = type(None)
_SHAPES: Final = (
    _Shape("name", (str,), high=NAME_BYTES_MAX),
    _Shape("public key", (bytes,), PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES),
    _Shape("record", (int,)),
    _Shape("index", (int,)),
    _Shape("covered", (bytes,), 1, RECORD_BYTES_MAX),
    _Shape("path", (tuple,), high=PATH_HASHES_MAX),
    _Shape("head", (tuple,), 8, 8),
    _Shape("signature", (bytes,), SIGNATURE_BYTES, SIGNATURE_BYTES),
    _Shape("descriptor", (bytes, _NOTHING), high=RECORD_BYTES_MAX),
    _Shape("salt", (bytes, _NOTHING), SALT_BYTES, SALT_BYTES),
    _Shape("payload", (bytes, _NOTHING), high=RECORD_BYTES_MAX),
)
_HEAD_SHAPES: Final = (
    _Shape("log id", (bytes,), DIGEST_BYTES, DIGEST_BYTES),
    _Shape("size", (int,)),
    _Shape("root", (bytes,), DIGEST_BYTES, DIGEST_BYTES),
    _Shape("previous root", (bytes,), DIGEST_BYTES, DIGEST_BYTES),
    _Shape("round", (int,)),
    _Shape("sessions open", (int,)),
    _Shape("sessions ended", (int,)),
    _Shape("final", (bool,), high=1),
)


def parse_event_proof(data: bytes) -> EventProof:
    """Reads a proof; nothing is known then about whether it holds.

    Raises:
        Malformed: codes `proof.malformed`, `proof.version`.
        LimitExceeded: code `proof.limit`.
    """
    items = _unpack(data)
    if items and type(items[0]) is int and items[0] != EVENT_PROOF_VERSION:
        raise refused(
            "proof.version",
            "this proof of an event has another version",
            expected=f"version {EVENT_PROOF_VERSION}",
            actual=f"version {items[0]}",
        )
    _check(items[1:], _SHAPES)
    _, *rest = items
    _check(rest[6], _HEAD_SHAPES)
    rest[6] = Head(*rest[6])
    proof = EventProof(*rest)
    if any(type(one) is not bytes or len(one) != DIGEST_BYTES for one in proof.path):
        raise refused("proof.malformed", "a hash of the path is not one", expected="32 bytes")
    if (proof.salt is None) != (proof.payload is None):
        raise refused("proof.malformed", "a payload comes with its salt, and neither alone")
    if proof.encode() != data:
        raise refused(
            "proof.malformed",
            "the proof is not in its canonical encoding",
            expected="the shortest msgpack form of every item",
        )
    return proof


def _unpack(data: bytes) -> Items:
    if len(data) > EVENT_PROOF_BYTES_MAX:
        raise refused(
            "proof.limit",
            "the proof is too long",
            expected=f"at most {EVENT_PROOF_BYTES_MAX} bytes",
        )
    try:
        items = msgpack.unpackb(
            data,
            use_list=False,
            max_array_len=PATH_HASHES_MAX,
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, RecursionError, msgpack.UnpackException):
        items = None
    if not isinstance(items, tuple):
        raise refused("proof.malformed", "this is not the proof of an event")
    return items


def _check(items: object, shapes: tuple[_Shape, ...]) -> None:
    if not isinstance(items, tuple) or len(items) != len(shapes):
        raise refused(
            "proof.malformed",
            "the proof of an event does not have its parts",
            expected=", ".join(shape.name for shape in shapes),
        )
    for item, shape in zip(items, shapes, strict=True):
        if type(item) not in shape.types or not _within(item, shape):
            raise refused(
                "proof.malformed", f"the {shape.name} in the proof does not have its form"
            )


def _within(item: object, shape: _Shape) -> bool:
    if isinstance(item, int):
        return shape.low <= item <= shape.high
    if isinstance(item, str):
        return shape.low <= len(item.encode()) <= shape.high
    if isinstance(item, bytes | tuple):
        return shape.low <= len(item) <= shape.high
    return True


def check_event(proof: EventProof) -> None:
    """That the head is the key's own, and that its log holds the record at this place.

    Raises:
        Malformed: codes `proof.signature`, `proof.inclusion`.
    """
    if not acceptable_key(proof.public_key):
        raise refused(
            "proof.signature",
            "the signer's public key is not acceptable",
            expected="the canonical encoding of a point of the prime-order group",
            actual=proof.public_key.hex(),
        )
    if not verify(proof.public_key, proof.head.statement, proof.signature):
        raise refused(
            "proof.signature",
            "the signature over the head of the run's log does not verify",
            expected=f"a signature of key {proof.public_key.hex()}",
            actual="another signature",
        )
    head = proof.head
    if not verify_inclusion(proof.leaf, proof.leaf_index, head.size, proof.path, head.root):
        raise refused(
            "proof.inclusion",
            f"the run's log does not hold this as leaf {proof.leaf_index}",
            expected=f"hashes that lead to the root {head.root.hex()}",
            actual=f"{len(proof.path)} hashes that lead elsewhere",
        )
