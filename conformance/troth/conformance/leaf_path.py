"""The inclusion proof of one leaf of a log that streams by: about log2(size) hashes are kept."""

from __future__ import annotations

from hashlib import sha256

from troth.vm.merkle import EMPTY_ROOT, node_hash


class LeafPath:
    """The right edge of a growing RFC 6962 tree, and the way up from one of its leaves.

    Attributes:
        index: the marked leaf's place in the log; None before there is one.
        leaf: what the marked leaf is the hash of.
    """

    __slots__ = ("_path", "_subtrees", "index", "leaf", "size")

    def __init__(self) -> None:
        self.size = 0
        self.index: int | None = None
        self.leaf = b""
        self._subtrees: list[tuple[bytes, bool]] = []
        self._path: list[bytes] = []

    def append(self, leaf: bytes, *, marked: bool = False) -> None:
        """Adds a leaf; the proof will be of the one that is marked, and there is only one."""
        if marked:
            self.index, self.leaf = self.size, leaf
        node = (sha256(b"\x00" + leaf).digest(), marked)
        size = self.size
        self.size += 1
        # A one bit at the bottom of the size is a full subtree that the new one completes.
        while size & 1:
            node = _join(self._subtrees.pop(), node, self._path)
            size >>= 1
        self._subtrees.append(node)

    def head(self) -> tuple[bytes, tuple[bytes, ...]]:
        """The root now, and the hashes that lead to it from the marked leaf."""
        path = list(self._path)
        if not self._subtrees:
            return EMPTY_ROOT, ()
        *rest, node = self._subtrees
        for left in reversed(rest):
            node = _join(left, node, path)
        return node[0], tuple(path)


def _join(
    left: tuple[bytes, bool], right: tuple[bytes, bool], path: list[bytes]
) -> tuple[bytes, bool]:
    """One level up; the other side of the marked leaf's is the next hash of its path."""
    if left[1]:
        path.append(right[0])
    elif right[1]:
        path.append(left[0])
    return node_hash(left[0], right[0]), left[1] or right[1]
