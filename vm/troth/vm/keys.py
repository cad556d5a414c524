"""Names and keys: C2SP signed-note keys, and the file that says which are trusted.

A *verifier key* is `NAME+KEYID+BASE64(0x01 ‖ public key)`, a *private key* is
`PRIVATE+KEY+NAME+KEYID+BASE64(0x01 ‖ seed)`, where KEYID is the first four bytes of
SHA-256(NAME ‖ "\\n" ‖ 0x01 ‖ public key) in lower-case hex (https://c2sp.org/signed-note).
A trust file is text with one verifier key a line; blank lines and lines that begin with `#`
are skipped. A file of witnesses is the same with keys of cosigners, which have the signature
type 0x04 in the place of 0x01 (https://c2sp.org/tlog-cosignature).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from nacl.bindings import crypto_sign_seed_keypair

from troth.vm.errors import LimitExceeded, Malformed, Place, Unusable
from troth.vm.escape import is_plain
from troth.vm.limits import NAME_BYTES_MAX
from troth.vm.signatures import acceptable_key

SEED_BYTES: Final = 32
TRUST_BYTES_MAX: Final = 1 << 20
KEY_TEXT_BYTES_MAX: Final = 1024


class SignatureType(IntEnum):
    """What a signed note's key signs; the byte that the key's id and its text have."""

    ED25519 = 1
    COSIGNATURE = 4


_PRIVATE_PREFIX: Final = "PRIVATE+KEY+"
_HEX_DIGITS: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and the name it goes by."""

    name: str
    public_key: bytes
    type: SignatureType = SignatureType.ED25519

    @property
    def id(self) -> bytes:
        """The four bytes by which signed notes name the key."""
        return key_id(self.name, self.public_key, self.type)

    @property
    def text(self) -> str:
        """The C2SP verifier key, without a line end."""
        return _text(self.name, self.public_key, self.public_key, self.type)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key: `signing_key` is the seed and the public key, as libsodium wants it."""

    name: str
    public_key: bytes
    signing_key: bytes = field(repr=False)

    @property
    def seed(self) -> bytes:
        return self.signing_key[:SEED_BYTES]

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.public_key)

    @property
    def public_text(self) -> str:
        """The C2SP verifier key, without a line end."""
        return self.verifier.text

    @property
    def private_text(self) -> str:
        """The C2SP private key, without a line end. Secret."""
        return _PRIVATE_PREFIX + _text(self.name, self.public_key, self.seed)


def generate(name: str, seed: bytes) -> KeyPair:
    """The key pair of a 32-byte secret seed.

    Raises:
        Unusable: code `key.name`.
    """
    if not valid_name(name):
        raise Unusable(
            "key.name",
            "this cannot be the name of a key",
            expected=f"1 to {NAME_BYTES_MAX} bytes of printable text without spaces and '+'",
            actual=ascii(name[:80]),
            advice="Choose another name",
        )
    public_key, signing_key = crypto_sign_seed_keypair(seed)
    return KeyPair(name, public_key, signing_key)


def valid_name(name: str) -> bool:
    """Whether a key may have this name: not empty, visible, without spaces and plus signs."""
    if not name or len(name) > NAME_BYTES_MAX or "+" in name or any(map(str.isspace, name)):
        return False
    return is_plain(name) and len(name.encode()) <= NAME_BYTES_MAX


def key_id(
    name: str, public_key: bytes, signature_type: SignatureType = SignatureType.ED25519
) -> bytes:
    """The four bytes by which signed notes name a key."""
    kind = signature_type.to_bytes(1, "big")
    return hashlib.sha256(name.encode() + b"\n" + kind + public_key).digest()[:4]


def parse_verifier(
    text: str, place: Place, signature_type: SignatureType = SignatureType.ED25519
) -> VerifierKey:
    """Reads a verifier key for signatures of that type.

    Raises:
        Malformed: codes `key.malformed`, `key.private`, `key.id`, `key.weak`.
    """
    if text.startswith(_PRIVATE_PREFIX):
        raise Malformed(
            "key.private",
            "this is a private key where a public one belongs",
            place=place,
            expected="a public key, as in NAME.pub",
            advice="Take the private key out of this file and make a new one if others saw it",
        )
    name, identifier, public_key = _parse(text, place, signature_type)
    if not acceptable_key(public_key):
        raise Malformed(
            "key.weak",
            f"the key of {name} is not a proper Ed25519 public key",
            place=place,
            expected="the canonical encoding of a point of prime order",
            actual=public_key.hex(),
            advice="Ask its owner for the key again",
        )
    key = VerifierKey(name, public_key, signature_type)
    _check_id(key, identifier, place)
    return key


def parse_private(text: str, place: Place) -> KeyPair:
    """Reads a private key. No message ever contains what was read.

    Raises:
        Malformed: codes `key.malformed`, `key.id`.
    """
    if not text.startswith(_PRIVATE_PREFIX):
        raise _malformed(place, f"text that begins with {_PRIVATE_PREFIX}", "something else")
    own = text.removeprefix(_PRIVATE_PREFIX)
    name, identifier, seed = _parse(own, place, SignatureType.ED25519)
    pair = generate(name, seed)
    _check_id(pair.verifier, identifier, place)
    return pair


def _text(
    name: str,
    public_key: bytes,
    data: bytes,
    signature_type: SignatureType = SignatureType.ED25519,
) -> str:
    encoded = base64.b64encode(signature_type.to_bytes(1, "big") + data).decode()
    return f"{name}+{key_id(name, public_key, signature_type).hex()}+{encoded}"


def _malformed(place: Place, expected: str, actual: str) -> Malformed:
    return Malformed(
        "key.malformed",
        "this is not a key",
        place=place,
        expected=expected,
        actual=actual,
        advice="Write keys exactly as `troth keygen` does, one a line",
    )


def _parse(text: str, place: Place, signature_type: SignatureType) -> tuple[str, str, bytes]:
    if len(text) > KEY_TEXT_BYTES_MAX:
        raise _malformed(place, f"at most {KEY_TEXT_BYTES_MAX} characters", f"{len(text)}")
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise _malformed(place, "NAME+KEYID+BASE64", f"{len(parts)} part(s) between '+'")
    name, identifier, encoded = parts
    if not valid_name(name):
        raise _malformed(place, "a printable name without spaces", "another name")
    if len(identifier) != 8 or not _HEX_DIGITS.issuperset(identifier):
        raise _malformed(place, "a key id of 8 lower-case hex digits", ascii(identifier[:16]))
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed(place, "base64 after the key id", "other characters") from None
    if base64.b64encode(data).decode() != encoded:
        raise _malformed(place, "canonical base64", "another spelling of it")
    if len(data) != 1 + SEED_BYTES or data[0] != signature_type:
        found = f"{len(data)} bytes, the first {data[0] if data else 'missing'}"
        wanted = f"33 bytes, the first {signature_type} ({_TYPE_WORDS[signature_type]})"
        raise _malformed(place, wanted, found)
    return name, identifier, data[1:]


_TYPE_WORDS: Final = {
    SignatureType.ED25519: "Ed25519",
    SignatureType.COSIGNATURE: "cosignatures of a witness",
}


def _check_id(key: VerifierKey, identifier: str, place: Place) -> None:
    expected = key.id.hex()
    if identifier != expected:
        raise Malformed(
            "key.id",
            f"the key id does not belong to the name {key.name} and its key",
            place=place,
            expected=expected,
            actual=identifier,
            advice="The line was damaged or edited; ask its owner for the key again",
        )


class Standing(Enum):
    """What a trust file says of a name and the key that claims it."""

    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class TrustFile:
    """The verifier keys somebody trusts, in the order of the file, without repetitions."""

    keys: tuple[VerifierKey, ...]

    def lookup(self, public_key: bytes) -> tuple[str, ...]:
        """The names by which the key is trusted."""
        return tuple(key.name for key in self.keys if key.public_key == public_key)

    def keys_named(self, name: str) -> tuple[bytes, ...]:
        """The public keys trusted under this name; all of them are good for it."""
        return tuple(key.public_key for key in self.keys if key.name == name)

    def standing(self, name: str, public_key: bytes) -> Standing:
        """CONTRADICTED when the name is known and this is none of its keys.

        A key that is trusted, but under another name than the unknown one it claims, is TRUSTED:
        `lookup` says by which name.
        """
        named = self.keys_named(name)
        if named and public_key not in named:
            return Standing.CONTRADICTED
        return Standing.TRUSTED if self.lookup(public_key) else Standing.UNKNOWN


def parse_trust(data: bytes | str, file: str) -> TrustFile:
    """Reads a trust file, given as its bytes or its text; `file` is its name, for messages.

    Raises:
        Unusable: code `key.text`, when `data` is neither.
        Malformed: as `parse_verifier`, with the line, and `key.text` when it is not UTF-8.
        LimitExceeded: code `key.trust_bytes`.
    """
    return TrustFile(_parse_file(data, file, SignatureType.ED25519))


def parse_witnesses(data: bytes | str, file: str) -> tuple[VerifierKey, ...]:
    """Reads a file of witnesses' keys, which has the form of a trust file.

    Raises:
        Unusable, Malformed, LimitExceeded: as `parse_trust`.
    """
    return _parse_file(data, file, SignatureType.COSIGNATURE)


def _parse_file(
    data: bytes | str, file: str, signature_type: SignatureType
) -> tuple[VerifierKey, ...]:
    if isinstance(data, str):
        data = data.encode(errors="surrogatepass")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise Unusable(
            "key.text",
            "the content of a trust file is neither bytes nor text",
            place=Place(file=file),
            expected="bytes, as Path.read_bytes() gives them",
            actual=f"a {type(data).__name__}",
            advice="Pass the content of the file, not its path",
        )
    data = bytes(data)
    if len(data) > TRUST_BYTES_MAX:
        raise LimitExceeded(
            "key.trust_bytes",
            "the trust file is too long",
            place=Place(file=file),
            expected=f"at most {TRUST_BYTES_MAX} bytes (TRUST_BYTES_MAX)",
            actual=f"{len(data)} bytes",
            advice="Name the keys of one deployment only",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(
            "key.text",
            "the trust file is not text",
            place=Place(file=file, offset=error.start),
            expected="UTF-8",
            advice="A trust file is made with `cat *.pub > trust`",
        ) from None
    return tuple(dict.fromkeys(_parse_lines(text, file, signature_type)))


def _parse_lines(text: str, file: str, signature_type: SignatureType) -> Iterable[VerifierKey]:
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            yield parse_verifier(stripped, Place(file=file, line=number), signature_type)
