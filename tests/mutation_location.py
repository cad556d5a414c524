"""Whether a finding names the record that was changed, or the first that depends on it.

The rule: a finding is located when it names

1. the first record that is another than before, or the one behind it when bytes were changed (a
   length that is wrong shows where the next record begins); or
2. the first record behind it with which the record that stood there, or the one that stands there
   now, has a subject in common: the same session, the same role or edge of it, the same
   coroutine, effect or guard, an index of the kind that it introduces; or
3. the first SEAL behind it of each principal, or END: a leaf carries its record's number, and a
   log and a count end there.

Anything else is too late, or in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgpack

from troth.vm.records import MAGIC, Kind

Subject = tuple[Any, ...]
Row = tuple[Any, ...]

# Kind: the fields with the acting role, and with its peer, if there are any.
_ENDPOINTS: Final[dict[int, tuple[int, ...]]] = {
    Kind.SEND: (2, 3),
    Kind.RECEIVE: (2, 3),
    Kind.RECEIPT: (2, 3),
    Kind.UNDELIVERED: (2, 3),
    Kind.REJECT: (2, 3),
    Kind.ARRIVE: (2, 3),
    Kind.REFUSE: (2, 3),
    Kind.PEER_RECEIPT: (2, 3),
    Kind.DELEGATE: (2,),
    Kind.NOTICE: (2,),
    Kind.CANCEL: (2,),
    Kind.TRANSFER: (2,),
    Kind.JOIN: (2,),
    Kind.FAIL: (2,),
    Kind.STATUS: (),
    Kind.TIMER: (2,),
    Kind.EXPIRE: (2,),
    Kind.DEPART: (2,),
    Kind.DETECT: (2, 3),
    Kind.PEER_JOIN: (2,),
    Kind.PEER_NOTICE: (2,),
    Kind.PEER_CANCEL: (2,),
    Kind.PEER_FAIL: (2,),
    Kind.PEER_DELEGATE: (2,),
    Kind.ASK_END: (),
    Kind.TROUBLE: (3, 4),
}
_COROUTINES: Final[dict[int, tuple[int, ...]]] = {
    Kind.OPEN: (8,),
    Kind.SPAWN: (1,),
    Kind.TRANSFER: (3, 4),
    Kind.FAULT: (1,),
    Kind.HALT: (1,),
    Kind.PRINT: (1,),
    Kind.INVOKE: (1,),
    Kind.ACQUIRE: (1,),
    Kind.RELEASE: (1,),
    Kind.MEET: (1,),
    Kind.BUNDLE: (7,),
    Kind.EXPIRE: (3,),
}
_EFFECTS: Final = {Kind.INVOKE: 3, Kind.COMPLETE: 1}
_GUARDS: Final = {Kind.ACQUIRE: 2, Kind.RELEASE: 2}
_PRINCIPALS: Final = {
    Kind.OPEN: 3,
    Kind.BUNDLE: 4,
    Kind.DELEGATE: 3,
    Kind.PEER_DELEGATE: 3,
    Kind.PEER_HEAD: 1,
}
_INTRODUCES: Final[dict[int, str]] = {
    Kind.OPEN: "session",
    Kind.SPAWN: "coroutine",
    Kind.PRINCIPAL: "principal",
    Kind.PEER: "principal",
    Kind.PROTOCOL: "protocol",
}
_ROUNDS: Final = frozenset(
    {
        Kind.TIME,
        Kind.COMPLETE,
        Kind.INCARNATION,
        Kind.ASK_END,
        Kind.TROUBLE,
        Kind.MEET,
        Kind.PEER_HEAD,
        Kind.TIMER,
    }
)


def subjects(record: Row) -> Iterator[Subject]:
    """What a record is about, and what it introduces."""
    kind = record[0]
    try:
        if kind in _ENDPOINTS:
            yield ("session", record[1])
            yield ("session",)
            yield from (("role", record[1], record[at]) for at in _ENDPOINTS[kind])
            if len(_ENDPOINTS[kind]) == 2:
                yield ("edge", record[1], frozenset(record[at] for at in _ENDPOINTS[kind]))
        yield from (("coroutine", record[at]) for at in _COROUTINES.get(kind, ()))
        for name, table in (("effect", _EFFECTS), ("guard", _GUARDS)):
            if kind in table:
                yield (name, record[table[kind]])
        if kind in _COROUTINES:
            yield ("coroutine",)
        if kind in _PRINCIPALS:
            yield ("principal",)
        if kind in (Kind.OPEN, Kind.BUNDLE):
            yield from (("protocol",), ("bundle",))
        if kind in _ROUNDS or record[0] in _ENDPOINTS:
            yield ("round",) if kind in _ROUNDS else ("kind", kind)
        if kind in _INTRODUCES:
            yield (_INTRODUCES[kind],)
    except (IndexError, TypeError):
        return


def rows(data: bytes) -> list[Row]:
    """The records as far as they can be read."""
    found: list[Row] = []
    unpacker = msgpack.Unpacker(use_list=False, max_buffer_size=len(data) + 1)
    unpacker.feed(data[len(MAGIC) :])
    try:
        for one in unpacker:
            if not isinstance(one, tuple) or not one:
                break
            found.append(one)
    except (ValueError, msgpack.UnpackException, TypeError):
        return found
    return found


def located(before: Sequence[Row], data: bytes, changed: int, found: int | None) -> bool:
    """`before` are the records of the artifact, `data` what was made of it."""
    if found is None or found < changed:
        return False
    if found in (changed, changed + 1):
        return True
    after = rows(data)
    about: set[Subject] = set()
    for records in (before, after):
        if changed < len(records):
            about |= set(subjects(records[changed]))
    return found in _dependents(after, changed, about)


def _dependents(after: Sequence[Row], changed: int, about: set[Subject]) -> set[int]:
    found: set[int] = set()
    wanted, sealed = set(about), set[Any]()
    for number in range(changed + 1, len(after)):
        record = after[number]
        mine = set(_hashable(subjects(record))) & wanted
        if mine:
            found.add(number)
            wanted -= mine
        if record[0] == Kind.SEAL and len(record) > 1 and record[1] not in sealed:
            sealed.add(record[1])
            found.add(number)
        if record[0] == Kind.END:
            found.add(number)
    return found | {len(after)} if not sealed else found


def _hashable(found: Iterator[Subject]) -> Iterator[Subject]:
    for one in found:
        try:
            hash(one)
        except TypeError:
            continue
        yield one
