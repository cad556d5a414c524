"""A growing RFC 6962 tree that can prove its newest leaves, those since a mark.

A machine proves to others that a message is in a log whose head it has just signed. Such proofs
need the hashes of the leaves since the head before and one hash for each full subtree at that
time, and no more of the past.
"""

from __future__ import annotations

from troth.vm.merkle import Frontier, node_hash, split


class RecentTree(Frontier):
    """A `Frontier` whose leaves since the last `mark` can be proved."""

    __slots__ = ("_full", "_marked", "_recent")

    def __init__(self, frontier: Frontier) -> None:
        """Goes on from where `frontier` is, which is marked."""
        super().__init__()
        self.size = frontier.size
        self._subtrees = list(frontier.subtrees)
        self.mark()

    def mark(self) -> None:
        """Forgets what is needed to prove the leaves so far."""
        self._marked = self.size
        self._recent: list[bytes] = []
        self._full: dict[tuple[int, int], bytes] = {}
        start = 0
        for place, node in zip(_places(self.size), self.subtrees, strict=True):
            self._full[start, start + place] = node
            start += place

    def append(self, leaf: bytes) -> bytes:
        digest = super().append(leaf)
        self._recent.append(digest)
        return digest

    def append_record(self, number: int, covered: bytes) -> bytes:
        digest = super().append_record(number, covered)
        self._recent.append(digest)
        return digest

    def inclusion_path(self, index: int) -> tuple[bytes, ...]:
        """The hashes that lead from leaf `index`, one since the mark, to the root now."""
        assert self._marked <= index < self.size, "only leaves since the mark can be proved"
        path = []
        low, high = 0, self.size
        while high - low > 1:
            middle = low + split(high - low)
            if index < middle:
                path.append(self._root(middle, high))
                high = middle
            else:
                path.append(self._root(low, middle))
                low = middle
        return tuple(reversed(path))

    def _root(self, low: int, high: int) -> bytes:
        """The tree hash of a range of leaves that is a subtree; remembered until the mark."""
        known = self._full.get((low, high))
        if known is not None:
            return known
        if high - low == 1:
            return self._recent[low - self._marked]
        middle = low + split(high - low)
        node = node_hash(self._root(low, middle), self._root(middle, high))
        if self._is_final(low, high):
            self._full[low, high] = node
        return node

    def _is_final(self, low: int, high: int) -> bool:
        """Whether the subtree is full: others change while the tree grows."""
        size = high - low
        return size & (size - 1) == 0 and low % size == 0


def _places(size: int) -> list[int]:
    """The sizes of the full subtrees of a tree, from the left."""
    return [1 << bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]
