"""A compact Merkle set of 32-byte keys: one root for a set, however it was filled.

The tree is binary over the bits of the keys (most significant first) and path-compressed: an
inner node stands at the first bit in which the keys below it differ, so its shape depends on
the set alone, and a set of n random keys is about log2(n) deep.

* leaf: BLAKE3 derive-key "troth/v1 set leaf" of the key
* node: BLAKE3 derive-key "troth/v1 set node" of its bit number (one byte), left, right
* the empty set: 32 zero bytes

Keys are to be outputs of a hash. Hostile keys can make the tree as deep as they have bits, so
the cost of an insert is never above 256 hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from blake3 import blake3

KEY_BYTES: Final = 32
EMPTY_ROOT: Final = bytes(32)

_LEAF: Final = blake3(derive_key_context="troth/v1 set leaf")
_NODE: Final = blake3(derive_key_context="troth/v1 set node")
"""Hashers of the two contexts: only ever copied, never updated."""

_BYTE_OF_BIT: Final = tuple(bytes((bit,)) for bit in range(KEY_BYTES * 8))
_MASK_OF_BIT: Final = tuple(0x80 >> (bit & 7) for bit in range(KEY_BYTES * 8))


class _Leaf:
    __slots__ = ("hash", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        hasher = _LEAF.copy()
        hasher.update(key)
        self.hash = hasher.digest()


class _Node:
    __slots__ = ("bit", "hash", "left", "right")

    def __init__(self, bit: int, left: _Leaf | _Node, right: _Leaf | _Node) -> None:
        self.bit = bit
        self.left = left
        self.right = right
        self.hash = b""


class MerkleSet:
    """`key in set`, `len(set)`, `insert` and `root`."""

    __slots__ = ("_found", "_size", "_top")

    def __init__(self) -> None:
        self._top: _Leaf | _Node | None = None
        self._size = 0
        # The way to the key that was asked for last: it is inserted next, as a rule.
        self._found: tuple[bytes, list[_Node], _Leaf] | None = None

    def __len__(self) -> int:
        return self._size

    def __contains__(self, key: bytes) -> bool:
        return self._top is not None and self._find(self._top, key)[2].key == key

    @property
    def root(self) -> bytes:
        return EMPTY_ROOT if self._top is None else self._top.hash

    def keys(self) -> Iterator[bytes]:
        """All keys, in ascending order."""
        pending = [] if self._top is None else [self._top]
        while pending:
            node = pending.pop()
            if isinstance(node, _Node):
                pending += (node.right, node.left)
            else:
                yield node.key

    def insert(self, key: bytes) -> bool:
        """Adds the key; False, and nothing changed, when it is there already."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        if self._top is None:
            self._top = _Leaf(key)
        else:
            _, path, nearest = self._find(self._top, key)
            if nearest.key == key:
                return False
            self._top = _with_leaf(key, path, nearest)
            self._found = None
        self._size += 1
        return True

    def _find(self, top: _Leaf | _Node, key: bytes) -> tuple[bytes, list[_Node], _Leaf]:
        found = self._found
        if found is None or found[0] != key:
            path: list[_Node] = []
            found = self._found = key, path, _nearest(top, key, path)
        return found


def _first_difference(one: bytes, other: bytes) -> int:
    difference = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return KEY_BYTES * 8 - difference.bit_length()


def _nearest(top: _Leaf | _Node, key: bytes, path: list[_Node]) -> _Leaf:
    """The leaf where the key's own bits lead: it is the key's if the key is in the set.

    Appends the nodes on the way to `path`.
    """
    node = top
    while type(node) is _Node:
        path.append(node)
        bit = node.bit
        node = node.right if key[bit >> 3] & _MASK_OF_BIT[bit & 7] else node.left
    assert type(node) is _Leaf, "a way down ends at a leaf"
    return node


def _with_leaf(key: bytes, path: list[_Node], nearest: _Leaf) -> _Node:
    """The top of the tree with a new leaf; `path` led to the leaf that is `nearest` to it.

    The leaf is split off at the first bit that differs, below all nodes of lower bits; the hashes
    above it are made anew.
    """
    split = _first_difference(nearest.key, key)
    below: _Leaf | _Node = nearest
    while path and path[-1].bit > split:
        below = path.pop()
    leaf = _Leaf(key)
    goes_right = key[split >> 3] & _MASK_OF_BIT[split & 7]
    grown = _Node(split, below, leaf) if goes_right else _Node(split, leaf, below)
    if path:
        parent = path[-1]
        if parent.left is below:
            parent.left = grown
        else:
            parent.right = grown
    path.append(grown)
    for node in reversed(path):
        hasher = _NODE.copy()
        hasher.update(_BYTE_OF_BIT[node.bit] + node.left.hash + node.right.hash)
        node.hash = hasher.digest()
    return path[0]
