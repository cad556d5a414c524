"""What every record is made of, as one literal table.

`records.Kind` says what the fields mean; `FIELDS` says exactly which values they may have, and
`record_codec` checks records against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from itertools import combinations
from typing import Final, NamedTuple

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
from troth.vm.trouble_kind import Trouble
from troth.vm.values import INT_MAX

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
        _count("reliable"),
        _count("discarded"),
        _ROOT,
        _OWN_SIGNATURE,
    ),
    Kind.ROTATE: (_SESSION, _SENDER, _RECEIVER, _GENERATION, _count("count"), _OWN_SIGNATURE),
    Kind.RETIRE: (_SESSION, _RECEIVER, _SENDER, _GENERATION, _ROOT),
    Kind.TIMER: (_SESSION, _ROLE, _count("now ns"), _ROUND),
    Kind.EXPIRE: (_SESSION, _ROLE, _COROUTINE),
    Kind.DEPART: (_SESSION, _ROLE),
    Kind.DETECT: (_SESSION, _RECEIVER, _SENDER),
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
        _count("reliable"),
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
    Kind.TROUBLE: (
        _SESSION,
        _count("trouble", min(Trouble), max(Trouble)),
        _ROLE,
        _index("peer", Names.ROLE),
        _count("until ns"),
        _ROUND,
    ),
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
    Kind.TROUBLE: (
        frozenset({"peer", "until ns"}),
        frozenset({"until ns"}),
        frozenset({"peer"}),
    ),
    Kind.SPAWN: (frozenset(), frozenset({"parent"}), frozenset({"parent", "program"})),
}
"""Which fields may be nil, and which only together; no field of another kind may be."""
