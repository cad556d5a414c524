"""The tools around the verifier on the record of one machine of several."""

from __future__ import annotations

import io

import pytest

from artifact_surgery import find, parse
from page_samples import page_of, view_of
from proof_samples import check
from spread_machines import trust_of
from troth.conformance import verify
from troth.conformance.inspection import Inspection, to_text
from troth.conformance.proof_check import Known
from troth.conformance.proof_render import to_prose as proof_prose
from troth.conformance.proving import event_of
from troth.conformance.redaction import Redactor, Selection, check_redaction
from troth.conformance.render import to_prose
from troth.conformance.run_diff import Comparison
from troth.conformance.state_at import state_at
from troth.conformance.state_render import to_prose as state_prose
from troth.vm.instructions import Seal
from troth.vm.records import Kind
from view_samples import views

NAMES = ("hello", "two_buyer", "drain", "nested_recursion", "delegation")
SEALS = (None, Seal.ROUND)
CLIENT, SERVER = (party.data for party in views("hello"))


# --- who was where ---------------------------------------------------------------------------


def test_the_verdict_says_who_is_held_elsewhere() -> None:
    verdict = verify(io.BytesIO(CLIENT), trust=trust_of())
    assert [(one.name, one.here) for one in verdict.principals] == [
        ("Client", True),
        ("", False),
    ]
    prose = to_prose(verdict)
    assert "(no name): trusted as Server, held by another machine" in prose
    assert 'Other machines, whose records are not in the file, held: "Hello.Server".' in prose
    assert "Client: trusted as Client\n" in prose


def test_several_hosted_by_one_process_and_one_elsewhere() -> None:
    _, host = views("delegation")
    verdict = host.verdict()
    assert "One process hosted all of these principals" in verdict.hosting
    assert verdict.hosting.endswith('held: "Job.Client".')
    assert "Client" not in verdict.hosting.split("Other machines")[0]


def test_what_was_refused_on_arrival_is_counted() -> None:
    noisy = views("drain", repeat=0.5)
    counts = [party.verdict().counts for party in noisy]
    refused = [sum(r[0] == Kind.REFUSE for r in parse(party.data)) for party in noisy]
    assert [one.refused for one in counts] == refused
    assert sum(refused) > 0
    number = next(place for place, count in enumerate(refused) if count)
    assert "of other machines refused on arrival" in to_prose(noisy[number].verdict())


# --- inspect, show, diff ---------------------------------------------------------------------


def test_inspect_counts_what_arrived_as_sent_by_the_other_side() -> None:
    text = to_text(Inspection(io.BytesIO(CLIENT)), "client.replay")
    assert "Client by Client, Server by principal 1 at another machine" in text
    assert "Hello: Client -> Server 1 sent, 1 received" in text
    assert "Hello: Server -> Client 1 sent, 1 received" in text
    assert "Hello closed, 2 sent" in text
    assert "held by another machine" in text
    assert "roles of this machine: Client" in text
    assert "with other machines: 1 meetings, 1 messages arrived, 0 refused" in text


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("name", NAMES)
def test_every_view_is_inspected_and_nothing_is_left_in_flight(
    name: str, seal: Seal | None
) -> None:
    for party in views(name, seal=seal):
        inspection = Inspection(io.BytesIO(party.data))
        assert inspection.broken is None
        assert [e.in_flight for e in inspection.counters.edges() if e.sent] == [
            0 for e in inspection.counters.edges() if e.sent
        ]


def test_show_says_where_a_role_is_held() -> None:
    number = find(parse(CLIENT), Kind.SEND)
    state = state_at(io.BytesIO(CLIENT), number, "client")
    (session,) = state.sessions
    assert [(one.role, one.elsewhere) for one in session.endpoints] == [
        ("Client", False),
        ("Server", True),
    ]
    assert [(e.edge, e.sent, e.received, e.waiting) for e in session.edges] == [
        ("Client -> Server", 1, 0, 1),
        ("Server -> Client", 0, 0, 0),
    ]
    assert session.endpoints[1].holder is None
    assert session.endpoints[1].position is None
    assert "Server: signed for by (no name), held by another machine\n" in state_prose(state)


def test_show_follows_a_message_that_arrived() -> None:
    number = find(parse(CLIENT), Kind.ARRIVE)
    (session,) = state_at(io.BytesIO(CLIENT), number, "client").sessions
    (edge,) = (one for one in session.edges if one.edge == "Server -> Client")
    assert (edge.sent, edge.received, edge.in_flight) == (1, 0, ("#0 reply",))


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("name", NAMES)
def test_every_point_of_a_view_can_be_shown(name: str, seal: Seal | None) -> None:
    for party in views(name, seal=seal):
        for number in range(0, len(parse(party.data)), 3):
            state = state_at(io.BytesIO(party.data), number, "view")
            assert state.contradicted is None
            assert state_prose(state)


def test_what_a_network_does_is_no_difference_of_two_runs() -> None:
    assert views("drain")[1].data != views("drain", repeat=0.5)[1].data
    for one, other in zip(views("drain"), views("drain", repeat=0.5), strict=True):
        report = Comparison(io.BytesIO(one.data), io.BytesIO(other.data)).report("a", "b")
        assert (report.exit_code, report.tracks_differing) == (0, 0)


def test_another_view_of_the_session_is_another_run() -> None:
    report = Comparison(io.BytesIO(CLIENT), io.BytesIO(SERVER)).report("a", "b")
    assert report.exit_code == 2
    assert any(one.name == "home" for one in report.setup)


# --- redact ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("name", NAMES)
def test_what_arrived_can_be_redacted_too(name: str, seal: Seal | None) -> None:
    for party in views(name, seal=seal):
        redactor = Redactor(io.BytesIO(party.data), Selection())
        data = b"".join(redactor)
        redaction = redactor.result()
        messages = [r for r in parse(data) if r[0] in (Kind.SEND, Kind.ARRIVE)]
        assert [r[9] for r in messages] == [None] * len(messages)
        assert redaction.messages == len(messages)
        assert check_redaction(io.BytesIO(party.data), io.BytesIO(data)) == redaction
        verdict = verify(io.BytesIO(data), trust=trust_of(), fragment=True)
        assert [level.ok for level in verdict.levels[:4]] == [True] * 4
        assert verdict.findings == ()
        arrived = [i for i, r in enumerate(parse(data)) if r[0] == Kind.ARRIVE]
        if arrived:
            why = f"not beyond record {arrived[0]}, whose payload is not in the file"
            assert verdict.levels[4].why == why
        assert verdict.fragment == verify(io.BytesIO(party.data), fragment=True).fragment


# --- prove -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("name", NAMES)
def test_every_record_of_a_view_can_be_proved(name: str, seal: Seal | None) -> None:
    for party in views(name, seal=seal):
        for number, items in enumerate(parse(party.data)[:80]):
            if items[0] == Kind.SEAL:
                continue
            event = event_of(io.BytesIO(party.data), number)
            verdict = check(event, Known(trust=trust_of()))
            assert verdict.exit_code == 0, proof_prose(verdict)
            assert verdict.event is not None
            assert verdict.event.record == number


@pytest.mark.parametrize(
    ("kind", "said", "role"),
    [
        (Kind.JOIN, "Client takes part in the session", "Client"),
        (Kind.ARRIVE, 'to Client there came: Server -> Client reply("hello, world") #0', "Client"),
    ],
)
def test_a_proof_says_what_happened_between_machines(kind: Kind, said: str, role: str) -> None:
    event = event_of(io.BytesIO(CLIENT), find(parse(CLIENT), kind))
    verdict = check(event, Known(trust=trust_of()))
    assert verdict.event is not None
    assert (verdict.event.said, verdict.event.role) == (said, role)
    assert verdict.event.in_descriptor


def test_an_arrival_is_opened_only_with_the_right_payload() -> None:
    event = event_of(io.BytesIO(CLIENT), find(parse(CLIENT), Kind.ARRIVE))
    verdict = check(event._replace(payload=b"\x91\xa4evil"), Known(trust=trust_of()))
    assert (verdict.exit_code, verdict.code) == (2, "proof.statement")


# --- the page --------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_a_view(name: str, seal: Seal | None) -> None:
    for party in views(name, seal=seal):
        view = view_of(party.data, trust=trust_of())
        assert view.rows.count == len(parse(party.data))
        elsewhere = {
            view.protocols[s.protocol].roles[r] for s in view.sessions for r in s.elsewhere
        }
        assert elsewhere
        assert elsewhere.isdisjoint(role.rpartition(".")[2] for role in party.home)
        html = page_of(view)
        assert "held by another machine" in html
