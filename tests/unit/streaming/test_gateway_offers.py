"""Offers at the gateway: who may call whom, what a host is shown, and what comes of it."""

from __future__ import annotations

import pytest

from gateway_world import CHECK_PASSWORD, Connection, GatewayWorld, introduction
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.introductions import (
    PROPOSAL_BYTES_MAX,
    Opening,
    introduction_of,
    introduction_record,
)
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.rendezvous import LISTED_MAX, OfferState, Pending

CLIENT, HOST, RELAY = PartyKind.CLIENT, PartyKind.HOST, PartyKind.RELAY


def _three(world: GatewayWorld) -> tuple[Connection, Connection, Connection]:
    return (
        world.connect(CLIENT, "carol"),
        world.connect(HOST, "harry"),
        world.connect(RELAY, "rita"),
    )


def _offer(world: GatewayWorld, client: Connection, target: str) -> Pending:
    pending = world.offer(client, target)
    assert pending is not None
    return pending


def _why(pending: Pending) -> str:
    assert pending.state is OfferState.OVER
    return "" if pending.refusal is None else pending.refusal.code


def test_an_offer_gets_a_receipt_and_an_answer() -> None:
    world = GatewayWorld()
    carol, _harry, _ = _three(world)
    pending = _offer(world, carol, "harry")
    assert (pending.delivered, pending.host.name) == (False, "harry")
    world.core.rendezvous.received(pending)
    assert pending.delivered
    assert pending.opening is None
    answer = introduction(proposal=b"welcome")
    opening = world.core.rendezvous.accept(pending, answer, world.now_ns)
    assert isinstance(opening, Opening)
    assert (opening.peer_name, opening.peer_key) == ("carol", world.key("carol").public_key)
    assert pending.opening is not None
    assert pending.opening.introduction.proposal == b"welcome"
    assert pending.opening.peer_key == world.key("harry").public_key
    assert pending.opening.session == opening.session
    assert _why(pending) == ""


def test_a_host_that_is_away_is_said_to_be() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    world.offer(carol, "nobody")
    pending = _offer(world, carol, "harry")
    world.drop(harry)
    assert _why(pending) == "peer_offline"
    world.offer(carol, "harry")
    assert carol.refused == ["peer_offline"] * 2


def test_a_host_that_says_nothing_is_told_apart() -> None:
    world = GatewayWorld()
    carol, _harry, _ = _three(world)
    rendezvous = world.core.rendezvous
    pending = _offer(world, carol, "harry")
    rendezvous.withdraw(pending)
    assert _why(pending) == "not_delivered"
    rendezvous.received(pending)
    assert not pending.delivered
    pending = _offer(world, carol, "harry")
    rendezvous.received(pending)
    rendezvous.withdraw(pending)
    assert _why(pending) == "no_answer"
    late = rendezvous.accept(pending, introduction(), world.now_ns)
    assert isinstance(late, m.Refused)
    assert late.code == "no_offer"
    pending = _offer(world, carol, "harry")
    rendezvous.received(pending)
    rendezvous.late(pending)
    assert _why(pending) == "no_answer"


def test_a_yes_that_the_client_does_not_hear_of_any_more_is_taken_back() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    rendezvous = world.core.rendezvous
    pending = _offer(world, carol, "harry")
    rendezvous.received(pending)
    opening = rendezvous.accept(pending, introduction(), world.now_ns)
    assert isinstance(opening, Opening)
    rendezvous.withdraw(pending)
    world.settle()
    assert harry.ended == [{"session": opening.session, "reason": "no_answer"}]
    record = world.store.session(opening.session)
    assert record is not None
    assert not record.live


def test_a_host_says_no_and_why() -> None:
    world = GatewayWorld()
    carol, *_ = _three(world)
    pending = _offer(world, carol, "harry")
    world.core.rendezvous.received(pending)
    world.core.rendezvous.deny(pending, "busy")
    assert _why(pending) == "denied"
    assert pending.refusal is not None
    assert pending.refusal.text.endswith("busy")


def test_a_host_lets_through_whom_it_wants() -> None:
    world = GatewayWorld()
    carol, harry, _ = _three(world)
    dave = world.connect(CLIENT, "dave")
    host = world.core.hub.parties[harry.number]
    keep = world.core.rendezvous.keep_policy
    assert keep(host, "listed", [world.key("dave").public_key]) is None
    world.offer(carol, "harry")
    assert carol.refused == ["no_consent"]
    _offer(world, dave, "harry")
    assert keep(host, "nobody", []) is None
    world.offer(dave, "harry")
    assert dave.refused == ["no_consent"]
    for policy, keys in (
        ("everybody", []), ("listed", [b"short"]), ("listed", [bytes(32)] * (LISTED_MAX + 1)),
    ):  # fmt: skip
        refused = keep(host, policy, keys)
        assert refused is not None
        assert refused.code == "policy"
    world.offer(dave, "harry")
    assert dave.refused == ["no_consent"] * 2, "the policy is as it was"


@pytest.mark.parametrize(
    "changed",
    [
        {"proposal": bytes(PROPOSAL_BYTES_MAX + 1)},
        {"lease_key": b"short"},
        {"check_name": "no/name"},
        {"check_password": "short"},
        {"candidates": [{"kind": 1, "host": "203.0.113.5", "port": 1}] * 17},
        {"candidates": [{"kind": 9, "host": "203.0.113.5", "port": 1}]},
        {"candidates": [{"kind": 1, "host": "somewhere", "port": 1}]},
        {"candidates": [{"kind": 1, "host": "203.0.113.5", "port": 1 << 16}]},
    ],
)
def test_what_nobody_could_use_is_not_passed_on(changed: dict[str, object]) -> None:
    world = GatewayWorld()
    carol, *_ = _three(world)
    client = world.core.hub.parties[carol.number]
    rendezvous, now_ns = world.core.rendezvous, world.now_ns
    refused = rendezvous.ask(client, "harry", introduction(**changed), now_ns)
    assert isinstance(refused, m.Refused)
    assert refused.code == "message"
    pending = _offer(world, carol, "harry")
    rendezvous.received(pending)
    over = rendezvous.accept(pending, introduction(**changed), now_ns)
    assert isinstance(over, m.Refused)
    assert _why(pending) == "denied"


def test_an_introduction_is_the_same_on_the_other_side() -> None:
    introduced = introduction_of(introduction())
    assert introduction_record(introduced) == introduction()
    assert CHECK_PASSWORD not in repr(introduced)
