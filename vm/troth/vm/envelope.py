"""What machines that hold one session tell each other, and its bytes on the wire.

An envelope names its session, role and statement in full, so it can come by any way, more than
once and in any order. Nothing in it is believed before the machine has checked its signature,
or its place in a signed log, against the keys that the session's descriptor names.

The bytes are a canonical msgpack array: a tag, then the fields in the order of the class.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from troth.vm.codec import unpack_canonical
from troth.vm.errors import Malformed
from troth.vm.events import Proof
from troth.vm.limits import NAME_BYTES_MAX, RECORD_BYTES_MAX
from troth.vm.record_codec import PATH_BYTES_MAX, Field, Items, fits
from troth.vm.statements import (
    DIGEST_BYTES,
    PUBLIC_KEY_BYTES,
    SALT_BYTES,
    SIGNATURE_BYTES,
    StepKind,
    pack_array,
)
from troth.vm.values import INT_MAX

REASON_BYTES_MAX: Final = 1 << 20
"""Of a cancellation or a fault; a machine's own `message_bytes_max` holds as well."""


class JoinEnvelope(NamedTuple):
    """`role` takes part: a signature over `statements.join_statement`."""

    session: bytes
    role: str
    signature: bytes


class HeadEnvelope(NamedTuple):
    """The signed head of a principal's log, for the messages that it covers."""

    principal: bytes
    log_id: bytes
    size: int
    root: bytes
    previous_root: bytes
    head_round: int
    sessions_open: int
    sessions_ended: int
    final: bool
    signature: bytes


class MessageEnvelope(NamedTuple):
    """Signed by itself, or with `proof` under a head that came before."""

    session: bytes
    sender: str
    receiver: str
    kind: int
    label: str
    generation: int
    sequence: int
    salt: bytes
    payload: bytes
    signature: bytes
    proof: Proof | None


class DelegateEnvelope(NamedTuple):
    """`role` is signed for by `new` from now on, says `old`."""

    session: bytes
    role: str
    old: bytes
    new: bytes
    signature: bytes


class NoticeEnvelope(NamedTuple):
    session: bytes
    role: str
    finals: tuple[tuple[str, int, int], ...]
    signature: bytes


class ReceiptEnvelope(NamedTuple):
    session: bytes
    role: str
    sender: str
    generation: int
    consumed: int
    reliable: int
    discarded: int
    root: bytes | None
    signature: bytes


class RotateEnvelope(NamedTuple):
    session: bytes
    role: str
    receiver: str
    generation: int
    messages: int
    signature: bytes


class CancelEnvelope(NamedTuple):
    session: bytes
    role: str
    reason: str
    signature: bytes


class FailEnvelope(NamedTuple):
    session: bytes
    role: str
    code: str
    reason: str
    signature: bytes


Envelope: TypeAlias = (
    JoinEnvelope
    | HeadEnvelope
    | MessageEnvelope
    | DelegateEnvelope
    | NoticeEnvelope
    | ReceiptEnvelope
    | RotateEnvelope
    | CancelEnvelope
    | FailEnvelope
)


class Outgoing(NamedTuple):
    """An envelope and the roles whose machines are to get it, of one session.

    `lossy` says that it is a message which may be lost on the way.
    """

    session: bytes
    roles: tuple[str, ...]
    envelope: Envelope
    lossy: bool = False


def _count(name: str) -> Field:
    return Field(name, int, 0, INT_MAX)


def _bytes(name: str, low: int, high: int | None = None) -> Field:
    return Field(name, bytes, low, low if high is None else high)


def _name(name: str) -> Field:
    return Field(name, str, 1, NAME_BYTES_MAX)


_SESSION: Final = _bytes("session", DIGEST_BYTES)
_ROLE: Final = _name("role")
_REASON: Final = Field("reason", str, 0, REASON_BYTES_MAX)
_SIGNATURE: Final = _bytes("signature", SIGNATURE_BYTES)
_ROOT: Final = _bytes("root", DIGEST_BYTES)
_PROOF_FIELDS: Final = (
    _count("head size"),
    _count("number"),
    _count("leaf"),
    _bytes("path", 0, PATH_BYTES_MAX),
)
_PROOF: Final = Field("proof", tuple, 0, 0)
"""Stands for a proof, which is looked at by itself, or nil."""

_FINALS: Final = Field(
    "finals",
    tuple,
    0,
    1 << 16,
    row=(_name("receiver"), _count("generation"), _count("count")),
)

_FORMS: Final[dict[str, tuple[type[Envelope], tuple[Field, ...]]]] = {
    "join": (JoinEnvelope, (_SESSION, _ROLE, _SIGNATURE)),
    "head": (
        HeadEnvelope,
        (
            _bytes("principal", PUBLIC_KEY_BYTES),
            _bytes("log id", DIGEST_BYTES),
            Field("size", int, 1, INT_MAX),
            _ROOT,
            _bytes("previous root", DIGEST_BYTES),
            _count("round"),
            _count("sessions open"),
            _count("sessions ended"),
            Field("final", bool, 0, 1),
            _SIGNATURE,
        ),
    ),
    "message": (
        MessageEnvelope,
        (
            _SESSION,
            _name("sender"),
            _name("receiver"),
            Field("step kind", int, min(StepKind), max(StepKind)),
            _name("label"),
            _count("generation"),
            _count("sequence"),
            _bytes("salt", SALT_BYTES),
            _bytes("payload", 0, RECORD_BYTES_MAX),
            _bytes("signature", 0, SIGNATURE_BYTES),
            _PROOF,
        ),
    ),
    "delegate": (
        DelegateEnvelope,
        (
            _SESSION,
            _ROLE,
            _bytes("old key", PUBLIC_KEY_BYTES),
            _bytes("new key", PUBLIC_KEY_BYTES),
            _SIGNATURE,
        ),
    ),
    "notice": (NoticeEnvelope, (_SESSION, _ROLE, _FINALS, _SIGNATURE)),
    "receipt": (
        ReceiptEnvelope,
        (
            _SESSION,
            _ROLE,
            _name("sender"),
            _count("generation"),
            _count("consumed"),
            _count("reliable"),
            _count("discarded"),
            _ROOT,
            _SIGNATURE,
        ),
    ),
    "rotate": (
        RotateEnvelope,
        (_SESSION, _ROLE, _name("receiver"), _count("generation"), _count("count"), _SIGNATURE),
    ),
    "cancel": (CancelEnvelope, (_SESSION, _ROLE, _REASON, _SIGNATURE)),
    "fail": (FailEnvelope, (_SESSION, _ROLE, _name("code"), _REASON, _SIGNATURE)),
}
_TAGS: Final = {form: tag for tag, (form, _) in _FORMS.items()}


def encode_envelope(envelope: Envelope) -> bytes:
    """The bytes for the wire."""
    return pack_array((_TAGS[type(envelope)], *envelope))


def beginning(form: type[Envelope], *fields: bytes) -> bytes:
    """How the bytes of such an envelope begin, with these first fields.

    So who only carries envelopes can tell them apart without decoding them.
    """
    others = len(form._fields) - len(fields)
    return pack_array((_TAGS[form], *fields, *(None,) * others))[:-others]


def decode_envelope(data: bytes) -> Envelope:
    """Checks the form, and nothing that takes a key.

    Raises:
        Malformed: code `envelope.form`, or those of `codec.unpack_canonical`.
    """
    items = unpack_canonical(data)
    if type(items) is not tuple or not items or type(items[0]) is not str:
        raise _malformed("an array that begins with a tag", "something else")
    form = _FORMS.get(items[0])
    if form is None:
        raise _malformed("one of " + ", ".join(_FORMS), "another kind of envelope")
    make, fields = form
    if make is MessageEnvelope:
        items = (*items[:-1], _proof(items[-1]))
    return make(*_checked(fields, items[1:]))


def _checked(fields: tuple[Field, ...], items: Items) -> Items:
    if len(items) != len(fields):
        raise _malformed(f"{len(fields)} fields", f"{len(items)}")
    for field, value in zip(fields, items, strict=True):
        if field is not _PROOF and not fits(field, value):
            raise _malformed(f"{field.name}: {field.described}", "another value")
    return items


def _proof(items: object) -> Proof | None:
    if items is None:
        return None
    if type(items) is not tuple:
        raise _malformed("a proof or nil", "another value")
    proof = Proof(*_checked(_PROOF_FIELDS, items))
    if len(proof.path) % DIGEST_BYTES:
        raise _malformed(f"a path of whole hashes of {DIGEST_BYTES} bytes", f"{len(proof.path)}")
    return proof


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "envelope.form",
        "these bytes are not an envelope",
        expected=expected,
        actual=actual,
        advice="Find out who sends them: no machine of this version does",
    )
