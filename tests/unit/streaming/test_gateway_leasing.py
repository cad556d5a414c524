"""Which lease a party gets: the gateway's judgement, without connections."""

from __future__ import annotations

from gateway_world import Connection, GatewayWorld
from relay_world import GATEWAY_PUBLIC
from troth.streaming.gateway.leasing import Ticket
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.relay.lease import Lease, Role, read_unverified, signed_by

CLIENT, HOST, RELAY = (PartyKind.CLIENT, PartyKind.HOST, PartyKind.RELAY)


def _three(world: GatewayWorld) -> tuple[Connection, Connection, Connection]:
    return (
        world.connect(CLIENT, "carol"),
        world.connect(HOST, "harry"),
        world.connect(RELAY, "rita"),
    )


def test_each_party_gets_a_lease_in_its_own_role() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    session = world.session(carol, harry)
    for ticket, role in (
        (world.lease(harry, session), Role.HOST),
        (world.handed(carol, session), Role.CLIENT),
    ):
        assert ticket is not None
        assert (ticket["relay"], ticket["host"], ticket["port"]) == ("rita", "192.0.2.30", 3_479)
        assert signed_by(ticket["token"], GATEWAY_PUBLIC)
        lease = read_unverified(ticket["token"])
        assert (lease.role, lease.session, lease.relay) == (role, session, "rita")


def test_the_next_lease_is_newer_and_for_the_same_relay() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    session = world.session(carol, harry)
    first = _read(world.lease(carol, session))
    second = _read(world.lease(carol, session, renew=True))
    assert second.generation > first.generation
    assert second.lease_id != first.lease_id
    assert second.holder_key == first.holder_key
    assert world.handed(harry, session, "rita") is None, "renewing is each party's own affair"


def test_the_relay_with_the_least_load_is_chosen_and_excluded_ones_are_not() -> None:
    world = GatewayWorld()
    carol, harry, rita = _three(world)
    rob = world.connect(RELAY, "rob")
    world.load(rita, 90, 100)
    world.load(rob, 10, 100)
    session = world.session(carol, harry)
    assert _read(world.lease(carol, session)).relay == "rob"
    assert _read(world.lease(carol, session)).relay == "rob", "it stays where it is"
    assert _read(world.lease(carol, session, "rob")).relay == "rita"
    assert _read(world.handed(harry, session, "rob")).relay == "rita"
    assert world.lease(carol, session, "rob", "rita") is None
    world.load(rita, 100, 100)
    world.drop(rob)
    assert world.lease(carol, world.session(carol, harry)) is None
    assert carol.refused == []


def test_nobody_is_handed_a_lease_of_a_session_that_is_over_or_of_a_relay_that_is_gone() -> None:
    world = GatewayWorld()
    carol, harry, rita = _three(world)
    session, other = world.session(carol, harry), world.session(carol, harry)
    assert world.handed(harry, session) is None, "nobody has needed a relay"
    for one in (session, other):
        world.lease(carol, one)
    world.end(carol, session, "user")
    assert world.handed(harry, session) is None
    world.drop(rita)
    assert world.handed(harry, other) is None
    assert world.lease(carol, other, renew=True) is None
    world.connect(RELAY, "rita")
    assert _read(world.handed(harry, other)).relay == "rita"
    assert _read(world.lease(carol, other, renew=True)).relay == "rita"
    world.connect(RELAY, "rob")
    assert _read(world.lease(carol, other, "rita", renew=True)).relay == "rita"


def test_a_restarted_gateway_still_knows_the_session() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    session = world.session(carol, harry)
    first = _read(world.lease(carol, session))
    world.restart()
    carol, harry, _ = _three(world)
    assert _read(world.lease(carol, session, renew=True)).generation > first.generation


def test_a_session_gets_leases_for_so_long() -> None:
    world = GatewayWorld(GatewayLimits(session_s=60))
    carol, harry, _ = _three(world)
    session = world.session(carol, harry)
    world.advance(59)
    assert world.lease(carol, session) is not None
    world.advance(1)
    assert world.lease(carol, session) is None
    assert carol.refused == ["session_over"]


def _read(ticket: Ticket | None) -> Lease:
    assert ticket is not None
    return read_unverified(ticket["token"])
