"""What a leaf of a log covers, in words: a signed statement, or the bytes of a record.

Whoever made the leaf chose its bytes, so nothing about them is taken for granted. The text is
raw: whoever shows it escapes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import msgpack

from troth.conformance.describe import describe, payload_words
from troth.conformance.proof_codes import refused
from troth.conformance.world import World
from troth.vm import statements
from troth.vm.errors import TrothError
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items, validate
from troth.vm.records import STATED, Kind
from troth.vm.values import INT_MAX

_HEAD: Final = b"\x00troth/v1/"
_ARRAY_MAX: Final = 1 << 17
_CANCEL_ROLE: Final = 2


class Covered(NamedTuple):
    """What a leaf says.

    Attributes:
        kind: `message`, `notice`, `receipt`, `cancel`, `delegation`, or a kind of record.
        text: in one line.
        session: the session's id, where the statement names one.
        role: who states it.
        commitment: a message's commitment to its payload.
    """

    kind: str
    text: str
    session: bytes | None = None
    role: str | None = None
    commitment: bytes | None = None


def read_covered(covered: bytes, record: int, payload: bytes | None) -> Covered:
    """Reads what a leaf covers; `payload` is the content of a message when it is known.

    Raises:
        Malformed: code `proof.statement`.
    """
    if not covered.startswith(b"\x00"):
        return _record(covered, record)
    tag, zero, body = covered.removeprefix(_HEAD).partition(b"\x00")
    form = _FORMS.get(tag)
    items = _unpack(body)
    if not covered.startswith(_HEAD) or not zero or form is None or items is None:
        raise _unreadable("a statement of a kind that stands in a log")
    if not form.fits(items) or form.build(*items) != covered:
        raise _unreadable(f"a {tag.decode()} statement with its items")
    return form.read(items, payload)


def _unreadable(expected: str) -> Exception:
    return refused("proof.statement", "what the leaf covers cannot be read", expected=expected)


def _unpack(body: bytes) -> Items | None:
    try:
        items = msgpack.unpackb(
            body, use_list=False, max_array_len=_ARRAY_MAX, max_map_len=0, max_ext_len=0
        )
    except (ValueError, RecursionError, msgpack.UnpackException):
        return None
    return items if type(items) is tuple else None


def _record(covered: bytes, record: int) -> Covered:
    items = _unpack(covered)
    if items is None or msgpack.packb(items) != covered:
        raise _unreadable("the canonical bytes of a record")
    try:
        validate(items, record, 0)
    except TrothError as error:
        raise _unreadable("a record with the fields of its kind") from error
    kind = Kind(items[0])
    if kind is Kind.SEAL or (kind in STATED and not _is_hosts(kind, items)):
        raise _unreadable("a statement, or a record that holds none")
    return Covered(kind.name, describe(RawRecord(record, 0, covered, items), World()))


def _is_hosts(kind: Kind, items: Items) -> bool:
    return kind is Kind.CANCEL and items[_CANCEL_ROLE] is None


# --- statements ------------------------------------------------------------------------------


class _Form(NamedTuple):
    """One kind of statement. A type of None stands for bytes or nil."""

    types: tuple[type | None, ...]
    build: Callable[..., bytes]
    read: Reader

    def fits(self, items: Items) -> bool:
        return len(items) == len(self.types) and all(
            type(item) in (bytes, type(None)) if wanted is None else type(item) is wanted
            for item, wanted in zip(items, self.types, strict=True)
        )


def _message(items: Items, payload: bytes | None) -> Covered:
    session, sender, receiver, _, label, generation, sequence, commitment = items
    content = payload_words(payload)
    turn = f", generation {generation}" if generation else ""
    text = f"{sender} -> {receiver} {label}{content} #{sequence}{turn}"
    return Covered("message", text, session, sender, commitment)


def _notice(items: Items, _: bytes | None) -> Covered:
    session, role, finals = items
    if not all(_is_final(row) for row in finals):
        raise _unreadable("rows of receiver, generation and count")
    sent = ", ".join(f"{count} to {receiver}" for receiver, _, count in finals)
    return Covered("notice", f"{role} is done, after {sent or 'no'} messages", session, role)


def _is_final(row: object) -> bool:
    return (
        isinstance(row, tuple)
        and tuple(map(type, row)) == (str, int, int)
        and all(0 <= number <= INT_MAX for number in row[1:])
    )


def _receipt(items: Items, _: bytes | None) -> Covered:
    session, role, sender, _, consumed, discarded, _ = items
    text = f"{role} took {consumed} messages of {sender} and discarded {discarded}"
    return Covered("receipt", text, session, role)


def _cancel(items: Items, _: bytes | None) -> Covered:
    session, role, reason = items
    return Covered("cancel", f"{role} leaves the session: {reason}", session, role)


def _delegation(items: Items, _: bytes | None) -> Covered:
    session, role, _, new = items
    return Covered("delegation", f"{role} is handed to key {new.hex()}", session, role)


Reader: TypeAlias = Callable[[Items, bytes | None], Covered]

_FORMS: Final[dict[bytes, _Form]] = {
    b"message": _Form(
        (bytes, str, str, int, str, int, int, bytes), statements.message_statement, _message
    ),
    b"notice": _Form((bytes, str, tuple), statements.notice_statement, _notice),
    b"receipt": _Form(
        (bytes, str, str, int, int, int, None), statements.receipt_statement, _receipt
    ),
    b"cancel": _Form((bytes, str, str), statements.cancel_statement, _cancel),
    b"delegation": _Form((bytes, str, bytes, bytes), statements.delegation_statement, _delegation),
}
