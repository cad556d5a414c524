"""Level 3, messages that may be lost: overwritten ones by name, and dropped ones.

Both happen only where the session's descriptor names the label as one that may be lost, and only
while the buffer of the edge is full.
"""

from __future__ import annotations

from troth.conformance.divergence import Divergence
from troth.conformance.edge_divergence import diverged
from troth.conformance.world import Edge, World
from troth.vm.instructions import BufferMode, Policy
from troth.vm.record_codec import Items


class Losses:
    """The checks of level 3 on what was lost."""

    def __init__(self, world: World) -> None:
        self.world = world

    def overwrite(self, items: Items) -> None:
        """Between machines a reliable message makes room too, whatever the buffer's mode."""
        edge = self.world.edge
        assert edge is not None
        self.world.tally.overwritten += 1
        if edge.skip:
            return
        generation, sequence = items[4:6]
        what = f"generation {generation}, number {sequence}"
        if edge.config.buffer != BufferMode.LATEST and not edge.inbound:
            raise _refuse(edge, "a message is overwritten in a buffer that keeps all", "fifo", what)
        due, edge.room_due = edge.room_due, -1
        if edge.inbound and due != self.world.record.index:
            expected = "right behind the message that has no place without it"
            raise _refuse(edge, "a message is overwritten though there is room", expected, what)
        if len(edge.in_flight) < edge.in_flight_max:
            found = f"{len(edge.in_flight)} messages in flight"
            expected = f"a full buffer of {edge.in_flight_max} messages"
            raise _refuse(edge, "a message is overwritten though there is room", expected, found)
        place = _place_of(edge, generation, sequence)
        if place is None:
            expected = "a message in flight that may be lost"
            raise _refuse(edge, "a message is overwritten that cannot be", expected, what)
        edge.consumption.discard(edge.in_flight[place][3])
        del edge.in_flight[place]
        if edge.seals_due:
            del edge.seals_due[place]
        edge.overwritten += 1

    def drop(self, items: Items) -> None:
        edge = self.world.edge
        assert edge is not None
        self.world.tally.dropped += 1
        if edge.skip:
            return
        label = edge.session.protocol.labels[items[4]]
        if edge.config.policy != Policy.DROP or not edge.may_lose(items[4]):
            expected = "the policy drop, and a label that may be lost"
            found = f"policy {edge.config.policy}, label {label}"
            raise _refuse(edge, "a message is dropped that cannot be", expected, found)
        waiting = edge.untaken if edge.outbound else len(edge.in_flight)
        _, sequence = edge.config.position(edge.sent)
        begins = edge.outbound and edge.renews and edge.sent > 0 and not sequence
        full = begins and (waiting > 0 or edge.waits_to_rotate(edge.sent))
        if waiting < edge.in_flight_max and not full:
            expected = f"a full buffer of {edge.in_flight_max} messages"
            found = f"{waiting} messages in flight"
            raise _refuse(edge, "a message is dropped though there is room", expected, found)


def _place_of(edge: Edge, generation: int, sequence: int) -> int | None:
    for place, message in enumerate(edge.in_flight):
        may_be_lost = edge.may_lose(message[2])
        if message[:2] == (generation, sequence):
            return place if may_be_lost else None
        if edge.inbound and may_be_lost:
            return None  # The oldest gives way.
    return None


def _refuse(edge: Edge, message: str, expected: str, actual: str) -> Divergence:
    return diverged(edge, "consumption.lost", message, expected, actual)
