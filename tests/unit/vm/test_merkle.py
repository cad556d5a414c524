"""RFC 6962 trees against the recursive definition, and their proofs against every lie."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.vm.merkle import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    verify_consistency,
    verify_inclusion,
)

SIZE_MAX = 33


def _definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + _definition(leaves[:split]) + _definition(leaves[split:])).digest()


def _leaves(count: int) -> list[bytes]:
    return [f"leaf {i}".encode() for i in range(count)]


def _tree(count: int) -> Tree:
    tree = Tree()
    for leaf in _leaves(count):
        tree.append(leaf)
    return tree


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_roots_follow_the_definition(leaves: list[bytes]) -> None:
    frontier, tree = Frontier(), Tree()
    for leaf in leaves:
        frontier.append(leaf)
        tree.append(leaf)
    assert frontier.root == tree.root() == _definition(leaves)
    assert frontier.size == tree.size == len(leaves)


def test_root_can_be_asked_for_at_any_time() -> None:
    frontier = Frontier()
    assert frontier.root == EMPTY_ROOT
    for count in range(1, SIZE_MAX):
        frontier.append(_leaves(count)[-1])
        assert frontier.root == frontier.root == _definition(_leaves(count))


def test_inclusion_of_every_leaf_in_every_tree() -> None:
    tree, leaves = _tree(SIZE_MAX), _leaves(SIZE_MAX)
    for size in range(1, SIZE_MAX + 1):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion_proof(index, size)
            assert verify_inclusion(leaves[index], index, size, proof, root)
            assert not verify_inclusion(b"another", index, size, proof, root)
            assert not verify_inclusion(leaves[index], index, size, (*proof, root), root)
            assert not verify_inclusion(leaves[index], index, size, proof, EMPTY_ROOT)
            assert not verify_inclusion(leaves[index], size, size, proof, root)
            if proof:
                assert not verify_inclusion(leaves[index], index, size, proof[:-1], root)
                assert not verify_inclusion(leaves[index], index, size, proof[1:], root)
                assert not verify_inclusion(leaves[index], index ^ 1, size, proof, root)


def test_consistency_of_every_pair_of_trees() -> None:
    tree = _tree(SIZE_MAX)
    for size in range(1, SIZE_MAX + 1):
        root = tree.root(size)
        for old in range(1, size + 1):
            proof, old_root = tree.consistency_proof(old, size), tree.root(old)
            assert verify_consistency(old, size, old_root, root, proof)
            assert not verify_consistency(old, size, EMPTY_ROOT, root, proof)
            assert not verify_consistency(old, size, old_root, EMPTY_ROOT, proof)
            assert not verify_consistency(old, size, old_root, root, (*proof, root))
            if proof:
                assert not verify_consistency(old, size, old_root, root, proof[:-1])
                assert not verify_consistency(old, size, old_root, root, ())
    assert not verify_consistency(0, 4, EMPTY_ROOT, tree.root(4), ())
    assert not verify_consistency(5, 4, tree.root(5), tree.root(4), ())


def test_a_rewritten_log_is_not_consistent() -> None:
    other = Tree()
    for leaf in [b"rewritten", *_leaves(20)[1:]]:
        other.append(leaf)
    honest = _tree(20)
    proof = other.consistency_proof(7, 20)
    assert verify_consistency(7, 20, other.root(7), other.root(20), proof)
    assert not verify_consistency(7, 20, honest.root(7), other.root(20), proof)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3), (0, 4)])
def test_proofs_of_what_is_not_there_are_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="outside of the tree"):
        _tree(3).inclusion_proof(index, size)


def test_consistency_with_nothing_cannot_be_proved() -> None:
    with pytest.raises(ValueError, match="outside of the tree"):
        _tree(3).consistency_proof(0, 3)
    with pytest.raises(ValueError, match="outside of the tree"):
        _tree(3).root(4)
