"""The events of gateway and relay: what happened, of which session, and nobody's name."""

from __future__ import annotations

import json

from gateway_world import GatewayWorld
from relay_world import RelayWorld
from troth.streaming.doctor.reading import read_events
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.happenings import KEPT, Happenings
from troth.streaming.relay.lease import Role
from troth.streaming.shell_role_events import RoleEvents
from troth.streaming.telemetry import EVENT_NAMES

SESSION = b"s" * 16


def test_a_relay_says_who_came_and_how_it_ended() -> None:
    world = RelayWorld()
    world.pair()
    world.relay.revoke(SESSION, world.now_ns)
    world.settle()
    again = world.party(Role.CLIENT, 40_010, generation=2)
    again.leg.start(world.now_ns)
    world.settle()
    told = [(it.name, it.session, dict(it.facts)) for it in world.relay.happenings.take()]
    assert told == [
        ("session_start", SESSION, {"holder": "client"}),
        ("session_start", SESSION, {"holder": "host"}),
        ("session_end", SESSION, {"reason": "revoked"}),
        ("session_end", SESSION, {"reason": "revoked"}),
        ("lease_rejected", b"", {"reason": "revoked"}),
    ]
    assert world.relay.happenings.take() == [], "each is told once"


def test_a_gateway_says_what_it_refuses_and_names_nobody() -> None:
    world = GatewayWorld()
    carol = world.connect(PartyKind.CLIENT, "carol")
    world.end(carol, SESSION, "enough")
    events = RoleEvents("Gateway", world.core.hub.happenings)
    status, text = events.page()
    assert status == 200
    lines, unread = read_events(text.splitlines())
    assert unread == 0
    assert [line.name for line in lines] == ["registered", "refused"]
    assert lines[0].text("kind") == "client"
    assert lines[1].text("code") == "no_session"
    assert "carol" not in text
    assert json.loads(text.splitlines()[0])["role"] == "Gateway"
    assert events.page() == (200, text), "reading takes nothing away"


def test_a_flood_costs_no_memory() -> None:
    happenings = Happenings()
    for number in range(KEPT * 3):
        happenings.note("refused", code=str(number))
    told = happenings.take()
    assert len(told) == KEPT
    assert dict(told[-1].facts) == {"code": str(KEPT * 3 - 1)}
    assert {it.name for it in told} <= set(EVENT_NAMES)
