"""Global types: what a protocol means once all sugar is gone.

A global type is a finite graph. A `Comm` is one message from a sender to a receiver with one
branch per label, so several branches are the sender's choice; an `End` ends the protocol.
Recursion is an edge back. A graph rather than a term, because what follows a choice is shared by
all branches that end: as a term, twenty choices in a row would have a million leaves.

The graph that `expand` gives is closed (every edge leads to a node), every node is reachable from
`start`, and the labels of one `Comm` differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from troth.dsl.ast import Span
from troth.vm.types import Field


@dataclass(frozen=True, slots=True)
class GlobalBranch:
    """`span` is the message; `branch_span` the `choice`/`or` line it belongs to, if any.

    `late` is set in the branch of a timed choice that is taken when the time is over, `crash` in
    the one that is taken when the sender has crashed: nobody sends it, and its label is `CRASH`.
    """

    label: str
    fields: tuple[Field, ...]
    next: int
    span: Span
    branch_span: Span
    lossy: bool = False
    late: bool = False
    crash: bool = False


@dataclass(frozen=True, slots=True)
class Comm:
    """`span` is where the message or the choice is written.

    `within_ns` is how long the sender has to choose, 0 for as long as it likes.
    """

    sender: str
    receiver: str
    branches: tuple[GlobalBranch, ...]
    span: Span
    within_ns: int = 0


@dataclass(frozen=True, slots=True)
class EndNode:
    """The end of the protocol; `span` is the protocol's."""

    span: Span


GlobalNode: TypeAlias = Comm | EndNode


@dataclass(frozen=True, slots=True)
class GlobalType:
    nodes: tuple[GlobalNode, ...]
    start: int

    def comms(self) -> Iterator[Comm]:
        return (node for node in self.nodes if isinstance(node, Comm))

    def participants(self) -> frozenset[str]:
        """The roles that send or receive something."""
        return frozenset(role for comm in self.comms() for role in (comm.sender, comm.receiver))

    def directed_edges(self) -> frozenset[tuple[str, str]]:
        """The (sender, receiver) pairs that carry a message."""
        return frozenset((comm.sender, comm.receiver) for comm in self.comms())
