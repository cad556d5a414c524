"""Proofs that somebody said two things of which only one can be true, from public keys alone.

Two statements that fill one place, such as two different messages with one number, each signed
by itself or under a signed head; or two signed heads of one log of which neither continues the
other. Nothing else is needed: the descriptor in the proof has the keys of the session's roles,
and delegations in it lead from there to whoever signed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias, TypeVar

import msgpack

from troth.conformance.event_proof import PATH_HASHES_MAX, leaf_of
from troth.conformance.heads import Head
from troth.conformance.proof_codes import refused
from troth.conformance.session_keys import SessionKeys, read_descriptor
from troth.conformance.statement_words import Covered, read_covered
from troth.vm import statements
from troth.vm.limits import RECORD_BYTES_MAX
from troth.vm.merkle import verify_consistency, verify_inclusion
from troth.vm.record_codec import Items
from troth.vm.signatures import acceptable_key, verify
from troth.vm.statements import DIGEST_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from troth.vm.values import INT_MAX

EQUIVOCATION_VERSION: Final = 1
EQUIVOCATION_BYTES_MAX: Final = 2 * RECORD_BYTES_MAX
DELEGATIONS_MAX: Final = 64
_STATEMENTS: Final = "statements"
_HEADS: Final = "heads"
_ARRAY_MAX: Final = 256
_T = TypeVar("_T")


class Delegation(NamedTuple):
    """One step from a role's key to the next; `signature` is the earlier key's."""

    new: bytes
    signature: bytes


class LogPlace(NamedTuple):
    """Where a statement stands in its signer's log, and the head over it."""

    record: int
    leaf: int
    path: tuple[bytes, ...]
    head: Head
    signature: bytes


class Claim(NamedTuple):
    """A statement, and what shows that `signer` made it: a signature or a place in its log."""

    statement: bytes
    signer: bytes
    delegations: tuple[Delegation, ...]
    signature: bytes | None
    place: LogPlace | None


class TwoStatements(NamedTuple):
    descriptor: bytes
    first: Claim
    second: Claim


class SignedHead(NamedTuple):
    head: Head
    signature: bytes


class TwoHeads(NamedTuple):
    """Of one log, the smaller first.

    When they are of different sizes, `path` leads from `old_root` to the second: that is what
    the second has under as many leaves as the first, and it is not the first's root.
    """

    public_key: bytes
    first: SignedHead
    second: SignedHead
    old_root: bytes | None = None
    path: tuple[bytes, ...] = ()


Equivocation: TypeAlias = TwoStatements | TwoHeads


def encode_equivocation(proof: Equivocation) -> bytes:
    name = _STATEMENTS if isinstance(proof, TwoStatements) else _HEADS
    packed: bytes = msgpack.packb((EQUIVOCATION_VERSION, name, *proof))
    return packed


# --- reading ---------------------------------------------------------------------------------


def parse_equivocation(data: bytes) -> Equivocation:
    """Reads a proof; nothing is known then about whether it holds.

    Raises:
        Malformed: codes `proof.malformed`, `proof.version`.
        LimitExceeded: code `proof.limit`.
    """
    items = _unpack(data)
    if items and type(items[0]) is int and items[0] != EQUIVOCATION_VERSION:
        raise refused(
            "proof.version",
            "this proof of an equivocation has another version",
            expected=f"version {EQUIVOCATION_VERSION}",
            actual=f"version {items[0]}",
        )
    _, name, *rest = items if len(items) > 1 else (None, None)
    proof: Equivocation
    if name == _STATEMENTS and len(rest) == 3:
        proof = TwoStatements(_bytes(rest[0]), _claim(rest[1]), _claim(rest[2]))
    elif name == _HEADS and len(rest) == 5:
        proof = TwoHeads(
            _bytes(rest[0], PUBLIC_KEY_BYTES),
            _signed_head(rest[1]),
            _signed_head(rest[2]),
            _optional(rest[3], lambda item: _bytes(item, DIGEST_BYTES)),
            _hashes(rest[4]),
        )
    else:
        raise _malformed("two statements, or two heads")
    if encode_equivocation(proof) != data:
        raise _malformed("the shortest msgpack form of every item")
    return proof


def _unpack(data: bytes) -> Items:
    if len(data) > EQUIVOCATION_BYTES_MAX:
        raise refused(
            "proof.limit", "the proof is too long", expected=f"at most {EQUIVOCATION_BYTES_MAX}"
        )
    try:
        items = msgpack.unpackb(
            data, use_list=False, max_array_len=_ARRAY_MAX, max_map_len=0, max_ext_len=0
        )
    except (ValueError, RecursionError, msgpack.UnpackException):
        items = None
    if not isinstance(items, tuple):
        raise _malformed("an array of version, kind and parts")
    return items


def _claim(items: object) -> Claim:
    statement, signer, delegations, signature, place = _parts(items, 5)
    if not isinstance(delegations, tuple) or len(delegations) > DELEGATIONS_MAX:
        raise _malformed(f"at most {DELEGATIONS_MAX} delegations")
    claim = Claim(
        _bytes(statement),
        _bytes(signer, PUBLIC_KEY_BYTES),
        tuple(map(_delegation, delegations)),
        _optional(signature, lambda item: _bytes(item, SIGNATURE_BYTES)),
        _optional(place, _place),
    )
    if (claim.signature is None) == (claim.place is None):
        raise _malformed("a signature, or a place in a log, and not both")
    return claim


def _delegation(items: object) -> Delegation:
    new, signature = _parts(items, 2)
    return Delegation(_bytes(new, PUBLIC_KEY_BYTES), _bytes(signature, SIGNATURE_BYTES))


def _place(items: object) -> LogPlace:
    record, leaf, path, head, signature = _parts(items, 5)
    signed = _signed_head((head, signature))
    return LogPlace(_number(record), _number(leaf), _hashes(path), *signed)


def _signed_head(items: object) -> SignedHead:
    head, signature = _parts(items, 2)
    log_id, size, root, previous, round_number, opened, ended, final = _parts(head, 8)
    if type(final) is not bool:
        raise _malformed("a head that says whether it is final")
    read = Head(
        _bytes(log_id, DIGEST_BYTES),
        _number(size),
        _bytes(root, DIGEST_BYTES),
        _bytes(previous, DIGEST_BYTES),
        _number(round_number),
        _number(opened),
        _number(ended),
        final,
    )
    return SignedHead(read, _bytes(signature, SIGNATURE_BYTES))


def _parts(items: object, count: int) -> Items:
    if not isinstance(items, tuple) or len(items) != count:
        raise _malformed(f"an array of {count} items")
    return items


def _bytes(item: object, length: int | None = None) -> bytes:
    if type(item) is not bytes or (length is not None and len(item) != length):
        raise _malformed("bytes" if length is None else f"{length} bytes")
    return item


def _number(item: object) -> int:
    if type(item) is not int or not 0 <= item <= INT_MAX:
        raise _malformed("a number that is not negative")
    return item


def _hashes(items: object) -> tuple[bytes, ...]:
    if not isinstance(items, tuple) or len(items) > 2 * PATH_HASHES_MAX:
        raise _malformed("hashes of a path")
    return tuple(_bytes(item, DIGEST_BYTES) for item in items)


def _optional(item: object, read: Callable[[object], _T]) -> _T | None:
    return None if item is None else read(item)


def _malformed(expected: str) -> Exception:
    return refused(
        "proof.malformed",
        "the proof of an equivocation does not have its parts",
        expected=expected,
    )


# --- checking --------------------------------------------------------------------------------


class Checked(NamedTuple):
    """What holds. `said` has the two sides in words; `keys` are those who signed, once each."""

    what: str
    said: tuple[str, str]
    keys: tuple[bytes, ...]
    session: bytes | None = None
    role: str | None = None
    log_id: bytes | None = None
    protocol: SessionKeys | None = None


def check_equivocation(proof: Equivocation) -> Checked:
    """
    Raises:
        Malformed: codes `proof.statement`, `proof.signature`, `proof.inclusion`,
            `proof.consistency`.
    """
    return _two_statements(proof) if isinstance(proof, TwoStatements) else _two_heads(proof)


def _two_statements(proof: TwoStatements) -> Checked:
    session = read_descriptor(proof.descriptor)
    if session is None:
        raise refused("proof.statement", "the session's descriptor cannot be read")
    one, other = (read_covered(claim.statement, 0, None) for claim in proof[1:])
    if one.slot is None or one.slot != other.slot or one.session is None:
        raise refused(
            "proof.statement",
            "the two statements do not contradict each other: both can be true",
            expected="two statements that fill one place",
            actual=f"{one.text}; {other.text}",
        )
    if proof.first.statement == proof.second.statement:
        raise refused("proof.statement", "this is one statement, said twice")
    if statements.session_id(proof.descriptor) != one.session:
        raise refused("proof.statement", "the descriptor is not that of the statements' session")
    for claim, covered in ((proof.first, one), (proof.second, other)):
        _check_authority(claim, covered, session, one.session)
        _check_claim(claim)
    keys = tuple(dict.fromkeys((proof.first.signer, proof.second.signer)))
    return Checked(
        f"two different {one.kind} statements in one place",
        (one.text, other.text),
        keys,
        one.session,
        one.role,
        None,
        session,
    )


def _check_authority(
    claim: Claim, covered: Covered, session: SessionKeys, session_id: bytes
) -> None:
    key = session.keys.get(covered.role or "")
    if key is None:
        raise refused("proof.statement", "the statement is of a role that its session lacks")
    assert covered.role is not None
    for step in claim.delegations:
        said = statements.delegation_statement(session_id, covered.role, key, step.new)
        if not acceptable_key(key) or not verify(key, said, step.signature):
            raise refused(
                "proof.signature",
                f"a delegation of {covered.role} is not signed by who had the role",
                expected=f"a signature of key {key.hex()}",
            )
        key = step.new
    if key != claim.signer:
        raise refused(
            "proof.signature",
            f"nothing shows that the signer had authority for {covered.role}",
            expected=f"key {key.hex()}",
            actual=f"key {claim.signer.hex()}",
        )


def _check_claim(claim: Claim) -> None:
    if claim.signature is not None:
        _require_signed(claim.signer, claim.statement, claim.signature)
        return
    place = claim.place
    assert place is not None, "a claim has one of the two"
    _require_signed(claim.signer, place.head.statement, place.signature)
    leaf = leaf_of(place.record, claim.statement)
    head = place.head
    if not verify_inclusion(leaf, place.leaf, head.size, place.path, head.root):
        raise refused(
            "proof.inclusion", f"the signer's log does not hold this as leaf {place.leaf}"
        )


def _require_signed(key: bytes, statement: bytes, signature: bytes) -> None:
    if not acceptable_key(key) or not verify(key, statement, signature):
        raise refused(
            "proof.signature",
            "a signature in the proof does not verify",
            expected=f"a signature of key {key.hex()}",
        )


def _two_heads(proof: TwoHeads) -> Checked:
    first, second = proof.first.head, proof.second.head
    if first.log_id != second.log_id or first.size > second.size:
        raise refused("proof.statement", "these are not two heads of one log, the smaller first")
    for signed in (proof.first, proof.second):
        _require_signed(proof.public_key, signed.head.statement, signed.signature)
    if first.size == second.size:
        contradict = first.root != second.root and proof.old_root is None and not proof.path
    else:
        old = proof.old_root
        contradict = old is not None and first.size > 0 and old != first.root
        if contradict and not verify_consistency(
            first.size, second.size, old or b"", second.root, proof.path
        ):
            raise refused("proof.consistency", "the hashes do not lead to the later head")
    if not contradict:
        raise refused("proof.statement", "the two heads do not contradict each other")
    said = tuple(f"{head.size} leaves with root {head.root.hex()}" for head in (first, second))
    return Checked(
        "two heads of one log that do not fit together",
        (said[0], said[1]),
        (proof.public_key,),
        log_id=first.log_id,
    )
