"""C2SP signed notes: text, and the signatures of those who stand behind it.

The form is that of https://c2sp.org/signed-note: a text that ends with a line end, an empty line,
and one line for each signature, an em dash, the key's name, and base64 of the key's id and the
signature. Which keys count is for whoever reads a note; here only the form is checked.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple

from troth.conformance.proof_codes import refused
from troth.vm import sodium
from troth.vm.keys import KeyPair, VerifierKey

NOTE_BYTES_MAX: Final = 1 << 16
SIGNATURES_MAX: Final = 64
KEY_ID_BYTES: Final = 4
_DASH: Final = "— "
_CONTROL_MAX: Final = 0x20


class NoteSignature(NamedTuple):
    """One signature line; `signature` is what follows the key's id."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.signature)}\n"

    def is_of(self, key: VerifierKey) -> bool:
        """Whether the line claims to be of this key; its signature still has to be checked."""
        return self.name == key.name and self.key_id == key.id


class Note(NamedTuple):
    """`text` ends with a line end, and is what the signatures are over."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: str, what: str) -> bytes:
    """Standard base64 with padding, in its one spelling.

    Raises:
        Malformed: code `proof.malformed`.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refused(
            "proof.malformed", f"{what} is not base64", expected="standard base64 with padding"
        ) from None
    if to_base64(data) != text:
        raise refused(
            "proof.malformed",
            f"{what} is base64 in another spelling than the canonical one",
            expected=to_base64(data)[:80],
            actual=text[:80],
        )
    return data


def decode_text(data: bytes, bytes_max: int, what: str) -> str:
    """UTF-8 of a limited length without control characters other than line ends.

    Raises:
        Malformed: code `proof.malformed`.
        LimitExceeded: code `proof.limit`.
    """
    if len(data) > bytes_max:
        raise refused(
            "proof.limit",
            f"{what} is too long",
            expected=f"at most {bytes_max} bytes",
            actual=f"{len(data)} bytes or more",
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise refused(
            "proof.malformed", f"{what} is not text: byte {error.start}", expected="UTF-8"
        ) from None
    control = next((c for c in text if ord(c) < _CONTROL_MAX and c != "\n"), None)
    if control is not None:
        raise refused(
            "proof.malformed",
            f"{what} holds a control character",
            expected="text without control characters other than line ends",
            actual=f"U+{ord(control):04X}",
        )
    return text


def parse_note(text: str) -> Note:
    """Reads a signed note that `decode_text` has let through.

    Raises:
        Malformed: code `proof.malformed`.
        LimitExceeded: code `proof.limit`.
    """
    if len(text.encode()) > NOTE_BYTES_MAX:
        raise refused(
            "proof.limit", "the note is too long", expected=f"at most {NOTE_BYTES_MAX} bytes"
        )
    body, separator, signed = text.rpartition("\n\n")
    if not separator or not signed.endswith("\n") or not body:
        raise refused(
            "proof.malformed",
            "this is not a signed note",
            expected="text, an empty line, and lines with signatures",
        )
    lines = signed[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise refused(
            "proof.limit",
            "the note has too many signatures",
            expected=f"at most {SIGNATURES_MAX}",
            actual=str(len(lines)),
        )
    return Note(body + "\n", tuple(map(_parse_signature, lines)))


def _parse_signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not name or "+" in name or _has_space(name):
        raise refused(
            "proof.malformed",
            "a line after the empty one is no signature",
            expected="an em dash, a key's name and base64, with one space between them",
            actual=line[:120],
        )
    data = from_base64(encoded, f"the signature of {name}")
    if len(data) <= KEY_ID_BYTES:
        raise refused(
            "proof.malformed", f"the signature of {name} is empty", expected="more than 4 bytes"
        )
    return NoteSignature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _has_space(name: str) -> bool:
    return any(map(str.isspace, name))


def sign_note(text: str, pair: KeyPair, name: str) -> NoteSignature:
    """The key's own signature over `text`, under the name that the note has for it."""
    signature = sodium.sign(pair.signing_key, text.encode())
    return NoteSignature(name, VerifierKey(name, pair.public_key).id, signature)
