"""Whether parties tell the same of how they met: joins, and sessions that one leaves out."""

from __future__ import annotations

import io

import pytest

from artifact_surgery import find, join, key_pair, parse, reseal, sign_all
from spread_machines import Party
from troth.conformance import MergedVerdict, verify_views
from troth.conformance.views_render import to_prose
from troth.vm.instructions import Seal
from troth.vm.records import Kind
from view_lies import talk, trust
from view_samples import second_word, word_of

SEALS = (None, Seal.ROUND)


def judge(*records: Party | bytes) -> MergedVerdict:
    data = [one.data if isinstance(one, Party) else one for one in records]
    trusted = trust("A", "B")
    verdict = verify_views([io.BytesIO(one) for one in data], trust=trusted, replay=None)
    assert word_of(verdict) == second_word(data, trusted)
    return verdict


def without_join(party: Party, role: str) -> bytes:
    """Its own join left out, and everything sealed again by the role's own key."""
    records, pairs = parse(party.data), [key_pair(role)]
    del records[find(records, Kind.JOIN)]
    signed = zip(records, sign_all(records, pairs), strict=True)
    return reseal([after if before[-1] else before for before, after in signed], pairs)


@pytest.mark.parametrize("seal", SEALS)
def test_parties_that_met_agree(seal: Seal | None) -> None:
    verdict = judge(*talk(seal=seal))
    assert (verdict.exit_code, verdict.findings, verdict.notes) == (0, (), ())


@pytest.mark.parametrize("seal", SEALS)
def test_a_session_that_a_party_joined_and_leaves_out(seal: Seal | None) -> None:
    """B met two machines with one seed, and shows each of them's auditor the other session."""
    told, shown = talk(seal=seal)[0], talk(seed=9, seal=seal)[1]
    verdict = judge(told, shown)
    assert [view.exit_code for view in verdict.views] == [0, 0], "each holds by itself"
    found = [one for one in verdict.findings if one.code == "merge.unrecorded"]
    assert [(one.party, one.blamed) for one in found] == [("B", "B")]
    assert found[0].message.endswith("B takes part in the session")
    assert found[0].sides[0].signature is not None
    assert verdict.exit_code == 2
    assert "B takes part in the session" in to_prose(verdict)


def test_a_session_of_another_run_is_nobodys_lie() -> None:
    """A has two runs of one key; only the record of the other one is here."""
    verdict = judge(talk(seed=9)[0], talk()[1])
    (found,) = (one for one in verdict.findings if one.code == "merge.unrecorded")
    assert found.party == "B", "its seed made the nonce of both sessions"
    assert "record 2 has a session of Talk with A, of another run than record 1." in verdict.notes


def test_a_record_that_stops_early_leaves_nothing_out() -> None:
    told, shown = talk()[0], talk(seed=9)[1]
    verdict = judge(told, shown.data[:-10])
    assert verdict.findings == ()


def test_nobody_is_made_to_join_by_another() -> None:
    """The record says that B joined, but B did not sign it: the record is refused by itself."""
    records = parse(talk()[0].data)
    number = find(records, Kind.PEER_JOIN)
    records[number] = (*records[number][:3], bytes(64), *records[number][4:])
    verdict = judge(join(records), talk(seed=9)[1])
    assert verdict.exit_code == 2
    assert all(one.blamed is None for one in verdict.findings)


@pytest.mark.parametrize("seal", SEALS)
def test_a_join_that_its_maker_leaves_out(seal: Seal | None) -> None:
    a, b = talk(seal=seal)
    verdict = judge(a, without_join(b, "B"))
    assert [view.exit_code for view in verdict.views] == [0, 0], "each holds by itself"
    found = [one for one in verdict.findings if one.code == "merge.unrecorded"]
    assert [(one.party, one.blamed) for one in found] == [("B", "B")]
    assert found[0].message.endswith("B takes part in the session")
    assert verdict.exit_code == 2
