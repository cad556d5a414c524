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

from typing import Final

from blake3 import blake3

KEY_BYTES: Final = 32
EMPTY_ROOT: Final = bytes(32)

_LEAF_CONTEXT: Final = "troth/v1 set leaf"
_NODE_CONTEXT: Final = "troth/v1 set node"


class _Leaf:
    __slots__ = ("hash", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.hash = blake3(key, derive_key_context=_LEAF_CONTEXT).digest()


class _Node:
    __slots__ = ("bit", "hash", "left", "right")

    def __init__(self, bit: int, left: _Leaf | _Node, right: _Leaf | _Node) -> None:
        self.bit = bit
        self.left = left
        self.right = right
        self.hash: bytes = self._digest()

    def rehash(self) -> None:
        self.hash = self._digest()

    def _digest(self) -> bytes:
        data = bytes((self.bit,)) + self.left.hash + self.right.hash
        return blake3(data, derive_key_context=_NODE_CONTEXT).digest()


class MerkleSet:
    """`key in set`, `len(set)`, `insert` and `root`."""

    __slots__ = ("_size", "_top")

    def __init__(self) -> None:
        self._top: _Leaf | _Node | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, key: bytes) -> bool:
        return self._top is not None and _nearest(self._top, key).key == key

    @property
    def root(self) -> bytes:
        return EMPTY_ROOT if self._top is None else self._top.hash

    def insert(self, key: bytes) -> bool:
        """Adds the key; False, and nothing changed, when it is there already."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        if self._top is None:
            self._top = _Leaf(key)
        else:
            nearest = _nearest(self._top, key).key
            if nearest == key:
                return False
            self._top = _with_leaf(self._top, key, _first_difference(nearest, key))
        self._size += 1
        return True


def _bit(key: bytes, bit: int) -> int:
    return key[bit >> 3] >> (7 - (bit & 7)) & 1


def _first_difference(one: bytes, other: bytes) -> int:
    difference = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return KEY_BYTES * 8 - difference.bit_length()


def _nearest(top: _Leaf | _Node, key: bytes) -> _Leaf:
    """The leaf where the key's own bits lead: it is the key's if the key is in the set."""
    node = top
    while isinstance(node, _Node):
        node = node.right if _bit(key, node.bit) else node.left
    return node


def _with_leaf(top: _Leaf | _Node, key: bytes, bit: int) -> _Leaf | _Node:
    """The tree with a new leaf, split off at `bit`; hashes above it are made anew."""
    path: list[_Node] = []
    node = top
    while isinstance(node, _Node) and node.bit < bit:
        path.append(node)
        node = node.right if _bit(key, node.bit) else node.left
    leaf = _Leaf(key)
    grown = _Node(bit, node, leaf) if _bit(key, bit) else _Node(bit, leaf, node)
    if not path:
        return grown
    if _bit(key, path[-1].bit):
        path[-1].right = grown
    else:
        path[-1].left = grown
    for parent in reversed(path):
        parent.rehash()
    return top
