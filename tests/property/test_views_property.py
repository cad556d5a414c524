"""Records of one session, cut and changed at random: nobody honest is ever made a liar."""

from __future__ import annotations

import io
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spread_machines import trust_of
from troth.conformance import MergedVerdict, verify_views
from troth.conformance.views_render import to_prose
from troth.vm.instructions import ReplayMode, Seal
from view_samples import views

NAMES: Final = ("hello", "two_buyer", "drain", "nested_recursion", "delegation")


def judge(*data: bytes) -> MergedVerdict:
    streams = [io.BytesIO(one) for one in data]
    return verify_views(streams, trust=trust_of(), replay=None)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    replay=st.sampled_from([None, ReplayMode.NULLIFIER]),
    seal=st.sampled_from([None, Seal.ROUND]),
    which=st.integers(0, 5),
    at=st.floats(0, 1, exclude_max=True),
)
def test_a_cut_record_is_incomplete_and_nothing_else(
    name: str, replay: ReplayMode | None, seal: Seal | None, which: int, at: float
) -> None:
    parties = [party.data for party in views(name, replay=replay, seal=seal)]
    number = which % len(parties)
    whole = parties[number]
    cut = whole[: max(8, int(at * len(whole)))]
    parties[number] = cut
    verdict = judge(*parties)
    assert verdict.findings == (), to_prose(verdict)
    assert verdict.exit_code == 4
    assert verdict.views[number].exit_code == 4


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    seal=st.sampled_from([None, Seal.ROUND]),
    which=st.integers(0, 5),
    seed=st.integers(0, 2**32),
)
def test_changed_bytes_prove_nothing(name: str, seal: Seal | None, which: int, seed: int) -> None:
    parties = [party.data for party in views(name, seal=seal)]
    number, random = which % len(parties), Random(seed)
    data = bytearray(parties[number])
    for _ in range(random.choice((1, 1, 3))):
        data[random.randrange(8, len(data))] ^= 1 << random.randrange(8)
    parties[number] = bytes(data)
    verdict = judge(*parties)
    assert verdict.exit_code in (2, 3, 4)
    assert [one.exit_code for place, one in enumerate(verdict.views) if place != number] == [0] * (
        len(parties) - 1
    )
    assert all(finding.proof is None for finding in verdict.findings), to_prose(verdict)
    assert all(finding.blamed is None for finding in verdict.findings), to_prose(verdict)


@pytest.mark.parametrize("seal", [None, Seal.ROUND])
def test_parts_of_other_records_prove_nothing(seal: Seal | None) -> None:
    """Whole records of other sessions beside each other."""
    data = [party.data for name in NAMES for party in views(name, seal=seal)]
    verdict = judge(*data)
    assert (verdict.exit_code, verdict.findings) == (0, ())
