"""Level 3, generations: where they end, and what the sets leave that are dropped."""

from __future__ import annotations

from troth.conformance.divergence import Divergence
from troth.conformance.edge_divergence import diverged, wrong_root
from troth.conformance.world import Edge, World
from troth.vm.record_codec import Items


class Generations:
    """The checks of level 3 on rotations."""

    def __init__(self, world: World) -> None:
        self.world = world

    def rotate(self, items: Items) -> None:
        """The sender ends a generation when it was sent as a whole, before the next message."""
        edge = self._edge()
        if edge.skip:
            return
        self._count(edge, items)
        if edge.sent != edge.rotated * edge.config.rotate:
            expected = f"{edge.rotated * edge.config.rotate} messages sent before"
            raise _refuse(edge, expected, str(edge.sent))

    def peer_rotate(self, items: Items) -> None:
        edge = self._edge()
        if not edge.skip:
            self._count(edge, items)

    def _count(self, edge: Edge, items: Items) -> None:
        generation, count = items[4:6]
        if not edge.config.rotate or (generation, count) != (edge.rotated, edge.config.rotate):
            expected = f"generation {edge.rotated}, {edge.config.rotate} messages"
            raise _refuse(edge, expected, f"generation {generation}, {count} messages")
        edge.rotated += 1
        edge.rotated_at = self.world.record.index

    def retire(self, items: Items) -> None:
        """The receiver drops the set of a generation when all of it was taken."""
        edge = self._edge()
        if edge.skip:
            return
        _, _, _, _, generation, root = items
        consumption, rotate = edge.consumption, edge.config.rotate
        whole = rotate > 0 and consumption.expected == rotate
        if edge.renews:
            # Nobody knows when all was taken that was not lost: the sender's word is enough.
            whole = edge.rotated_at + 1 == self.world.record.index
        if not whole or generation != consumption.generation:
            expected = f"generation {consumption.generation}, all {rotate} messages taken"
            found = f"generation {generation}, {consumption.expected} messages taken"
            raise _refuse(edge, expected, found)
        last = consumption.retire()
        if last != root:
            raise wrong_root(edge, last, root)

    def _edge(self) -> Edge:
        assert self.world.edge is not None
        return self.world.edge


def not_retired(edge: Edge) -> Divergence:
    """A message of the next generation is taken, and the set of the old one is still there."""
    generation = edge.consumption.generation
    return _refuse(edge, f"generation {generation} retired before", "a message of the next one")


def _refuse(edge: Edge, expected: str, actual: str) -> Divergence:
    message = "a generation ends where it does not"
    return diverged(edge, "consumption.generation", message, expected, actual)
