"""No small change to one party's record of a session of several machines is accepted."""

from __future__ import annotations

import pytest

import mutation_harness as harness
from artifact_surgery import EXAMPLES
from spread_machines import Party, run_spread, trust_of
from troth import dsl
from troth.vm.instructions import Seal

SEED = 20240301


@pytest.fixture(
    name="party",
    params=[("hello", 0, None), ("hello", 1, Seal.ROUND), ("delegation", 0, Seal.ROUND)],
    ids=lambda case: "-".join(str(part) for part in case),
    scope="module",
)
def _party(request: pytest.FixtureRequest) -> Party:
    name, number, seal = request.param
    homes = {
        "hello": [["Client"], ["Server"]],
        "delegation": [["Client"], ["Server", "Dispatcher", "Worker"]],
    }[name]
    image = dsl.load(EXAMPLES / f"{name}.troth").image
    parties, _ = run_spread(image, homes, seal=seal, repeat=0.2)
    assert parties[number].verdict().exit_code == 0
    party: Party = parties[number]
    return party


def _require_all_caught(tally: harness.Tally, name: str, at_least: int) -> None:
    print(tally.summary(name))
    assert not tally.missed, tally.missed[:5]
    assert tally.tried >= at_least


@pytest.mark.slow
def test_one_flipped_bit_at_every_byte(party: Party) -> None:
    mutants = harness.bit_flips(party.data, SEED)
    tally = harness.check_all(mutants, party.data, trust_of())
    _require_all_caught(tally, "bit flips", len(party.data))


@pytest.mark.slow
def test_every_record_dropped_repeated_and_swapped(party: Party) -> None:
    tally = harness.check_all(harness.record_changes(party.data), party.data, trust_of())
    _require_all_caught(tally, "record changes", 400)


@pytest.mark.slow
def test_truncations(party: Party) -> None:
    mutants = list(harness.truncations(party.data))[::7]
    tally = harness.check_all(mutants, party.data, trust_of())
    _require_all_caught(tally, "truncations", len(party.data) // 7)
    assert set(tally.by_exit) == {4}
