"""One principal's log as the verifier rebuilds it: the root over numbered leaves, quickly.

The same tree as `troth.vm.merkle.Frontier` (RFC 6962), for leaves that are a record's number and
what it covers. Leaf hashes are gathered and folded many at a time, because every record of a
file is a leaf and most seals cover many; what a seal has folded is never hashed again.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from typing import Final

from troth.vm.merkle import EMPTY_ROOT, node_hash

FOLD_LEAVES: Final = 256
"""So many leaf hashes wait at most, until a seal asks for the root."""

_LEAF_HEAD: Final = Struct(">BQ").pack
"""The leaf prefix 0x00 and the record's number, 8 bytes big endian."""


class LeafLog:
    """Append-only. Keeps at most `FOLD_LEAVES` hashes and one for each full subtree."""

    __slots__ = ("_folded", "_pending", "_subtrees")

    def __init__(self) -> None:
        self._folded = 0
        self._pending: list[bytes] = []
        self._subtrees: list[bytes] = []
        """A full subtree for every one bit of `_folded`, the smallest last."""

    @property
    def size(self) -> int:
        return self._folded + len(self._pending)

    def append(self, number: int, covered: bytes) -> None:
        """Adds the leaf of record `number`, which covers a statement or the record's bytes."""
        pending = self._pending
        pending.append(sha256(_LEAF_HEAD(0, number) + covered).digest())
        if len(pending) == FOLD_LEAVES:
            self._fold()

    def _fold(self) -> None:
        """Makes full subtrees of all leaves, level by level from the leaves up."""
        nodes, count, subtrees = self._pending, self._folded, self._subtrees
        self._pending = []
        self._folded += len(nodes)
        alone: list[bytes] = []
        while nodes:
            # A one bit is a subtree that waits at this level for its right neighbour.
            if count & 1:
                nodes.insert(0, subtrees.pop())
            if len(nodes) & 1:
                alone.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(pairs, pairs, strict=True)
            ]
            count >>= 1
        subtrees.extend(reversed(alone))

    @property
    def root(self) -> bytes:
        """The tree hash of all leaves so far."""
        self._fold()
        if not self._subtrees:
            return EMPTY_ROOT
        *rest, node = self._subtrees
        for left in reversed(rest):
            node = node_hash(left, node)
        return node
