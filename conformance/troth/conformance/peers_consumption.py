"""Level 3, edges to and from other machines.

Messages arrive by records of their own, in any order where the replay mode allows it. What was
sent is in flight until the receiver has signed for it.
"""

from __future__ import annotations

from troth.conformance.edge_divergence import diverged, wrong_root
from troth.conformance.world import Edge, World
from troth.vm.instructions import ReplayMode
from troth.vm.record_codec import Items
from troth.vm.statements import identity_digest


class PeerConsumption:
    """The checks of level 3 on what other machines sent and took."""

    def __init__(self, world: World) -> None:
        self.world = world

    def arrive(self, items: Items) -> None:
        world, edge = self.world, self.world.edge
        assert edge is not None
        edge.arrived += 1
        if edge.skip:
            return
        generation, sequence = items[6], items[7]
        flaw = _arrival_flaw(edge, generation, sequence, world.statement)
        if flaw:
            raise diverged(
                edge,
                f"consumption.{flaw}",
                f"the replay mode {edge.config.replay} does not take this message as it comes",
                f"generation 0, number {edge.arrived - 1}"
                if edge.config.replay == ReplayMode.SEQUENCE
                else "a message that did not come before",
                f"generation {generation}, number {sequence}",
            )
        edge.in_flight.append((generation, sequence, items[5], world.statement))
        # Where messages may be lost, the record of the one that makes room follows, or it is the
        # one that its receiver waits for.
        if len(edge.in_flight) > edge.in_flight_max + bool(edge.config.lossy):
            raise diverged(
                edge,
                "consumption.sent.capacity",
                "the message has no place in the buffer",
                f"at most {edge.in_flight_max} messages in flight",
                str(len(edge.in_flight)),
            )

    def sent(self, edge: Edge) -> None:
        """A message left for another machine: there is credit for so many at once."""
        if edge.history is not None:
            edge.history.add(self.world.statement)
        if edge.config.lossy:
            # What is lost on the way is never receipted, so its sender does not wait for that.
            return
        if edge.sent - edge.acknowledged > edge.in_flight_max:
            raise diverged(
                edge,
                "consumption.sent.capacity",
                "the message has no place in the buffer of its receiver",
                f"at most {edge.in_flight_max} messages that no receipt covers",
                str(edge.sent - edge.acknowledged),
            )

    def receipt(self, items: Items) -> None:
        edge = self.world.edge
        assert edge is not None
        if edge.skip:
            return
        generation, consumed, discarded, root = items[4:8]
        taken = consumed + discarded
        holds = generation == edge.config.generation_of(consumed)
        if not holds or not edge.acknowledged <= taken <= edge.sent:
            raise diverged(
                edge,
                "consumption.receipt",
                "the receiver signs for other messages than it was sent",
                f"generation {edge.config.generation_of(consumed)}, "
                f"{edge.acknowledged} to {edge.sent} messages",
                f"generation {generation}, {taken} messages",
            )
        if edge.history is not None:
            if not edge.history.holds(consumed, root):
                raise wrong_root(edge, None, root)
            edge.history.acknowledge(consumed)
        edge.acknowledged = taken


def _arrival_flaw(edge: Edge, generation: int, sequence: int, statement: bytes) -> str:
    """The last part of a code, "" when the message is accepted as it comes."""
    if edge.config.replay == ReplayMode.OFF:
        return ""
    if any(message[3] == statement for message in edge.in_flight):
        return "duplicate"
    if edge.config.replay == ReplayMode.NULLIFIER:
        if edge.config.rotate and generation > edge.consumption.generation:
            whole = generation <= edge.rotated and sequence < edge.config.rotate
            return "" if whole else "order"
        code = edge.consumption.decide(generation, sequence, statement)
        return "" if code is None else ("duplicate" if code.endswith("duplicate") else "order")
    if generation == 0 and sequence == edge.arrived - 1:
        return ""
    return "duplicate" if sequence < edge.arrived - 1 else "order"


def bring_forward(edge: Edge, generation: int, sequence: int) -> None:
    """Where messages may be taken in any order, the one that is taken becomes the next."""
    if edge.config.replay != ReplayMode.NULLIFIER:
        return
    for place, message in enumerate(edge.in_flight):
        if message[:2] == (generation, sequence):
            del edge.in_flight[place]
            edge.in_flight.appendleft(message)
            return


def bring_digest_forward(edge: Edge, digest: bytes) -> None:
    """The same for one that is refused, which is known by its identity's digest."""
    for place, message in enumerate(edge.in_flight):
        if identity_digest(message[3]) == digest:
            del edge.in_flight[place]
            edge.in_flight.appendleft(message)
            return
