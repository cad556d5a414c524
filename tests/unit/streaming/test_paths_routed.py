"""A secure link over paths that change: the same session and the same keys before and after."""

from __future__ import annotations

from itertools import pairwise

import pytest

from relay_world import GATEWAY_SIGNING
from routed_world import (
    CLIENT,
    CLIENT_OUTSIDE,
    HOST,
    HOST_OUTSIDE,
    RELAY,
    RoutedWorld,
)
from troth.streaming.link import Closed, CloseReason
from troth.streaming.liveness import Liveness
from troth.streaming.netem import Nat, NatBehaviour
from troth.streaming.paths.candidates import CandidateKind
from troth.streaming.paths.limits import SECOND_NS
from troth.streaming.paths.outputs import LivenessChanged
from troth.streaming.paths.stun import is_stun
from troth.streaming.relay.places import Place
from troth.streaming.relay.wire import CODE_BYTES, HEADER_BYTES, Kind
from troth.streaming.wire import SEALED_FIRST_BYTE

DIRECT, RELAYED = CandidateKind.HOST, CandidateKind.RELAY


def _met(seed: int) -> RoutedWorld:
    world = RoutedWorld(seed)
    world.meet()
    world.run(3)
    assert world.kinds == [DIRECT]
    assert world.link is not None
    assert world.link.established is not None
    return world


def _strictly_increasing(world: RoutedWorld) -> bool:
    return all(a < b for (_, a), (_, b) in pairwise(world.shown))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_blocked_path_is_left_in_three_seconds_with_session_and_keys(seed: int) -> None:
    world = _met(seed)
    assert world.link is not None
    assert world.host_link is not None
    established, connection = world.link.established, world.link.local_connection
    world.run(seed / 7)
    blocked_ns = world.world.now_ns
    world.block()
    world.run(5)
    assert world.kinds == [DIRECT, RELAYED]
    taken_s = (world.taken[-1][0] - blocked_ns) / SECOND_NS
    gap_s = world.longest_gap_s(blocked_ns - SECOND_NS)
    print(f"seed {seed}: relay after {taken_s:.2f} s, no frame for {gap_s:.2f} s")
    assert taken_s < 3
    assert gap_s < 3
    assert world.link.established is established
    assert world.link.local_connection == connection
    assert world.link.counts.rekeyed == world.host_link.counts.rekeyed == 0
    assert len(world.listener.links) == 1, "no second handshake"
    assert _strictly_increasing(world)
    assert world.shown[-1][0] > world.world.now_ns - SECOND_NS // 2


def test_unblocked_it_goes_back_once() -> None:
    world = _met(4)
    world.block()
    world.run(4)
    world.block(blocked=False)
    back_from_ns = world.world.now_ns
    world.run(9)
    assert world.kinds == [DIRECT, RELAYED]
    world.run(16)
    assert world.kinds == [DIRECT, RELAYED, DIRECT]
    assert world.longest_gap_s(back_from_ns) < 0.5, "going back loses next to nothing"
    assert _strictly_increasing(world)


def test_one_blocking_a_second_does_not_flap() -> None:
    world = _met(5)
    for _ in range(20):
        world.block()
        world.run(0.5)
        world.block(blocked=False)
        world.run(0.5)
    print(f"seed 5: {world.kinds}")
    assert world.kinds == [DIRECT, RELAYED]
    world.run(20)
    assert world.kinds == [DIRECT, RELAYED, DIRECT]
    assert _strictly_increasing(world)


@pytest.mark.parametrize(
    ("client", "host", "kind"),
    [
        (NatBehaviour.FULL_CONE, NatBehaviour.FULL_CONE, CandidateKind.SERVER_REFLEXIVE),
        (NatBehaviour.RESTRICTED, NatBehaviour.PORT_RESTRICTED, CandidateKind.SERVER_REFLEXIVE),
        (NatBehaviour.PORT_RESTRICTED, NatBehaviour.PORT_RESTRICTED, None),
        (NatBehaviour.SYMMETRIC, NatBehaviour.FULL_CONE, CandidateKind.SERVER_REFLEXIVE),
        (NatBehaviour.FULL_CONE, NatBehaviour.SYMMETRIC, CandidateKind.PEER_REFLEXIVE),
        (NatBehaviour.SYMMETRIC, NatBehaviour.PORT_RESTRICTED, RELAYED),
        (NatBehaviour.SYMMETRIC, NatBehaviour.SYMMETRIC, RELAYED),
    ],
)
def test_translators_on_both_sides(
    client: NatBehaviour, host: NatBehaviour, kind: CandidateKind | None
) -> None:
    nats = {CLIENT.host: Nat(CLIENT_OUTSIDE, client), HOST.host: Nat(HOST_OUTSIDE, host)}
    world = RoutedWorld(6, nats)
    world.meet()
    world.run(4)
    assert world.link is not None
    assert world.link.established is not None
    assert world.kinds[-1] is (kind or CandidateKind.SERVER_REFLEXIVE)
    assert len(world.shown) > 60


def test_a_translator_that_forgets_its_ports_is_survived() -> None:
    nats = {
        CLIENT.host: Nat(CLIENT_OUTSIDE, NatBehaviour.FULL_CONE),
        HOST.host: Nat(HOST_OUTSIDE, NatBehaviour.FULL_CONE),
    }
    world = RoutedWorld(7, nats)
    world.meet()
    world.run(4)
    nats[CLIENT.host].forget()
    forgot_ns = world.world.now_ns
    world.run(6)
    assert world.longest_gap_s(forgot_ns - SECOND_NS) < 3
    assert world.shown[-1][0] > world.world.now_ns - SECOND_NS // 2
    assert len(world.listener.links) == 1


def test_a_relay_carries_the_links_bytes_and_sees_nothing_else() -> None:
    world = RoutedWorld(8)
    world.block()
    towards: set[bytes] = set()
    from_relay: set[bytes] = set()

    def tap(source: tuple[str, int], _target: tuple[str, int], data: bytes, _now_ns: int) -> bool:
        if data[:1] == bytes([Kind.FORWARD]):
            inner = data[HEADER_BYTES:-CODE_BYTES]
            (from_relay if source == RELAY else towards).add(inner)
        return True

    world.world.taps.append(tap)
    world.meet()
    world.run(4)
    assert world.kinds == [RELAYED]
    assert len(world.shown) > 60
    assert from_relay <= towards, "what leaves the relay has come to it, byte for byte"
    assert len(from_relay) > 100
    sealed = [inner for inner in towards if inner[0] == SEALED_FIRST_BYTE]
    assert len(sealed) > 100
    assert not any(bytes(16) in inner for inner in sealed), "frames are nothing but zeros"
    keys = [place.codes for place in world.relay._channels.values()]
    assert len(keys) == 2
    assert GATEWAY_SIGNING not in towards


def test_a_relay_that_changes_what_it_carries_is_noticed() -> None:
    world = RoutedWorld(9)
    world.block()
    world.meet()
    world.run(3)
    assert world.link is not None
    before, shown = world.link.counts.not_authentic, len(world.shown)
    forward = world.relay._send
    changed = 0

    def meddle(place: Place, kind: Kind, body: bytes) -> None:
        nonlocal changed
        if kind is Kind.FORWARD and place.lease.role.name == "CLIENT" and len(body) > 600:
            changed += 1
            body = body[:500] + bytes([body[500] ^ 1]) + body[501:]
        forward(place, kind, body)

    world.relay._send = meddle  # type: ignore[method-assign]
    world.run(0.5)
    world.relay._send = forward  # type: ignore[method-assign]
    world.run(0.1, frames=False)
    assert changed > 0
    assert world.link.counts.not_authentic - before == changed
    assert _strictly_increasing(world)
    world.run(2)
    assert len(world.shown) > shown + 30


def test_a_revoked_lease_stops_frames_at_once() -> None:
    world = RoutedWorld(10)
    world.block()
    world.meet()
    world.run(3)
    world.relay.revoke(b"session-on-netem", world.world.now_ns)
    forwarded, revoked_ns = world.relay.counters.packets_forwarded, world.world.now_ns
    world.run(2)
    assert world.relay.counters.packets_forwarded == forwarded
    assert world.shown[-1][0] - revoked_ns < SECOND_NS // 2


def test_silence_ends_both_within_their_times() -> None:
    world = _met(11)
    world.world.taps.append(lambda *_: False)
    world.run(16, frames=False)
    states = [e.state for e in world.path_events if isinstance(e, LivenessChanged)]
    assert states == [Liveness.DEGRADED, Liveness.LOST, Liveness.ENDED]
    closed = [event for event in world.events if isinstance(event, Closed)]
    assert [event.reason for event in closed] == [CloseReason.CONNECTION_LOST]


def test_checks_alone_keep_nobody_alive_once_there_is_a_link() -> None:
    """Whoever introduced the two has the passwords of their checks, and none of the link's keys."""
    world = _met(12)
    checks: list[int] = []

    def only_checks(_source: object, _target: object, data: bytes, now_ns: int) -> bool:
        if is_stun(data):
            checks.append(now_ns)
        return is_stun(data)

    world.world.taps.append(only_checks)
    world.run(14, frames=False)
    assert len(checks) > 50, "they went on all the time"
    assert checks[-1] - checks[0] > 13 * SECOND_NS
    world.run(2, frames=False)
    states = [e.state for e in world.path_events if isinstance(e, LivenessChanged)]
    assert states == [Liveness.DEGRADED, Liveness.LOST, Liveness.ENDED]
    (closed,) = (event for event in world.events if isinstance(event, Closed))
    assert closed.reason is CloseReason.CONNECTION_LOST
