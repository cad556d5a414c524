"""What each replay mode takes and refuses, and the roots it leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.vm import statements
from troth.vm.consumption import DUPLICATE, GENERATION, SEQUENCE, Consumption, start
from troth.vm.instructions import ReplayMode
from troth.vm.merkle_set import MerkleSet


def _statement(sequence: int, label: str = "ask") -> bytes:
    return statements.message_statement(
        bytes(32), "Client", "Server", 0, label, 0, sequence, bytes(32)
    )


def _take(consumption: Consumption, sequence: int) -> None:
    statement = _statement(sequence)
    assert consumption.decide(0, sequence, statement) is None
    consumption.consume(0, sequence, statement)


def test_sequence_takes_exactly_the_next_number() -> None:
    consumption = start(ReplayMode.SEQUENCE)
    assert consumption.root == bytes(32)
    for sequence in range(5):
        assert consumption.expected == sequence
        for other in range(8):
            verdict = consumption.decide(0, other, _statement(other))
            expected = {True: DUPLICATE, False: SEQUENCE}[other < sequence]
            assert verdict == (None if other == sequence else expected)
        _take(consumption, sequence)


def test_sequence_knows_one_generation() -> None:
    consumption = start(ReplayMode.SEQUENCE)
    assert consumption.decide(1, 0, _statement(0)) == GENERATION


def test_sequence_root_is_a_chain_over_the_statements() -> None:
    consumption, root = start(ReplayMode.SEQUENCE), statements.history_start()
    for sequence in range(4):
        _take(consumption, sequence)
        root = statements.history_step(root, _statement(sequence))
        assert consumption.root == root


def test_off_takes_everything_and_keeps_the_history() -> None:
    consumption = start(ReplayMode.OFF)
    root = statements.history_start()
    for taken, sequence in enumerate((5, 5, 0, 7)):
        assert consumption.expected == taken
        _take(consumption, sequence)
        root = statements.history_step(root, _statement(sequence))
        assert consumption.root == root
    assert consumption.decide(3, 9, b"") is None


@given(st.permutations(range(6)))
def test_nullifier_takes_each_message_once_in_any_order(order: list[int]) -> None:
    consumption, model = start(ReplayMode.NULLIFIER), MerkleSet()
    for sequence in order:
        _take(consumption, sequence)
        assert consumption.decide(0, sequence, _statement(sequence)) == DUPLICATE
    for sequence in range(6):
        model.insert(statements.nullifier(_statement(sequence)))
    assert consumption.root == model.root
    assert consumption.expected == 6


def test_nullifier_looks_at_the_whole_identity() -> None:
    consumption = start(ReplayMode.NULLIFIER)
    _take(consumption, 0)
    assert consumption.decide(0, 0, _statement(0, "tell")) is None
    assert consumption.decide(1, 1, _statement(1)) == GENERATION


@pytest.mark.parametrize("mode", ReplayMode)
def test_asking_changes_nothing(mode: ReplayMode) -> None:
    consumption = start(mode)
    _take(consumption, 0)
    before = (consumption.root, consumption.expected)
    for sequence in (0, 1, 2):
        consumption.decide(0, sequence, _statement(sequence))
        consumption.decide(1, sequence, _statement(sequence))
    assert (consumption.root, consumption.expected) == before
