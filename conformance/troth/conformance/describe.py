"""A record in one line, for the context of findings and for `troth inspect --events`.

Names come from the world where it still knows them; what has ended is named by its number.
The text is raw: whoever shows it escapes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from troth.conformance.world import World, program_name
from troth.vm.codec import decode
from troth.vm.errors import TrothError
from troth.vm.events import Status
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items
from troth.vm.records import Kind
from troth.vm.trouble_kind import Trouble
from troth.vm.value_ops import show

PAYLOAD_BYTES_SHOWN_MAX: Final = 200


class Names:
    """Finds names for the numbers of a record."""

    def __init__(self, world: World) -> None:
        self._world = world

    def session(self, number: int) -> str:
        session = self._world.sessions.get(number)
        return f"session {number}" + (f" ({session.protocol.name})" if session else "")

    def role(self, session: int, number: int) -> str:
        live = self._world.sessions.get(session)
        if live is None or number >= len(live.protocol.roles):
            return f"role {number}"
        return live.protocol.roles[number]

    def label(self, session: int, number: int) -> str:
        live = self._world.sessions.get(session)
        if live is None or number >= len(live.protocol.labels):
            return f"label {number}"
        return live.protocol.labels[number]

    def program(self, number: int | None) -> str:
        loaded = self._world.image
        if number is None or loaded is None or number >= len(loaded.image.programs):
            return program_name(number)
        return loaded.image.programs[number].name

    def effect(self, number: int) -> str:
        loaded = self._world.image
        if loaded is None or number >= len(loaded.image.effects):
            return f"effect {number}"
        return loaded.image.effects[number].name

    def guard(self, number: int) -> str:
        loaded = self._world.image
        if loaded is None or number >= len(loaded.image.guards):
            return f"guard {number}"
        return loaded.image.guards[number]

    def principal(self, number: int) -> str:
        principals = self._world.principals
        name = principals[number].name if number < len(principals) else ""
        return name or f"principal {number}"


def describe(record: RawRecord, world: World) -> str:
    """Such as `12 SEND session 0 (Hello): Client -> Server greet #0`."""
    rest = words(record.items, Names(world))
    return f"{record.index} {kind_name(record.items[0])}{' ' if rest else ''}{rest}"


def words(items: Items, names: Names) -> str:
    """What `describe` says after the kind; "" for a kind that this table has no words for."""
    say = _WORDS.get(items[0])
    return "" if say is None else say(items, names)


def kind_name(number: int) -> str:
    return Kind(number).name if number in _KINDS else f"kind {number}"


def _bundle(items: Items, names: Names) -> str:
    """Such as `Desktop abcd… among Host, Client: video, input`."""
    _, identity, name, _, principals, rows, _, _ = items
    parties = ", ".join(names.principal(principal) for principal in principals)
    children = ", ".join(child for child, _, _ in rows)
    return f"{name} {identity.hex()[:16]}… among {parties}: {children}"


def _send(items: Items, names: Names) -> str:
    _, session, sender, receiver, _, label, _, sequence, _, payload, *_ = items
    return (
        f"{names.session(session)}: {names.role(session, sender)} -> "
        f"{names.role(session, receiver)} {names.label(session, label)}{payload_words(payload)} "
        f"#{sequence}"
    )


def payload_words(payload: bytes | None) -> str:
    """The values of a payload in brackets, as far as they can and should be shown here."""
    if payload is None:
        return "(withheld)"
    if len(payload) > PAYLOAD_BYTES_SHOWN_MAX:
        return f"({len(payload)} bytes)"
    try:
        values = show(decode(payload))
    except TrothError:
        # Endpoints, and what is no payload at all.
        return f"({len(payload)} bytes)"
    return f"({values[1:-1]})"


def _receive(items: Items, names: Names) -> str:
    _, session, receiver, sender, _, sequence, *_ = items
    return (
        f"{names.session(session)}: {names.role(session, receiver)} takes #{sequence} of "
        f"{names.role(session, sender)}"
    )


def _role(items: Items, names: Names) -> str:
    return f"{names.session(items[1])}: {names.role(items[1], items[2])}"


def _delegate(items: Items, names: Names) -> str:
    return f"{_role(items, names)} to {names.principal(items[3])}"


def _receipt(items: Items, names: Names) -> str:
    _, session, receiver, sender, _, consumed, reliable, discarded, *_ = items
    lossy = "" if reliable == consumed else f", {reliable} of them reliable"
    return (
        f"{names.session(session)}: {names.role(session, receiver)} took {consumed} of "
        f"{names.role(session, sender)}{lossy}, {discarded} discarded"
    )


def _rotate(items: Items, names: Names) -> str:
    _, session, sender, receiver, generation, count, *_ = items
    ends = f"{names.role(session, sender)} -> {names.role(session, receiver)}"
    return f"{names.session(session)}: {ends} generation {generation} had {count} messages"


def _retire(items: Items, names: Names) -> str:
    _, session, receiver, sender, generation, _ = items
    return (
        f"{names.session(session)}: {names.role(session, receiver)} took all of generation "
        f"{generation} of {names.role(session, sender)}"
    )


def _status(items: Items, names: Names) -> str:
    detail = f": {items[4]}" if items[4] else ""
    return f"{names.session(items[1])} is {Status(items[2]).name.lower()}{detail}"


def _undelivered(items: Items, names: Names) -> str:
    _, session, sender, receiver, _, sequence = items
    ends = f"{names.role(session, sender)} -> {names.role(session, receiver)}"
    return f"{names.session(session)}: {ends} #{sequence}"


def _drop(items: Items, names: Names) -> str:
    _, session, sender, receiver, label = items
    ends = f"{names.role(session, sender)} -> {names.role(session, receiver)}"
    return f"{names.session(session)}: {ends} {names.label(session, label)}"


def _reject(items: Items, names: Names) -> str:
    _, session, sender, receiver, code, *_ = items
    ends = f"{names.role(session, sender)} -> {names.role(session, receiver)}"
    return f"{names.session(session)}: {ends} with {code}"


def _cancel(items: Items, names: Names) -> str:
    _, session, role, reason, round_number, _ = items
    by = "" if round_number is None else " by the host"
    if role is not None:
        by = f" by {names.role(session, role)}"
    return f"{names.session(session)}{by}: {reason}"


def _meet(items: Items, _: Names) -> str:
    _, coroutine, parties, _ = items
    roles = ", ".join(role for role, _, _ in parties) or "nobody"
    return f"coroutine {coroutine} opens a session with other machines: {roles}"


def _fail(items: Items, names: Names) -> str:
    return f"{_role(items, names)} ends it: {items[3]}{f': {items[4]}' if items[4] else ''}"


def _peer_head(items: Items, names: Names) -> str:
    return f"{names.principal(items[1])}, {items[3]} leaves, its round {items[6]}"


def _open(items: Items, names: Names) -> str:
    _, identity, protocol, principals, *_ = items
    people = ", ".join(names.principal(number) for number in principals)
    return f"session {identity.hex()} of protocol {protocol} among {people}"


def _fault(items: Items, names: Names) -> str:
    _, coroutine, code, message, program, pc, session, _ = items
    where = "" if session is None else f" in {names.session(session)}"
    return f"coroutine {coroutine}, {program} at {pc}: {code}{where}: {message}"


def _spawn(items: Items, names: Names) -> str:
    parent = "the machine" if items[1] is None else f"coroutine {items[1]}"
    return f"{names.program(items[2])} by {parent}"


def _invoke(items: Items, names: Names) -> str:
    return f"coroutine {items[1]}: {names.effect(items[2])}{payload_words(items[4])}"


def _complete(items: Items, _: Names) -> str:
    effect, failed, result = items[1:4]
    outcome = (
        f"failed: {result.decode(errors='replace')}" if failed else f"gave {payload_words(result)}"
    )
    return f"effect {effect.hex()[:8]} {outcome}"


def _guard(items: Items, names: Names) -> str:
    return f"coroutine {items[1]}: {names.guard(items[2])}"


def _seal(items: Items, names: Names) -> str:
    return f"{names.principal(items[1])}, {items[2]} leaves, round {items[5]}"


def _ask_end(items: Items, names: Names) -> str:
    return f"{names.session(items[1])}, by the host at {items[2]} ns"


def _trouble(items: Items, names: Names) -> str:
    _, session, trouble, role, peer, until_ns, _ = items
    roles = names.role(session, role)
    if peer is not None:
        roles += f" -> {names.role(session, peer)}"
    until = "" if until_ns is None else f" until {until_ns} ns"
    return f"{names.session(session)}: {Trouble(trouble).name.lower()} of {roles}{until}"


def _detect(items: Items, names: Names) -> str:
    _, session, receiver, sender = items
    who, gone = names.role(session, receiver), names.role(session, sender)
    return f"{names.session(session)}: {who} goes on without {gone}"


_KINDS: Final = frozenset(map(int, Kind))
_WORDS: Final[dict[int, Callable[[Items, Names], str]]] = {
    Kind.HEADER: lambda items, _: f"version {items[1]}, image {items[2].hex()}",
    Kind.IMAGE: lambda items, _: f"{len(items[1])} bytes",
    Kind.PRINCIPAL: lambda items, _: f"{items[1]} key {items[2].hex()}",
    Kind.PROTOCOL: lambda items, _: f"{items[2]} id {items[1].hex()}",
    Kind.OPEN: _open,
    Kind.BUNDLE: _bundle,
    Kind.SEND: _send,
    Kind.RECEIVE: _receive,
    Kind.DELEGATE: _delegate,
    Kind.NOTICE: _role,
    Kind.RECEIPT: _receipt,
    Kind.TIMER: lambda items, names: f"{_role(items, names)} at {items[3]} ns",
    Kind.EXPIRE: _role,
    Kind.DEPART: _role,
    Kind.DETECT: _detect,
    Kind.STATUS: _status,
    Kind.UNDELIVERED: _undelivered,
    Kind.ROTATE: _rotate,
    Kind.PEER_ROTATE: _rotate,
    Kind.RETIRE: _retire,
    Kind.OVERWRITE: _undelivered,
    Kind.DROP: _drop,
    Kind.REJECT: _reject,
    Kind.CANCEL: _cancel,
    Kind.ASK_END: _ask_end,
    Kind.TROUBLE: _trouble,
    Kind.FAULT: _fault,
    Kind.SPAWN: _spawn,
    Kind.TRANSFER: lambda items, names: f"{_role(items, names)} to coroutine {items[4]}",
    Kind.HALT: lambda items, _: f"coroutine {items[1]}",
    Kind.PRINT: lambda items, _: f"coroutine {items[1]}: {items[2]}",
    Kind.INVOKE: _invoke,
    Kind.COMPLETE: _complete,
    Kind.TIME: lambda items, _: f"{items[1]} ns",
    Kind.ACQUIRE: _guard,
    Kind.RELEASE: _guard,
    Kind.END: lambda items, _: f"{items[1]} rounds, {items[2]} records, {items[3]}",
    Kind.SEAL: _seal,
    Kind.INCARNATION: lambda items, _: f"{items[1]}, resumed after round {items[2]}",
    Kind.PEER: lambda items, _: f"{items[1]} key {items[2].hex()}, at another machine",
    Kind.MEET: _meet,
    Kind.JOIN: _role,
    Kind.FAIL: _fail,
    Kind.ARRIVE: _send,
    Kind.REFUSE: _reject,
    Kind.PEER_HEAD: _peer_head,
    Kind.PEER_JOIN: _role,
    Kind.PEER_DELEGATE: _delegate,
    Kind.PEER_NOTICE: _role,
    Kind.PEER_RECEIPT: _receipt,
    Kind.PEER_CANCEL: lambda items, names: f"{_role(items, names)}: {items[3]}",
    Kind.PEER_FAIL: _fail,
}
