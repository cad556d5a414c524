"""The divergences of level 3: one for an edge is enough, what follows on it follows from that."""

from __future__ import annotations

from troth.conformance.divergence import Divergence
from troth.conformance.world import Edge


def diverged(edge: Edge, code: str, message: str, expected: str, actual: str) -> Divergence:
    """Judges nothing more on the edge and its session."""
    edge.skip = True
    edge.session.skip = True
    return Divergence(
        code,
        message,
        expected=expected,
        actual=actual,
        edge=edge,
        role=edge.config.sender if "sent" in code else edge.config.receiver,
    )


def wrong_root(edge: Edge, expected: bytes | None, actual: bytes | None) -> Divergence:
    return diverged(
        edge,
        "consumption.root",
        "the consumption root is not the one that the messages give",
        "no root" if expected is None else expected.hex(),
        "no root" if actual is None else actual.hex(),
    )


def require_room_made(edge: Edge) -> None:
    """Whatever arrives in a full buffer, the one that gives way to it is the next record."""
    if edge.room_due >= 0:
        edge.room_due = -1
        raise diverged(
            edge,
            "consumption.sent.capacity",
            "a message arrived in a full buffer, and none gave way to it",
            f"at most {edge.in_flight_max} messages in flight",
            str(len(edge.in_flight)),
        )
