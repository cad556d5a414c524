"""What a verifier of levels 1 to 4 needs of an image: protocols, effects, guards, programs.

The page: "Images and protocols", "Values".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgpack
from blake3 import blake3

from second_verifier.second_wire import Item, Refused, decoded, encoded

SEND: Final = 0
RECEIVE: Final = 1
END: Final = 2
TIMED: Final = 3
CRASH: Final = "on crash"
YEAR_NS: Final = 366 * 24 * 3600 * 10**9

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
PLAIN_TYPES: Final = ("unit", "int", "float", "bool", "str", "bytes", "blob")


@dataclass(frozen=True)
class Transition:
    label: str
    fields: list[Item]
    next: int
    lossy: bool


@dataclass(frozen=True)
class State:
    kind: int
    peer: str
    transitions: dict[str, Transition]
    within: int = 0
    """Of a timed state, how long its clock runs."""


@dataclass(frozen=True)
class Protocol:
    id: bytes
    name: str
    roles: list[str]
    types: dict[str, list[State]]
    fixed: dict[tuple[str, str], list[Item]]

    @property
    def labels(self) -> list[str]:
        states = [state for states in self.types.values() for state in states]
        return sorted(
            {
                label
                for state in states
                if state.kind != TIMED
                for label in state.transitions
                if label != CRASH
            }
        )

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Each pair on which the protocol can send, sorted."""
        found = {
            (role, state.peer)
            for role, states in self.types.items()
            for state in states
            if state.kind == SEND
        }
        return sorted(found)

    def lossy(self, sender: str, receiver: str) -> list[str]:
        """The labels on an edge whose messages may be lost, sorted."""
        states = (s for s in self.types[sender] if s.kind == SEND and s.peer == receiver)
        return sorted({t.label for s in states for t in s.transitions.values() if t.lossy})


@dataclass(frozen=True)
class Image:
    protocols: dict[bytes, Protocol]
    effects: list[tuple[list[Item], Item]]
    programs: list[tuple[str, int]]
    """The name of each, and how many instructions it has."""
    guards: int
    bundles: list[Bundle]


@dataclass(frozen=True)
class Bundle:
    """`sessions` are rows of name, protocol and the players of its roles."""

    name: str
    roles: list[str]
    sessions: list[tuple[str, Protocol, list[str]]]


def image_id(data: bytes) -> bytes:
    return blake3(data, derive_key_context="troth/v1 image id").digest()


def parsed_image(data: bytes) -> Image:
    parts = array(decoded(data))
    if len(parts) not in (7, 8) or parts[7:] == [[]]:
        raise Refused("an image has seven parts, and one more where it has bundles")
    version, protocols, effects, programs, _, _, guards = parts[:7]
    if version != 1:
        raise Refused("an image of another version")
    found = [_protocol(item) for item in array(protocols)]
    return Image(
        protocols={protocol.id: protocol for protocol in found},
        effects=[_effect(item) for item in array(effects)],
        programs=[_program(item) for item in array(programs)],
        guards=len(array(guards)),
        bundles=[_bundle(item, found) for part in parts[7:] for item in array(part)],
    )


def _bundle(item: Item, protocols: list[Protocol]) -> Bundle:
    name, roles, sessions = array(item, 3)
    names = [text(role) for role in array(roles)]
    rows = []
    for one in array(sessions):
        child, number, players = array(one, 3)
        if type(number) is not int or not 0 <= number < len(protocols):
            raise Refused("a session of a bundle follows a protocol of the image")
        rows.append((text(child), protocols[number], [_player(p, names) for p in array(players)]))
    return Bundle(text(name), names, rows)


def _player(item: Item, roles: list[str]) -> str:
    if type(item) is not int or not 0 <= item < len(roles):
        raise Refused("a role is played by a role of the bundle")
    return roles[item]


def _protocol(item: Item) -> Protocol:
    name, roles, types, edges = array(item, 4)
    names = [text(role) for role in array(roles)]
    states = [_local_type(one) for one in array(types)]
    if len(states) != len(names):
        raise Refused("a protocol has one local type for each role")
    fixed: dict[tuple[str, str], list[Item]] = {}
    for edge in array(edges):
        settings = array(edge, 9)
        fixed[text(settings[0]), text(settings[1])] = settings[2:]
    identity = blake3(encoded(item), derive_key_context="troth/v1 protocol id").digest()
    return Protocol(identity, text(name), names, dict(zip(names, states, strict=True)), fixed)


def _local_type(item: Item) -> list[State]:
    (states,) = array(item, 1)
    found = [_state(state) for state in array(states)]
    for state in found:
        for step in state.transitions.values():
            if not 0 <= step.next < len(found):
                raise Refused("a transition leads to no state")
    for state in found:
        crash = state.transitions.get(CRASH)
        if crash is not None and any(one.peer == state.peer for one in onward(found, crash.next)):
            raise Refused("a role that has crashed takes part in what follows")
    return found


def onward(states: list[State], start: int) -> Iterator[State]:
    """The states that some path leads to."""
    seen, pending = {start}, [start]
    while pending:
        state = states[pending.pop()]
        yield state
        for step in state.transitions.values():
            if step.next not in seen:
                seen.add(step.next)
                pending.append(step.next)


def _state(item: Item) -> State:
    row = array(item)
    timed = bool(row) and row[0] == TIMED
    kind, peer, transitions, *within = array(row, 4 if timed else 3)
    steps = {}
    for one in array(transitions):
        label, fields, following, lossy = array(one, 4)
        if type(following) is not int or not isinstance(lossy, bool):
            raise Refused("a state is named by its index, and a message may be lost or not")
        steps[text(label)] = Transition(text(label), array(fields), following, lossy)
    if kind not in (SEND, RECEIVE, END, TIMED) or type(kind) is not int:
        raise Refused("a state of no known kind")
    crash = steps.get(CRASH)
    if crash is not None and (kind != RECEIVE or len(steps) == 1 or crash.fields or crash.lossy):
        raise Refused("a crash is noticed by who waits for a message, and says nothing")
    if not timed:
        return State(kind, text(peer), steps)
    (clock,) = within
    if type(clock) is not int or not 0 < clock <= YEAR_NS or list(steps) != ["timeout", "within"]:
        raise Refused("a timed state has a clock, and two ways on")
    return State(kind, text(peer), steps, clock)


def _program(item: Item) -> tuple[str, int]:
    name, _, _, instructions, _ = array(item, 5)
    return text(name), len(array(instructions))


def _effect(item: Item) -> tuple[list[Item], Item]:
    _, parameters, result, _ = array(item, 4)
    return array(parameters), result


def array(item: Item, size: int | None = None) -> list[Item]:
    if not isinstance(item, list) or (size is not None and len(item) != size):
        raise Refused("the image has something else where an array belongs")
    return item


def text(item: Item) -> str:
    if not isinstance(item, str):
        raise Refused("the image has something else where text belongs")
    return item


# --- values ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """An endpoint in a payload, and the type that it has there."""

    session: bytes
    role: str
    protocol: str


@dataclass
class Checker:
    """Checks a payload against its fields and collects the endpoints in it."""

    endpoints: list[Endpoint] = field(default_factory=list)

    def payload(self, data: bytes, fields: list[Item]) -> None:
        values = decoded(data)
        if not isinstance(values, list) or len(values) != len(fields):
            raise Refused("the payload does not have the fields of its label")
        for value, one in zip(values, fields, strict=True):
            wanted = array(one, 2)[1]
            if isinstance(wanted, list) and wanted[0] == 2:
                self.endpoints.append(_endpoint(value, wanted))
            else:
                self.value(value, wanted)

    def value(self, value: Item, wanted: Item) -> None:
        if not self.has_type(value, wanted):
            raise Refused("a value is not of its type")

    def has_type(self, value: Item, wanted: Item) -> bool:
        if isinstance(wanted, list):
            return self.has_parts(value, wanted)
        if type(wanted) is not int or not 0 <= wanted < len(PLAIN_TYPES):
            raise Refused("the image has a type that there is not")
        return _is_plain(value, PLAIN_TYPES[wanted])

    def has_parts(self, value: Item, wanted: list[Item]) -> bool:
        if wanted[0] == 0:
            return isinstance(value, list) and all(self.has_type(v, wanted[1]) for v in value)
        if wanted[0] == 1 and isinstance(value, dict):
            types = {text(array(one, 2)[0]): array(one, 2)[1] for one in array(wanted[1])}
            return value.keys() == types.keys() and all(
                self.has_type(value[name], types[name]) for name in types
            )
        return False


def _is_plain(value: Item, name: str) -> bool:
    match name:
        case "unit":
            return value is None
        case "int":
            return type(value) is int and INT_MIN <= value <= INT_MAX
        case "float":
            return type(value) is float and _is_usual(value)
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "bytes":
            return isinstance(value, bytes)
        case _:
            return _is_blob(value)


def _is_usual(number: float) -> bool:
    return math.isfinite(number) and not (number == 0 and math.copysign(1, number) < 0)


def _is_blob(value: Item) -> bool:
    if not isinstance(value, msgpack.ExtType) or value.code != 2:
        return False
    parts = decoded(value.data)
    if not isinstance(parts, list) or len(parts) != 2:
        return False
    length, digest = parts
    return (
        type(length) is int
        and 0 <= length <= INT_MAX
        and isinstance(digest, bytes)
        and len(digest) == 32
    )


def _endpoint(value: Item, wanted: list[Item]) -> Endpoint:
    _, protocol, role = array(wanted, 3)
    if not isinstance(value, msgpack.ExtType) or value.code != 1:
        raise Refused("not an endpoint")
    session, name = array(decoded(value.data), 2)
    if not isinstance(session, bytes) or name != role:
        raise Refused("an endpoint of another role")
    return Endpoint(session, text(name), text(protocol))


def hides_endpoint(fields: list[Item]) -> Iterator[tuple[str, str]]:
    """Protocol and role of each endpoint that a payload of these fields holds."""
    for one in fields:
        wanted = array(one, 2)[1]
        if isinstance(wanted, list) and wanted[0] == 2:
            yield text(wanted[1]), text(wanted[2])
