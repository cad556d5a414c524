"""The graph that expansion builds, before it is known what every choice starts with.

Nodes are numbers in a list. A `Jump` stands for a place that is known before what it leads to:
the head of a `rec` or `loop`, a `continue`, a `do`. `close_graph` follows the jumps and gives the
global type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from troth.dsl.ast import Span
from troth.dsl.budget import Budget
from troth.vm.types import Field

RAW_NODES_MAX: Final = 20_000
UNSET: Final = -1


@dataclass(frozen=True, slots=True)
class RawMessage:
    sender: str
    receiver: str
    label: str
    fields: tuple[Field, ...]
    next: int
    span: Span
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class RawChoice:
    """`chooser` is "" when it was refused; `loop` when this is a `loop at`, whose last arm is
    the added `done`. Where the chooser has a clock, of `within_ns`, the last arm is the late one.
    With `crash` the arm behind all others is what is done when the chooser has crashed.
    """

    chooser: str
    arms: tuple[int, ...]
    arm_spans: tuple[Span, ...]
    span: Span
    loop: bool = False
    within_ns: int = 0
    crash: bool = False

    @property
    def chosen(self) -> tuple[int, ...]:
        """The arms that the chooser takes by a message."""
        return self.arms[:-1] if self.crash else self.arms


@dataclass(slots=True)
class Jump:
    """`written` is what the script says here, for messages."""

    written: str
    span: Span
    target: int = UNSET


@dataclass(frozen=True, slots=True)
class Refused:
    """Something already reported; what follows it is at `next`."""

    next: int


@dataclass(frozen=True, slots=True)
class RawEnd:
    pass


RawNode: TypeAlias = RawMessage | RawChoice | Jump | Refused | RawEnd


class TooLarge(Exception):
    """The expanded protocol has more than `RAW_NODES_MAX` nodes, or the budget is spent."""


@dataclass(slots=True)
class RawGraph:
    budget: Budget
    nodes: list[RawNode] = field(default_factory=list)
    start: int = UNSET

    def add(self, node: RawNode) -> int:
        """The number of the new node; numbers grow by one."""
        if len(self.nodes) >= RAW_NODES_MAX or not self.budget.spend_node():
            raise TooLarge
        self.nodes.append(node)
        return len(self.nodes) - 1

    def jump(self, written: str, span: Span) -> tuple[int, Jump]:
        """A place whose target is set later."""
        node = Jump(written, span)
        return self.add(node), node

    def successors(self, number: int) -> tuple[int, ...]:
        node = self.nodes[number]
        match node:
            case RawMessage() | Refused():
                return (node.next,)
            case RawChoice():
                return node.arms
            case Jump():
                return () if node.target == UNSET else (node.target,)
            case RawEnd():
                return ()

    def reachable(self) -> frozenset[int]:
        """The nodes that can be reached from `start`."""
        found = {self.start}
        pending = [self.start]
        while pending:
            for successor in self.successors(pending.pop()):
                if successor not in found:
                    found.add(successor)
                    pending.append(successor)
        return frozenset(found)

    def first_message(self, number: int) -> RawMessage | None:
        """The message a place starts with, in its first branch; None when there is none."""
        visited: set[int] = set()
        while number != UNSET and number not in visited:
            visited.add(number)
            node = self.nodes[number]
            if isinstance(node, RawMessage):
                return node
            following = self.successors(number)
            number = following[0] if following else UNSET
        return None
