"""The relay: who may use it, what it passes on, and what it says when it does not."""

from __future__ import annotations

import pytest

from relay_world import GATEWAY_SIGNING, RELAY_ADDRESS, Party, RelayWorld
from troth.streaming.paths.addresses import Address
from troth.streaming.relay.core import HANDOVER_NS
from troth.streaming.relay.lease import ExchangeKey, Role, issue
from troth.streaming.relay.leg import LegState
from troth.streaming.relay.limits import SECOND_NS, RelayLimits
from troth.streaming.relay.outputs import (
    LeaseWanted,
    LegBound,
    LegNoticed,
    LegRefused,
    LegSilent,
)
from troth.streaming.relay.wire import OVERHEAD_BYTES, Kind, Notice, Refusal, seal
from troth.vm.errors import Unusable


def _refusals(party: Party) -> list[Refusal]:
    return [said.refusal for said in party.said if isinstance(said, LegRefused)]


def _notices(party: Party) -> list[Notice]:
    return [said.notice for said in party.said if isinstance(said, LegNoticed)]


def test_datagrams_go_both_ways_byte_for_byte() -> None:
    world = RelayWorld()
    client, host = world.pair()
    world.send(client, b"to the host")
    world.send(host, b"to the client")
    world.send(client, bytes(1_200))
    assert host.got == [b"to the host", bytes(1_200)]
    assert client.got == [b"to the client"]
    assert isinstance(client.said[0], LegBound)
    assert Notice.PEER_BOUND in _notices(client)
    assert max(len(data) for *_, data in world.sent) <= 1_200 + OVERHEAD_BYTES
    assert world.relay.counters.packets_forwarded == 3
    assert world.relay.counters.bytes_forwarded == 11 + 13 + 1_200


def test_sessions_do_not_hear_each_other() -> None:
    world = RelayWorld()
    first = world.pair()
    second = world.pair(session=b"t" * 16)
    world.send(first[0], b"one")
    world.send(second[0], b"two")
    assert (first[1].got, second[1].got) == ([b"one"], [b"two"])
    assert world.relay.sessions == 2


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"relay": "another"}, Refusal.WRONG_RELAY),
        ({"expires_s": 1}, Refusal.EXPIRED),
        ({"not_before_s": 1_800_000_100}, Refusal.NOT_YET),
        ({"expires_s": 1_800_009_000}, Refusal.TOO_LONG),
    ],
)
def test_a_lease_that_is_not_for_here_and_now_is_refused(
    changed: dict[str, object], refusal: Refusal
) -> None:
    world = RelayWorld()
    party = world.party(Role.CLIENT, 40_000, **changed)
    party.leg.start(world.now_ns)
    world.settle()
    assert _refusals(party) == [refusal]
    assert party.leg.state is LegState.ENDED
    assert world.relay.counters.refused[refusal] == 1
    assert f'reason="{refusal.name.lower()}"}} 1' in world.relay.metrics(world.now_ns)


def test_a_lease_that_no_gateway_signed_is_refused() -> None:
    world = RelayWorld()
    key = world.key()
    token = issue(world.lease(Role.CLIENT, key), GATEWAY_SIGNING)
    forged = bytes([token[0] ^ 1]) + token[1:]
    party = world.holder(forged, key, Address("203.0.113.7", 40_000))
    party.leg.start(world.now_ns)
    world.settle()
    assert _refusals(party) == [Refusal.SIGNATURE]


def test_a_copied_lease_is_of_no_use_without_its_secret() -> None:
    world = RelayWorld()
    client, _ = world.pair()
    token = issue(client.leg.lease, GATEWAY_SIGNING)
    thief = world.holder(token, world.key(), Address("192.0.2.66", 6_666))
    thief.leg.start(world.now_ns)
    world.settle()
    # The thief cannot even read the refusal's code, so it is sent without one.
    assert _refusals(thief) == [Refusal.HOLDER]
    assert client.leg.usable


def test_a_lease_serves_its_role_only_and_once() -> None:
    world = RelayWorld()
    client, host = world.pair()
    client.leg.close(world.now_ns)
    world.settle()
    assert Notice.PEER_GONE in _notices(host)
    again = world.holder(issue(client.leg.lease, GATEWAY_SIGNING), _key_of(client), client.address)
    again.leg.start(world.now_ns)
    world.settle()
    assert _refusals(again) == [Refusal.SPENT]


def _key_of(party: Party) -> ExchangeKey:
    return party.leg._key


def test_an_older_lease_does_not_displace_a_newer_one() -> None:
    world = RelayWorld()
    older = world.party(Role.CLIENT, 40_000)
    newer = world.party(Role.CLIENT, 40_001, generation=2)
    for party in (newer, older):
        party.leg.start(world.now_ns)
        world.settle()
    assert _refusals(older) == [Refusal.SUPERSEDED]
    assert newer.leg.usable


def test_a_restarted_party_takes_its_place_over_with_a_newer_lease() -> None:
    world = RelayWorld()
    client, host = world.pair()
    again = world.party(Role.CLIENT, 40_009, generation=2)
    again.leg.start(world.now_ns)
    world.settle()
    assert _notices(client)[-1] is Notice.SUPERSEDED
    world.send(host, b"hello again")
    assert (client.got, again.got) == ([], [b"hello again"])


def test_renewal_at_four_fifths_hands_over_without_a_gap() -> None:
    world = RelayWorld()
    client, host = world.pair()
    _talk_for(world, 239, client, host)
    assert not any(isinstance(said, LeaseWanted) for said in client.said)
    world.advance(2 * SECOND_NS)
    assert LeaseWanted(b"s" * 16, 1) in client.said
    lost = iter([False])
    world.lets_through = lambda s, t, _d: s != RELAY_ADDRESS or t != client.address or next(
        lost, True
    )  # fmt: skip
    lease = world.lease(Role.CLIENT, _key_of(client), generation=2)
    client.leg.renew(issue(lease, GATEWAY_SIGNING), world.now_ns)
    world.send(client, b"while renewing")
    world.advance(SECOND_NS)
    assert client.leg.state is LegState.BOUND
    assert client.leg.lease.generation == 2
    world.send(client, b"renewed")
    world.send(host, b"to the renewed")
    assert host.got[-2:] == [b"while renewing", b"renewed"]
    assert client.got[-1] == b"to the renewed"
    _talk_for(world, 50, client, host)
    world.advance(20 * SECOND_NS)
    assert world.relay.counters.lease_renew_packets == 1
    assert client.leg.usable
    assert _notices(host)[-1] is Notice.EXPIRED


def _talk_for(world: RelayWorld, duration_s: int, *parties: Party) -> None:
    """So that nobody is idle."""
    while duration_s > 0:
        step_s = min(30, duration_s)
        world.advance(step_s * SECOND_NS, SECOND_NS)
        duration_s -= step_s
        for party in parties:
            world.send(party, b"alive")


def test_a_lease_ends_on_time_and_both_are_told() -> None:
    world = RelayWorld()
    client, host = world.pair(expires_s=world.unix_s + 10)
    world.advance(9 * SECOND_NS)
    world.send(client, b"still")
    world.advance(2 * SECOND_NS)
    assert _notices(client)[-1] is Notice.EXPIRED
    assert _notices(host)[-1] in (Notice.EXPIRED, Notice.PEER_GONE)
    assert not client.leg.usable
    assert world.relay.counters.cleanup_expired_sessions == 2
    assert world.relay.sessions == 0


def test_a_revoked_session_stops_at_once_and_stays_out() -> None:
    world = RelayWorld()
    client, host = world.pair()
    assert world.relay.revoke(b"s" * 16, world.now_ns) == 2
    forwarded = world.relay.counters.packets_forwarded
    world.settle()
    assert _notices(client)[-1] is Notice.REVOKED
    assert _notices(host)[-1] is Notice.REVOKED
    again = world.party(Role.CLIENT, 40_010, generation=2)
    again.leg.start(world.now_ns)
    world.settle()
    assert _refusals(again) == [Refusal.REVOKED]
    assert world.relay.counters.packets_forwarded == forwarded


def test_what_a_revoked_party_goes_on_sending_is_dropped_and_answered() -> None:
    world = RelayWorld()
    client, host = world.pair()
    world.lets_through = lambda source, *_: source != RELAY_ADDRESS
    world.relay.revoke(b"s" * 16, world.now_ns)
    world.settle()
    assert client.leg.usable, "the notice was lost"
    world.lets_through = lambda *_: True
    world.advance(2 * SECOND_NS)
    world.send(client, b"anybody?")
    assert host.got == []
    assert _notices(client) == [Notice.PEER_BOUND, Notice.REVOKED]
    assert world.relay.counters.session_not_active_packets == 1


def test_a_party_goes_on_from_another_address_once_it_has_proved_it() -> None:
    world = RelayWorld()
    client, host = world.pair()
    client.address = Address("203.0.113.99", 50_000)
    world.send(client, b"from elsewhere")
    assert host.got == [b"from elsewhere"]
    world.send(host, b"back")
    assert client.got == [b"back"]
    assert world.relay.counters.nat_rebind_events == 1


def test_a_copied_packet_does_not_turn_a_stream_on_somebody_else() -> None:
    world = RelayWorld()
    client, host = world.pair()
    victim = Address("192.0.2.1", 53)
    copies: list[bytes] = []

    def keep(_source: Address, target: Address, data: bytes) -> bool:
        copies.extend([data] if target == RELAY_ADDRESS else [])
        return target != RELAY_ADDRESS

    world.lets_through = keep
    world.send(client, b"kept back")
    world.lets_through = lambda *_: True
    world.relay.receive(copies[0], victim, world.now_ns)
    world.send(host, b"not for the victim")
    towards = [data for _, target, data in world.sent if target == victim]
    assert [data[0] for data in towards] == [Kind.CHALLENGE]
    assert len(towards[0]) < OVERHEAD_BYTES + 16
    assert client.got == [b"not for the victim"]
    world.relay.receive(copies[0], victim, world.now_ns)
    assert world.relay.counters.replay_dropped_packets == 1
    assert world.relay.counters.nat_rebind_events == 0


def test_a_forged_code_changes_nothing() -> None:
    world = RelayWorld()
    client, host = world.pair()
    genuine = [data for _, target, data in world.sent if target == RELAY_ADDRESS]
    channel = int.from_bytes(world.sent[-1][2][2:6], "big")
    forged = seal(bytes(32), Kind.FORWARD, channel, (1 << 64) - 1, b"poison")
    world.relay.receive(forged, Address("192.0.2.66", 1), world.now_ns)
    assert world.relay.counters.auth_reject_packets == 1
    world.send(client, b"the window was not moved")
    world.send(host, b"nor here")
    assert host.got == [b"the window was not moved"]
    for data in genuine:
        world.relay.receive(data, client.address, world.now_ns)
    assert world.relay.counters.replay_dropped_packets == len(genuine)


def test_a_restarted_relay_is_found_again() -> None:
    world = RelayWorld()
    client, host = world.pair()
    world.new_relay()
    for party in (client, host):
        party.leg.send(b"a datagram that is long enough to be answered")
    world.settle()
    world.send(client, b"as before")
    assert host.got[-1] == b"as before"
    assert world.relay.counters.session_not_found_packets == 2


def test_the_lease_limits_bytes_and_packets_and_says_which() -> None:
    limits = RelayLimits(burst_packets_min=10, burst_bytes_min=2_000)
    world = RelayWorld(limits=limits)
    client, host = world.pair(packets_per_s=10, bytes_per_s=1_000_000)
    for _ in range(12):
        world.send(client, b"x")
    assert len(host.got) == 10
    assert _notices(client)[-1] is Notice.PACKETS_LIMITED
    assert _notices(client).count(Notice.PACKETS_LIMITED) == 1
    world.advance(SECOND_NS)
    world.send(client, b"x")
    assert len(host.got) == 11
    client, host = world.pair(session=b"u" * 16, packets_per_s=1_000, bytes_per_s=1_000)
    for _ in range(3):
        world.send(client, bytes(1_000))
    assert len(host.got) == 2
    assert _notices(client)[-1] is Notice.BYTES_LIMITED
    assert world.relay.counters.rate_limited_packets == 3


def test_a_rate_holds_over_time() -> None:
    world = RelayWorld(limits=RelayLimits(burst_bytes_min=1))
    client, host = world.pair(bytes_per_s=100_000, packets_per_s=10_000)
    for _ in range(200):
        world.advance(SECOND_NS // 100, SECOND_NS // 100)
        for _ in range(4):
            client.leg.send(bytes(1_000))
        world.settle()
    got = sum(map(len, host.got))
    assert 200_000 <= got <= 251_000, got


def test_presentations_are_limited_by_address_and_altogether() -> None:
    world = RelayWorld(limits=RelayLimits(presents_per_source_s=2, presents_per_s=3))
    parties = [world.party(Role.CLIENT, 1_000 + n, session=bytes([n]) * 16) for n in range(3)]
    for party in parties:
        party.leg.start(world.now_ns)
    world.settle()
    assert [party.leg.usable for party in parties] == [True, True, False]
    assert world.relay.counters.refused[Refusal.TOO_OFTEN] == 1
    elsewhere = world.party(Role.CLIENT, 1, session=b"e" * 16)
    elsewhere.address = Address("203.0.113.8", 1)
    another = world.party(Role.CLIENT, 2, session=b"f" * 16)
    another.address = Address("203.0.113.9", 1)
    for party in (elsewhere, another):
        party.leg.start(world.now_ns)
    world.settle()
    assert world.relay.counters.refused[Refusal.BUSY] == 1
    world.advance(3 * SECOND_NS)
    assert all(party.leg.usable for party in world.parties), "they were only asked to wait"


def test_a_full_relay_says_so() -> None:
    world = RelayWorld(limits=RelayLimits(sessions_max=1))
    world.pair()
    late = world.party(Role.CLIENT, 1, session=b"v" * 16)
    late.leg.start(world.now_ns)
    world.settle()
    assert _refusals(late) == [Refusal.FULL]
    assert "sessions_max" in str(late.said[0])


def test_a_draining_relay_takes_no_new_session_and_keeps_the_old() -> None:
    world = RelayWorld()
    client, host = world.pair()
    half = world.party(Role.CLIENT, 1, session=b"w" * 16)
    half.leg.start(world.now_ns)
    world.settle()
    world.relay.drain(world.now_ns)
    world.settle()
    assert _notices(client)[-1] is Notice.DRAINING
    late = world.party(Role.CLIENT, 2, session=b"x" * 16)
    other_half = world.party(Role.HOST, 3, session=b"w" * 16)
    for party in (late, other_half):
        party.leg.start(world.now_ns)
    world.settle()
    assert _refusals(late) == [Refusal.DRAINING]
    assert other_half.leg.usable
    world.send(client, b"on we go")
    assert host.got == [b"on we go"]


def test_a_silent_relay_is_given_up_in_five_seconds() -> None:
    world = RelayWorld()
    world.lets_through = lambda *_: False
    party = world.party(Role.CLIENT, 1)
    party.leg.start(world.now_ns)
    world.advance(4 * SECOND_NS)
    assert party.leg.state is LegState.PRESENTING
    world.advance(2 * SECOND_NS)
    assert party.said == [LegSilent()]
    assert party.leg.deadline_ns is None


def test_any_lost_packet_of_a_presentation_is_survived() -> None:
    for lost in range(4):
        world = RelayWorld()
        count = iter(range(1_000))
        world.lets_through = lambda *_, n=count, lost=lost: next(n) != lost
        client, host = world.pair()
        world.advance(2 * SECOND_NS)
        world.send(client, b"there")
        assert host.got == [b"there"], lost


def test_an_idle_place_is_given_up_and_the_lease_may_be_presented_again() -> None:
    world = RelayWorld()
    client, host = world.pair()
    for _ in range(7):
        world.advance(10 * SECOND_NS, SECOND_NS)
        world.send(host, b"alive")
    assert _notices(client)[-1] is Notice.IDLE
    again = world.holder(issue(client.leg.lease, GATEWAY_SIGNING), _key_of(client), client.address)
    again.leg.start(world.now_ns)
    world.settle()
    assert again.leg.usable


def test_places_are_forgotten_in_the_end() -> None:
    world = RelayWorld()
    client, host = world.pair()
    world.advance(HANDOVER_NS)
    client.leg.close(world.now_ns)
    host.leg.close(world.now_ns)
    world.settle()
    world.advance(31 * SECOND_NS, SECOND_NS)
    assert world.relay.sessions == 0
    assert world.relay._channels == {}


def test_metrics_are_text_that_names_no_party() -> None:
    world = RelayWorld()
    world.pair()
    text = world.relay.metrics(world.now_ns)
    assert "troth_relay_active_sessions 1\n" in text
    assert "troth_relay_lease_present_packets_total 2\n" in text
    assert "203.0.113" not in text
    for line in text.splitlines():
        assert line.startswith(("# TYPE troth_relay_", "troth_relay_"))
        assert line.startswith("#") or line.split()[-1].isdigit()


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(Unusable, match="sessions_max"):
        RelayLimits(sessions_max=0)
