"""Messages of other machines that had no place in their buffers: they are offered again, in order.

None of them is acknowledged while it is here, so nothing is lost when it is forgotten: its sender
sends it again. Keeping it spares that time, and keeps what was said after it behind it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from troth.vm.envelope import MessageEnvelope

MESSAGES_MAX: Final = 1024
"""Messages that are kept for all edges together."""

BYTES_MAX: Final = 32 << 20
"""How long they may be together."""


class Carried(NamedTuple):
    """An encoded envelope, by the number that it has on the line of a party."""

    party: bytes
    number: int
    envelope: bytes


class EdgeKept(NamedTuple):
    """An edge of a session, and who said what is kept of it."""

    party: bytes
    sender: str
    receiver: str


class TurnedAway:
    """By session and edge, what has no place yet, by number."""

    __slots__ = ("_bytes", "_count", "_sessions")

    def __init__(self) -> None:
        self._sessions: dict[bytes, dict[EdgeKept, dict[int, Carried]]] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def is_behind(self, came: Carried, message: MessageEnvelope) -> bool:
        """Something that was said before it, on the same edge, has no place yet."""
        kept = self._sessions.get(message.session, {}).get(_edge_of(came, message))
        return kept is not None and min(kept) < came.number

    def keep(self, came: Carried, message: MessageEnvelope) -> None:
        """Once, and only while there is room here."""
        size = self._bytes + len(came.envelope)
        if self._count >= MESSAGES_MAX or size > BYTES_MAX:
            return
        kept = self._sessions.setdefault(message.session, {}).setdefault(
            _edge_of(came, message), {}
        )
        if came.number not in kept:
            kept[came.number] = came
            self._count += 1
            self._bytes = size

    def edges(self, session: bytes) -> tuple[EdgeKept, ...]:
        """The edges of a session of which something is kept."""
        return tuple(self._sessions.get(session, {}))

    def first(self, session: bytes, edge: EdgeKept) -> Carried | None:
        """What was said first of what is kept of an edge."""
        kept = self._sessions.get(session, {}).get(edge)
        return None if kept is None else kept[min(kept)]

    def drop(self, came: Carried, message: MessageEnvelope) -> None:
        """It is not kept any more, if it ever was."""
        edges, edge = self._sessions.get(message.session, {}), _edge_of(came, message)
        kept = edges.get(edge, {})
        if kept.pop(came.number, None) is None:
            return
        self._count -= 1
        self._bytes -= len(came.envelope)
        if not kept:
            del edges[edge]
        if not edges:
            del self._sessions[message.session]

    def forget(self, party: bytes) -> None:
        """Another line begins, with numbers of its own."""
        for session, edges in list(self._sessions.items()):
            for edge in [edge for edge in edges if edge.party == party]:
                kept = edges.pop(edge)
                self._count -= len(kept)
                self._bytes -= sum(len(came.envelope) for came in kept.values())
            if not edges:
                del self._sessions[session]


def _edge_of(came: Carried, message: MessageEnvelope) -> EdgeKept:
    return EdgeKept(came.party, message.sender, message.receiver)
