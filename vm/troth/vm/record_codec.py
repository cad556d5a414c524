"""The shape of every record, as one literal table, and the check against it.

`records.Kind` says what the fields mean; `FIELDS` says exactly which values they may have.
A record that passes `validate` has the right number of fields, each of the right type and
within its bounds; whether an index names something that exists is a question for the reader of
the whole file (see `record_events`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import combinations
from typing import Any, Final, NamedTuple, TypeAlias

from troth.vm.errors import Malformed, Place
from troth.vm.events import Status
from troth.vm.instructions import BufferMode, PayloadForm, Policy, ReplayMode, Seal
from troth.vm.limits import GUARDS_MAX, NAME_BYTES_MAX, RECORD_BYTES_MAX
from troth.vm.records import Kind
from troth.vm.statements import (
    DIGEST_BYTES,
    NONCE_BYTES,
    PUBLIC_KEY_BYTES,
    SALT_BYTES,
    SIGNATURE_BYTES,
    StepKind,
)
from troth.vm.values import INT_MAX

Items: TypeAlias = tuple[Any, ...]
"""A decoded record. `Any`, because only the table, not a type checker, knows its shape."""

LIST_ITEMS_MAX: Final = 1 << 17
SEED_BYTES_MAX: Final = 64
ID_BYTES: Final = 16
PATH_BYTES_MAX: Final = 64 * DIGEST_BYTES
"""No log has more than 2^63 leaves."""


class Names(Enum):
    """What an index field counts into: names are given in the order of first appearance."""

    PRINCIPAL = "principal"
    PROTOCOL = "protocol"
    SESSION = "session"
    COROUTINE = "coroutine"
    ROLE = "role of the session's protocol"
    LABEL = "label of the session's protocol"


class Field(NamedTuple):
    """One field: `type` is exact (a bool is no int).

    `low` and `high` bound the value of an int, the bytes of a str or bytes, the items of a
    list. `choices` lists the only values allowed, `names` says what an index counts into.
    A list holds rows of `row`'s fields, or, when `row` has one field without a name, items of
    that field.
    """

    name: str
    type: type
    low: int
    high: int
    choices: tuple[str, ...] = ()
    names: Names | None = None
    row: tuple[Field, ...] = ()

    @property
    def described(self) -> str:
        """What is expected here, for messages."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.names is not None:
            return f"the index of a {self.names.value}"
        if self.type is bool:
            return "true or false"
        noun = {int: "an integer", str: "text", bytes: "bytes", tuple: "an array"}[self.type]
        unit = {int: "", str: " bytes", bytes: " bytes", tuple: " items"}[self.type]
        if self.low == self.high:
            return f"{noun} of exactly {self.low}{unit}"
        return f"{noun} of {self.low} to {self.high}{unit}"


def _count(name: str, low: int = 0, high: int = INT_MAX) -> Field:
    return Field(name, int, low, high)


def _index(name: str, names: Names) -> Field:
    return Field(name, int, 0, INT_MAX, names=names)


def _flag(name: str) -> Field:
    return Field(name, bool, 0, 1)


def _name(name: str, low: int = 1) -> Field:
    return Field(name, str, low, NAME_BYTES_MAX)


def _text(name: str) -> Field:
    return Field(name, str, 0, RECORD_BYTES_MAX)


def _choice(name: str, choices: Iterable[str]) -> Field:
    return Field(name, str, 0, NAME_BYTES_MAX, choices=tuple(choices))


def _bytes(name: str, low: int, high: int | None = None) -> Field:
    return Field(name, bytes, low, low if high is None else high)


def _list(name: str, *row: Field, high: int = LIST_ITEMS_MAX, low: int = 0) -> Field:
    return Field(name, tuple, low, high, row=row)


_SESSION: Final = _index("session", Names.SESSION)
_SENDER: Final = _index("sender", Names.ROLE)
_RECEIVER: Final = _index("receiver", Names.ROLE)
_ROLE: Final = _index("role", Names.ROLE)
_COROUTINE: Final = _index("coroutine", Names.COROUTINE)
_PRINCIPAL: Final = _index("principal", Names.PRINCIPAL)
_PROTOCOL: Final = _index("protocol", Names.PROTOCOL)
_PROGRAM: Final = _count("program")
_GUARD: Final = _count("guard", 0, GUARDS_MAX - 1)
_GENERATION: Final = _count("generation")
_SEQUENCE: Final = _count("sequence")
_ROUND: Final = _count("round")
_ROOT: Final = _bytes("root", DIGEST_BYTES)
_SIGNATURE: Final = _bytes("signature", SIGNATURE_BYTES)
_OWN_SIGNATURE: Final = _bytes("signature", 0, SIGNATURE_BYTES)
"""Of a statement: empty when the session is sealed by round, and for what the host does."""

EDGE_ROW: Final = (
    _SENDER,
    _RECEIVER,
    _choice("replay", ReplayMode),
    _choice("buffer", BufferMode),
    _count("capacity"),
    _choice("policy", Policy),
    _count("resize max"),
    _choice("payload", PayloadForm),
    _list("lossy", _name("")),
    _count("rotate"),
)
"""An `events.EdgeConfig` with its roles as indexes."""

CHILD_ROW: Final = (_name("name"), _PROTOCOL, _list("players", _count("")))

FIELDS: Final[dict[Kind, tuple[Field, ...]]] = {
    Kind.HEADER: (
        _count("version"),
        _bytes("image id", DIGEST_BYTES),
        _bytes("seed", 0, SEED_BYTES_MAX),
        _count("quantum", 1),
        _name("policy"),
        _list("limits", _count("", 1), low=1, high=64),
        _name("runner"),
        _choice("replay override", ReplayMode),
        _choice("seal override", Seal),
        _count("entry program"),
        _count("unix time anchor ns"),
        _list("home", _name(""), low=1),
        _list("observed", _name(""), low=1),
    ),
    Kind.IMAGE: (_bytes("image", 1, RECORD_BYTES_MAX),),
    Kind.PRINCIPAL: (_name("name", 0), _bytes("public key", PUBLIC_KEY_BYTES)),
    Kind.PROTOCOL: (
        _bytes("protocol id", DIGEST_BYTES),
        _name("name"),
        _list("roles", _name("")),
        _list("labels", _name("")),
    ),
    Kind.OPEN: (
        _bytes("session id", DIGEST_BYTES),
        _PROTOCOL,
        _list("principals", _index("", Names.PRINCIPAL)),
        _list("edges", *EDGE_ROW),
        _choice("seal", Seal),
        _count("linger ns"),
        _bytes("nonce", ID_BYTES),
        _COROUTINE,
        _list("observed", _index("", Names.ROLE)),
    ),
    Kind.BUNDLE: (
        *(_bytes("bundle id", DIGEST_BYTES), _name("name"), _list("roles", _name(""))),
        _list("principals", _index("", Names.PRINCIPAL)),
        *(_list("children", *CHILD_ROW), _bytes("nonce", ID_BYTES), _COROUTINE),
    ),
    Kind.SEND: (
        _SESSION,
        _SENDER,
        _RECEIVER,
        _count("step kind", min(StepKind), max(StepKind)),
        _index("label", Names.LABEL),
        _GENERATION,
        _SEQUENCE,
        _bytes("salt", SALT_BYTES),
        _bytes("payload", 0, RECORD_BYTES_MAX),
        _bytes("commitment", DIGEST_BYTES),
        _OWN_SIGNATURE,
    ),
    Kind.RECEIVE: (_SESSION, _RECEIVER, _SENDER, _GENERATION, _SEQUENCE, _ROOT),
    Kind.DELEGATE: (_SESSION, _ROLE, _index("new principal", Names.PRINCIPAL), _OWN_SIGNATURE),
    Kind.NOTICE: (
        _SESSION,
        _ROLE,
        _list("finals", _RECEIVER, _GENERATION, _count("count")),
        _OWN_SIGNATURE,
    ),
    Kind.RECEIPT: (
        _SESSION,
        _RECEIVER,
        _SENDER,
        _GENERATION,
        _count("consumed"),
        _count("discarded"),
        _ROOT,
        _OWN_SIGNATURE,
    ),
    Kind.ROTATE: (_SESSION, _SENDER, _RECEIVER, _GENERATION, _count("count"), _OWN_SIGNATURE),
    Kind.RETIRE: (_SESSION, _RECEIVER, _SENDER, _GENERATION, _ROOT),
    Kind.TIMER: (_SESSION, _ROLE, _count("now ns"), _ROUND),
    Kind.EXPIRE: (_SESSION, _ROLE),
    Kind.STATUS: (
        _SESSION,
        _count("status", min(Status), max(Status)),
        _count("epoch"),
        _text("detail"),
    ),
    Kind.UNDELIVERED: (_SESSION, _SENDER, _RECEIVER, _GENERATION, _SEQUENCE),
    Kind.OVERWRITE: (_SESSION, _SENDER, _RECEIVER, _GENERATION, _SEQUENCE),
    Kind.DROP: (_SESSION, _SENDER, _RECEIVER, _index("label", Names.LABEL)),
    Kind.REJECT: (_SESSION, _SENDER, _RECEIVER, _name("code"), _bytes("digest", DIGEST_BYTES)),
    Kind.CANCEL: (_SESSION, _ROLE, _text("reason"), _ROUND, _OWN_SIGNATURE),
    Kind.FAULT: (
        _COROUTINE,
        _name("code"),
        _text("message"),
        _name("program", 0),
        _count("pc"),
        _SESSION,
        _ROLE,
    ),
    Kind.SPAWN: (
        _index("parent", Names.COROUTINE),
        _PROGRAM,
        _bytes("coroutine id", ID_BYTES),
    ),
    Kind.TRANSFER: (
        _SESSION,
        _ROLE,
        _index("from", Names.COROUTINE),
        _index("to", Names.COROUTINE),
    ),
    Kind.HALT: (_COROUTINE,),
    Kind.PRINT: (_COROUTINE, _text("text")),
    Kind.INVOKE: (
        _COROUTINE,
        _count("effect"),
        _bytes("effect id", ID_BYTES),
        _bytes("arguments", 0, RECORD_BYTES_MAX),
    ),
    Kind.COMPLETE: (
        _bytes("effect id", ID_BYTES),
        _flag("failed"),
        _bytes("result", 0, RECORD_BYTES_MAX),
        _ROUND,
    ),
    Kind.TIME: (_count("now ns"), _ROUND),
    Kind.ACQUIRE: (_COROUTINE, _GUARD),
    Kind.RELEASE: (_COROUTINE, _GUARD),
    Kind.END: (_count("rounds"), _count("records"), _name("outcome")),
    Kind.PEER: (_name("name", 0), _bytes("public key", PUBLIC_KEY_BYTES)),
    Kind.MEET: (
        _COROUTINE,
        _list(
            "parties",
            _name("role"),
            _bytes("public key", PUBLIC_KEY_BYTES),
            _bytes("nonce", NONCE_BYTES),
        ),
        _ROUND,
    ),
    Kind.JOIN: (_SESSION, _ROLE, _SIGNATURE),
    Kind.FAIL: (_SESSION, _ROLE, _name("code"), _text("reason"), _SIGNATURE),
    Kind.ARRIVE: (
        _SESSION,
        _SENDER,
        _RECEIVER,
        _count("step kind", min(StepKind), max(StepKind)),
        _index("label", Names.LABEL),
        _GENERATION,
        _SEQUENCE,
        _bytes("salt", SALT_BYTES),
        _bytes("payload", 0, RECORD_BYTES_MAX),
        _bytes("commitment", DIGEST_BYTES),
        _OWN_SIGNATURE,
        _count("head size", 1),
        _count("number"),
        _count("leaf"),
        _bytes("path", 0, PATH_BYTES_MAX),
        _ROUND,
    ),
    Kind.REFUSE: (
        _SESSION,
        _SENDER,
        _RECEIVER,
        _name("code"),
        _bytes("digest", DIGEST_BYTES),
        _ROUND,
    ),
    Kind.PEER_HEAD: (
        _PRINCIPAL,
        _bytes("log id", DIGEST_BYTES),
        _count("log size", 1),
        _ROOT,
        _bytes("previous root", DIGEST_BYTES),
        _count("head's round"),
        _count("sessions open"),
        _count("sessions ended"),
        _flag("final"),
        _SIGNATURE,
        _ROUND,
    ),
    Kind.PEER_JOIN: (_SESSION, _ROLE, _SIGNATURE, _ROUND),
    Kind.PEER_NOTICE: (
        _SESSION,
        _ROLE,
        _list("finals", _RECEIVER, _GENERATION, _count("count")),
        _SIGNATURE,
        _ROUND,
    ),
    Kind.PEER_RECEIPT: (
        _SESSION,
        _RECEIVER,
        _SENDER,
        _GENERATION,
        _count("consumed"),
        _count("discarded"),
        _ROOT,
        _SIGNATURE,
        _ROUND,
    ),
    Kind.PEER_ROTATE: (
        _SESSION,
        _SENDER,
        _RECEIVER,
        _GENERATION,
        _count("count"),
        _SIGNATURE,
        _ROUND,
    ),
    Kind.PEER_CANCEL: (_SESSION, _ROLE, _text("reason"), _SIGNATURE, _ROUND),
    Kind.PEER_DELEGATE: (
        _SESSION,
        _ROLE,
        _index("new principal", Names.PRINCIPAL),
        _SIGNATURE,
        _ROUND,
    ),
    Kind.PEER_FAIL: (_SESSION, _ROLE, _name("code"), _text("reason"), _SIGNATURE, _ROUND),
    Kind.ASK_END: (_SESSION, _count("now ns"), _ROUND),
    Kind.SEAL: (
        _PRINCIPAL,
        _count("log size"),
        _ROOT,
        _bytes("previous root", DIGEST_BYTES),
        _ROUND,
        _count("sessions open"),
        _count("sessions ended"),
        _flag("final"),
        _SIGNATURE,
    ),
    Kind.INCARNATION: (_count("number", 1), _ROUND, _count("unix time anchor ns")),
}
"""The fields after the kind."""

_PROOF_FIELDS: Final = frozenset({"head size", "number", "leaf", "path"})

NIL_TOGETHER: Final[dict[Kind, tuple[frozenset[str], ...]]] = {
    Kind.HEADER: tuple(
        frozenset(names)
        for count in range(6)
        for names in combinations(
            ("replay override", "seal override", "entry program", "home", "observed"), count
        )
    ),
    Kind.SEND: (frozenset({"commitment"}), frozenset({"salt", "payload"})),
    Kind.ARRIVE: tuple(
        content | proof
        for content in (frozenset({"commitment"}), frozenset({"salt", "payload"}))
        for proof in (frozenset[str](), _PROOF_FIELDS)
    ),
    Kind.RECEIVE: (frozenset(), frozenset({"root"})),
    Kind.RECEIPT: (frozenset(), frozenset({"root"})),
    Kind.RETIRE: (frozenset(), frozenset({"root"})),
    Kind.PEER_RECEIPT: (frozenset(), frozenset({"root"})),
    Kind.CANCEL: (frozenset({"round"}), frozenset({"role"}), frozenset({"role", "round"})),
    Kind.FAULT: (frozenset(), frozenset({"session", "role"})),
    Kind.SPAWN: (frozenset(), frozenset({"parent"}), frozenset({"parent", "program"})),
}
"""Which fields may be nil, and which only together; no field of another kind may be."""


class _Checks(NamedTuple):
    """What is left to check when the types of a record's items are right."""

    integers: tuple[tuple[int, int, int], ...]
    bytestrings: tuple[tuple[int, int, int], ...]
    others: tuple[tuple[int, Field], ...]


def _checks(fields: tuple[Field, ...], nil: frozenset[str]) -> _Checks:
    numbered = [(i, f) for i, f in enumerate(fields, start=1) if f.name not in nil]
    return _Checks(
        tuple((i, f.low, f.high) for i, f in numbered if f.type is int),
        tuple((i, f.low, f.high) for i, f in numbered if f.type is bytes),
        tuple((i, f) for i, f in numbered if f.type in (str, tuple)),
    )


def _variants(kind: Kind) -> dict[tuple[type, ...], _Checks]:
    found = {}
    for nil in NIL_TOGETHER.get(kind, (frozenset(),)):
        types = tuple(type(None) if f.name in nil else f.type for f in FIELDS[kind])
        found[int, *types] = _checks(FIELDS[kind], nil)
    return found


_VARIANTS: Final = {int(kind): _variants(kind) for kind in Kind}
"""By kind, then by the types of all items: one look-up checks them together."""


def validate(items: Items, record: int, offset: int) -> None:
    """Checks a decoded record against the table; `record` and `offset` are for messages.

    Raises:
        Malformed: `artifact.record` for an unknown kind, else `structure.shape`.
    """
    variants = _VARIANTS.get(items[0]) if items and type(items[0]) is int else None
    if variants is None:
        raise _unknown_kind(items, record, offset)
    checks = variants.get(tuple(map(type, items)))
    if checks is None:
        raise _misfit(items, record, offset)
    # Every record of a file passes here: no attribute look-ups, no calls that can be spared.
    integers, sizes, others = checks
    for i, low, high in integers:
        if not low <= items[i] <= high:
            raise _misfit(items, record, offset)
    for i, low, high in sizes:
        if not low <= len(items[i]) <= high:
            raise _misfit(items, record, offset)
    for i, field in others:
        if not fits(field, items[i]):
            raise _misfit(items, record, offset)


def fit_together(records: Iterable[Items]) -> bool:
    """Whether `validate` lets all of the records pass; asks whole columns and not single items."""
    kinds: dict[int, list[Items]] = {}
    for items in records:
        if not items or type(items[0]) is not int:
            return False
        kinds.setdefault(items[0], []).append(items)
    return all(kind in _VARIANTS and _rows_fit(kind, rows) for kind, rows in kinds.items())


def _rows_fit(kind: int, rows: list[Items]) -> bool:
    variants = _VARIANTS[kind]
    try:
        columns = list(zip(*rows, strict=True))
    except ValueError:
        return False
    types = [set(map(type, column)) for column in columns]
    if all(len(found) == 1 for found in types):
        return _columns_fit(columns, variants.get(tuple(found.pop() for found in types)))
    by_types: dict[tuple[type, ...], list[Items]] = {}
    for items in rows:
        by_types.setdefault(tuple(map(type, items)), []).append(items)
    return all(
        _columns_fit(list(zip(*alike, strict=True)), variants.get(types_found))
        for types_found, alike in by_types.items()
    )


def _columns_fit(columns: Sequence[Items], checks: _Checks | None) -> bool:
    if checks is None:
        return False
    return (
        all(low <= min(columns[i]) and max(columns[i]) <= high for i, low, high in checks.integers)
        and all(_sizes_fit(columns[i], low, high) for i, low, high in checks.bytestrings)
        and all(fits(field, item) for i, field in checks.others for item in columns[i])
    )


def _sizes_fit(column: Items, low: int, high: int) -> bool:
    sizes = set(map(len, column))
    return low <= min(sizes) and max(sizes) <= high


def fits(field: Field, value: Any) -> bool:
    """Whether a decoded value has the type of a field and is within its bounds."""
    kind = type(value)
    if kind is not field.type:
        return False
    if field.choices:
        return value in field.choices
    if field.type is int:
        return bool(field.low <= value <= field.high)
    if field.type is bool:
        return True
    if field.type is str:
        # No character takes more than four bytes, so most texts need no encoding here.
        longest = field.high >= 4 * len(value) or field.high >= len(value.encode())
        return longest and len(value) >= min(field.low, 1)
    if not field.low <= len(value) <= field.high:
        return False
    return field.type is not tuple or all(_row_fits(field.row, item) for item in value)


def _row_fits(row: tuple[Field, ...], item: Any) -> bool:
    if len(row) == 1 and not row[0].name:
        return fits(row[0], item)
    if type(item) is not tuple or len(item) != len(row):
        return False
    return all(fits(field, value) for field, value in zip(row, item, strict=True))


def _unknown_kind(items: Items, record: int, offset: int) -> Malformed:
    return Malformed(
        "artifact.record",
        "this record is of no known kind",
        place=Place(offset=offset, record=record),
        expected=f"a kind from 0 to {max(Kind)}",
        actual=_found(items[0]) if items else "an empty array",
        advice="The file was damaged or changed here; get another copy",
    )


def _misfit(items: Items, record: int, offset: int) -> Malformed:
    """Names the first field that does not fit: only called when one is known not to."""
    kind = Kind(items[0])
    fields = FIELDS[kind]
    place = Place(offset=offset, record=record)
    name, expected, actual = "", "", ""
    if len(items) != len(fields) + 1:
        name, expected, actual = "all", f"{len(fields)}", f"{len(items) - 1} fields"
    else:
        name, expected, actual = _first_misfit(kind, items)
    return Malformed(
        "structure.shape",
        f"a {kind.name} record has a wrong shape, field: {name}",
        place=place,
        expected=expected,
        actual=actual,
        advice="The file was damaged or changed here; get another copy",
    )


def _first_misfit(kind: Kind, items: Items) -> tuple[str, str, str]:
    nil_sets = NIL_TOGETHER.get(kind, (frozenset[str](),))
    may_be_nil = frozenset[str]().union(*nil_sets)
    for field, value in zip(FIELDS[kind], items[1:], strict=True):
        if value is None and field.name in may_be_nil:
            continue
        if not fits(field, value):
            if field.row and type(value) is tuple:
                return field.name, "an array of items of its shape", "another item"
            return field.name, field.described, _found(value)
    sets = " or ".join("{" + ", ".join(sorted(names)) + "}" for names in nil_sets)
    nil = [f.name for f, v in zip(FIELDS[kind], items[1:], strict=True) if v is None]
    return "all", f"nil fields {sets}", "nil fields {" + ", ".join(nil) + "}"


def _found(value: object) -> str:
    """A short, safe description: the value itself may be hostile and long."""
    match value:
        case None:
            return "nil"
        case bool():
            return str(value).lower()
        case int():
            return f"the integer {value}"
        case float():
            return "a float"
        case str():
            return f"text of {len(value)} characters"
        case bytes():
            return f"{len(value)} bytes"
        case tuple():
            return f"an array of {len(value)} items"
    return "a value of another type"
