"""One principal's log as the verifier rebuilds it: the root over numbered leaves, quickly.

The same tree as `troth.vm.merkle.Frontier` (RFC 6962), for leaves that are a record's number and
what it covers. Leaf hashes are gathered and folded many at a time, because every record of a
file is a leaf and most seals cover thousands.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from typing import Final

from troth.vm.merkle import EMPTY_ROOT, node_hash

FOLD_LEAVES: Final = 256
"""A power of two, so that what is folded is one full subtree."""

_LEAF_HEAD: Final = Struct(">BQ").pack
"""The leaf prefix 0x00 and the record's number, 8 bytes big endian."""


class LeafLog:
    """Append-only. Keeps at most `FOLD_LEAVES` hashes and one for each full subtree."""

    __slots__ = ("_folded", "_pending", "_subtrees")

    def __init__(self) -> None:
        self._folded = 0
        self._pending: list[bytes] = []
        self._subtrees: list[bytes] = []

    @property
    def size(self) -> int:
        return self._folded * FOLD_LEAVES + len(self._pending)

    def append(self, number: int, covered: bytes) -> None:
        """Adds the leaf of record `number`, which covers a statement or the record's bytes."""
        pending = self._pending
        pending.append(sha256(_LEAF_HEAD(0, number) + covered).digest())
        if len(pending) == FOLD_LEAVES:
            self._fold()

    def _fold(self) -> None:
        nodes = self._pending
        while len(nodes) > 1:
            pairs = iter(nodes)
            nodes = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(pairs, pairs, strict=True)
            ]
        node, count = nodes[0], self._folded
        # A one bit at the bottom of the count is a full subtree that the new one completes.
        while count & 1:
            node = node_hash(self._subtrees.pop(), node)
            count >>= 1
        self._subtrees.append(node)
        self._folded += 1
        self._pending = []

    @property
    def root(self) -> bytes:
        """The tree hash of all leaves so far."""
        subtrees = list(self._subtrees)
        for count, leaf in enumerate(self._pending):
            node, ones = leaf, count
            while ones & 1:
                node = node_hash(subtrees.pop(), node)
                ones >>= 1
            subtrees.append(node)
        if not subtrees:
            return EMPTY_ROOT
        node = subtrees.pop()
        while subtrees:
            node = node_hash(subtrees.pop(), node)
        return node
