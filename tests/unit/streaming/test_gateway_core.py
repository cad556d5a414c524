"""The gateway: who is let in, who may call whom, who gets which lease, and how it all ends."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import cast

import pytest

from gateway_world import Connection, GatewayWorld
from relay_world import GATEWAY_PUBLIC
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.binding import (
    NO_REGISTRATION,
    WRONG_GATEWAY,
    PartyBinding,
    RegistrationRecord,
    challenge_record,
    registration_of,
    registration_record,
)
from troth.streaming.gateway.client import LinkState
from troth.streaming.gateway.codec import FrameReader, encode
from troth.streaming.gateway.hub import Refusal
from troth.streaming.gateway.limits import FRAME_BYTES_MAX, SECOND_NS, GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.metrics import prometheus
from troth.streaming.gateway.proofs import Challenge, Registration
from troth.streaming.paths.stun_server import StunCounters
from troth.vm.errors import Invalid, Malformed, Unusable

CLIENT, HOST, RELAY, ADMIN = (
    PartyKind.CLIENT,
    PartyKind.HOST,
    PartyKind.RELAY,
    PartyKind.ADMIN,
)


def _three(world: GatewayWorld) -> tuple[Connection, Connection, Connection]:
    return (
        world.connect(CLIENT, "carol"),
        world.connect(HOST, "harry"),
        world.connect(RELAY, "rita"),
    )


# --- registration ---------------------------------------------------------------------------


def test_a_key_that_proves_itself_is_known() -> None:
    world = GatewayWorld()
    carol = world.connect(CLIENT, "carol")
    assert carol.link.state is LinkState.BOUND
    assert carol.binding.done
    assert world.core.hub.parties[carol.number].name == "carol"


def _binding(world: GatewayWorld, gateway_key: bytes | None = None) -> PartyBinding:
    return PartyBinding(
        kind=CLIENT, key=world.key("carol"), random=world.random.randbytes, gateway_key=gateway_key
    )


@pytest.mark.parametrize(
    ("challenge", "proved", "wrong"),
    [
        (Challenge(1, GATEWAY_PUBLIC, bytes(32)), GATEWAY_PUBLIC, ""),
        (Challenge(1, bytes(32), bytes(32)), bytes(32), "key 0000000000000000…"),
        (Challenge(2, GATEWAY_PUBLIC, bytes(32)), GATEWAY_PUBLIC, "version 2"),
        (Challenge(1, GATEWAY_PUBLIC, bytes(32)), bytes(32), "another machine"),
    ],
)
def test_the_gateway_has_to_be_the_right_one(
    challenge: Challenge, proved: bytes, wrong: str
) -> None:
    binding = _binding(GatewayWorld(), GATEWAY_PUBLIC)
    binding.peer_keys = lambda: frozenset({proved})
    answer = binding.answer_challenge(challenge_record(challenge))
    if not wrong:
        assert answer["refusal"] == ""
        assert binding.problem is None
        return
    assert (answer["refusal"], answer["registration"]) == (WRONG_GATEWAY, NO_REGISTRATION)
    assert isinstance(binding.problem, Invalid)
    assert (binding.problem.code, binding.problem.actual) == ("gateway.identity", wrong)
    assert not binding.done


def test_a_gateway_that_does_not_prove_its_key_is_not_believed() -> None:
    binding = _binding(GatewayWorld())
    binding.peer_keys = lambda: frozenset({GATEWAY_PUBLIC})
    binding.answer_challenge(challenge_record(Challenge(1, GATEWAY_PUBLIC, bytes(32))))
    with pytest.raises(Invalid) as caught:
        binding.bound(bytes(64))
    assert caught.value.code == "gateway.identity"
    assert not binding.done
    assert binding.problem is caught.value


def test_a_registration_is_of_no_use_to_whoever_copies_it() -> None:
    world = GatewayWorld()
    binding = _binding(world)
    binding.peer_keys = lambda: frozenset({GATEWAY_PUBLIC})
    elsewhere = challenge_record(Challenge(1, GATEWAY_PUBLIC, b"n" * 32))
    copied = binding.answer_challenge(elsewhere)["registration"]
    stranger = world.arrive(_binding(world))
    party = world.core.hub.parties[stranger.number]
    refused = world.core.register(party, copied, frozenset({copied["key"]}), world.now_ns)
    assert isinstance(refused, m.Refused)
    assert refused.code == Refusal.SIGNATURE.code
    assert party.kind is None


def test_whoever_speaks_for_a_key_has_to_have_proved_it() -> None:
    world = GatewayWorld()
    stranger = world.arrive(_binding(world))
    world.bind(stranger, bytes(32))
    assert stranger.refused == [Refusal.SIGNATURE.code]


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "no\nname"},
        {"key": b"short"},
        {"nonce": b""},
        {"signature": bytes(63)},
        {"exchange_key": bytes(33)},
        {"host": "h" * 201},
        {"kind": "k" * 201},
        {"port": 1 << 16},
        {"port": -1},
    ],
)
def test_a_registration_of_another_form_is_refused(changed: dict[str, object]) -> None:
    world = GatewayWorld()
    stranger = world.arrive(_binding(world))
    party = world.core.hub.parties[stranger.number]
    good = registration_record(
        Registration("client", "carol", bytes(32), bytes(32), bytes(64), b"", "", 0)
    )
    record = cast(RegistrationRecord, {**good, **changed})
    refused = world.core.register(party, record, frozenset({bytes(32)}), world.now_ns)
    assert isinstance(refused, m.Refused)
    assert refused.code == "message"
    assert registration_record(registration_of(good)) == good


def test_only_those_register_who_may() -> None:
    carol = GatewayWorld().key("carol")
    world = GatewayWorld(admitted={CLIENT: frozenset({carol.public_key}), HOST: None})
    assert world.connect(CLIENT, "carol").link.state is LinkState.BOUND
    assert world.connect(HOST, "anybody").link.state is LinkState.BOUND
    for kind, name in ((CLIENT, "mallory"), (ADMIN, "mallory"), (RELAY, "mallory")):
        stranger = world.connect(kind, name)
        assert stranger.refused == ["not_admitted"]
        assert not stranger.open


def test_a_name_belongs_to_the_key_that_had_it_first() -> None:
    world = GatewayWorld()
    world.drop(world.connect(HOST, "harry"))
    thief = world.connect(HOST, "harry", key=replace(world.key("thief"), name="harry"))
    assert thief.refused == ["name_taken"]


def test_who_registers_again_takes_over_and_is_not_thrown_out_by_the_old_end() -> None:
    world = GatewayWorld()
    carol, old, _ = _three(world)
    new = world.connect(HOST, "harry")
    assert old.refused == ["replaced"]
    assert not old.open
    world.core.closed(old.number, world.now_ns)
    pending = world.offer(carol, "harry")
    assert pending is not None
    assert pending.host.connection == new.number


def test_a_relay_has_to_say_where_it_is() -> None:
    world = GatewayWorld()
    rita = world.connect(RELAY, "rita")
    registration = world.core.hub.relays["rita"].registration
    assert registration is not None
    assert rita.link.state is LinkState.BOUND
    binding = PartyBinding(kind=RELAY, key=world.key("rob"), random=world.random.randbytes)
    connection = world.arrive(binding, "203.0.113.9")
    world.bind(connection)
    assert connection.refused == ["message"]


def test_nothing_is_taken_before_the_registration() -> None:
    world = GatewayWorld()
    world.core.connected(77, "192.0.2.1", world.now_ns)
    world.core.received(77, m.Talk("bind", 1, b"hello"), world.now_ns)
    world.core.received(77, m.Talk("asking", 1, b"hello"), world.now_ns)
    refused = [o.message for o in world.core.poll() if hasattr(o, "message")][-1]
    assert isinstance(refused, m.Refused)
    assert "register first" in refused.text


def test_silence_ends_a_connection_and_beats_keep_it() -> None:
    world = GatewayWorld()
    carol = world.connect(CLIENT, "carol")
    world.advance(30)
    assert carol.open
    world.advance(25, beats=False)
    assert carol.refused == ["silent"]
    world.core.connected(78, "192.0.2.1", world.now_ns)
    world.core.tick(world.now_ns + 9 * SECOND_NS)
    assert 78 in world.core.hub.parties
    world.core.tick(world.now_ns + 10 * SECOND_NS)
    assert 78 not in world.core.hub.parties


# --- what a session's parties say of it ----------------------------------------------------


def test_nobody_else_has_a_say_in_a_session() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    eve = world.connect(CLIENT, "eve")
    session = world.session(carol, harry)
    world.lease(eve, session)
    world.end(eve, session, "mine")
    assert eve.refused == ["no_session"] * 2
    assert (carol.ended, harry.ended) == ([], [])


def test_a_program_belongs_to_the_kind_of_party_that_it_is_for() -> None:
    world = GatewayWorld()
    carol, harry, rita = _three(world)
    for party in (carol, harry, rita):
        party.heard.clear()
        for leg in ("asking", "consulting", "consent", "lease", "registration", "telepathy"):
            world.say(party, m.Talk(leg, 1, leg.encode()))
    assert carol.heard == [b"asking", b"lease"]
    assert harry.heard == [b"consulting", b"consent", b"lease"]
    assert rita.heard == [b"registration"]
    assert carol.refused == ["message"] * 4


def test_the_end_is_kept_and_passed_on() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    session = world.session(carol, harry)
    world.end(carol, session, "u" * 300)
    assert harry.ended == [{"session": session, "reason": "u" * 200}]
    assert carol.ended == []
    world.end(harry, session, "again")
    assert harry.refused == ["no_session"]
    world.lease(harry, session)
    assert harry.refused[1:] == ["session_over"]


# --- revocation and administration ----------------------------------------------------------


def test_a_revocation_reaches_relay_host_and_client_and_says_when() -> None:
    world = GatewayWorld()
    carol, harry, rita = _three(world)
    root = world.connect(ADMIN, "root")
    session = world.session(carol, harry)
    world.lease(carol, session)
    world.say(root, m.Command(7, "revoke", (session.hex(), "left", "the", "firm")))
    for party in (carol, harry, rita):
        assert world.told(party) == [{"session": session, "reason": "left the firm"}]
    assert root.all(m.Report) == []
    for party in (carol, harry, rita):
        world.stopped(party)
    report = root.last(m.Report)
    assert report.request == 7
    assert {row[1:] for row in report.rows[1:]} == {
        ("client", "carol", "0 ms"),
        ("host", "harry", "0 ms"),
        ("relay", "rita", "0 ms"),
    }
    world.lease(carol, session, renew=True)
    world.lease(harry, session)
    assert (carol.refused, harry.refused) == (["revoked"], ["revoked"])


def test_the_report_comes_in_a_second_and_says_who_has_not_confirmed() -> None:
    world = GatewayWorld()
    carol, harry, rita = _three(world)
    root = world.connect(ADMIN, "root")
    session = world.session(carol, harry)
    world.lease(carol, session)
    world.drop(rita)
    world.say(root, m.Command(1, "revoke", (session.hex(),)))
    world.drop(harry)
    world.advance(0.9)
    assert root.all(m.Report) == []
    world.advance(0.2)
    states = {row[1]: row[3] for row in root.last(m.Report).rows[1:]}
    assert states == {
        "client": "not within 1 s",
        "host": "connection ended",
        "relay": "not connected",
    }
    for kind, name in ((HOST, "harry"), (RELAY, "rita")):
        order = {"session": session, "reason": "revoked"}
        assert world.told(world.connect(kind, name)) == [order]


def test_a_banned_key_is_out_with_its_sessions() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    root = world.connect(ADMIN, "root")
    session = world.session(carol, harry)
    world.say(root, m.Command(1, "ban", ("carol", "abuse")))
    assert world.told(harry) == [{"session": session, "reason": "abuse"}]
    assert (carol.desks, carol.refused, carol.open) == ([], ["banned"], False)
    assert world.connect(CLIENT, "carol").refused == ["banned"]
    world.say(root, m.Command(2, "unban", ("carol",)))
    assert world.connect(CLIENT, "carol").link.state is LinkState.BOUND


def test_every_command_is_in_the_audit_log_and_the_log_is_chained() -> None:
    world = GatewayWorld()
    root = world.connect(ADMIN, "root")
    for command in (("ban", "nobody"), ("format", "disk"), ("revoke", "zz"), ("parties",)):
        world.say(root, m.Command(1, command[0], command[1:]))
    assert root.refused == ["no_subject", "command", "no_subject"]
    world.say(root, m.Command(2, "audit", ()))
    rows = [row[2:] for row in root.last(m.Report).rows[1:]]
    assert rows[:3] == [
        ("root", "ban", "nobody", "accepted"),
        ("root", "ban", "nobody", "no_subject"),
        ("root", "format", "disk", "refused"),
    ]
    assert world.store.audit_is_whole()
    world.store._do("UPDATE audit SET subject = 'somebody' WHERE number = 1")
    assert not world.store.audit_is_whole()


def test_an_administrator_sees_sessions_and_parties() -> None:
    world = GatewayWorld()
    carol, harry, rita = _three(world)
    world.load(rita, 3, 50)
    root = world.connect(ADMIN, "root")
    session = world.session(carol, harry)
    world.say(root, m.Command(1, "sessions", ()))
    assert root.last(m.Report).rows[1] == (session.hex(), "carol", "harry", "-", "0 s")
    world.say(root, m.Command(2, "parties", ()))
    assert ("relay", "rita", "3/50") in root.last(m.Report).rows


def test_nobody_else_commands() -> None:
    world = GatewayWorld()
    carol, *_ = _three(world)
    world.say(carol, m.Command(1, "ban", ("harry",)))
    assert carol.refused == ["message"]
    assert world.store.audit_entries(10) == []


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (GatewayLimits(offers_per_minute=2), "offers_per_minute"),
        (GatewayLimits(offers_pending_max=2), "offers_pending_max"),
    ],
)
def test_too_many_offers_hit_a_limit_that_is_named(limits: GatewayLimits, limit: str) -> None:
    world = GatewayWorld(limits)
    carol, _harry, _ = _three(world)
    for _ in range(3):
        world.offer(carol, "harry")
    refused = carol.last(m.Refused)
    assert (refused.code, refused.limit) == ("limit", limit)
    assert refused.wait_ms > 0
    assert limit in refused.text
    text = prometheus(world.core, StunCounters(), world.now_ns)
    assert f'troth_gateway_limited_total{{limit="{limit}"}} 1' in text


def test_a_rate_is_free_again_after_the_time_it_says() -> None:
    world = GatewayWorld(GatewayLimits(offers_per_minute=2))
    carol, *_ = _three(world)
    for _ in range(3):
        world.offer(carol, "nobody")
    wait_ms = carol.last(m.Refused).wait_ms
    world.advance(wait_ms / 1_000)
    world.offer(carol, "nobody")
    assert carol.refused[-1] == "peer_offline"


def test_other_limits_are_named_too() -> None:
    world = GatewayWorld(GatewayLimits(leases_per_minute=1, sessions_per_host=1))
    carol, harry, _ = _three(world)
    session = world.session(carol, harry)
    world.lease(carol, session)
    world.lease(carol, session, renew=True)
    assert carol.last(m.Refused).limit == "leases_per_minute"
    world.offer(carol, "harry")
    assert carol.last(m.Refused).limit == "sessions_per_host"


def test_connections_and_registrations_are_limited() -> None:
    world = GatewayWorld(GatewayLimits(connections_per_address=2))
    world.connect(CLIENT, "a")
    world.connect(CLIENT, "b")
    third = world.connect(CLIENT, "c")
    assert third.last(m.Refused).limit == "connections_per_address"
    assert not third.open
    assert world.connect(CLIENT, "d", address="203.0.113.6").open
    world = GatewayWorld(GatewayLimits(connections_max=1))
    world.connect(CLIENT, "a")
    assert world.connect(CLIENT, "b").last(m.Refused).limit == "connections_max"
    world = GatewayWorld(GatewayLimits(registrations_per_minute=1))
    world.connect(CLIENT, "a")
    assert world.connect(CLIENT, "b").last(m.Refused).limit == "registrations_per_minute"


def test_a_flood_ends_the_connection() -> None:
    world = GatewayWorld()
    carol = world.connect(CLIENT, "carol")
    for _ in range(2 * world.limits.messages_per_second + 1):
        carol.link.send(m.Beat())
    world.settle()
    assert "messages_per_second" in [refused.limit for refused in carol.all(m.Refused)]
    assert not carol.open


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(Unusable, match="lease_s"):
        GatewayLimits(lease_s=0)


# --- bytes ----------------------------------------------------------------------------------


def test_messages_are_read_back_however_they_are_cut() -> None:
    messages: list[m.Message] = [
        m.Refused(1, "limit", "a limit was hit", "offers_per_minute", 5),
        m.Talk("asking", 1, bytes(10_000)),
        m.Command(1, "ban", ("harry", "why")),
        m.Report(1, (("a", "b"), ("c", "d"))),
    ]
    stream = b"".join(map(encode, messages))
    for size in (1, 7, 4_096):
        reader, found = FrameReader(), []
        for at in range(0, len(stream), size):
            found += reader.feed(stream[at : at + size])
        assert found == messages


@pytest.mark.parametrize(
    "data",
    [
        (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x05\x91\xa3abc",
        b"\x00\x00\x00\x06\x91\xa4Done",
        b"\x00\x00\x00\x07\x92\xa4Done\xff",
        b"\x00\x00\x00\x05\xdd\xff\xff\xff\xff",
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        FrameReader().feed(data)
    assert caught.value.code == "gateway.message"


def test_malformed_bytes_end_that_connection_only() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    mallory = world.connect(CLIENT, "mallory")
    mallory.link._out += b"\x00\x00\x00\x01\xc1"
    world.settle()
    assert mallory.refused == ["message"]
    assert not mallory.open
    world.session(carol, harry)


def test_any_bytes_are_messages_or_refused_and_the_gateway_goes_on() -> None:
    world = GatewayWorld(GatewayLimits(messages_per_second=1_000_000))
    carol, harry, _ = _three(world)
    rng = Random(11)
    pool = [
        encode(message)[4:]
        for message in (
            m.Talk("asking", 1, b"frame"),
            m.Talk("ending", 7, b"x"),
            m.Command(1, "ban", ("harry",)),
            m.Talk("bind", 1, b"frame"),
            m.Refused(1, "limit", "a limit was hit", "leases_per_minute", 5),
        )
    ]
    outcomes = {"read": 0, "refused": 0}
    for _ in range(4_000):
        data = bytearray(rng.choice(pool))
        for _ in range(rng.randrange(3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        try:
            (message,) = FrameReader().feed(len(data).to_bytes(4, "big") + bytes(data))
        except Malformed:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        for party in (carol, harry):
            world.core.received(party.number, message, world.now_ns)
        world.settle()
    assert min(outcomes.values()) > 500, outcomes
    assert carol.open
    assert harry.open
