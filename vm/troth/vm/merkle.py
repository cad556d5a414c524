"""RFC 6962 Merkle trees: append-only logs of byte strings (SHA-256).

A leaf is hashed after a 0x00 byte, an inner node after a 0x01 byte, and a tree of n leaves is
split at the largest power of two below n (RFC 6962, section 2.1). `Frontier` keeps only what
is needed to go on appending, and is quickest with many leaves between two roots; `Tree` keeps
every leaf hash and can prove things.
The two `verify_…` functions are the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves."""

LOOSE_MAX: Final = 256
"""So many hashes wait at most in a `Frontier` to be joined."""

_RECORD_HEAD: Final = Struct(">BQ").pack
"""The leaf prefix 0x00 and the record's number, 8 bytes big endian."""


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: one hash per full subtree, about log2(size) of them."""

    __slots__ = ("_loose", "_subtrees", "size")

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[bytes] = []
        # Hashes of the newest leaves, joined to the others level by level: many at once cost less.
        self._loose: list[bytes] = []

    def append(self, leaf: bytes) -> bytes:
        """Adds one leaf; its bytes are not kept. Returns its hash."""
        digest = leaf_hash(leaf)
        self._loose.append(digest)
        self.size += 1
        if len(self._loose) == LOOSE_MAX:
            self._join()
        return digest

    def append_record(self, number: int, covered: bytes) -> bytes:
        """Adds the leaf of record `number`, which covers a statement or the record's bytes.

        Returns the leaf's hash.
        """
        leaf = sha256(_RECORD_HEAD(0, number) + covered).digest()
        loose = self._loose
        loose.append(leaf)
        self.size += 1
        if len(loose) == LOOSE_MAX:
            self._join()
        return leaf

    def _join(self) -> None:
        nodes, subtrees = self._loose, self._subtrees
        self._loose = []
        joined, grown = self.size - len(nodes), []
        while nodes:
            # A one bit at the bottom is a full subtree of this level, left of all that is new.
            if joined & 1:
                nodes.insert(0, subtrees.pop())
            joined >>= 1
            if len(nodes) & 1:
                grown.append(nodes.pop())
            pairs = zip(nodes[::2], nodes[1::2], strict=True)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        subtrees += reversed(grown)

    @property
    def subtrees(self) -> tuple[bytes, ...]:
        """The roots of the full subtrees, the largest first."""
        self._join()
        return tuple(self._subtrees)

    @property
    def root(self) -> bytes:
        """The tree hash of all leaves so far."""
        if not self.size:
            return EMPTY_ROOT
        *rest, node = self.subtrees
        for left in reversed(rest):
            node = node_hash(left, node)
        return node


class Tree:
    """A log that remembers the hash of every leaf (32 bytes each), to make proofs."""

    __slots__ = ("_leaves",)

    def __init__(self) -> None:
        self._leaves: list[bytes] = []

    @property
    def size(self) -> int:
        return len(self._leaves)

    def append(self, leaf: bytes) -> None:
        self._leaves.append(leaf_hash(leaf))

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves, of all without it."""
        size = self.size if size is None else size
        _require(0 <= size <= self.size, "size", size)
        return _root(self._leaves[:size])

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """The hashes that lead from leaf `index` to the root of the first `size` leaves."""
        _require(0 <= index < size <= self.size, "index", index)
        return tuple(_path(index, self._leaves[:size]))

    def consistency_proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """The hashes that show the tree of `old_size` to be the beginning of that of `size`."""
        _require(0 < old_size <= size <= self.size, "old_size", old_size)
        return tuple(_consistency(old_size, self._leaves[:size], whole=True))


def _require(condition: bool, name: str, value: int) -> None:
    if not condition:
        raise ValueError(f"{name} {value} is outside of the tree")


def split(size: int) -> int:
    """The largest power of two below `size`, for sizes from 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def _path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = split(len(leaves))
    if index < middle:
        return [*_path(index, leaves[:middle]), _root(leaves[middle:])]
    return [*_path(index - middle, leaves[middle:]), _root(leaves[:middle])]


def _consistency(old_size: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """`whole`: the old tree is this subtree from its first leaf on, so its root is known."""
    if old_size == len(leaves):
        return [] if whole else [_root(leaves)]
    middle = split(len(leaves))
    if old_size <= middle:
        return [*_consistency(old_size, leaves[:middle], whole=whole), _root(leaves[middle:])]
    right = _consistency(old_size - middle, leaves[middle:], whole=False)
    return [*right, _root(leaves[:middle])]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether `proof` shows that leaf number `index` of the tree of `size` is `leaf`."""
    if not 0 <= index < size:
        return False
    node, last = leaf_hash(leaf), size - 1
    for sibling in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(
    old_size: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether `proof` shows that the tree of `size` begins with the tree of `old_size`."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    index, last = old_size - 1, size - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and old == old_root and new == root
