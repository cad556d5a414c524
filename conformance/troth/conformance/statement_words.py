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
_ROOT_CHARACTERS: Final = 16


class Covered(NamedTuple):
    """What a leaf says.

    Attributes:
        kind: `message`, `arrival`, `notice`, `receipt`, `rotate`, `cancel`, `delegation`, `join`,
            `fail`, or a kind of record.
        text: in one line.
        session: the session's id, where the statement names one.
        role: who states it.
        commitment: a message's commitment to its payload.
        receiver: whom a message is for.
        slot: what only one statement can fill; None where several may be made.
    """

    kind: str
    text: str
    session: bytes | None = None
    role: str | None = None
    commitment: bytes | None = None
    receiver: str | None = None
    slot: tuple[object, ...] | None = None


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
    if kind in (Kind.SEAL, Kind.ARRIVE) or (kind in STATED and not _is_hosts(kind, items)):
        raise _unreadable("a statement, or a record that holds none")
    return Covered(kind.name, describe(RawRecord(record, 0, covered, items), World()))


def _is_hosts(kind: Kind, items: Items) -> bool:
    return kind is Kind.CANCEL and items[_CANCEL_ROLE] is None


# --- statements ------------------------------------------------------------------------------


class _Form(NamedTuple):
    """One kind of statement, with the types that each of its items may have."""

    types: tuple[tuple[type, ...], ...]
    build: Callable[..., bytes]
    read: Reader

    def fits(self, items: Items) -> bool:
        return len(items) == len(self.types) and all(
            type(item) in wanted for item, wanted in zip(items, self.types, strict=True)
        )


def _message(items: Items, payload: bytes | None) -> Covered:
    session, sender, receiver, _, label, generation, sequence, commitment = items
    content = payload_words(payload)
    turn = f", generation {generation}" if generation else ""
    text = f"{sender} -> {receiver} {label}{content} #{sequence}{turn}"
    slot = ("message", session, sender, receiver, generation, sequence)
    return Covered("message", text, session, sender, commitment, receiver, slot)


def _notice(items: Items, _: bytes | None) -> Covered:
    session, role, finals = items
    if not all(_is_final(row) for row in finals):
        raise _unreadable("rows of receiver, generation and count")
    sent = ", ".join(f"{count} to {receiver}" for receiver, _, count in finals)
    text = f"{role} is done, after {sent or 'no'} messages"
    return Covered("notice", text, session, role, slot=("notice", session, role))


def _is_final(row: object) -> bool:
    return (
        isinstance(row, tuple)
        and tuple(map(type, row)) == (str, int, int)
        and all(0 <= number <= INT_MAX for number in row[1:])
    )


def _receipt(items: Items, _: bytes | None) -> Covered:
    session, role, sender, generation, consumed, reliable, discarded, root = items
    # Two receipts that contradict each other can have the same numbers.
    after = "" if root is None else f", with root {root.hex()[:_ROOT_CHARACTERS]}…"
    lossy = "" if reliable == consumed else f", {reliable} of them reliable,"
    text = f"{role} took {consumed} messages of {sender}{lossy} and discarded {discarded}{after}"
    slot = ("receipt", session, role, sender, generation, consumed, discarded)
    return Covered("receipt", text, session, role, slot=slot)


def _rotate(items: Items, _: bytes | None) -> Covered:
    session, role, receiver, generation, count = items
    text = f"{role} ends generation {generation} of {count} messages to {receiver}"
    return Covered("rotate", text, session, role)


def _cancel(items: Items, _: bytes | None) -> Covered:
    session, role, reason = items
    text = f"{role} leaves the session: {reason}"
    return Covered("cancel", text, session, role, slot=("cancel", session, role))


def _delegation(items: Items, _: bytes | None) -> Covered:
    session, role, _, new = items
    return Covered("delegation", f"{role} is handed to key {new.hex()}", session, role)


def _join(items: Items, _: bytes | None) -> Covered:
    session, role, _ = items
    return Covered("join", f"{role} takes part in the session", session, role)


def _fail(items: Items, _: bytes | None) -> Covered:
    session, role, code, reason = items
    why = f"{code}: {reason}" if reason else code
    return Covered("fail", f"the machine of {role} has ended the session: {why}", session, role)


def _arrival(items: Items, payload: bytes | None) -> Covered:
    """A message in the log of the machine that it came to, which is not who said it."""
    statement, signature, place, _ = items
    if not _is_place(place) or (place is None) != bool(signature):
        raise _unreadable("a message with a signature, or with its place in a log")
    said = read_covered(statement, 0, payload) if statement.startswith(b"\x00") else None
    if said is None or said.kind != "message":
        raise _unreadable("the statement of a message")
    text = f"to {said.receiver} there came: {said.text}"
    return Covered("arrival", text, said.session, said.receiver, said.commitment)


def _is_place(place: object) -> bool:
    if place is None:
        return True
    return (
        isinstance(place, tuple)
        and tuple(map(type, place)) == (int, int, int, bytes)
        and all(0 <= number <= INT_MAX for number in place[:3])
    )


Reader: TypeAlias = Callable[[Items, bytes | None], Covered]

_BYTES: Final = (bytes,)
_TEXT: Final = (str,)
_NUMBER: Final = (int,)
_LIST: Final = (tuple,)
_FORMS: Final[dict[bytes, _Form]] = {
    b"message": _Form(
        (_BYTES, _TEXT, _TEXT, _NUMBER, _TEXT, _NUMBER, _NUMBER, _BYTES),
        statements.message_statement,
        _message,
    ),
    b"arrival": _Form((_BYTES, _BYTES, (tuple, type(None)), _NUMBER), statements.arrival, _arrival),
    b"notice": _Form((_BYTES, _TEXT, _LIST), statements.notice_statement, _notice),
    b"receipt": _Form(
        (_BYTES, _TEXT, _TEXT, *(_NUMBER,) * 4, (bytes, type(None))),
        statements.receipt_statement,
        _receipt,
    ),
    b"rotate": _Form(
        (_BYTES, _TEXT, _TEXT, _NUMBER, _NUMBER), statements.rotate_statement, _rotate
    ),
    b"cancel": _Form((_BYTES, _TEXT, _TEXT), statements.cancel_statement, _cancel),
    b"delegation": _Form(
        (_BYTES, _TEXT, _BYTES, _BYTES), statements.delegation_statement, _delegation
    ),
    b"join": _Form((_BYTES, _TEXT, _BYTES), statements.join_statement, _join),
    b"fail": _Form((_BYTES, _TEXT, _TEXT, _TEXT), statements.fail_statement, _fail),
}
