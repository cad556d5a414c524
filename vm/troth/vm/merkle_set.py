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


class _Node:
    """An inner node, with the hashes of what is below it: a leaf is its key, and needs no object.

    Most of a machine's memory can be such sets, so nothing stands here that can be done without.
    """

    __slots__ = ("bit", "left", "left_hash", "right", "right_hash")

    def __init__(
        self,
        bit: int,
        left: bytes | _Node,
        left_hash: bytes,
        right: bytes | _Node,
        right_hash: bytes,
    ) -> None:
        self.bit = bit
        self.left = left
        self.left_hash = left_hash
        self.right = right
        self.right_hash = right_hash


class MerkleSet:
    """`key in set`, `len(set)`, `insert` and `root`."""

    __slots__ = ("_found", "_size", "_top", "root")

    def __init__(self) -> None:
        self._top: bytes | _Node | None = None
        self._size = 0
        # The way to the key that was asked for last: it is inserted next, as a rule.
        self._found: tuple[bytes, list[_Node], bytes] | None = None
        self.root = EMPTY_ROOT

    def __len__(self) -> int:
        return self._size

    def __contains__(self, key: bytes) -> bool:
        return self._top is not None and self._find(self._top, key)[2] == key

    def keys(self) -> Iterator[bytes]:
        """All keys, in ascending order."""
        pending = [] if self._top is None else [self._top]
        while pending:
            node = pending.pop()
            if isinstance(node, _Node):
                pending += (node.right, node.left)
            else:
                yield node

    def insert(self, key: bytes) -> bool:
        """Adds the key; False, and nothing changed, when it is there already."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        if self._top is None:
            self._top, self.root = key, _leaf_hash(key)
        else:
            _, path, nearest = self._find(self._top, key)
            if nearest == key:
                return False
            self._top = self._with_leaf(self._top, key, path, nearest)
            self._found = None
        self._size += 1
        return True

    def _find(self, top: bytes | _Node, key: bytes) -> tuple[bytes, list[_Node], bytes]:
        found = self._found
        if found is None or found[0] != key:
            path: list[_Node] = []
            found = self._found = key, path, _nearest(top, key, path)
        return found

    def _with_leaf(
        self, top: bytes | _Node, key: bytes, path: list[_Node], nearest: bytes
    ) -> bytes | _Node:
        """The tree with a new leaf; `path` leads to the one that is `nearest` to it.

        The leaf is split off at the first bit that differs, below all nodes of lower bits; the
        hashes above it are made anew.
        """
        split = _first_difference(nearest, key)
        while path and path[-1].bit > split:
            path.pop()
        leaf = _leaf_hash(key)
        if not path:
            grown, digest = _split(split, key, leaf, top, self.root)
            top = grown
        else:
            parent = path[-1]
            if _leads_right(key, parent.bit):
                grown, digest = _split(split, key, leaf, parent.right, parent.right_hash)
                parent.right = grown
            else:
                grown, digest = _split(split, key, leaf, parent.left, parent.left_hash)
                parent.left = grown
        below = grown
        # A hasher is large: one that is used again stays in the processor's cache.
        hasher = _NODE.copy()
        for node in reversed(path):
            if node.left is below:
                node.left_hash = digest
            else:
                node.right_hash = digest
            hasher.reset()
            hasher.update(_BYTE_OF_BIT[node.bit] + node.left_hash + node.right_hash)
            digest = hasher.digest()
            below = node
        self.root = digest
        return top


def _leaf_hash(key: bytes) -> bytes:
    hasher = _LEAF.copy()
    hasher.update(key)
    return hasher.digest()


def _leads_right(key: bytes, bit: int) -> int:
    return key[bit >> 3] & _MASK_OF_BIT[bit & 7]


def _first_difference(one: bytes, other: bytes) -> int:
    difference = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return KEY_BYTES * 8 - difference.bit_length()


def _nearest(top: bytes | _Node, key: bytes, path: list[_Node]) -> bytes:
    """The leaf where the key's own bits lead: it is the key's if the key is in the set.

    Appends the nodes on the way to `path`.
    """
    node = top
    while type(node) is _Node:
        path.append(node)
        bit = node.bit
        node = node.right if key[bit >> 3] & _MASK_OF_BIT[bit & 7] else node.left
    assert type(node) is bytes, "a way down ends at a leaf"
    return node


def _split(
    bit: int, key: bytes, key_hash: bytes, other: bytes | _Node, other_hash: bytes
) -> tuple[_Node, bytes]:
    """A node over a new leaf and what was in its place, and its hash."""
    if _leads_right(key, bit):
        node = _Node(bit, other, other_hash, key, key_hash)
    else:
        node = _Node(bit, key, key_hash, other, other_hash)
    hasher = _NODE.copy()
    hasher.update(_BYTE_OF_BIT[bit] + node.left_hash + node.right_hash)
    return node, hasher.digest()
