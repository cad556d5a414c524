"""Payload types and local types.

A local type has two forms. The *term* (`Send`, `Recv`, `Mu`, `Var`, `End`) is what projection
produces and people read. The *automaton* (`LocalType`) is what images hold and the machine
walks: `resolve` builds it from the term by substituting each `Mu` for its variable in the right
scope (so an inner loop can continue an outer one), merges equivalent states and numbers what
is left in breadth-first order. Two terms that unfold to the same infinite tree therefore give
equal automata: comparing types equi-recursively is comparing values with `==`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias


class Primitive(StrEnum):
    UNIT = "unit"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STR = "str"
    BYTES = "bytes"
    BLOB = "blob"


@dataclass(frozen=True, slots=True)
class ListType:
    item: ValueType

    def __str__(self) -> str:
        return f"list[{self.item}]"


@dataclass(frozen=True, slots=True)
class RecordType:
    """`fields` are sorted by name: the order of writing does not matter."""

    fields: tuple[Field, ...]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{field.name}: {field.type}" for field in self.fields) + "}"


@dataclass(frozen=True, slots=True)
class EndpointType:
    """An endpoint of `protocol` for `role`, in its initial type."""

    protocol: str
    role: str

    def __str__(self) -> str:
        return f"{self.protocol}.{self.role}"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: ValueType

    def __str__(self) -> str:
        return f"{self.name}: {self.type}"


ValueType: TypeAlias = Primitive | ListType | RecordType | EndpointType


# --- terms -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Branch:
    label: str
    fields: tuple[Field, ...]
    continuation: Term
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    peer: str
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Recv:
    peer: str
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Timed:
    """A choice with a clock: `in_time` while it runs, `late` once it has run out."""

    peer: str
    within_ns: int
    in_time: Term
    late: Term


@dataclass(frozen=True, slots=True)
class Mu:
    variable: str
    body: Term


@dataclass(frozen=True, slots=True)
class Var:
    name: str


@dataclass(frozen=True, slots=True)
class End:
    pass


Term: TypeAlias = Send | Recv | Timed | Mu | Var | End


# --- automata ----------------------------------------------------------------------------


class StateKind(StrEnum):
    SEND = "send"
    RECV = "recv"
    END = "end"
    TIMED = "timed"


CRASH: Final = "on crash"
"""The label of the transition of a receive state that is taken when its peer has crashed. It is no
name, so no message can have it: nobody sends it."""
IN_TIME: Final = "within"
LATE: Final = "timeout"
"""The labels of the two transitions of a timed state. No message has them: they are the clock's."""


@dataclass(frozen=True, slots=True)
class Transition:
    """`lossy`: the message may be lost, so it leads back to the state it starts from."""

    label: str
    fields: tuple[Field, ...]
    next: int
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """`peer` is "" and `transitions` empty for an end state; transitions are sorted by label.

    A timed state comes before a choice with a clock. Starting the clock, which runs for
    `within_ns`, leads on by `IN_TIME`; when it has run out and nothing was sent, the role goes on
    where `LATE` leads. Both are send states with the same peer.
    """

    kind: StateKind
    peer: str
    transitions: tuple[Transition, ...]
    within_ns: int = 0

    def after(self, label: str) -> int:
        """The state that the transition with this label, which there is, leads to."""
        return next(move.next for move in self.transitions if move.label == label)


@dataclass(frozen=True, slots=True)
class LocalType:
    """The canonical automaton of a local type; state 0 is the initial one."""

    states: tuple[State, ...]
