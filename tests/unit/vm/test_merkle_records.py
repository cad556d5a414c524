"""The log of an artifact has the roots of RFC 6962, with its records as leaves."""

from __future__ import annotations

import pytest

from troth.vm.merkle import LOOSE_MAX, Frontier, Tree

SIZES = [*range(20), 63, 64, 65, 1000]


def _pair(count: int) -> tuple[Frontier, Tree]:
    log, tree = Frontier(), Tree()
    for number in range(count):
        covered = str(number).encode() * (number % 5)
        log.append_record(number, covered)
        tree.append(number.to_bytes(8, "big") + covered)
    return log, tree


@pytest.mark.parametrize(
    "count", [*SIZES, *(n * LOOSE_MAX + k for n in (1, 2, 3, 5) for k in (-1, 0, 1, 77))]
)
def test_it_is_the_tree_of_numbered_leaves(count: int) -> None:
    log, tree = _pair(count)
    assert log.size == tree.size == count
    assert log.root == tree.root()
    assert log.root == tree.root(), "asking changes nothing"


def test_roots_on_the_way() -> None:
    log, tree = Frontier(), Tree()
    for number in range(2 * LOOSE_MAX + 3):
        log.append_record(number, b"x")
        tree.append(number.to_bytes(8, "big") + b"x")
        if number % 37 == 0:
            assert log.root == tree.root()
