"""One session on several machines: who may say what, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import key_pair
from bundle_scripts import DESKTOP
from spread_machines import Courier, Party, run_spread
from troth import dsl
from troth.dsl.compile import compile_source
from troth.vm import events as ev
from troth.vm.deliver import REPEATED, STALE
from troth.vm.envelope import (
    CancelEnvelope,
    Envelope,
    JoinEnvelope,
    MessageEnvelope,
    NoticeEnvelope,
    ReceiptEnvelope,
    decode_envelope,
    encode_envelope,
)
from troth.vm.errors import Malformed, Unusable
from troth.vm.events import Status
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState, Outcome

ROOT: Final = Path(__file__).resolve().parents[3]

HOMES: Final = {
    "hello": (("Client",), ("Server",)),
    "two_buyer": (("Alice",), ("Bob",), ("Seller",)),
    "ring": (("A", "C"), ("B",), ("D",)),
    "drain": (("Sender",), ("Receiver",)),
    "nested_recursion": (("Producer",), ("Consumer",)),
    "delegation": (("Client",), ("Server", "Dispatcher", "Worker")),
}
EFFECTS: Final = {"price_of": lambda _: 120}
PRINTS: Final = {
    "hello": "hello, world",
    "two_buyer": "agreed",
    "ring": "4000",
    "drain": "received 5",
    "nested_recursion": "3 batches, 6 items",
    "delegation": "done by worker: 42",
}


def _image(name: str) -> Image:
    return dsl.load(ROOT / "docs" / "examples" / f"{name}.troth").image


@pytest.mark.parametrize("seal", [None, Seal.ROUND])
@pytest.mark.parametrize("replay", [None, ReplayMode.NULLIFIER, ReplayMode.OFF])
@pytest.mark.parametrize("name", [name for name in HOMES if name != "ring"])
def test_every_example_runs_spread_and_every_view_verifies(
    name: str, replay: ReplayMode | None, seal: Seal | None
) -> None:
    parties, courier = run_spread(
        _image(name), HOMES[name], replay=replay, seal=seal, effects=EFFECTS
    )
    assert set(courier.codes) <= {"", STALE}
    assert [line for party in parties for line in party.printed] == [PRINTS[name]]
    for party in parties:
        verdict = party.verdict()
        assert verdict.exit_code == 0, verdict.findings
        assert all(level.ran and level.ok for level in verdict.levels)
        assert party.machine.state is MachineState.FINISHED


STREAM: Final = """
protocol Stream(Left, Right):
    loop at Left:
        Left -> Right: item(n: int)

program left(s: Stream.Left):
    for n in range(8):
        send s.Right item(n)
    send s.Right done()
    close s

program right(s: Stream.Right):
    loop:
        recv s.Left:
            item(n):
                print n
            done():
                break
    close s

main:
    open Stream as a, b with capacity = CAPACITY
    spawn left(a)
    spawn right(b)
"""


@pytest.mark.parametrize(
    ("capacity", "every"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (16, 8), (20, 10)]
)
def test_a_receipt_comes_when_half_of_what_may_be_in_flight_was_taken(
    capacity: int, every: int
) -> None:
    image = compile_source(STREAM.replace("CAPACITY", str(capacity)), "stream.troth")
    (left, right), _ = run_spread(image, (("Left",), ("Right",)))
    receipts = [event for event in right.events if isinstance(event, ev.Receipted)]
    # Nine messages, the last of which says that there are no more, and a last word on all of them.
    assert [receipt.consumed for receipt in receipts] == [*range(every, 10, every), 9]
    assert left.machine.outcome() is right.machine.outcome() is Outcome.OK


def test_the_ring_runs_spread() -> None:
    parties, _ = run_spread(_image("ring"), HOMES["ring"], seal=Seal.ROUND)
    assert parties[0].printed == [PRINTS["ring"]]
    assert [party.verdict().exit_code for party in parties] == [0, 0, 0]


def test_the_views_agree_on_every_message_they_share() -> None:
    parties, _ = run_spread(_image("two_buyer"), HOMES["two_buyer"], effects=EFFECTS)
    sent = {(*e[:7], e.commitment) for p in parties for e in p.events if isinstance(e, ev.Sent)}
    came = {(*e[:7], e.commitment) for p in parties for e in p.events if isinstance(e, ev.Arrived)}
    assert sent == came
    assert len(sent) == 7


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["two_buyer", "drain", "nested_recursion", "delegation"]),
    replay=st.sampled_from([None, ReplayMode.NULLIFIER]),
    seal=st.sampled_from([None, Seal.ROUND]),
    seed=st.integers(0, 2**32),
)
def test_what_a_network_does_changes_nothing(
    name: str, replay: ReplayMode | None, seal: Seal | None, seed: int
) -> None:
    """Order and repetition: accepted once, refused with their codes, and the run ends well."""
    parties, courier = run_spread(
        _image(name),
        HOMES[name],
        replay=replay,
        seal=seal,
        seed=seed,
        shuffle=0.4,
        repeat=0.3,
        effects=EFFECTS,
    )
    assert [party.verdict().exit_code for party in parties] == [0] * len(parties)
    if replay is ReplayMode.NULLIFIER or name == "nested_recursion":
        # In any order means that another order is taken: the meaning may change, no message twice.
        assert not courier.codes["vm.fault.replay.sequence"]
    else:
        assert [line for party in parties for line in party.printed] == [PRINTS[name]]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_replay_protection_what_comes_twice_is_taken_or_left_and_it_ends(seed: int) -> None:
    parties, _ = run_spread(
        _image("hello"), HOMES["hello"], replay=ReplayMode.OFF, seed=seed, repeat=0.5
    )
    assert [party.verdict().exit_code for party in parties] == [0, 0]
    assert {party.machine.state for party in parties} == {MachineState.FINISHED}


# --- hostile envelopes ---------------------------------------------------------------------


def _half_way() -> tuple[Party, Party, list[Envelope]]:
    """Client and Server have met and the Client has sent; what it said has not been delivered."""
    image = _image("hello")
    client, server = (
        Party(image, [home], bytes([n]) * 32) for n, home in ((1, "Client"), (2, "Server"))
    )
    courier = Courier([client, server])
    for party in (client, server):
        party.machine.start()
        party.step()
    courier.introduce()
    for party in (client, server):
        while party.step():
            pass
    said = [outgoing.envelope for outgoing in client.machine.poll_outgoing()]
    assert [type(envelope) for envelope in said] == [JoinEnvelope, MessageEnvelope]
    return client, server, said


FORGERIES: Final[dict[str, Callable[[MessageEnvelope], MessageEnvelope]]] = {
    "label": lambda e: e._replace(label="reply"),
    "number": lambda e: e._replace(sequence=1),
    "generation": lambda e: e._replace(generation=1),
    "kind": lambda e: e._replace(kind=1),
    "salt": lambda e: e._replace(salt=bytes(16)),
    "payload": lambda e: e._replace(payload=b"\x91\xa5mars!"),
    "signature": lambda e: e._replace(signature=bytes(64)),
    "no signature": lambda e: e._replace(signature=b""),
    "a proof instead": lambda e: e._replace(signature=b"", proof=ev.Proof(1, 0, 0, b"")),
}


@pytest.mark.parametrize("change", FORGERIES)
def test_a_forged_message_is_refused_and_the_true_one_still_taken(change: str) -> None:
    _, server, (_, message) = _half_way()
    assert isinstance(message, MessageEnvelope)
    forged = FORGERIES[change](message)
    code = server.machine.deliver(forged).code
    assert code in ("vm.fault.verification", "early")
    assert server.machine.deliver(message).accepted
    assert server.machine.deliver(message).code == "vm.fault.replay.duplicate"
    refused = [e for e in server.machine.poll_events() if isinstance(e, ev.Refused)]
    assert len(refused) == (1 if code == "early" else 2)


def test_nothing_comes_for_sessions_and_roles_that_are_not_there() -> None:
    client, server, (join, message) = _half_way()
    assert isinstance(message, MessageEnvelope)
    assert isinstance(join, JoinEnvelope)
    unknown = message._replace(session=bytes(32))
    assert server.machine.deliver(unknown).code == STALE
    assert client.machine.deliver(message).code == STALE, "its own word comes back to it"
    assert server.machine.deliver(message._replace(receiver="Client")).code == STALE
    assert server.machine.deliver(join).accepted
    assert server.machine.deliver(join).code == REPEATED
    assert server.machine.deliver(join._replace(role="Server")).code == STALE
    server.step()
    assert not [e for e in server.events if isinstance(e, ev.Refused)]


def test_control_is_believed_only_with_a_signature() -> None:
    _, server, (_, message) = _half_way()
    session = message.session  # type: ignore[union-attr]  # it is a message
    for envelope in (
        NoticeEnvelope(session, "Client", (("Server", 0, 1),), bytes(64)),
        CancelEnvelope(session, "Client", "bored", bytes(64)),
        JoinEnvelope(session, "Client", bytes(64)),
    ):
        assert server.machine.deliver(envelope).code == "vm.fault.verification"
    receipt = ReceiptEnvelope(session, "Client", "Server", 0, 1, 1, 0, bytes(32), bytes(64))
    assert server.machine.deliver(receipt).code == "vm.fault.close", "nothing was sent to it"
    assert not [e for e in server.machine.poll_events() if isinstance(e, ev.StatusChanged)]


def test_what_is_refused_is_listed_a_few_times_and_then_counted() -> None:
    _, server, (_, message) = _half_way()
    assert isinstance(message, MessageEnvelope)
    for number in range(100):
        server.machine.deliver(message._replace(salt=number.to_bytes(16, "big")))
    refused = [e for e in server.machine.poll_events() if isinstance(e, ev.Refused)]
    assert len(refused) == 8


def test_a_machine_without_evidence_tells_the_others_just_the_same() -> None:
    image = _image("hello")
    keys = HostSigner({"Client": key_pair("Client")})
    machine = Machine(load(image), seed=bytes([1]) * 32, signer=keys, roster=keys, home=["Client"])
    machine.start()
    machine.run_round(0)
    (meeting,) = machine.poll_meetings()
    machine.meet(meeting.coroutine, [("Server", key_pair("Server").public_key, bytes(16))])
    while machine.run_round(0):
        pass
    said = [type(outgoing.envelope) for outgoing in machine.poll_outgoing()]
    assert said == [JoinEnvelope, MessageEnvelope]
    assert machine.poll_outgoing() == []


def test_a_refusal_of_a_record_is_written_before_anybody_asks() -> None:
    """The places of seals must not depend on when somebody polls."""
    client, _, _ = _half_way()
    client.machine.poll_events()
    client.recorder.take_bytes()
    (session,) = {e.session for e in client.events if isinstance(e, ev.Opened)}
    assert client.machine.refuse(session, "Server", "Client", "vm.fault.verification", bytes(32))
    assert client.recorder.take_bytes()
    assert not client.machine.refuse(session, "Client", "Server", "vm.fault.close", bytes(32))
    assert not client.recorder.take_bytes()


def test_an_ended_session_is_ended_everywhere() -> None:
    client, server, said = _half_way()
    for envelope in said:
        server.machine.deliver(envelope)
    (session,) = {e.session for e in client.events if isinstance(e, ev.Opened)}
    client.machine.cancel_session(session, "out of time")
    (failed,) = [o.envelope for o in client.machine.poll_outgoing()]
    assert server.machine.deliver(failed).accepted
    assert server.machine.deliver(failed).code == STALE
    ends = [
        event
        for party in (client, server)
        for event in (*party.events, *party.machine.poll_events())
        if isinstance(event, ev.StatusChanged)
    ]
    assert [(e.status, e.detail) for e in ends] == [(Status.CANCELLED, "out of time")] * 2


def test_an_asked_end_reaches_the_other_machines_when_its_time_is_over() -> None:
    """Each view ends in its own way: the one that asked closes, the other learns that it did."""
    client, server, said = _half_way()
    for envelope in said:
        server.machine.deliver(envelope)
    (session,) = {e.session for e in client.events if isinstance(e, ev.Opened)}
    client.now_ns = client.machine.end_session(session, 5)
    assert client.machine.poll_outgoing() == []
    assert client.step()
    (failed,) = [o.envelope for o in client.machine.poll_outgoing()]
    assert server.machine.deliver(failed).accepted
    detail = "linger time is over; no notice of Client, Server"
    for party, status in ((client, Status.CLOSED), (server, Status.CANCELLED)):
        while party.step():
            pass
        party.finish()
        ends = [e for e in party.events if isinstance(e, ev.StatusChanged)]
        assert (ends[-1].status, ends[-1].detail) == (status, detail)
        verdict = party.verdict()
        assert verdict.findings == (), verdict.findings[0]
        assert all(level.ok for level in verdict.levels)


def test_a_fault_ends_the_session_everywhere() -> None:
    script = (
        "protocol P(A, B):\n    A -> B: m(n: int)\n    B -> A: k()\n\n"
        "program a(s: P.A):\n    send s.B m(1)\n    recv s.B k()\n    close s\n\n"
        'program b(s: P.B):\n    recv s.A m(n)\n    if n > 0:\n        fail "no"\n'
        "    send s.A k()\n    close s\n\n"
        "main:\n    open P as x, y\n    spawn a(x)\n    spawn b(y)\n"
    )
    parties, _ = run_spread(dsl.compile_source(script, "script"), [["A"], ["B"]])
    statuses = [
        [(e.status, e.detail) for e in party.events if isinstance(e, ev.StatusChanged)]
        for party in parties
    ]
    assert statuses == [[(Status.FAULTED, "vm.fault.fail")]] * 2
    for party in parties:
        verdict = party.verdict()
        assert verdict.exit_code == 0, verdict.findings


def test_main_may_not_use_what_another_machine_holds() -> None:
    script = (
        "protocol P(A, B):\n    A -> B: m()\n\n"
        "program b(s: P.B):\n    recv s.A m()\n    close s\n\n"
        "main:\n    open P as x, y\n    spawn b(y)\n    send x.B m()\n    close x\n"
    )
    party = Party(dsl.compile_source(script, "script"), ["B"], bytes(32))
    party.machine.start()
    party.step()
    (meeting,) = party.meetings
    party.machine.meet(meeting.coroutine, [("A", key_pair("A").public_key, bytes(16))])
    party.step()
    (fault,) = [e for e in party.events if isinstance(e, ev.Faulted)]
    assert fault.code == "vm.fault.elsewhere"


def test_a_meeting_is_answered_once_and_rightly() -> None:
    party = Party(_image("hello"), ["Client"], bytes(32))
    party.machine.start()
    party.step()
    (meeting,) = party.meetings
    key = key_pair("Server").public_key
    for wrong in ([("Client", key, bytes(16))], [("Server", key[:31], bytes(16))]):
        with pytest.raises(Unusable, match="parties"):
            party.machine.meet(meeting.coroutine, wrong)
    party.machine.meet(meeting.coroutine, [("Server", key, bytes(16))])
    with pytest.raises(Unusable, match="no coroutine waits"):
        party.machine.meet(meeting.coroutine, [("Server", key, bytes(16))])


def test_when_nobody_comes_the_open_faults() -> None:
    party = Party(_image("hello"), ["Client"], bytes(32))
    party.machine.start()
    party.step()
    party.machine.meet(party.meetings[0].coroutine, ())
    party.step()
    (fault,) = [e for e in party.events if isinstance(e, ev.Faulted)]
    assert (fault.code, party.machine.state) == ("vm.fault.open", MachineState.FINISHED)
    party.finish()
    assert party.verdict().exit_code in (0, 5)


def test_whoever_waits_for_other_machines_says_so() -> None:
    for image in (_image("hello"), compile_source(DESKTOP, "desktop")):
        home = "Client"
        party = Party(image, [home], bytes(32))
        party.machine.start()
        party.step()
        (waiting,) = party.machine.report().coroutines
        assert waiting.waits_for == "waits for the other machines of a session that it opens"


AGAIN: Final = """
protocol Word(A, B):
    A -> B: word(n: int)

program say(s: Word.A, n: int):
    send s.B word(n)
    close s

program hear(s: Word.B):
    recv s.A word(n)
    print n
    close s

program pair(n: int):
    for i in range(2):
        open Word as a, b
        spawn say(a, n + i)
        spawn hear(b)

main:
    spawn pair(10)
    spawn pair(20)
"""


def test_every_session_that_machines_open_is_met_for_anew() -> None:
    """Two programs open two each: four meetings of their own, with nonces of their own."""
    image = compile_source(AGAIN, "again")
    parties, _ = run_spread(image, [["A"], ["B"]])
    assert sorted(parties[1].printed) == ["10", "11", "20", "21"]
    for party in parties:
        met = [event for event in party.events if isinstance(event, ev.Met)]
        assert len(met) == 4
        assert len({nonce for event in met for _, _, nonce in event.parties}) == 4
        opened = [event for event in party.events if isinstance(event, ev.Opened)]
        assert len({event.session for event in opened}) == 4
        # What the other machine runs begins and ends here: children are counted alike.
        assert len([event for event in party.events if isinstance(event, ev.Spawned)]) == 11
        assert len([event for event in party.events if isinstance(event, ev.Halted)]) == 11
        assert party.machine.outcome() is Outcome.OK


def test_every_meeting_has_a_name_of_its_own() -> None:
    """However late the other machine comes, it does not take one meeting for another."""
    party = Party(compile_source(AGAIN, "again"), ["A"], bytes(32))
    party.machine.start()
    met = 0
    while party.step() or met < len(party.meetings):
        for meeting in party.meetings[met:]:
            other = ("B", key_pair("B").public_key, bytes([met]) * 16)
            party.machine.meet(meeting.coroutine, [other])
            met += 1
    assert met == len({meeting.id for meeting in party.meetings}) == 4
    assert len({nonce for meeting in party.meetings for _, nonce in meeting.here}) == 4


APART: Final = """
protocol Word(X, Y):
    X -> Y: word(n: int)

bundle Pair(X, Y):
    one: Word(X, Y)

protocol Last(A, X):
    A -> X: last(n: int)

program say(p: Pair.X):
    send p.one.Y word(1)
    close p

program hear(p: Pair.Y):
    recv p.one.X word(n)
    print n
    close p

program tell(s: Last.A):
    send s.X last(2)
    close s

program told(s: Last.X):
    recv s.A last(n)
    print n
    close s

main:
    open Pair as x, y
    spawn say(x)
    spawn hear(y)
    open Last as a, last
    spawn tell(a)
    spawn told(last)
"""


def test_machines_count_the_bundles_that_they_have_no_part_in() -> None:
    """Else they would look for each other under different names afterwards."""
    parties, _ = run_spread(compile_source(APART, "apart"), [["A"], ["X"], ["Y"]])
    assert [party.printed for party in parties] == [[], ["2"], ["1"]]
    assert all(party.machine.outcome() is Outcome.OK for party in parties)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\x90",
        b"\x91\xa4junk",
        b"\x92\xa4join\xc4\x00",
        b"\x93" * 40,
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_bytes_that_are_no_envelope(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_envelope(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_envelope_or_malformed(data: bytes) -> None:
    try:
        envelope = decode_envelope(data)
    except Malformed:
        return
    assert encode_envelope(envelope) == data


def test_envelopes_come_back_as_they_went() -> None:
    _, _, said = _half_way()
    for envelope in said:
        assert decode_envelope(encode_envelope(envelope)) == envelope
