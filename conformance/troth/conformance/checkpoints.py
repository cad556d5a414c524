"""C2SP checkpoints: the signed head of a publication log, and who has cosigned it.

A checkpoint (https://c2sp.org/tlog-checkpoint) is a note whose text is the log's origin, its
size and its root. A witness that has seen the log grow without being rewritten adds a signature
of its own to the note, over the text and the time (https://c2sp.org/tlog-cosignature, the
Ed25519 kind).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from troth.conformance.notes import Note, NoteSignature, from_base64, sign_note, to_base64
from troth.conformance.proof_codes import refused
from troth.vm.keys import KeyPair, VerifierKey
from troth.vm.merkle import EMPTY_ROOT
from troth.vm.signatures import verify
from troth.vm.statements import DIGEST_BYTES, PUBLIC_KEY_BYTES
from troth.vm.values import INT_MAX

ORIGIN_HEAD: Final = "troth/publications/"
_TIMESTAMP_BYTES: Final = 8
_DIGITS: Final = frozenset("0123456789")
_DECIMAL_DIGITS_MAX: Final = len(str(INT_MAX))


class Checkpoint(NamedTuple):
    """The head of one log. `extensions` are lines whose meaning is the log's own."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        return "".join(line + "\n" for line in lines)


class Cosignature(NamedTuple):
    """A witness has seen the log with this head by that Unix time."""

    witness: VerifierKey
    unix_time: int


def origin_of(key: VerifierKey) -> str:
    """The one publication log of a key has this name for ever; it names the key itself."""
    return f"{ORIGIN_HEAD}{key.name}/{key.public_key.hex()}"


def key_of_origin(origin: str) -> VerifierKey | None:
    """The key that an origin of ours names; None for that of another kind of log."""
    if not origin.startswith(ORIGIN_HEAD):
        return None
    name, slash, digits = origin.removeprefix(ORIGIN_HEAD).rpartition("/")
    if not slash or not name or len(digits) != 2 * PUBLIC_KEY_BYTES:
        return None
    try:
        key = VerifierKey(name, bytes.fromhex(digits))
    except ValueError:
        return None
    return key if origin_of(key) == origin else None


def log_key(key: VerifierKey) -> VerifierKey:
    """The key as checkpoints name it: by the log's origin."""
    return VerifierKey(origin_of(key), key.public_key)


def sign_checkpoint(checkpoint: Checkpoint, pair: KeyPair) -> Note:
    """The note of a publication log's head, signed by the log's own key."""
    text = checkpoint.text
    return Note(text, (sign_note(text, pair, checkpoint.origin),))


def parse_checkpoint(note: Note) -> Checkpoint:
    """Reads a checkpoint; nothing is known then about who has signed it.

    Raises:
        Malformed: code `proof.malformed`.
    """
    lines = note.text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise refused(
            "proof.malformed",
            "the note is not a checkpoint",
            expected="lines that are not empty: origin, size, root",
            actual=f"{len(lines)} lines",
        )
    origin, size, root, *extensions = lines
    checkpoint = Checkpoint(
        origin, parse_decimal(size, "the size"), parse_hash(root, "the root"), tuple(extensions)
    )
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise refused(
            "proof.malformed",
            "the root is not that of a log without entries",
            expected=to_base64(EMPTY_ROOT),
            actual=root,
        )
    return checkpoint


def parse_decimal(text: str, what: str) -> int:
    """A number from 0 to 2^63-1 in decimal, without zeros in front.

    Raises:
        Malformed: code `proof.malformed`.
    """
    proper = 0 < len(text) <= _DECIMAL_DIGITS_MAX and _DIGITS.issuperset(text)
    if not proper or (text[0] == "0" and len(text) > 1) or int(text) > INT_MAX:
        raise refused(
            "proof.malformed",
            f"{what} is not a number",
            expected="decimal digits without zeros in front",
            actual=text[:80],
        )
    return int(text)


def parse_hash(text: str, what: str) -> bytes:
    """
    Raises:
        Malformed: code `proof.malformed`.
    """
    data = from_base64(text, what)
    if len(data) != DIGEST_BYTES:
        raise refused(
            "proof.malformed",
            f"{what} is not a hash",
            expected=f"{DIGEST_BYTES} bytes",
            actual=f"{len(data)} bytes",
        )
    return data


def is_signed(note: Note, key: VerifierKey) -> bool:
    """Whether the key, under the name it has here, has signed the note.

    Raises:
        Malformed: code `proof.signature`, for a signature that claims to be the key's and is not.
    """
    found = [signature for signature in note.signatures if signature.is_of(key)]
    for signature in found:
        if not verify(key.public_key, note.text.encode(), signature.signature):
            raise refused(
                "proof.signature",
                f"the checkpoint's signature of {key.name} does not verify",
                expected=f"a signature of key {key.public_key.hex()}",
                actual="another signature",
            )
    return bool(found)


def cosignatures(note: Note, witnesses: Iterable[VerifierKey]) -> tuple[Cosignature, ...]:
    """Which of your witnesses have cosigned; lines of anybody else are passed over.

    Raises:
        Malformed: code `proof.cosignature`, for a line that claims to be of one of them and is not.
    """
    found: dict[VerifierKey, Cosignature] = {}
    for witness in witnesses:
        for line in note.signatures:
            if line.is_of(witness):
                unix_time = _cosigned_at(note, line, witness)
                known = found.get(witness)
                if known is None or unix_time < known.unix_time:
                    found[witness] = Cosignature(witness, unix_time)
    return tuple(found.values())


def _cosigned_at(note: Note, line: NoteSignature, witness: VerifierKey) -> int:
    time, signature = line.signature[:_TIMESTAMP_BYTES], line.signature[_TIMESTAMP_BYTES:]
    unix_time = int.from_bytes(time, "big")
    message = cosigned_message(note.text, unix_time)
    if unix_time > INT_MAX or not verify(witness.public_key, message, signature):
        raise refused(
            "proof.cosignature",
            f"the cosignature of {witness.name} does not verify",
            expected=f"a cosignature/v1 of key {witness.public_key.hex()}",
            actual="another signature",
        )
    return unix_time


def cosigned_message(text: str, unix_time: int) -> bytes:
    """What a witness signs."""
    return f"cosignature/v1\ntime {unix_time}\n{text}".encode()
