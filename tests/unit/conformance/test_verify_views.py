"""Several parties' records of one session, judged together: what agrees, and who lies."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence

import pytest

from artifact_surgery import find, flipped, join, parse, raw_records, with_field
from proof_samples import check
from spread_machines import Party, trust_of
from troth import conformance
from troth.conformance import MergedVerdict, to_json, verify_views
from troth.conformance.equivocation import TwoHeads
from troth.conformance.judge import verify_stream
from troth.conformance.merge_codes import MERGE_CODES
from troth.conformance.proof_check import Known
from troth.conformance.proof_files import SignedTwice, parse_proof
from troth.conformance.verdict import Word
from troth.conformance.view_facts import ViewFacts
from troth.conformance.views_render import to_prose
from troth.vm.errors import Unusable
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.records import Kind
from verify_samples import sample
from view_lies import hire, talk, trust
from view_samples import second_word, views, word_of

NAMES = ("hello", "two_buyer", "drain", "nested_recursion", "delegation")
SEALS = (None, Seal.ROUND)
TRUST = trust("A", "B", "Client", "Server", "Dispatcher", "Worker")


def judge(*records: Party | bytes, replay: bool = True) -> MergedVerdict:
    """Both verifiers say the same, up to level 4."""
    data = [one.data if isinstance(one, Party) else one for one in records]
    streams = [io.BytesIO(one) for one in data]
    verdict = verify_views(streams, trust=TRUST, replay=None)
    assert word_of(verdict) == second_word(data, TRUST)
    return verify_views(streams, trust=TRUST) if replay else verdict


def codes(verdict: MergedVerdict) -> list[str]:
    return [finding.code for finding in verdict.findings]


# --- honest parties --------------------------------------------------------------------------


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("replay", [None, ReplayMode.NULLIFIER, ReplayMode.OFF])
@pytest.mark.parametrize("name", NAMES)
def test_honest_records_agree(name: str, replay: ReplayMode | None, seal: Seal | None) -> None:
    parties = views(name, replay=replay, seal=seal)
    verdict = verify_views([io.BytesIO(one.data) for one in parties], trust=trust_of())
    assert (verdict.exit_code, verdict.status, verdict.findings) == (0, Word.VALID, ())
    between = sum(r[0] == Kind.ARRIVE for one in parties for r in parse(one.data))
    assert verdict.messages_same == between > 0
    assert verdict.messages_in_flight == 0
    for session in verdict.sessions:
        assert session.missing == ()
        assert not session.ends_differ
        assert all(e.sent == e.arrived == e.same for e in session.edges)
        assert all(party.whole for party in session.parties)


def test_the_ring_agrees() -> None:
    parties = views("ring", seal=Seal.ROUND)
    streams = [io.BytesIO(one.data) for one in parties]
    verdict = verify_views(streams, trust=trust_of(), replay=None)
    assert (verdict.exit_code, verdict.findings) == (0, ())
    assert verdict.messages_same > 3000


@pytest.mark.parametrize("seal", SEALS)
def test_what_came_twice_is_the_same_message(seal: Seal | None) -> None:
    parties = views("drain", seal=seal, repeat=0.5)
    verdict = verify_views([io.BytesIO(one.data) for one in parties], trust=trust_of())
    assert (verdict.exit_code, verdict.findings) == (0, ())


@pytest.mark.parametrize("seal", SEALS)
def test_the_order_of_the_files_does_not_matter(seal: Seal | None) -> None:
    parties = views("two_buyer", seal=seal)
    there = judge(*parties)
    back = judge(*reversed(parties))
    assert there.messages_same == back.messages_same
    assert (there.exit_code, back.exit_code) == (5, 5), "not all keys are trusted"


# --- files that do not belong together, or do too much ----------------------------------------


def test_a_copy_adds_nothing() -> None:
    a, b = talk()
    verdict = judge(a, b, a)
    assert (verdict.exit_code, verdict.findings) == (0, ())
    assert verdict.notes == ("record 3 is a copy of record 1: it adds nothing.",)
    assert verdict.messages_same == 7


def test_sessions_that_nobody_shares() -> None:
    verdict = judge(talk()[0], hire()[0], sample("hello").data)
    assert verdict.exit_code == 0
    assert verdict.findings == ()
    assert verdict.reason == "Every record holds by itself; they have no session in common."
    assert any("no two" in note.lower() for note in verdict.notes)
    assert {role for one in verdict.sessions for role in one.missing} == {"B", "Server"}


def test_an_earlier_copy_of_one_record() -> None:
    a, b = talk()
    records = raw_records(a.data)
    early = a.data[: records[len(records) // 2].offset]
    verdict = judge(a, b, early)
    assert (verdict.exit_code, verdict.findings) == (4, ())
    assert "record 1 and record 3 are two records of one run." in verdict.notes


def test_one_record_alone_is_judged_too() -> None:
    verdict = judge(talk()[0])
    assert (verdict.exit_code, verdict.findings) == (0, ())
    assert verdict.sessions[0].missing == ("B",)
    assert "no record of B" in to_prose(verdict)


def test_too_many_and_none() -> None:
    for count in (0, 65):
        with pytest.raises(Unusable, match=r"verify\.files"):
            judge(*[talk()[0]] * count)


# --- in flight -------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", SEALS)
def test_what_the_other_record_does_not_reach_is_in_flight(seal: Seal | None) -> None:
    a, b = talk(seal=seal)
    first = find(parse(b.data), Kind.ARRIVE, 1)
    cut = b.data[: raw_records(b.data)[first].offset]
    verdict = judge(a, cut)
    assert (verdict.exit_code, verdict.findings) == (4, ())
    (edge,) = (one for one in verdict.sessions[0].edges if one.sender == "A")
    assert (edge.sent, edge.arrived, edge.same, edge.in_flight) == (4, 1, 1, 3)
    assert "3 in flight" in to_prose(verdict)


@pytest.mark.parametrize("seal", SEALS)
def test_what_the_senders_record_does_not_reach_is_ahead(seal: Seal | None) -> None:
    a, b = talk(seal=seal)
    second = find(parse(a.data), Kind.SEND, 1)
    cut = a.data[: raw_records(a.data)[second].offset]
    verdict = judge(cut, b)
    assert (verdict.exit_code, verdict.findings) == (4, ())
    (edge,) = (one for one in verdict.sessions[0].edges if one.sender == "A")
    assert (edge.sent, edge.arrived, edge.ahead) == (1, 4, 3)


def test_two_ends_of_one_session_are_said() -> None:
    a, b = talk()
    cancelled = talk(count=0, bored=1)
    assert judge(*cancelled).findings == ()
    verdict = judge(a, cancelled[1])
    assert verdict.sessions[0].ends_differ
    assert "saw it end differently" in to_prose(verdict)
    assert not judge(a, b).sessions[0].ends_differ


# --- lies ------------------------------------------------------------------------------------

Lie = Callable[[Seal | None, ReplayMode | None], Sequence[Party]]
LIES: dict[str, tuple[Lie, str, set[str]]] = {
    "A sent other words": (
        lambda seal, replay: (
            talk(word=8, seal=seal, replay=replay)[0],
            talk(seal=seal, replay=replay)[1],
        ),
        "A",
        {"merge.equivocation.message"},
    ),
    "B sent other words": (
        lambda seal, replay: (
            talk(seal=seal, replay=replay)[0],
            talk(answer=2, seal=seal, replay=replay)[1],
        ),
        "B",
        {"merge.equivocation.message"},
    ),
    "A leaves out what it sent": (
        lambda seal, replay: (
            talk(count=1, bored=1, seal=seal, replay=replay)[0],
            talk(seal=seal, replay=replay)[1],
        ),
        "A",
        {"merge.unsent", "merge.unrecorded", "merge.withheld.receipt"},
    ),
    "B leaves out what came": (
        lambda seal, replay: (
            talk(seal=seal, replay=replay)[0],
            talk(count=1, bored=1, seal=seal, replay=replay)[1],
        ),
        "B",
        {"merge.withheld.receipt", "merge.unrecorded"},
    ),
    "A says that it said less": (
        lambda seal, replay: (
            talk(count=2, seal=seal, replay=replay)[0],
            talk(seal=seal, replay=replay)[1],
        ),
        "A",
        {"merge.equivocation.message", "merge.equivocation.statement", "merge.unsent"},
    ),
}


@pytest.mark.parametrize("replay", [None, ReplayMode.NULLIFIER])
@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("name", LIES)
def test_a_lie_that_each_record_hides_is_found(
    name: str, seal: Seal | None, replay: ReplayMode | None
) -> None:
    lie, party, expected = LIES[name]
    verdict = judge(*lie(seal, replay))
    assert [view.exit_code for view in verdict.views] == [0, 0], "each holds by itself"
    assert (verdict.exit_code, verdict.status) == (2, Word.INVALID)
    assert expected <= set(codes(verdict))
    by_party = [f for f in verdict.findings if f.code in expected and f.party == party]
    assert by_party
    assert all(f.blamed == party for f in by_party)
    assert "merge.differs" not in codes(verdict)
    for finding in verdict.findings:
        if finding.code.startswith("merge.equivocation"):
            assert finding.proof is not None
            assert check(finding.proof, Known(trust=TRUST)).exit_code == 0
            assert all(side.signature is not None for side in finding.sides)
            assert len({side.identity for side in finding.sides}) == 2
    assert ("merge.equivocation.head" in codes(verdict)) == (seal is Seal.ROUND)


@pytest.mark.parametrize("seal", SEALS)
def test_a_delegate_that_tells_two_stories(seal: Seal | None) -> None:
    verdict = judge(hire(seal=seal)[0], hire(answer=2, seal=seal)[1])
    (finding,) = (f for f in verdict.findings if f.code == "merge.equivocation.message")
    assert (finding.party, finding.blamed) == ("Server", "Worker")
    assert finding.proof is not None
    checked = check(finding.proof, Known(trust=TRUST))
    assert checked.exit_code == 0
    assert checked.equivocation is not None
    assert (checked.equivocation.role, checked.equivocation.protocol) == ("Server", "Job")


@pytest.mark.parametrize("seal", SEALS)
def test_two_stories_of_one_party_need_no_third(seal: Seal | None) -> None:
    """Both records are of one run of one machine, and both are whole."""
    verdict = judge(talk(seal=seal)[0], talk(word=8, seal=seal)[0])
    assert "merge.equivocation.message" in codes(verdict)
    assert "merge.unsent" not in codes(verdict)
    assert any("two records of one run" in note for note in verdict.notes)


def test_a_receiver_that_closes_without_a_message() -> None:
    """A's record stops before any receipt; B went on to close after fewer messages."""
    a, _ = talk()
    third = find(parse(a.data), Kind.SEND, 3)
    records = raw_records(a.data)
    receipts = [i for i, r in enumerate(parse(a.data)) if r[0] == Kind.PEER_RECEIPT]
    assert all(number > third for number in receipts), "nobody has signed for it yet"
    cut = a.data[: records[third + 1].offset]
    verdict = judge(cut, talk(count=2)[1])
    assert "merge.withheld.close" in codes(verdict)


def test_a_head_that_is_not_in_its_log() -> None:
    """Heads of other sizes: the log is another one, which the later head shows."""
    liar, b = talk(count=0, seal=Seal.ROUND)[0], talk(seal=Seal.ROUND)[1]
    heads = {r[3] for r in parse(b.data) if r[0] == Kind.PEER_HEAD}
    sizes = {r[2] for r in parse(liar.data) if r[0] == Kind.SEAL}
    assert heads.isdisjoint(sizes)
    (found,) = (f for f in judge(liar, b).findings if f.code == "merge.equivocation.head")
    assert found.proof is not None
    proof = parse_proof(found.proof.encode())
    assert isinstance(proof, SignedTwice)
    assert isinstance(proof.equivocation, TwoHeads)
    assert proof.equivocation.first.head.size < proof.equivocation.second.head.size
    assert found.blamed == "A"
    assert check(found.proof, Known(trust=TRUST)).exit_code == 0


# --- what proves nothing ---------------------------------------------------------------------


def test_what_nobody_sealed_yet_is_no_proof() -> None:
    a, b = talk(word=8, seal=Seal.ROUND)[0], talk(seal=Seal.ROUND)[1]
    first = find(parse(a.data), Kind.SEND)
    cut = a.data[: raw_records(a.data)[first + 1].offset]
    verdict = judge(cut, b)
    differs = [f for f in verdict.findings if f.code == "merge.differs"]
    assert [(f.proof, f.blamed) for f in differs] == [(None, None)]
    assert verdict.exit_code == 2


@pytest.mark.parametrize("seal", SEALS)
def test_a_changed_record_blames_nobody_else(seal: Seal | None) -> None:
    """Without the keys of others nobody can make them look like liars."""
    a, b = talk(seal=seal)
    records = parse(b.data)
    for number, record in enumerate(records):
        if record[0] not in (Kind.ARRIVE, Kind.PEER_RECEIPT, Kind.PEER_NOTICE, Kind.PEER_HEAD):
            continue
        for field, value in enumerate(record[1:], start=1):
            if not isinstance(value, bytes) or not value:
                continue
            changed = list(records)
            changed[number] = with_field(record, field, flipped(value))
            verdict = judge(a, join(changed), replay=False)
            assert verdict.exit_code == 2
            assert all(finding.proof is None for finding in verdict.findings)
            assert all(finding.blamed is None for finding in verdict.findings)


def test_a_file_that_is_none() -> None:
    a, _ = talk()
    for data in (b"", b"junk", a.data[:9], b"\x89TROTH\r\n" + b"\xff" * 100):
        verdict = judge(a, data)
        assert verdict.exit_code in (2, 4)
        assert verdict.findings == ()
        assert to_prose(verdict)


# --- the forms -------------------------------------------------------------------------------


def test_json_carries_what_the_prose_says() -> None:
    verdict = judge(talk(word=8)[0], talk()[1])
    form = json.loads(to_json(verdict))
    assert form["json_version"] == 1
    assert form["exit_code"] == 2
    first = form["findings"][0]
    assert first["category"] == "equivocated"
    assert first["proof"].startswith("troth/equivocation-proof@v1\n")
    assert [side["record"] for side in first["sides"]] == [
        side.record for side in verdict.findings[0].sides
    ]
    assert len(form["views"]) == 2
    prose = to_prose(verdict)
    assert prose.splitlines()[0] == "2 records: invalid (exit 2)"
    assert "SEND session 0 (Talk): A -> B say(8) #0" in prose
    assert "ARRIVE session 0 (Talk): A -> B say(7) #0" in prose


def test_hostile_text_is_escaped() -> None:
    a, b = talk(count=1, bored=1)
    records = parse(a.data)
    number = find(records, Kind.CANCEL)
    records[number] = with_field(records[number], 3, "\x1b[2J\u202eevil")
    prose = to_prose(judge(join(records), b))
    assert "\x1b" not in prose
    assert "\u202e" not in prose


def test_every_code_has_words() -> None:
    assert len({one.code for one in MERGE_CODES}) == len(MERGE_CODES)
    assert all(one.cause.endswith(".") and not one.advice.endswith(".") for one in MERGE_CODES)
    assert set(conformance.__all__) >= {"verify_views", "MergedVerdict", "MergeFinding"}


def test_beyond_its_limits_nothing_is_claimed() -> None:
    facts = ViewFacts(messages_max=2)
    verify_stream(io.BytesIO(talk()[1].data), observer=facts)
    assert facts.is_cut
    (session,) = facts.sessions.values()
    assert sum(map(len, session.arrived.values())) + sum(map(len, session.sent.values())) == 2
