"""The kinds of records and their fields, one table. To add a kind is to add a row.

The page: "The records". A field's rule is a function from its value to whether it may be that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from second_verifier.second_wire import RECORD_BYTES_MAX, Item, Record, Refused

INT_MAX: Final = 2**63 - 1

Rule = Callable[[Item], bool]
Fields = dict[str, Item]


def integer(low: int = 0, high: int = INT_MAX) -> Rule:
    return lambda value: type(value) is int and low <= value <= high


def octets(low: int, high: int | None = None) -> Rule:
    top = low if high is None else high
    return lambda value: isinstance(value, bytes) and low <= len(value) <= top


def text(low: int = 1, high: int = 255) -> Rule:
    return lambda value: isinstance(value, str) and low <= len(value.encode()) <= high


def one_of(*words: str) -> Rule:
    return lambda value: isinstance(value, str) and value in words


def or_nil(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value)


def array(rule: Rule) -> Rule:
    return lambda value: isinstance(value, list) and all(rule(item) for item in value)


def row(*rules: Rule) -> Rule:
    return lambda value: (
        isinstance(value, list)
        and len(value) == len(rules)
        and all(rule(item) for rule, item in zip(rules, value, strict=True))
    )


def boolean(value: Item) -> bool:
    return isinstance(value, bool)


NUMBER: Final = integer()
POSITIVE: Final = integer(1)
INDEX: Final = integer()
NAME: Final = text()
REPLAYED: Final = ("duplicate", "generation", "sequence")
ARRIVAL_FAULTS: Final = (
    *(f"vm.fault.{word}" for word in ("label", "limit", "verification")),
    *(f"vm.fault.replay.{word}" for word in REPLAYED),
)
REJECTS: Final = one_of("vm.fault.type", *ARRIVAL_FAULTS)
REFUSALS: Final = one_of("vm.fault.buffer", *ARRIVAL_FAULTS)
FAULT_WORDS: Final = (
    "acquire arithmetic buffer channel close crash credits elsewhere fail index invoke key label "
    "limit open pc register speculation transfer type verification"
)
FAULTS: Final = (
    *(f"vm.fault.{word}" for word in FAULT_WORDS.split()),
    *(f"vm.fault.replay.{word}" for word in REPLAYED),
)
FAILURES: Final = one_of("cancelled", *FAULTS)
PLAIN: Final = text(0, RECORD_BYTES_MAX)
BULK: Final = octets(0, RECORD_BYTES_MAX)
HASH: Final = octets(32)
NONCE: Final = octets(16)
SIGNATURE: Final = octets(64)
SIGNATURE_OR_EMPTY: Final = octets(0, 64)
REPLAY: Final = one_of("off", "sequence", "nullifier")
SEAL_MODE: Final = one_of("message", "round")
EDGE_ROW: Final = row(
    INDEX,
    INDEX,
    REPLAY,
    one_of("fifo", "latest"),
    NUMBER,
    one_of("block", "drop", "error", "resize"),
    NUMBER,
    one_of("inline", "digest"),
    array(NAME),
    NUMBER,
)
FINALS: Final = array(row(INDEX, NUMBER, NUMBER))


class Kind(NamedTuple):
    """The name of a kind, and its fields behind the kind itself."""

    name: str
    fields: Mapping[str, Rule]


_MESSAGE: Final[Mapping[str, Rule]] = {
    "session": INDEX,
    "sender": INDEX,
    "receiver": INDEX,
    "step_kind": integer(0, 1),
    "label": INDEX,
    "generation": NUMBER,
    "sequence": NUMBER,
    "salt": or_nil(NONCE),
    "payload": or_nil(BULK),
    "commitment": or_nil(HASH),
    "signature": SIGNATURE_OR_EMPTY,
}
_ENDPOINT: Final[Mapping[str, Rule]] = {"session": INDEX, "role": INDEX}
_EDGE: Final[Mapping[str, Rule]] = {"session": INDEX, "sender": INDEX, "receiver": INDEX}
_RECEIPT: Final[Mapping[str, Rule]] = {
    "session": INDEX,
    "receiver": INDEX,
    "sender": INDEX,
    "generation": NUMBER,
    "consumed": NUMBER,
    "reliable": NUMBER,
    "discarded": NUMBER,
    "root": or_nil(HASH),
}
_HEAD: Final[Mapping[str, Rule]] = {
    "root": HASH,
    "previous_root": HASH,
    "head_round": NUMBER,
    "sessions_open": NUMBER,
    "sessions_ended": NUMBER,
    "final": boolean,
    "signature": SIGNATURE,
}
_SIGNED: Final[Mapping[str, Rule]] = {"signature": SIGNATURE}
_SIGNED_OR_EMPTY: Final[Mapping[str, Rule]] = {"signature": SIGNATURE_OR_EMPTY}
_INPUT: Final[Mapping[str, Rule]] = {"round": NUMBER}

KINDS: Final[Mapping[int, Kind]] = {
    0: Kind(
        "HEADER",
        {
            "version": NUMBER,
            "image_id": HASH,
            "seed": octets(0, 64),
            "quantum": POSITIVE,
            "policy": NAME,
            "limits": array(POSITIVE),
            "runner": NAME,
            "replay_override": or_nil(REPLAY),
            "seal_override": or_nil(SEAL_MODE),
            "entry": or_nil(NUMBER),
            "anchor": NUMBER,
            "home": or_nil(array(NAME)),
            "observed": or_nil(array(NAME)),
        },
    ),
    1: Kind("IMAGE", {"image": octets(1, RECORD_BYTES_MAX)}),
    2: Kind("PRINCIPAL", {"name": text(0), "public_key": HASH}),
    3: Kind(
        "PROTOCOL",
        {"protocol_id": HASH, "name": NAME, "roles": array(NAME), "labels": array(NAME)},
    ),
    4: Kind(
        "OPEN",
        {
            "session_id": HASH,
            "protocol": INDEX,
            "principals": array(INDEX),
            "edges": array(EDGE_ROW),
            "seal": SEAL_MODE,
            "linger": NUMBER,
            "nonce": NONCE,
            "coroutine": INDEX,
            "observed": array(INDEX),
        },
    ),
    5: Kind("SEND", _MESSAGE),
    6: Kind(
        "RECEIVE",
        {
            "session": INDEX,
            "receiver": INDEX,
            "sender": INDEX,
            "generation": NUMBER,
            "sequence": NUMBER,
            "root": or_nil(HASH),
        },
    ),
    7: Kind("DELEGATE", {**_ENDPOINT, "new_principal": INDEX, **_SIGNED_OR_EMPTY}),
    8: Kind("NOTICE", {**_ENDPOINT, "finals": FINALS, **_SIGNED_OR_EMPTY}),
    9: Kind("RECEIPT", {**_RECEIPT, **_SIGNED_OR_EMPTY}),
    10: Kind(
        "STATUS", {"session": INDEX, "status": integer(0, 4), "epoch": NUMBER, "detail": PLAIN}
    ),
    11: Kind(
        "UNDELIVERED",
        {
            "session": INDEX,
            "sender": INDEX,
            "receiver": INDEX,
            "generation": NUMBER,
            "sequence": NUMBER,
        },
    ),
    12: Kind(
        "REJECT",
        {"session": INDEX, "sender": INDEX, "receiver": INDEX, "code": REJECTS, "digest": HASH},
    ),
    13: Kind(
        "CANCEL",
        {
            "session": INDEX,
            "role": or_nil(INDEX),
            "reason": PLAIN,
            "round": or_nil(NUMBER),
            **_SIGNED_OR_EMPTY,
        },
    ),
    14: Kind(
        "FAULT",
        {
            "coroutine": INDEX,
            "code": one_of(*FAULTS),
            "message": PLAIN,
            "program": text(0),
            "pc": NUMBER,
            "session": or_nil(INDEX),
            "role": or_nil(INDEX),
        },
    ),
    15: Kind("SPAWN", {"parent": or_nil(INDEX), "program": or_nil(NUMBER), "coroutine_id": NONCE}),
    16: Kind("TRANSFER", {**_ENDPOINT, "from": INDEX, "to": INDEX}),
    17: Kind("HALT", {"coroutine": INDEX}),
    18: Kind("PRINT", {"coroutine": INDEX, "text": PLAIN}),
    19: Kind(
        "INVOKE", {"coroutine": INDEX, "effect": NUMBER, "effect_id": NONCE, "arguments": BULK}
    ),
    20: Kind("COMPLETE", {"effect_id": NONCE, "failed": boolean, "result": BULK, **_INPUT}),
    21: Kind("TIME", {"now": NUMBER, **_INPUT}),
    22: Kind("END", {"rounds": NUMBER, "records": NUMBER, "outcome": NAME}),
    23: Kind("SEAL", {"principal": INDEX, "size": NUMBER, **_HEAD}),
    24: Kind("ACQUIRE", {"coroutine": INDEX, "guard": integer(0, 9999)}),
    25: Kind("RELEASE", {"coroutine": INDEX, "guard": integer(0, 9999)}),
    26: Kind("INCARNATION", {"number": POSITIVE, "round": NUMBER, "anchor": NUMBER}),
    27: Kind("PEER", {"name": text(0), "public_key": HASH}),
    28: Kind("MEET", {"coroutine": INDEX, "parties": array(row(NAME, HASH, NONCE)), **_INPUT}),
    29: Kind("JOIN", {**_ENDPOINT, **_SIGNED}),
    30: Kind("FAIL", {**_ENDPOINT, "code": FAILURES, "reason": PLAIN, **_SIGNED}),
    31: Kind(
        "ARRIVE",
        {
            **_MESSAGE,
            "head_size": or_nil(POSITIVE),
            "number": or_nil(NUMBER),
            "leaf": or_nil(NUMBER),
            "path": or_nil(octets(0, 2048)),
            **_INPUT,
        },
    ),
    32: Kind(
        "REFUSE",
        {
            "session": INDEX,
            "sender": INDEX,
            "receiver": INDEX,
            "code": REFUSALS,
            "digest": HASH,
            **_INPUT,
        },
    ),
    33: Kind(
        "PEER_HEAD",
        {"principal": INDEX, "log_id": HASH, "size": POSITIVE, **_HEAD, **_INPUT},
    ),
    34: Kind("PEER_JOIN", {**_ENDPOINT, **_SIGNED, **_INPUT}),
    35: Kind("PEER_NOTICE", {**_ENDPOINT, "finals": FINALS, **_SIGNED, **_INPUT}),
    36: Kind("PEER_RECEIPT", {**_RECEIPT, **_SIGNED, **_INPUT}),
    37: Kind("PEER_CANCEL", {**_ENDPOINT, "reason": PLAIN, **_SIGNED, **_INPUT}),
    38: Kind("PEER_FAIL", {**_ENDPOINT, "code": FAILURES, "reason": PLAIN, **_SIGNED, **_INPUT}),
    39: Kind("PEER_DELEGATE", {**_ENDPOINT, "new_principal": INDEX, **_SIGNED, **_INPUT}),
    40: Kind("OVERWRITE", {**_EDGE, "generation": NUMBER, "sequence": NUMBER}),
    41: Kind("DROP", {**_EDGE, "label": INDEX}),
    43: Kind("ROTATE", {**_EDGE, "generation": NUMBER, "count": NUMBER, **_SIGNED_OR_EMPTY}),
    44: Kind(
        "RETIRE",
        {
            "session": INDEX,
            "receiver": INDEX,
            "sender": INDEX,
            "generation": NUMBER,
            "root": or_nil(HASH),
        },
    ),
    45: Kind("PEER_ROTATE", {**_EDGE, "generation": NUMBER, "count": NUMBER, **_SIGNED, **_INPUT}),
    46: Kind(
        "BUNDLE",
        {
            "bundle_id": HASH,
            "name": NAME,
            "roles": array(NAME),
            "principals": array(INDEX),
            "sessions": array(row(NAME, INDEX, array(INDEX))),
            "nonce": NONCE,
            "coroutine": INDEX,
        },
    ),
    48: Kind("TIMER", {**_ENDPOINT, "now": NUMBER, **_INPUT}),
    49: Kind("EXPIRE", {**_ENDPOINT, "coroutine": INDEX}),
    50: Kind(
        "TROUBLE",
        {
            "session": INDEX,
            "trouble": integer(0, 4),
            "role": INDEX,
            "peer": or_nil(INDEX),
            "until": or_nil(NUMBER),
            **_INPUT,
        },
    ),
    51: Kind("DEPART", _ENDPOINT),
    52: Kind("DETECT", {"session": INDEX, "receiver": INDEX, "sender": INDEX}),
    42: Kind("ASK_END", {"session": INDEX, "now": NUMBER, **_INPUT}),
}


def shaped(record: Record) -> tuple[str, Fields]:
    """The kind's name and the fields by name."""
    number = record.items[0]
    if type(number) is not int or number not in KINDS:
        raise Refused("a record of no known kind")
    kind, values = KINDS[number], record.items[1:]
    if len(values) != len(kind.fields):
        raise Refused(f"{kind.name} has {len(kind.fields)} fields")
    for (name, rule), value in zip(kind.fields.items(), values, strict=True):
        if not rule(value):
            raise Refused(f"{kind.name}: the field {name} is not what its kind has there")
    return kind.name, dict(zip(kind.fields, values, strict=True))
