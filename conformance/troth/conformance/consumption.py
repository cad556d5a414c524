"""Level 3: do the decisions on what was consumed, and the roots they leave, recompute?

Messages of an edge are numbered without gaps and leave its buffer in the order they entered.
The machine's own replay protection (`troth.vm.consumption`) is asked again for every receive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from troth.conformance.divergence import Divergence
from troth.conformance.edge_divergence import diverged, require_room_made, wrong_root
from troth.conformance.generations import Generations, not_retired
from troth.conformance.losses import Losses
from troth.conformance.peers_consumption import (
    PeerConsumption,
    bring_digest_forward,
    bring_forward,
)
from troth.conformance.world import Edge, World
from troth.vm.record_codec import Items
from troth.vm.records import Kind

Handler: TypeAlias = Callable[[Items], None]


class ConsumptionLevel:
    """The checks of level 3, one method a kind."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.peers = PeerConsumption(world)
        self.losses = Losses(world)
        self.generations = Generations(world)

    def handlers(self) -> Mapping[int, Handler]:
        return {
            Kind.SEND: self.send,
            Kind.RECEIVE: self.receive,
            Kind.RECEIPT: self.receipt,
            Kind.ROTATE: self.generations.rotate,
            Kind.RETIRE: self.generations.retire,
            Kind.PEER_ROTATE: self.generations.peer_rotate,
            Kind.UNDELIVERED: self.undelivered,
            Kind.OVERWRITE: self.losses.overwrite,
            Kind.DROP: self.losses.drop,
            Kind.REJECT: self.reject,
            Kind.ARRIVE: self.peers.arrive,
            Kind.PEER_RECEIPT: self.peers.receipt,
        }

    def send(self, items: Items) -> None:
        world = self.world
        edge = world.edge
        assert edge is not None
        if edge.skip:
            edge.sent += 1
            return
        generation, sequence = items[6], items[7]
        if (generation, sequence) != edge.config.position(edge.sent) or generation > edge.rotated:
            raise diverged(
                edge,
                "consumption.sent.number",
                "the message does not have the next number of its edge",
                "generation {}, number {}".format(*edge.config.position(edge.sent))
                + ("" if generation <= edge.rotated else ", after a rotation"),
                f"generation {generation}, number {sequence}",
            )
        edge.sent += 1
        if edge.config.lossy and edge.may_lose(items[5]):
            edge.lossy_sent += 1
        if edge.outbound:
            self.peers.sent(edge, items)
            return
        if edge.renews and edge.consumption.generation != edge.rotated:
            raise not_retired(edge)
        in_flight = edge.in_flight
        in_flight.append((generation, sequence, items[5], world.statement))
        if edge.session.round_sealed:
            signer = edge.session.signers[items[2]]
            edge.seals_due.append((signer, signer.log.size))
        if len(in_flight) > edge.in_flight_max:
            raise diverged(
                edge,
                "consumption.sent.capacity",
                "the message has no place in the buffer",
                f"at most {edge.in_flight_max} messages in flight",
                str(len(in_flight)),
            )

    def receive(self, items: Items) -> None:
        world = self.world
        edge = world.edge
        assert edge is not None
        world.message = None
        if edge.skip:
            edge.received += 1
            return
        _, _, _, _, generation, sequence, root = items
        in_flight = edge.in_flight
        if edge.inbound:
            require_room_made(edge)
            bring_forward(edge, generation, sequence)
        if not in_flight or in_flight[0][:2] != (generation, sequence):
            raise _not_next(edge, generation, sequence)
        message = in_flight.popleft()
        if edge.seals_due:
            self._require_seal(edge, sequence)
        statement = message[3]
        consumption = edge.consumption
        code = consumption.decide(generation, sequence, statement)
        if code is not None:
            raise diverged(
                edge,
                "consumption.duplicate" if code.endswith("duplicate") else "consumption.order",
                f"the replay mode {edge.config.replay} refuses the message with {code}",
                f"number {consumption.expected}",
                f"number {sequence}",
            )
        if generation > consumption.generation and edge.config.rotate:
            raise not_retired(edge)
        consumption.consume(generation, sequence, statement)
        edge.received += 1
        if edge.config.lossy and edge.may_lose(message[2]):
            edge.lossy_received += 1
        world.message = message
        if consumption.root != root:
            raise wrong_root(edge, consumption.root, root)

    def _require_seal(self, edge: Edge, sequence: int) -> None:
        """A message of a round-sealed session can be received once its round is sealed."""
        signer, size = edge.seals_due.popleft()
        if signer.sealed_size < size:
            raise diverged(
                edge,
                "consumption.unsealed",
                "the message is received before its sender's log was sealed",
                f"a seal over {size} leaves of the log of {signer.name}",
                f"number {sequence}, with {signer.sealed_size} leaves sealed",
            )

    def receipt(self, items: Items) -> None:
        edge = self.world.edge
        assert edge is not None
        if not edge.skip and items[8] != edge.consumption.root:
            raise wrong_root(edge, edge.consumption.root, items[8])

    def undelivered(self, items: Items) -> None:
        edge = self.world.edge
        assert edge is not None
        self.world.tally.undelivered += 1
        self.world.message = None
        if edge.skip:
            return
        require_room_made(edge)
        _, _, _, _, generation, sequence = items
        if not edge.in_flight or edge.in_flight[0][:2] != (generation, sequence):
            raise diverged(
                edge,
                "protocol.undelivered",
                "a message is listed as undelivered that is not the next one in flight",
                _next_in_flight(edge),
                f"generation {generation}, number {sequence}",
            )
        self.world.message = edge.in_flight.popleft()
        if edge.seals_due:
            edge.seals_due.popleft()

    def reject(self, items: Items) -> None:
        """The oldest in flight is refused; where they come in any order, the one of its digest."""
        edge = self.world.edge
        assert edge is not None
        self.world.tally.rejects += 1
        self.world.message = None
        if edge.skip:
            return
        if not edge.in_flight:
            raise diverged(
                edge,
                "consumption.unsent",
                "a message is rejected that was never sent",
                "a message in flight",
                "none",
            )
        if edge.inbound:
            require_room_made(edge)
            bring_digest_forward(edge, items[5])
        self.world.message = edge.in_flight.popleft()
        if edge.seals_due:
            edge.seals_due.popleft()


def _not_next(edge: Edge, generation: int, sequence: int) -> Divergence:
    found = f"generation {generation}, number {sequence}"
    position = (generation, sequence)
    known = edge.arrived if edge.inbound else edge.sent
    if position >= edge.config.position(known):
        code, message = "consumption.unsent", "a message is received that was never sent"
    elif any(message[:2] == position for message in edge.in_flight):
        code, message = "consumption.order", "a message is received before its turn"
    else:
        code, message = "consumption.duplicate", "a message is received a second time"
    return diverged(edge, code, message, _next_in_flight(edge), found)


def _next_in_flight(edge: Edge) -> str:
    if not edge.in_flight:
        return "no message: none is in flight"
    generation, sequence, _, _ = edge.in_flight[0]
    return f"generation {generation}, number {sequence}"
