"""The records of a view in a few bytes each: the form in which the page carries them.

A row is a sequence of unsigned LEB128 integers: the kind, by how much the record's offset grew,
then the fields that the kind's shape names, one letter each:

| letter | field | written as |
|---|---|---|
| `s` | session | the difference to the row before that has one, zigzag; -1 is none |
| `a` | the role that acts | its index and 1; 0 is none |
| `p` | the role on the other side | its index and 1; 0 is none |
| `l` | label | its index |
| `n` | number | itself: of a message, or microseconds of a time |
| `c` | code | its place in the list of codes |
| `t` | text | its place in the list of texts |

Kinds come from one table. A kind that it does not have is a row with a text: what `describe`
says of it. So a kind that is added to the format shows up in the page at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from troth.vm.record_codec import Items
from troth.vm.records import Kind

NUMBER_MAX: Final = 2**53 - 1
"""Greater numbers are not whole in a browser."""

GROUPS: Final = ("messages", "receives", "sessions", "machine", "seals", "file")


class Fields(NamedTuple):
    """What a record says in the terms of a row; the letters of the shape say which count."""

    session: int = -1
    actor: int = -1
    peer: int = -1
    label: int = 0
    number: int = 0
    code: str = ""
    content: bytes | None = None


Extractor: TypeAlias = Callable[[Items], Fields]


class RowShape(NamedTuple):
    """`letters` are of the table above; with a `t` that is no payload, the text is words."""

    group: str
    letters: str
    extract: Extractor


def _send(items: Items) -> Fields:
    """For messages, of this machine and of another one."""
    _, session, sender, receiver, _, label, _, number, _, payload, *_ = items
    return Fields(session, sender, receiver, label, number, "", payload)


def _receive(items: Items) -> Fields:
    _, session, receiver, sender, _, number, *_ = items
    return Fields(session, receiver, sender, 0, number)


def _undelivered(items: Items) -> Fields:
    _, session, sender, receiver, _, number = items
    return Fields(session, sender, receiver, 0, number)


def _drop(items: Items) -> Fields:
    return Fields(items[1], items[2], items[3], items[4])


def _reject(items: Items) -> Fields:
    return Fields(items[1], items[2], items[3], code=items[4])


def _receipt(items: Items) -> Fields:
    return Fields(items[1], items[2], items[3])


def _role(items: Items) -> Fields:
    return Fields(items[1], _optional(items[2]))


def _fault(items: Items) -> Fields:
    return Fields(_optional(items[6]), _optional(items[7]), code=items[2])


def _fail(items: Items) -> Fields:
    return Fields(items[1], items[2], code=items[3])


def _optional(index: int | None) -> int:
    return -1 if index is None else index


def _nothing(_: Items) -> Fields:
    return _NO_FIELDS


_NO_FIELDS: Final = Fields()
OTHER: Final = RowShape("machine", "t", _nothing)
"""For a kind that the table does not have."""

SHAPES: Final[Mapping[int, RowShape]] = {
    Kind.HEADER: RowShape("file", "t", _nothing),
    Kind.IMAGE: RowShape("file", "t", _nothing),
    Kind.PRINCIPAL: RowShape("file", "t", _nothing),
    Kind.PROTOCOL: RowShape("file", "t", _nothing),
    # The collector knows the number of a session that opens; the record does not say it.
    Kind.OPEN: RowShape("sessions", "st", _nothing),
    Kind.BUNDLE: RowShape("sessions", "t", _nothing),
    Kind.SEND: RowShape("messages", "saplnt", _send),
    Kind.RECEIVE: RowShape("receives", "sapn", _receive),
    Kind.DELEGATE: RowShape("sessions", "sat", _role),
    Kind.NOTICE: RowShape("sessions", "sat", _role),
    Kind.RECEIPT: RowShape("sessions", "sapt", _receipt),
    Kind.STATUS: RowShape("sessions", "st", lambda items: Fields(items[1])),
    Kind.UNDELIVERED: RowShape("sessions", "sapnt", _undelivered),
    Kind.ROTATE: RowShape("sessions", "sapt", _receipt),
    Kind.PEER_ROTATE: RowShape("sessions", "sapt", _receipt),
    Kind.RETIRE: RowShape("sessions", "sapt", _receipt),
    Kind.TIMER: RowShape("sessions", "sat", _role),
    Kind.EXPIRE: RowShape("sessions", "sat", _role),
    Kind.DEPART: RowShape("sessions", "sat", _role),
    Kind.DETECT: RowShape("sessions", "sapt", _receipt),
    Kind.OVERWRITE: RowShape("sessions", "sapnt", _undelivered),
    Kind.DROP: RowShape("sessions", "saplt", _drop),
    Kind.REJECT: RowShape("sessions", "sapct", _reject),
    Kind.CANCEL: RowShape("sessions", "sat", _role),
    Kind.ASK_END: RowShape("sessions", "st", lambda items: Fields(items[1])),
    Kind.TROUBLE: RowShape("sessions", "sat", lambda items: Fields(items[1], items[3])),
    Kind.FAULT: RowShape("sessions", "sact", _fault),
    Kind.SPAWN: RowShape("machine", "t", _nothing),
    Kind.TRANSFER: RowShape("machine", "sat", _role),
    Kind.HALT: RowShape("machine", "t", _nothing),
    Kind.PRINT: RowShape("machine", "t", _nothing),
    Kind.INVOKE: RowShape("machine", "t", _nothing),
    Kind.COMPLETE: RowShape("machine", "t", _nothing),
    Kind.TIME: RowShape("machine", "nt", lambda items: Fields(number=items[1] // 1000)),
    Kind.ACQUIRE: RowShape("machine", "t", _nothing),
    Kind.RELEASE: RowShape("machine", "t", _nothing),
    Kind.INCARNATION: RowShape("file", "t", _nothing),
    Kind.PEER: RowShape("file", "t", _nothing),
    Kind.MEET: RowShape("machine", "t", _nothing),
    Kind.JOIN: RowShape("sessions", "sat", _role),
    Kind.FAIL: RowShape("sessions", "sact", _fail),
    Kind.ARRIVE: RowShape("messages", "saplnt", _send),
    Kind.REFUSE: RowShape("sessions", "sapct", _reject),
    Kind.PEER_HEAD: RowShape("seals", "t", _nothing),
    Kind.PEER_JOIN: RowShape("sessions", "sat", _role),
    Kind.PEER_NOTICE: RowShape("sessions", "sat", _role),
    Kind.PEER_RECEIPT: RowShape("sessions", "sapt", _receipt),
    Kind.PEER_CANCEL: RowShape("sessions", "sat", _role),
    Kind.PEER_FAIL: RowShape("sessions", "sact", _fail),
    Kind.PEER_DELEGATE: RowShape("sessions", "sat", _role),
    Kind.END: RowShape("file", "t", _nothing),
    Kind.SEAL: RowShape("seals", "t", _nothing),
}


def put(buffer: bytearray, value: int) -> None:
    """Appends an unsigned integer."""
    value = min(value, NUMBER_MAX)
    while value > 127:
        buffer.append(value & 127 | 128)
        value >>= 7
    buffer.append(value)


def zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


class RowWriter:
    """Appends rows to bytes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.count = 0
        self._offset = 0
        self._session = 0

    def write(
        self, kind: int, offset: int, letters: str, fields: Fields, code: int, text: int
    ) -> None:
        data = self.data
        put(data, kind)
        put(data, offset - self._offset)
        self._offset = offset
        for letter in letters:
            if letter == "s":
                put(data, zigzag(min(fields.session, NUMBER_MAX >> 2) - self._session))
                self._session = min(fields.session, NUMBER_MAX >> 2)
            elif letter == "a":
                put(data, fields.actor + 1)
            elif letter == "p":
                put(data, fields.peer + 1)
            elif letter == "l":
                put(data, fields.label)
            elif letter == "n":
                put(data, fields.number)
            elif letter == "c":
                put(data, code)
            else:
                put(data, text)
        self.count += 1
