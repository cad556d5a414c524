"""What two machines say on the line between them, apart from the envelopes themselves.

A frame is a canonical msgpack array: a tag, then its fields. Each side proves with which keys it
speaks; the frames after that are not signed, so nothing in them is believed further than the
line: an acknowledgement only spares a repetition.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from troth.vm.codec import unpack_canonical
from troth.vm.errors import Malformed
from troth.vm.limits import NAME_BYTES_MAX, RECORD_BYTES_MAX
from troth.vm.record_codec import Field, fits
from troth.vm.statements import NONCE_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, pack_array
from troth.vm.values import INT_MAX

LINK_VERSION: Final = 1
ID_BYTES: Final = 16
FRAME_BYTES_MAX: Final = RECORD_BYTES_MAX + 4096
ROLES_MAX: Final = 4096
KEYS_MAX: Final = 256
EXTRA_ACKS_MAX: Final = 256


class Hello(NamedTuple):
    """The first frame: `party` is a machine's id, `roles` what it holds.

    `incarnation` is random, and another after each time that the machine was resumed;
    `challenge` is random for each connection.
    """

    version: int
    party: bytes
    incarnation: bytes
    roles: tuple[str, ...]
    challenge: bytes = bytes(16)


class Prove(NamedTuple):
    """The second frame: (public key, signature) for each key that the party holds.

    Each signs `statements.link_statement` over the challenge of the other side's hello.
    """

    keys: tuple[tuple[bytes, bytes], ...]


class Offer(NamedTuple):
    """A session is to be opened: its terms, and (role, public key, nonce) of the sender's roles."""

    meeting: bytes
    terms: bytes
    here: tuple[tuple[str, bytes, bytes], ...]


class Data(NamedTuple):
    """An envelope. Numbers count what one party has sent to another, from 0."""

    number: int
    envelope: bytes


class Ack(NamedTuple):
    """All data below a number has been dealt with, and what is listed."""

    below: int
    extra: tuple[int, ...]


class Ping(NamedTuple):
    """Shows that the line is alive."""


Frame: TypeAlias = Hello | Prove | Offer | Data | Ack | Ping

_PARTY: Final = Field("party", bytes, ID_BYTES, ID_BYTES)
_ROLE: Final = Field("role", str, 1, NAME_BYTES_MAX)
_FORMS: Final[dict[str, tuple[type[Frame], tuple[Field, ...]]]] = {
    "hello": (
        Hello,
        (
            Field("version", int, 0, INT_MAX),
            _PARTY,
            _PARTY._replace(name="incarnation"),
            Field("roles", tuple, 0, ROLES_MAX, row=(_ROLE._replace(name=""),)),
            _PARTY._replace(name="challenge"),
        ),
    ),
    "prove": (
        Prove,
        (
            Field(
                "keys",
                tuple,
                1,
                KEYS_MAX,
                row=(
                    Field("key", bytes, PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES),
                    Field("signature", bytes, SIGNATURE_BYTES, SIGNATURE_BYTES),
                ),
            ),
        ),
    ),
    "offer": (
        Offer,
        (
            Field("meeting", bytes, ID_BYTES, ID_BYTES),
            Field("terms", bytes, 1, RECORD_BYTES_MAX),
            Field(
                "here",
                tuple,
                1,
                ROLES_MAX,
                row=(
                    _ROLE,
                    Field("key", bytes, PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES),
                    Field("nonce", bytes, NONCE_BYTES, NONCE_BYTES),
                ),
            ),
        ),
    ),
    "data": (
        Data,
        (Field("number", int, 0, INT_MAX), Field("envelope", bytes, 1, RECORD_BYTES_MAX)),
    ),
    "ack": (
        Ack,
        (
            Field("below", int, 0, INT_MAX),
            Field("extra", tuple, 0, EXTRA_ACKS_MAX, row=(Field("", int, 0, INT_MAX),)),
        ),
    ),
    "ping": (Ping, ()),
}
_TAGS: Final = {form: tag for tag, (form, _) in _FORMS.items()}


def encode_frame(frame: Frame) -> bytes:
    """The frame's bytes, without the length that goes before them on a stream."""
    return pack_array((_TAGS[type(frame)], *frame))


def decode_frame(data: bytes) -> Frame:
    """
    Raises:
        Malformed: code `link.frame`, or those of `codec.unpack_canonical`.
    """
    items = unpack_canonical(data, bytes_max=FRAME_BYTES_MAX)
    if type(items) is not tuple or not items or type(items[0]) is not str:
        raise _malformed("an array that begins with a tag", "something else")
    form = _FORMS.get(items[0])
    if form is None:
        raise _malformed("one of " + ", ".join(_FORMS), "another kind of frame")
    make, fields = form
    if len(items) != len(fields) + 1:
        raise _malformed(f"{len(fields)} fields", f"{len(items) - 1}")
    for field, value in zip(fields, items[1:], strict=True):
        if not fits(field, value):
            raise _malformed(f"{field.name}: {field.described}", "another value")
    return make(*items[1:])


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "link.frame",
        "these bytes are not a frame of a link between machines",
        expected=expected,
        actual=actual,
        advice="Find out who connects: no machine of this version does",
    )
