"""Level 3, edges to and from other machines.

Messages arrive by records of their own, in any order where the replay mode allows it. What was
sent is in flight until the receiver has signed for it.
"""

from __future__ import annotations

from troth.conformance.edge_divergence import diverged, require_room_made, wrong_root
from troth.conformance.world import Edge, World
from troth.vm.instructions import BufferMode, ReplayMode
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
        require_room_made(edge)
        if len(edge.in_flight) >= edge.in_flight_max:
            self._require_way(edge, items[5])
            edge.room_due = world.record.index + 1
        edge.in_flight.append((generation, sequence, items[5], world.statement))

    def _require_way(self, edge: Edge, label: int) -> None:
        """A full buffer takes a message only if one that may be lost gives way, the very next."""
        lossy = bool(edge.config.lossy)
        gives_way = lossy and (edge.config.buffer == BufferMode.LATEST or not edge.may_lose(label))
        if not gives_way or not any(edge.may_lose(message[2]) for message in edge.in_flight):
            raise diverged(
                edge,
                "consumption.sent.capacity",
                "the message has no place in the buffer",
                f"at most {edge.in_flight_max} messages in flight",
                str(len(edge.in_flight) + 1),
            )

    def sent(self, edge: Edge, items: Items) -> None:
        """A message left for another machine: there is credit for so many at once."""
        if edge.history is not None:
            edge.history.add(self.world.statement)
        # What may be lost goes where there is credit for one more, and takes none of it.
        lossy = bool(edge.config.lossy) and edge.may_lose(items[5])
        before = edge.untaken - (not lossy)
        _, sequence = edge.config.position(edge.sent - 1)
        begins = edge.renews and edge.sent > 1 and not sequence
        if begins and (before or edge.waits_to_rotate(edge.sent - 1)):
            raise diverged(
                edge,
                "consumption.generation",
                "a generation begins before its receiver has taken what it had to of the last",
                f"a receipt of generation {edge.rotated - 1}, for all that may not be lost",
                f"generation {edge.generation_acknowledged}, {before} messages not taken",
            )
        if edge.untaken + lossy > edge.in_flight_max:
            raise diverged(
                edge,
                "consumption.sent.capacity",
                "the message has no place in the buffer of its receiver",
                f"at most {edge.in_flight_max} messages that no receipt covers",
                str(edge.untaken + lossy),
            )

    def receipt(self, items: Items) -> None:
        edge = self.world.edge
        assert edge is not None
        if edge.skip:
            return
        generation, consumed, reliable, discarded, root = items[4:9]
        taken = consumed + discarded
        holds = generation == edge.config.generation_of(consumed)
        if edge.renews:
            holds = edge.generation_acknowledged <= generation <= edge.rotated
        if not holds or not edge.acknowledged <= taken <= edge.sent:
            raise diverged(
                edge,
                "consumption.receipt",
                "the receiver signs for other messages than it was sent",
                f"generation {edge.config.generation_of(consumed)}, "
                f"{edge.acknowledged} to {edge.sent} messages",
                f"generation {generation}, {taken} messages",
            )
        if not _counts_reliable(edge, consumed, reliable):
            raise diverged(
                edge,
                "consumption.receipt",
                "the receiver signs for other messages that may not be lost than it was sent",
                f"{edge.reliable_acknowledged} to {edge.sent - edge.lossy_sent}"
                if edge.config.lossy
                else f"{consumed}: none may be lost",
                str(reliable),
            )
        if edge.history is not None:
            if not edge.history.holds(consumed, root):
                raise wrong_root(edge, None, root)
            edge.history.acknowledge(consumed)
        edge.acknowledged = taken
        edge.generation_acknowledged = generation
        edge.reliable_acknowledged = reliable


def _counts_reliable(edge: Edge, consumed: int, reliable: int) -> bool:
    """Whether so many messages that may not be lost can be among those taken."""
    if not edge.config.lossy:
        return reliable == consumed
    sent = edge.sent - edge.lossy_sent
    return edge.reliable_acknowledged <= reliable <= min(sent, consumed)


def _arrival_flaw(edge: Edge, generation: int, sequence: int, statement: bytes) -> str:
    """The last part of a code, "" when the message is accepted as it comes."""
    if edge.config.replay == ReplayMode.OFF:
        return ""
    if any(message[3] == statement for message in edge.in_flight):
        return "duplicate"
    if edge.config.replay == ReplayMode.NULLIFIER:
        if edge.renews and not generation == edge.rotated == edge.consumption.generation:
            return "order"
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
