"""No message is ever unaccounted for: what is counted for an edge adds up, or is a finding."""

from __future__ import annotations

import pytest

from troth.conformance.closing import account
from troth.conformance.divergence import Divergence
from troth.conformance.world import NO_RECORD, Edge, Principal, ProtocolEntry, Session
from troth.vm.events import EdgeConfig


def _edge(peers: frozenset[int] = frozenset()) -> Edge:
    names = ("A", "B")
    protocol = ProtocolEntry(0, bytes(32), "P", names, ("m",))
    signers = [Principal(place, name, bytes(32), NO_RECORD) for place, name in enumerate(names)]
    session = Session(0, bytes(32), protocol, signers, 0, peers)
    session.skip = False
    config = EdgeConfig("A", "B", "nullifier", "latest", 4, "block", 4, "inline", ("m",))
    session.add_edge(config, 0, 1)
    (edge,) = session.edges.values()
    return edge


def _count(edge: Edge, known: int, ends: tuple[int, int, int, int, int]) -> None:
    edge.sent = edge.arrived = known
    edge.received, edge.listed, edge.rejected, edge.overwritten, waiting = ends
    edge.in_flight.extend((0, number, 0, b"") for number in range(waiting))


@pytest.mark.parametrize("peers", [frozenset(), frozenset({0})], ids=["local", "inbound"])
def test_an_account_that_adds_up_is_accepted(peers: frozenset[int]) -> None:
    edge = _edge(peers)
    _count(edge, 15, (1, 2, 3, 4, 5))
    account(edge.session, edge)


@pytest.mark.parametrize("peers", [frozenset(), frozenset({0})], ids=["local", "inbound"])
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("more", [1, -1])
def test_one_too_many_or_too_few_is_a_finding(peers: frozenset[int], place: int, more: int) -> None:
    edge = _edge(peers)
    ends = [1, 2, 3, 4, 5]
    ends[place] += more
    _count(edge, 15, (ends[0], ends[1], ends[2], ends[3], ends[4]))
    with pytest.raises(Divergence) as caught:
        account(edge.session, edge)
    assert caught.value.code == "protocol.account"
    assert caught.value.expected == "15 messages"


def test_what_another_machine_received_is_not_known_here() -> None:
    edge = _edge(frozenset({1}))
    _count(edge, 15, (0, 0, 0, 0, 0))
    account(edge.session, edge)
