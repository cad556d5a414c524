"""A machine between two rounds as canonical bytes, and a machine from them again.

A machine is a graph: coroutines own endpoints, endpoints belong to sessions, edges know who waits
on them. Each object that changes gets a number, in the order in which it is met from the roots,
and a row of its fields; everything else is written where it stands. So the bytes depend on the
state alone: not on addresses, hash seeds, or the process.

Whoever can change a snapshot can change the machine, as whoever can change its memory. The digest
at its end is against damage, not against malice: a snapshot is its host's own and no evidence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgpack
from blake3 import blake3

from troth.vm.errors import Fault, Malformed, Place, Unusable
from troth.vm.guards import Guard
from troth.vm.loaded import ProtocolTables
from troth.vm.merkle_set import MerkleSet
from troth.vm.snapshot_table import (
    ENUMERATIONS,
    LEFT_OUT,
    SCHEDULED,
    SHARED,
    STATES,
    VALUES,
)
from troth.vm.statements import DIGEST_BYTES
from troth.vm.step_code import ProgramCode
from troth.vm.step_tables import StateTable, TransitionTable
from troth.vm.turn import Context

if TYPE_CHECKING:
    from troth.vm.scheduler import Scheduler

MAGIC: Final = b"troth snapshot\n"
VERSION: Final = 1
_CONTEXT: Final = "troth/v1 snapshot"

(_TUPLE, _LIST, _DICT, _SET, _FROZEN, _DEQUE, _ENUM, _VALUE, _STATE, _TABLE, _STEP, _PROTOCOL) = (
    range(12)
)
_PROGRAM, _GUARD, _KEYS, _FAULT, _AGAIN = range(12, 17)
_SEQUENCES: Final[dict[object, int]] = {tuple: _TUPLE, list: _LIST, deque: _DEQUE}
_PLAIN: Final = (type(None), bool, int, float, str, bytes)


def slots_of(kind: type) -> tuple[str, ...]:
    """The slots of a state that are written, those of its base classes first."""
    left_out = LEFT_OUT.get(kind.__name__, {})
    found = [
        slot
        for base in reversed(kind.__mro__)
        for slot in base.__dict__.get("__slots__", ())
        if slot not in left_out
    ]
    return tuple(found)


_STATE_SLOTS: Final = tuple(slots_of(kind) for kind in STATES)
_STATE_NUMBERS: Final[dict[object, int]] = {kind: number for number, kind in enumerate(STATES)}
_VALUE_NUMBERS: Final[dict[object, int]] = {kind: number for number, kind in enumerate(VALUES)}
_ENUM_NUMBERS: Final[dict[object, int]] = {kind: n for n, kind in enumerate(ENUMERATIONS)}


def _parts(value: object) -> tuple[object, ...]:
    if is_dataclass(value):
        return tuple(getattr(value, field.name) for field in fields(value))
    assert isinstance(value, tuple)
    return value


def _tables(context: Context) -> Iterator[tuple[tuple[int, int, int], StateTable]]:
    """Every position of every local type, by protocol, role and number."""
    for protocol, roles in enumerate(context.initial_states):
        for role, first in enumerate(roles):
            found, pending = {first.number: first}, [first]
            while pending:
                table = pending.pop()
                steps = (*table.sends.values(), *table.receives.values())
                ways = (*(table.timed or ()), *((table.crash,) if table.crash else ()))
                for following in (*(step.next for step in steps), *ways):
                    if following.number not in found:
                        found[following.number] = following
                        pending.append(following)
            for number, table in found.items():
                yield (protocol, role, number), table


# --- writing -------------------------------------------------------------------------------


def take(scheduler: Scheduler) -> bytes:
    """
    Raises:
        Unusable: code `snapshot.played`, for a machine that a host plays.
    """
    writer = _Writer(scheduler.context)
    roots = [writer.item(getattr(scheduler, name)) for name in SCHEDULED]
    faults = [writer.item(fault) for fault in scheduler.faults]
    guards = [
        [writer.item(guard.holder), guard.handed, writer.item(guard.waiting)]
        for guard in scheduler.context.guards
    ]
    rows = writer.rows()
    packed: bytes = msgpack.packb(
        [VERSION, scheduler.context.loaded.id, _terms(scheduler), roots, faults, guards, rows]
    )
    return MAGIC + packed + blake3(packed, derive_key_context=_CONTEXT).digest()


def _terms(scheduler: Scheduler) -> list[object]:
    """What a machine is made with, besides its host's own: it has to be the same again."""
    context = scheduler.context
    limits, overrides = context.limits, context.overrides
    home = None if context.home is None else sorted(context.home)
    return [
        context.seed,
        [getattr(limits, field.name) for field in fields(limits)],
        scheduler.quantum,
        scheduler.scheduling.text,
        overrides.replay and overrides.replay.value,
        overrides.seal and overrides.seal.value,
        home,
        sorted(context.observed),
        context.keeps_logs,
    ]


class _Same:
    """A value that is equal to the very same one only."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __hash__(self) -> int:
        return object.__hash__(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


class _Writer:
    def __init__(self, context: Context) -> None:
        self._tables: dict[StateTable, tuple[int, int, int]] = {}
        self._steps: dict[TransitionTable, tuple[object, ...]] = {}
        for place, table in _tables(context):
            self._tables[table] = place
            for label, step in (*table.sends.items(), *table.receives.items()):
                self._steps[step] = (*place, label)
        self._protocols = context.loaded.protocol_index
        self._numbers: dict[object, int] = {}
        self._found: list[object] = []
        self._shared: dict[_Same, int] = {}

    def rows(self) -> list[object]:
        """A row for each state, in the order of their numbers; writing them finds others."""
        rows: list[object] = []
        while len(rows) < len(self._found):
            state = self._found[len(rows)]
            number = _STATE_NUMBERS[type(state)]
            rows.append([number, [self.item(getattr(state, s)) for s in _STATE_SLOTS[number]]])
        return rows

    def item(self, item: Any) -> object:
        kind = type(item)
        if kind in _PLAIN:
            return item
        if kind in _STATE_NUMBERS:
            # A state is equal to itself only.
            if item not in self._numbers:
                self._numbers[item] = len(self._found)
                self._found.append(item)
            return [_STATE, self._numbers[item]]
        if kind in _VALUE_NUMBERS:
            if kind in SHARED:
                same = _Same(item)
                if same in self._shared:
                    return [_AGAIN, self._shared[same]]
                self._shared[same] = len(self._shared)
            return [_VALUE, _VALUE_NUMBERS[kind], [self.item(part) for part in _parts(item)]]
        if kind in _ENUM_NUMBERS:
            number = _ENUM_NUMBERS[kind]
            members: list[Enum] = list(ENUMERATIONS[number])
            return [_ENUM, number, members.index(item)]
        if kind is dict:
            return [_DICT, [[self.item(key), self.item(value)] for key, value in item.items()]]
        if kind in (set, frozenset):
            return [_SET if kind is set else _FROZEN, sorted(item)]
        if kind in (tuple, list, deque):
            return [_SEQUENCES[kind], [self.item(part) for part in item]]
        return self._known(item)

    def _known(self, item: object) -> object:
        """What is derived from the image, by its name there."""
        match item:
            case StateTable():
                return [_TABLE, *self._tables[item]]
            case TransitionTable():
                return [_STEP, *self._steps[item]]
            case ProtocolTables():
                return [_PROTOCOL, self._protocols[item.protocol.name]]
            case ProgramCode(index=int(number)):
                return [_PROGRAM, number]
            case Guard():
                return [_GUARD, item.index]
            case MerkleSet():
                return [_KEYS, list(item.keys())]
            case Fault():
                place = self.item(item.place)
                said = [item.expected, item.actual, item.advice]
                return [_FAULT, item.code, item.message, place, *said]
            case ProgramCode():
                raise Unusable(
                    "snapshot.played",
                    "a machine that its host plays is no function of an image",
                    expected="a machine that runs programs",
                    advice="Keep the record of the run instead, and begin a new one",
                )
        raise AssertionError(f"a machine holds a {type(item).__name__}")


# --- reading -------------------------------------------------------------------------------


def opened(data: bytes, image_id: bytes) -> list[Any]:
    """What a snapshot says, once its frame is right.

    Raises:
        Malformed: codes `snapshot.form`, `snapshot.damaged`, `snapshot.version`.
        Unusable: code `snapshot.image`, for one of another image.
    """
    body = data[len(MAGIC) : -DIGEST_BYTES]
    if not data.startswith(MAGIC) or not body:
        raise _malformed("form", "these bytes are no snapshot of a machine", "a snapshot")
    if blake3(body, derive_key_context=_CONTEXT).digest() != data[-DIGEST_BYTES:]:
        raise _malformed("damaged", "this snapshot is damaged", "the digest of what it says")
    try:
        said = msgpack.unpackb(body, strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise _malformed("form", "this snapshot cannot be read", "msgpack") from error
    if not isinstance(said, list) or len(said) != _ITEMS:
        raise _malformed("form", "this snapshot has other parts", f"{_ITEMS} of them")
    if said[0] != VERSION:
        raise _malformed("version", "this snapshot has another version", str(VERSION))
    if said[1] != image_id:
        raise Unusable(
            "snapshot.image",
            "this snapshot is of a machine that runs another image",
            expected=image_id.hex(),
            actual=said[1].hex() if isinstance(said[1], bytes) else "something else",
            advice="Load the image that it was taken with",
        )
    return said


_ITEMS: Final = 7


def _malformed(what: str, message: str, expected: str) -> Malformed:
    return Malformed(
        f"snapshot.{what}", message, expected=expected, advice="Use another copy of it"
    )


def put(scheduler: Scheduler, said: list[Any]) -> None:
    """Puts what a snapshot says into the scheduler of a machine that has not started.

    Raises:
        Unusable: code `snapshot.terms`, for a machine that was made with others.
        Malformed: code `snapshot.form`.
    """
    _, _, terms, roots, faults, guards, rows = said
    if terms != _terms(scheduler):
        raise Unusable(
            "snapshot.terms",
            "this machine was not made like the one of the snapshot",
            expected="the same seed, limits, quantum, policy, overrides, roles and evidence",
            advice="Make it as that one was made",
        )
    try:
        _put(scheduler, roots, faults, guards, rows)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # The digest was right, so somebody has made it up.
        raise _malformed("form", "this snapshot holds what no machine is", "a machine") from error


def _put(scheduler: Scheduler, roots: Any, faults: Any, guards: Any, rows: Any) -> None:
    context = scheduler.context
    # In the order in which it was written: what comes again has come before.
    reader = _Reader(context, [STATES[number] for number, _ in rows])
    for name, root in zip(SCHEDULED, roots, strict=True):
        found = reader.item(root)
        if name == "coroutines":
            # Turns see the same dict.
            scheduler.coroutines.update(found)
        else:
            setattr(scheduler, name, found)
    scheduler.faults = [reader.item(fault) for fault in faults]
    for guard, (holder, handed, waiting) in zip(context.guards, guards, strict=True):
        guard.holder, guard.handed = reader.item(holder), handed
        guard.waiting = reader.item(waiting)
    for state, (number, values) in zip(reader.states, rows, strict=True):
        for slot, value in zip(_STATE_SLOTS[number], values, strict=True):
            setattr(state, slot, reader.item(value))
        for slot, value in LEFT_OUT.get(type(state).__name__, {}).items():
            setattr(state, slot, value)


def _value(kind: type, parts: list[Any]) -> object:
    if is_dataclass(kind):
        names = [field.name for field in fields(kind)]
        return kind(**dict(zip(names, parts, strict=True)))
    return kind(*parts)


class _Reader:
    def __init__(self, context: Context, kinds: list[type]) -> None:
        self._context = context
        self._tables = dict(_tables(context))
        self.states: list[Any] = [object.__new__(kind) for kind in kinds]
        self._shared: list[object] = []
        containers: dict[int, Callable[[Any], object]] = {
            _TUPLE: tuple,
            _LIST: list,
            _DEQUE: deque,
            _SET: set,
            _FROZEN: frozenset,
        }
        self._containers = containers

    def item(self, said: Any) -> Any:
        if not isinstance(said, list):
            return said
        tag, *rest = said
        if tag in self._containers:
            return self._containers[tag]([self.item(part) for part in rest[0]])
        if tag == _DICT:
            return {self.item(key): self.item(value) for key, value in rest[0]}
        if tag == _STATE:
            return self.states[rest[0]]
        if tag == _VALUE:
            made = _value(VALUES[rest[0]], [self.item(part) for part in rest[1]])
            if type(made) in SHARED:
                self._shared.append(made)
            return made
        if tag == _AGAIN:
            return self._shared[rest[0]]
        if tag == _ENUM:
            members: list[Enum] = list(ENUMERATIONS[rest[0]])
            return members[rest[1]]
        return self._known(tag, rest)

    def _known(self, tag: int, rest: list[Any]) -> object:
        context = self._context
        if tag == _TABLE:
            return self._tables[tuple(rest)]
        if tag == _STEP:
            table = self._tables[tuple(rest[:3])]
            return (table.sends or table.receives)[rest[3]]
        if tag == _PROTOCOL:
            return context.loaded.protocols[rest[0]]
        if tag == _PROGRAM:
            return context.programs[rest[0]]
        if tag == _GUARD:
            return context.guards[rest[0]]
        if tag == _KEYS:
            keys = MerkleSet()
            for key in rest[0]:
                keys.insert(key)
            return keys
        if tag == _FAULT:
            code, message, place, expected, actual, advice = rest
            where = self.item(place)
            assert isinstance(where, Place)
            return Fault(
                code, message, place=where, expected=expected, actual=actual, advice=advice
            )
        raise ValueError(tag)


__all__ = ["MAGIC", "VERSION", "opened", "put", "slots_of", "take"]
