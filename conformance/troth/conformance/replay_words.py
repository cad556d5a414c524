"""How level 5 says what it found: a record in words, and where in the run it belongs.

The text is raw: whoever shows it escapes it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgpack

from troth.conformance.describe import describe
from troth.conformance.world import World
from troth.vm.reader import RawRecord
from troth.vm.record_codec import FIELDS, Items
from troth.vm.records import PEER_INPUTS, Kind

SHOWN_CHARACTERS_MAX: Final = 200
_VALUES: Final = frozenset({"payload", "arguments", "result"})
_OF_SESSION: Final = frozenset(
    {
        Kind.SEND,
        Kind.RECEIVE,
        Kind.DELEGATE,
        Kind.NOTICE,
        Kind.RECEIPT,
        Kind.STATUS,
        Kind.UNDELIVERED,
        Kind.OVERWRITE,
        Kind.DROP,
        Kind.ROTATE,
        Kind.RETIRE,
        Kind.TIMER,
        Kind.EXPIRE,
        Kind.DEPART,
        Kind.DETECT,
        Kind.REJECT,
        Kind.CANCEL,
        Kind.ASK_END,
        Kind.TROUBLE,
        Kind.TRANSFER,
        Kind.JOIN,
        Kind.FAIL,
        *(PEER_INPUTS - {Kind.MEET, Kind.PEER_HEAD}),
    }
)
_OF_SENDER: Final = frozenset(
    {
        Kind.SEND,
        Kind.UNDELIVERED,
        Kind.OVERWRITE,
        Kind.DROP,
        Kind.ROTATE,
        Kind.RETIRE,
        Kind.REJECT,
        Kind.ARRIVE,
        Kind.REFUSE,
        Kind.ROTATE,
        Kind.PEER_ROTATE,
    }
)
_OF_RECEIVER: Final = frozenset(
    {Kind.RECEIVE, Kind.RECEIPT, Kind.PEER_RECEIPT, Kind.RETIRE, Kind.DETECT}
)
_OF_ROLE: Final = (
    _OF_SESSION - _OF_SENDER - _OF_RECEIVER - {Kind.STATUS, Kind.ASK_END, Kind.TROUBLE}
)


class Whereabouts(NamedTuple):
    """What a record is about, by name; None where it is about nothing of the kind."""

    session: str | None = None
    edge: str | None = None
    role: str | None = None


def whereabouts(items: Items, world: World) -> Whereabouts:
    """Names come from the world where it still knows them."""
    kind = Kind(items[0])
    if kind not in _OF_SESSION:
        return Whereabouts()
    session = world.sessions.get(items[1])
    if session is None:
        return Whereabouts(str(items[1]))
    roles = session.protocol.roles
    if kind in _OF_SENDER:
        sender, receiver = roles[items[2]], roles[items[3]]
        return Whereabouts(session.name, f"{sender} -> {receiver}", sender)
    if kind in _OF_RECEIVER:
        receiver, sender = roles[items[2]], roles[items[3]]
        return Whereabouts(session.name, f"{sender} -> {receiver}", receiver)
    if kind in _OF_ROLE and items[2] is not None:
        return Whereabouts(session.name, role=roles[items[2]])
    return Whereabouts(session.name)


def compared(index: int, own: Items, other: Items, world: World) -> str:
    """`own` in words, with the fields in which a record of the same kind differs."""
    text = describe(RawRecord(index, 0, b"", own), world).removeprefix(f"{index} ")
    if own[0] != other[0]:
        return text
    fields = FIELDS[Kind(own[0])]
    differing = [
        f"{field.name} {_shown(field.name, mine)}"
        for field, mine, theirs in zip(fields, own[1:], other[1:], strict=True)
        if mine != theirs
    ]
    return "; ".join([text, *differing])


def _shown(name: str, value: object) -> str:
    shown: object = value
    if isinstance(value, bytes):
        shown = _payload(value) if name in _VALUES else value.hex()
    elif value is None:
        shown = "nil"
    elif isinstance(value, str):
        shown = f'"{value}"'
    text = str(shown)
    if len(text) > SHOWN_CHARACTERS_MAX:
        return text[: SHOWN_CHARACTERS_MAX - 1] + "…"
    return text


def _payload(data: bytes) -> str:
    """The values of a payload, or its bytes when it is none."""
    if len(data) > SHOWN_CHARACTERS_MAX:
        return data[:SHOWN_CHARACTERS_MAX].hex()
    try:
        return str(msgpack.unpackb(data, use_list=True))
    except (ValueError, msgpack.UnpackException):
        return data.hex()
