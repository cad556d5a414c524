"""What a coroutine has done speculatively: kept beside the machine's state until `join`.

Nobody else can see any of it. A message that is sent is held back, unsigned; a message that is
received stays in its buffer, and only the speculator knows that it has read past it. So there is
nothing to undo in what is shared, and what others do meanwhile stays. What is the speculator's
own (registers, types of its endpoints) is changed in place and put back by `abandon`.

Every held message has its place: a send is taken only when the buffer will have room for it, and
only the speculator adds to that buffer. So a join never waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from troth.vm.values import RegisterValue

if TYPE_CHECKING:
    from troth.vm.buffer import Envelope
    from troth.vm.coroutine import Coroutine
    from troth.vm.session import Cell, Edge, EndpointState
    from troth.vm.step_tables import StateTable, TransitionTable


class HeldSend(NamedTuple):
    """A message that is checked and encoded, and neither signed nor visible."""

    endpoint: EndpointState
    edge: Edge
    transition: TransitionTable
    payload: bytes
    values: list[RegisterValue]


class HeldReceive(NamedTuple):
    """A message that was read and verified, and is still in its buffer."""

    endpoint: EndpointState
    edge: Edge
    transition: TransitionTable
    envelope: Envelope
    statement: bytes


Act: TypeAlias = HeldSend | HeldReceive


class Speculation:
    """One level, from a `fork` to its `join` or `abort`.

    Attributes:
        outer: the level around this one.
        depth: 1 for a level with none around it.
        target: where the program goes on after an abort.
        registers: as they were at the fork.
        touched: the endpoints used on this level, with state and freshness as at the fork.
        acts: what was done on this level, in order.
        reads: per edge, how many messages of its buffer are read, on outer levels too.
        statements: per edge, those of this level's reads, with their sequence numbers.
        reserved: per edge, how many messages are held back, on outer levels too.
    """

    __slots__ = (
        "acts",
        "depth",
        "outer",
        "reads",
        "registers",
        "reserved",
        "statements",
        "target",
        "touched",
    )

    def __init__(self, outer: Speculation | None, registers: list[Cell], target: int) -> None:
        self.outer = outer
        self.depth: int = 1 if outer is None else outer.depth + 1
        self.target = target
        self.registers = registers.copy()
        self.touched: dict[EndpointState, tuple[StateTable, bool]] = {}
        self.acts: list[Act] = []
        self.reads: dict[Edge, int] = {}
        self.statements: dict[Edge, dict[bytes, int]] = {}
        self.reserved: dict[Edge, int] = {}

    # --- looking through the levels ----------------------------------------------------------

    def levels(self) -> Iterator[Speculation]:
        """This level and those around it, from the inside out."""
        level: Speculation | None = self
        while level is not None:
            yield level
            level = level.outer

    def read_count(self, edge: Edge) -> int:
        """How many messages at the head of the edge's buffer are read already."""
        for level in self.levels():
            if edge in level.reads:
                return level.reads[edge]
        return 0

    def reserved_count(self, edge: Edge) -> int:
        """How many messages are held back for the edge's buffer."""
        for level in self.levels():
            if edge in level.reserved:
                return level.reserved[edge]
        return 0

    def statements_read(self, edge: Edge) -> tuple[dict[bytes, int], ...]:
        """What was read of the edge and not consumed, the newest level first."""
        return tuple([x.statements[edge] for x in self.levels() if edge in x.statements])

    def held(self) -> Iterator[Cell]:
        """Every value that is kept for the speculation alone."""
        for level in self.levels():
            yield from level.registers
            for act in level.acts:
                if isinstance(act, HeldSend):
                    yield act.payload

    # --- changing this level -----------------------------------------------------------------

    def hold_send(self, act: HeldSend) -> None:
        self.reserved[act.edge] = self.reserved_count(act.edge) + 1
        self._advance(act)

    def hold_receive(self, act: HeldReceive) -> None:
        edge = act.edge
        self.reads[edge] = self.read_count(edge) + 1
        self.statements.setdefault(edge, {})[act.statement] = act.envelope.sequence
        self._advance(act)

    def _advance(self, act: Act) -> None:
        endpoint = act.endpoint
        self.touched.setdefault(endpoint, (endpoint.state, endpoint.fresh))
        endpoint.state = act.transition.next
        endpoint.fresh = False
        self.acts.append(act)

    def merge_into_outer(self) -> None:
        """An inner join: what was done here counts as done on the level around."""
        outer = self.outer
        assert outer is not None, "the outermost level is joined into the machine"
        for endpoint, before in self.touched.items():
            outer.touched.setdefault(endpoint, before)
        outer.acts += self.acts
        outer.reads |= self.reads
        outer.reserved |= self.reserved
        for edge, statements in self.statements.items():
            outer.statements.setdefault(edge, {}).update(statements)


def roll_back(coroutine: Coroutine) -> int:
    """Undoes the innermost level; returns where the program goes on."""
    level = coroutine.speculation
    assert level is not None, "there is something to roll back"
    for endpoint, (state, fresh) in level.touched.items():
        endpoint.state = state
        endpoint.fresh = fresh
    coroutine.registers = level.registers
    coroutine.speculation = level.outer
    return level.target


def abandon(coroutine: Coroutine) -> None:
    """Undoes every level: the coroutine has faulted."""
    while coroutine.speculation is not None:
        roll_back(coroutine)
