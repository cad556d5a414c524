"""What was alive at a point of a run, read from its records."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from artifact_surgery import find, join, parse, raw_records, record_image, with_field
from troth.conformance.json_form import to_json
from troth.conformance.machine_state import EndpointState, MachineState
from troth.conformance.state_at import state_at
from troth.conformance.state_render import to_prose
from troth.dsl import compile_source
from troth.vm.errors import Malformed, Unusable
from troth.vm.records import Kind
from verify_samples import sample

HELLO = sample("hello").data


def at(data: bytes, record: int, *, only: int | None = None) -> MachineState:
    return state_at(io.BytesIO(data), record, "run", only=only)


def endpoint(state: MachineState, session: int, role: str) -> EndpointState:
    (found,) = (one for one in state.sessions if one.number == session)
    (end,) = (one for one in found.endpoints if one.role == role)
    return end


def test_a_message_in_flight_and_the_positions_around_it() -> None:
    state = at(HELLO, 12)
    assert state.said == 'SEND session 0 (Hello): Client -> Server greet("world") #0'
    (session,) = state.sessions
    assert [(e.edge, e.waiting, e.in_flight) for e in session.edges] == [
        ("Client -> Server", 1, ("#0 greet",)),
        ("Server -> Client", 0, ()),
    ]
    client, server = (endpoint(state, 0, role) for role in ("Client", "Server"))
    assert client.position == "Hello.Client, state 1: receive from Server\n  reply(text: str)"
    assert server.position == "Hello.Server, state 0: receive from Client\n  greet(name: str)"
    assert (client.holder, server.holder) == (1, 2)
    assert [(one.number, one.program) for one in state.coroutines] == [(1, "client"), (2, "server")]


def test_the_end_leaves_nothing_alive() -> None:
    state = at(HELLO, len(parse(HELLO)) - 1)
    assert (state.sessions, state.coroutines) == ((), ())
    assert state.ended == (("closed", 1),)


def test_a_notice_is_seen() -> None:
    records = parse(HELLO)
    number = find(records, Kind.NOTICE)
    assert not endpoint(at(HELLO, number - 1), 0, "Server").noticed
    noticed = endpoint(at(HELLO, number), 0, "Server")
    assert noticed.noticed
    assert noticed.position == "Hello.Server, state 2: end"


def test_an_endpoint_travels_inside_of_a_message() -> None:
    data = sample("delegation").data
    records = parse(data)
    delegated = find(records, Kind.DELEGATE)
    session, role = records[delegated][1:3]
    sent = next(i for i in range(delegated, len(records)) if records[i][0] == Kind.SEND)
    received = next(i for i in range(sent, len(records)) if records[i][0] == Kind.RECEIVE)

    def state(number: int) -> EndpointState:
        (found,) = (s for s in at(data, number).sessions if s.number == session)
        return found.endpoints[role]

    before, inside, after = state(delegated - 1), state(sent), state(received)
    assert (before.in_message, inside.in_message, after.in_message) == (False, True, False)
    assert before.signer != inside.signer == after.signer
    assert before.holder is not None
    assert inside.holder is None
    assert after.holder not in (None, before.holder)


def test_an_effect_that_was_asked_for() -> None:
    data = sample("hidden").data
    records = parse(data)
    asked, answered = find(records, Kind.INVOKE), find(records, Kind.COMPLETE)
    waiting = {one.program: one.waits_for for one in at(data, asked).coroutines}
    assert waiting["server"] == ("price_of",)
    assert all(not one.waits_for for one in at(data, answered).coroutines)


@pytest.mark.parametrize("name", ["hello", "delegation", "hidden", "cancelled", "late_fault"])
def test_every_record_has_a_state(name: str) -> None:
    data = sample(name).data
    for number in range(len(parse(data))):
        state = at(data, number)
        assert state.record == number
        assert state.contradicted is None
        assert to_prose(state)
        assert to_json(state).isascii()
        for session in state.sessions:
            for edge in session.edges:
                assert edge.sent >= edge.received + edge.waiting


def test_one_session_alone() -> None:
    data = sample("delegation").data
    number = find(parse(data), Kind.DELEGATE)
    state = at(data, number, only=0)
    assert [session.number for session in state.sessions] == [0]
    assert state.coroutines == ()
    with pytest.raises(Unusable, match=r"show\.session"):
        at(data, number, only=99)


def test_where_there_is_no_record_it_says_so() -> None:
    for data, last in ((HELLO, 27), (HELLO[: raw_records(HELLO)[7].offset + 3], 6)):
        with pytest.raises(Unusable, match=rf"records 0 to {last}"):
            at(data, 5000)
    with pytest.raises(Unusable, match="no record"):
        at(b"", 0)


def test_a_file_that_makes_no_sense_is_refused_from_there_on() -> None:
    records = parse(HELLO)
    number = find(records, Kind.RECEIVE)
    broken = join([*records[:number], with_field(records[number], 1, 7), *records[number + 1 :]])
    assert at(broken, number - 1).contradicted is None
    with pytest.raises(Malformed, match="makes no sense before"):
        at(broken, number + 1)
    with pytest.raises(Malformed, match=r"artifact\.magic"):
        at(b"no artifact", 0)


def test_what_does_not_hold_before_is_said() -> None:
    records = parse(HELLO)
    number = find(records, Kind.SEND)
    forged = join(
        [*records[:number], with_field(records[number], 11, bytes(64)), *records[number + 1 :]]
    )
    assert "integrity.message" in (at(forged, number).contradicted or "")
    assert "does not hold" in to_prose(at(forged, number))


def test_text_of_a_file_cannot_reach_the_terminal() -> None:
    records = parse(HELLO)
    number = find(records, Kind.PRINT)
    hostile = "\x1b[2J\u202e"
    data = join(
        [*records[:number], with_field(records[number], 2, hostile), *records[number + 1 :]]
    )
    prose = to_prose(at(data, number))
    assert "\x1b" not in prose
    assert "\u202e" not in prose


TILL = """
guard till

program cashier(name: str):
    acquire till
    print name
    yield
    release till

main:
    spawn cashier("Ann")
    spawn cashier("Bob")
"""


def test_who_holds_a_guard(tmp_path: Path) -> None:
    data = record_image(compile_source(TILL, "till.troth"), tmp_path).data
    records = parse(data)
    holders = []
    for number, record in enumerate(records):
        if record[0] in (Kind.ACQUIRE, Kind.RELEASE):
            state = at(data, number)
            holders.append([one.number for one in state.coroutines if one.guards == ("till",)])
    assert holders == [[1], [], [2], []]
    assert "cashier; guards till" in to_prose(at(data, find(records, Kind.ACQUIRE)))
