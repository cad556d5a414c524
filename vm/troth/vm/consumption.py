"""Which messages one side of an edge takes: the replay modes, and the roots they leave.

The machine asks before it delivers, the verifier asks the same question again later, and both
must come to the same root. A `Consumption` belongs to one receiving side of one edge.

| mode | takes | root |
|---|---|---|
| off | everything | none |
| sequence | exactly the next number | a hash chain over what was consumed, in order |
| nullifier | each identity once, in any order | a Merkle set, independent of the order |
"""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias

from troth.vm import statements
from troth.vm.errors import InternalError
from troth.vm.instructions import ReplayMode
from troth.vm.merkle_set import MerkleSet

SEQUENCE: Final = "vm.fault.replay.sequence"
DUPLICATE: Final = "vm.fault.replay.duplicate"
GENERATION: Final = "vm.fault.replay.generation"


Read: TypeAlias = tuple[dict[bytes, int], ...]
"""Statements that were read and not consumed, with their sequence numbers, the newest part first;
no part is empty, and each is in the order of reading."""


class Consumption(Protocol):
    """What one receiving side remembers of the messages it has taken."""

    def decide(self, generation: int, sequence: int, statement: bytes) -> str | None:
        """None to accept, else the fault's code. Changes nothing.

        `statement` is the whole `statements.message_statement` of the message.
        """

    def decide_after(
        self, read: Read, generation: int, sequence: int, statement: bytes
    ) -> str | None:
        """As `decide`, if the messages in `read` were consumed before. Changes nothing."""

    def consume(self, generation: int, sequence: int, statement: bytes) -> None:
        """Takes a message that `decide` has just accepted."""

    @property
    def generation(self) -> int:
        """The generation of the messages taken now."""

    def retire(self) -> bytes | None:
        """All of a generation was taken, and the next begins: returns the last root of the old."""

    def discard(self, statement: bytes) -> None:
        """A message that was accepted into the buffer is lost: it is not accepted again."""

    @property
    def root(self) -> bytes | None:
        """The root over everything consumed so far."""

    @property
    def expected(self) -> int:
        """The next number in mode `sequence`; in the others how many messages were taken."""


class _OneGeneration:
    """What has a root over all that was ever taken."""

    __slots__ = ()
    generation = 0

    def retire(self) -> bytes | None:
        raise InternalError("only a set of nullifiers has generations")


class _Off(_OneGeneration):
    """Refuses nothing, but keeps the history: what a receiver took is bound by its own log."""

    __slots__ = ("_count", "root")

    def __init__(self) -> None:
        self._count = 0
        self.root: bytes | None = statements.history_start()

    def decide(self, generation: int, sequence: int, statement: bytes) -> str | None:  # noqa: ARG002
        return None

    def decide_after(
        self,
        read: Read,  # noqa: ARG002
        generation: int,  # noqa: ARG002
        sequence: int,  # noqa: ARG002
        statement: bytes,  # noqa: ARG002
    ) -> str | None:
        return None

    def consume(self, generation: int, sequence: int, statement: bytes) -> None:  # noqa: ARG002
        assert self.root is not None
        self.root = statements.history_step(self.root, statement)
        self._count += 1

    def discard(self, statement: bytes) -> None:
        pass

    @property
    def expected(self) -> int:
        return self._count


class _Sequence(_OneGeneration):
    """One counter and one chained hash."""

    __slots__ = ("expected", "root")

    def __init__(self) -> None:
        self.expected: int = 0
        self.root: bytes | None = statements.history_start()

    def decide(self, generation: int, sequence: int, statement: bytes) -> str | None:  # noqa: ARG002
        return _in_sequence(self.expected, generation, sequence)

    def decide_after(
        self,
        read: Read,
        generation: int,
        sequence: int,
        statement: bytes,  # noqa: ARG002
    ) -> str | None:
        expected = next(reversed(read[0].values())) + 1 if read else self.expected
        return _in_sequence(expected, generation, sequence)

    def consume(self, generation: int, sequence: int, statement: bytes) -> None:  # noqa: ARG002
        assert self.root is not None
        self.root = statements.history_step(self.root, statement)
        self.expected = sequence + 1

    def discard(self, statement: bytes) -> None:  # noqa: ARG002
        raise InternalError("an edge in mode sequence loses no message")


def _in_sequence(expected: int, generation: int, sequence: int) -> str | None:
    if generation != 0:
        return GENERATION
    if sequence == expected:
        return None
    return DUPLICATE if sequence < expected else SEQUENCE


class _Nullifier:
    """A set of public tags, one for each message taken of the generation.

    A generation has `rotate` messages, or all that there are if that is 0.
    """

    __slots__ = ("_rotate", "_set", "_tag", "_tagged", "generation")

    def __init__(self, rotate: int) -> None:
        self._rotate = rotate
        self._set = MerkleSet()
        self.generation = 0
        # The statement that was asked about last: it is consumed next, as a rule.
        self._tagged = self._tag = b""

    def _tag_of(self, statement: bytes) -> bytes:
        if statement != self._tagged:
            self._tagged, self._tag = statement, statements.nullifier(statement)
        return self._tag

    def decide(self, generation: int, sequence: int, statement: bytes) -> str | None:
        rotate, taken = self._rotate, len(self._set)
        if generation == self.generation and (taken < rotate > sequence or not rotate):
            return DUPLICATE if self._tag_of(statement) in self._set else None
        return self._decide(taken, generation, sequence, statement)

    def decide_after(
        self, read: Read, generation: int, sequence: int, statement: bytes
    ) -> str | None:
        if any(statement in level for level in read):
            return DUPLICATE
        taken = len(self._set) + sum(map(len, read))
        return self._decide(taken, generation, sequence, statement)

    def _decide(self, taken: int, generation: int, sequence: int, statement: bytes) -> str | None:
        # A whole generation is a barrier: then, and only then, the next one is taken.
        newest = self.generation + (taken // self._rotate if self._rotate else 0)
        if generation == self.generation and self._tag_of(statement) in self._set:
            return DUPLICATE
        if generation != newest:
            return GENERATION
        return SEQUENCE if self._rotate and sequence >= self._rotate else None

    def retire(self) -> bytes | None:
        root = self.root
        self._set = MerkleSet()
        self.generation += 1
        return root

    def consume(self, generation: int, sequence: int, statement: bytes) -> None:  # noqa: ARG002
        assert generation == self.generation, "the generation before is retired first"
        added = self._set.insert(self._tag_of(statement))
        assert added, "consume without decide"

    def discard(self, statement: bytes) -> None:
        self._set.insert(self._tag_of(statement))

    @property
    def root(self) -> bytes | None:
        return self._set.root

    @property
    def expected(self) -> int:
        return len(self._set)


class _LossyNullifier(_Nullifier):
    """Where messages may be lost no generation is ever whole: its sender's word ends it.

    What came before that is still taken out of the buffer; nothing of an old generation arrives.
    """

    __slots__ = ()

    def decide(self, generation: int, sequence: int, statement: bytes) -> str | None:
        if self._tag_of(statement) in self._set:
            return DUPLICATE
        if generation > self.generation:
            return GENERATION
        return SEQUENCE if sequence >= self._rotate else None

    def decide_after(
        self, read: Read, generation: int, sequence: int, statement: bytes
    ) -> str | None:
        if any(statement in level for level in read):
            return DUPLICATE
        return self.decide(generation, sequence, statement)

    def consume(self, generation: int, sequence: int, statement: bytes) -> None:  # noqa: ARG002
        self._set.insert(self._tag_of(statement))


def start(mode: ReplayMode, rotate: int = 0, *, lossy: bool = False) -> Consumption:
    """The state of an edge side that has taken nothing yet."""
    match mode:
        case ReplayMode.NULLIFIER if lossy and rotate:
            return _LossyNullifier(rotate)
        case ReplayMode.OFF:
            return _Off()
        case ReplayMode.SEQUENCE:
            return _Sequence()
        case ReplayMode.NULLIFIER:
            return _Nullifier(rotate)
