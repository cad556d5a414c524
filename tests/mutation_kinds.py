"""Single changes of an artifact, each with the record that was changed.

A change is made from a number alone, so that a campaign can go on where it stopped. What is not
repaired is caught by a hash; so the other families repair: all unkeyed hashes, or everything that
one of the principals signs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, NamedTuple

import msgpack
from blake3 import blake3

from artifact_surgery import Record, Sample, parse, reseal, sign_all, with_field
from mutation_corpus import TOGETHER, Retell, Together, artifact
from mutation_location import rows
from replay_forgery import reroot
from troth.conformance.redaction import redacted_record
from troth.vm.errors import TrothError
from troth.vm.keys import KeyPair
from troth.vm.records import MAGIC, Kind

UNREADABLE: Final = (TrothError, LookupError, TypeError, ValueError, AttributeError)
"""What trips over records that make no sense."""
OWN_WORD: Final = frozenset({Kind.INCARNATION, Kind.SEAL, Kind.END, Kind.PRINCIPAL})
"""What a principal may say as it likes in its own log: when it resumed, where its seals stand."""
TOLD: Final = frozenset({Kind.SEND, Kind.NOTICE, Kind.CANCEL})
PAYLOADS: Final = frozenset({Kind.SEND, Kind.ARRIVE})
REPORTED: Final = {Kind.TIMER: 3, Kind.ASK_END: 2, Kind.PEER: 1, Kind.TROUBLE: 5}
"""The field in which whoever keeps the machine's log reports what only it knows: what time it was,
and how it calls somebody else."""
HEARD: Final = frozenset({Kind.TIME, Kind.REFUSE, Kind.PEER_RECEIPT, Kind.PEER_HEAD})
"""What it need not tell at all, where nothing comes of it, nor when it heard that."""
HEARD_AT_SOME_TIME: Final = frozenset({Kind.PEER_NOTICE})
"""What it has to tell; but which of several it heard first, nobody else knows."""
HEADER_OWN_WORD: Final = (7, 11)
"""Fields of HEADER that are the recorder's own word: the runner and the time."""


class Change(NamedTuple):
    """A changed artifact: its family, the first record that differs, and what was done."""

    family: str
    record: int
    said: str
    data: bytes


class Target(NamedTuple):
    """An artifact that is changed, taken apart once."""

    name: str
    sample: Sample
    records: tuple[Record, ...]
    pieces: tuple[bytes, ...]
    offsets: tuple[int, ...]
    other: tuple[Record, ...]
    """The records of another run of the same program."""
    together: Together | None = None
    """When it is judged beside other records of the session."""


def target(name: str, other: str) -> Target:
    sample = artifact(name)
    records = tuple(parse(sample.data))
    pieces = tuple(msgpack.packb(record) for record in records)
    offsets, at = [], len(MAGIC)
    for piece in pieces:
        offsets.append(at)
        at += len(piece)
    second = tuple(parse(artifact(other).data))
    together = TOGETHER.get(name)
    return Target(name, sample, records, pieces, tuple(offsets), second, together)


def change(target: Target, number: int) -> Change | None:
    """The change with this number; None when it turns out to be none."""
    random = Random(f"{target.name} {number}")
    if target.together is not None and target.together.retell is not None and number % 4 == 0:
        return _retold(target, target.together, target.together.retell, random)
    family = random.choices(list(FAMILIES), weights=[w for w, _ in FAMILIES.values()])[0]
    made = FAMILIES[family][1](target, random)
    if made is None:
        return None
    place, said, data = made
    if data == target.sample.data or _is_redaction(target, data):
        return None
    return Change(family, place, said, data)


def _retold(target: Target, together: Together, retell: Retell, random: Random) -> Change | None:
    """The record of another run of the same session, with the inputs of another story."""
    data = retell(random)[together.place]
    before, after = _told(target.records), _told(parse(data))
    pairs = zip(before, after, strict=False)
    differs = next((one[0] for one, other in pairs if one[1] != other[1]), None)
    if differs is None:
        return None
    return Change("other story", differs, "the same session, told otherwise", data)


def _told(records: Sequence[Record]) -> list[tuple[int, Record]]:
    """What other parties get to know of: the rest is a machine's own word."""
    return [(i, one) for i, one in enumerate(records) if one[0] in TOLD]


def _is_redaction(target: Target, data: bytes) -> bool:
    """Whether payloads were taken out or put back and nothing else was done: what `redact` does."""
    if not any(record[0] in PAYLOADS for record in target.records):
        return False
    after = rows(data)
    if len(after) != len(target.records) or data != _joined(after):
        return False
    return [_bare(record) for record in after] == [_bare(record) for record in target.records]


def _bare(record: Record) -> bytes:
    whole = len(record) > 9 and isinstance(record[8], bytes) and isinstance(record[9], bytes)
    if whole and isinstance(record[0], int) and record[0] in PAYLOADS:
        return redacted_record(record)
    packed: bytes = msgpack.packb(record)
    return packed


Made = tuple[int, str, bytes] | None


def _record_at(target: Target, offset: int) -> int:
    return max((i for i, at in enumerate(target.offsets) if at <= offset), default=0)


def _flip(target: Target, random: Random) -> Made:
    at = random.randrange(len(target.sample.data))
    data = bytearray(target.sample.data)
    data[at] ^= 1 << random.randrange(8)
    return _record_at(target, at), f"a bit of byte {at}", bytes(data)


def _byte(target: Target, random: Random) -> Made:
    at = random.randrange(len(target.sample.data))
    data = bytearray(target.sample.data)
    data[at] = random.randrange(256)
    return _record_at(target, at), f"byte {at} is {data[at]}", bytes(data)


def _cut(target: Target, random: Random) -> Made:
    at = random.randrange(len(target.sample.data))
    return _record_at(target, at), f"cut at {at}", target.sample.data[:at]


def _insert(target: Target, random: Random) -> Made:
    at = random.randrange(len(target.sample.data) + 1)
    data = target.sample.data
    return (
        _record_at(target, at),
        f"a byte more at {at}",
        data[:at] + random.randbytes(1) + data[at:],
    )


def _order(target: Target, random: Random) -> tuple[int, str, list[Record]]:
    """Records dropped, repeated, moved or swapped."""
    records = list(target.records)
    i, j = random.randrange(len(records)), random.randrange(len(records))
    match random.randrange(4):
        case 0:
            del records[i]
            return i, f"record {i} dropped", records
        case 1:
            records.insert(j, records[i])
            return j, f"record {i} repeated at {j}", records
        case 2:
            records.insert(j, records.pop(i))
            return min(i, j), f"record {i} moved to {j}", records
        case _:
            records[i], records[j] = records[j], records[i]
            return min(i, j), f"records {i} and {j} swapped", records


def _field(target: Target, random: Random) -> tuple[int, str, list[Record]]:
    """One field of one record has another value that its kind may have."""
    records = list(target.records)
    i = random.randrange(len(records))
    field = random.randrange(1, max(2, len(records[i])))
    value = records[i][field] if field < len(records[i]) else None
    records[i] = with_field(records[i], field, _another(value, random, target, i, field))
    return i, f"field {field} of record {i}", records


def _another(value: Any, random: Random, target: Target, record: int, field: int) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice([value + 1, max(0, value - 1), 0, 1, 2, random.randrange(2**20)])
    if isinstance(value, bytes) and value:
        at = random.randrange(len(value))
        return value[:at] + bytes([value[at] ^ 1 << random.randrange(8)]) + value[at + 1 :]
    if isinstance(value, str):
        return random.choice([value + "x", value[:-1], "other"])
    if isinstance(value, list | tuple) and value:
        items = list(value)
        at = random.randrange(len(items))
        items[at] = _another(items[at], random, target, record, field)
        return items
    return _of_another(value, random, target, record, field)


def _of_another(value: Any, random: Random, target: Target, record: int, field: int) -> Any:
    """What another record of the same kind has in that field."""
    kind = target.records[record][0]
    values = [one[field] for one in target.records if one[0] == kind and len(one) > field]
    return random.choice([*values, b"" if value is None else None])


def _splice(target: Target, random: Random) -> tuple[int, str, list[Record]]:
    """A record, or all of a session's, or the rest of the file, from another run."""
    records, other = list(target.records), target.other
    i = random.randrange(1, min(len(records), len(other)))
    match random.randrange(3):
        case 0:
            records[i] = other[i]
            return i, f"record {i} of another run", records
        case 1:
            return i, f"from record {i} on another run", [*records[:i], *other[i:]]
        case _:
            j = random.randrange(i, min(len(records), len(other)))
            mixed = [*records[:i], *other[i : j + 1], *records[j + 1 :]]
            return i, f"records {i} to {j} of another run", mixed


def _laxer(target: Target, random: Random) -> tuple[int, str, list[Record]]:
    """Another protocol in the image, and the ids that follow from it."""
    records = list(target.records)
    if len(records) < 2 or records[1][0] != Kind.IMAGE:
        return _field(target, random)
    image = msgpack.unpackb(records[1][1], use_list=True, strict_map_key=False)
    if not image[1]:
        return _field(target, random)
    protocol = random.choice(image[1])
    old = _protocol_id(protocol)
    said = _loosen(protocol, random)
    data = msgpack.packb(image)
    records[1] = with_field(records[1], 1, data)
    records[0] = with_field(records[0], 2, _derived("image id", data))
    for i, record in enumerate(records):
        if record[0] == Kind.PROTOCOL and record[1] == old:
            records[i] = with_field(record, 1, _protocol_id(protocol))
    return 0, f"a laxer protocol: {said}", records


def _loosen(protocol: Any, random: Random) -> str:
    """One more label, one type for another, or settings that are free again."""
    states = random.choice(protocol[2])[0]
    state = random.choice(states)
    match random.randrange(3):
        case 0 if state[2]:
            state[2].append(["zzz", [], random.randrange(len(states))])
            return "one more label"
        case 1 if state[2]:
            state[2][0][1] = [["n", 4]]
            return "another payload"
        case _ if state[2]:
            state[2][0][2] = random.randrange(len(states))
            return "another way on"
    protocol[0] += "x"
    return "another name"


def _protocol_id(protocol: Any) -> bytes:
    return _derived("protocol id", msgpack.packb(protocol))


def _derived(context: str, data: bytes) -> bytes:
    return blake3(data, derive_key_context=f"troth/v1 {context}").digest()


def _long(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if len(record) > 5]


def _own(record: Record, taken: set[tuple[Any, ...]], *, keeps: bool) -> Record:
    """Without what its principal may say as it likes."""
    field = REPORTED.get(record[0])
    if field is not None and (keeps or record[0] == Kind.TIMER):
        return with_field(record, field, None)
    return _own_salt(record, taken)


def _own_salt(record: Record, taken: set[tuple[Any, ...]]) -> Record:
    """A message that nobody received is hidden by its sender's salt, which is whatever it says."""
    if record[0] != Kind.SEND or len(record) < 12:
        return record
    place = (*record[1:4], *record[6:8])
    if any(isinstance(item, list | dict) for item in place) or place in taken:
        return record
    return (*record[:8], None, record[9], None, *record[11:])


# --- repairs -------------------------------------------------------------------------------

Altered = Callable[[Target, Random], tuple[int, str, list[Record]]]


def _joined(records: Sequence[Record]) -> bytes:
    return MAGIC + b"".join(msgpack.packb(record) for record in records)


def _plain(alter: Altered) -> Callable[[Target, Random], Made]:
    def made(target: Target, random: Random) -> Made:
        place, said, records = alter(target, random)
        return place, said, _joined(records)

    return made


def _rehashed(alter: Altered) -> Callable[[Target, Random], Made]:
    """Everything that needs no key is made right: consumption roots, counts, log roots."""

    def made(target: Target, random: Random) -> Made:
        place, said, records = alter(target, random)
        return place, f"{said}; hashes recomputed", repaired(records, [])

    return made


def _resealed(alter: Altered) -> Callable[[Target, Random], Made]:
    """Besides, one of the principals signs again all that it has signed."""

    def made(target: Target, random: Random) -> Made:
        place, said, records = alter(target, random)
        signers = [one for one in target.records if one[0] == Kind.PRINCIPAL]
        if len(signers) < 2:
            return None
        key = random.choice(signers)[2]
        if _is_own_word(target, records, keeps=key == signers[0][2]):
            return None
        pairs = [pair for pair in target.sample.keys.values() if pair.public_key == key]
        if not pairs:
            return None
        return place, f"{said}; resealed by {pairs[0].name}", repaired(records, pairs)

    return made


def _is_own_word(target: Target, records: Sequence[Record], *, keeps: bool) -> bool:
    """Whether the change is one that a principal may make in its own log.

    `keeps` says that the principal's log has what belongs to the machine.
    """
    taken = {(s, a, b, g, n) for k, s, b, a, g, n, *_ in _long(target.records) if k == Kind.RECEIVE}
    free = OWN_WORD | HEARD if keeps else OWN_WORD
    if keeps and _heard(target.records) == _heard(records):
        free |= HEARD_AT_SOME_TIME
    before = [_own(r, taken, keeps=keeps) for r in target.records if r[0] not in free]
    after = [_own(r, taken, keeps=keeps) for r in records if r[0] not in free]
    if not before or not after:
        return False

    def bare(header: Record) -> list[Any]:
        return [v for i, v in enumerate(header) if i not in HEADER_OWN_WORD]

    return bare(before[0]) == bare(after[0]) and list(before[1:]) == list(after[1:])


def _heard(records: Sequence[Record]) -> list[bytes]:
    return sorted(msgpack.packb(one) for one in records if one[0] in HEARD_AT_SOME_TIME)


def repaired(records: Sequence[Record], pairs: Sequence[KeyPair]) -> bytes:
    """As far as the records can be understood; what cannot be is left as it is."""
    try:
        fixed = reroot(records)
    except (*UNREADABLE, StopIteration, AssertionError):
        fixed = list(records)
    try:
        signed = [
            after if before[-1] else before
            for before, after in zip(fixed, sign_all(fixed, pairs), strict=True)
        ]
        return reseal(signed, pairs)
    except UNREADABLE:
        return _joined(fixed)


FAMILIES: Final[dict[str, tuple[int, Callable[[Target, Random], Made]]]] = {
    "bit": (20, _flip),
    "byte": (10, _byte),
    "cut": (8, _cut),
    "insert": (4, _insert),
    "order": (16, _plain(_order)),
    "field": (20, _plain(_field)),
    "splice": (6, _plain(_splice)),
    "laxer": (2, _plain(_laxer)),
    "rehashed order": (2, _rehashed(_order)),
    "rehashed field": (3, _rehashed(_field)),
    "rehashed laxer": (1, _rehashed(_laxer)),
    "resealed order": (2, _resealed(_order)),
    "resealed field": (4, _resealed(_field)),
    "resealed splice": (1, _resealed(_splice)),
    "resealed laxer": (1, _resealed(_laxer)),
}
