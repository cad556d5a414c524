"""Proofs of a log's newest leaves agree with those of a tree that remembers everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.vm.merkle import Frontier, Tree, verify_inclusion
from troth.vm.merkle_recent import RecentTree


@given(st.integers(0, 70), st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_recent_leaves_are_proved(before: int, batches: list[int]) -> None:
    frontier, tree, number = Frontier(), Tree(), 0

    def leaf() -> bytes:
        nonlocal number
        number += 1
        return number.to_bytes(4, "big")

    for _ in range(before):
        one = leaf()
        frontier.append(one)
        tree.append(one)
    recent = RecentTree(frontier)
    for batch in batches:
        first = recent.size
        leaves = [leaf() for _ in range(batch)]
        for one in leaves:
            recent.append(one)
            tree.append(one)
        assert recent.root == tree.root()
        for place, one in enumerate(leaves):
            path = recent.inclusion_path(first + place)
            assert path == tree.inclusion_proof(first + place, recent.size)
            assert verify_inclusion(one, first + place, recent.size, path, recent.root)
        recent.mark()


def test_older_leaves_cannot_be_proved() -> None:
    recent = RecentTree(Frontier())
    recent.append(b"old")
    recent.mark()
    with pytest.raises(AssertionError):
        recent.inclusion_path(0)
