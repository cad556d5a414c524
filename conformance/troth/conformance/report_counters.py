"""Counts what sessions and their edges carried, by what the records say, whoever refused them."""

from __future__ import annotations

from typing import Final

from troth.conformance.report_model import (
    EDGES_MAX,
    SESSIONS_MAX,
    SIGNERS_MAX,
    TEXT_CHARACTERS_MAX,
    Edge,
    Session,
)
from troth.conformance.world import World
from troth.vm.escape import escape
from troth.vm.events import Status
from troth.vm.record_codec import Items
from troth.vm.records import Kind

_NAMES: Final = (
    *("sent", "received", "undelivered", "rejected", "overwritten"),
    *("discarded", "peak"),
)
_SENT, _RECEIVED, _UNDELIVERED, _REJECTED, _OVERWRITTEN, _DISCARDED, _PEAK = range(len(_NAMES))
_SENDER_FIRST: Final = {
    Kind.SEND: _SENT,
    Kind.ARRIVE: _SENT,
    Kind.UNDELIVERED: _UNDELIVERED,
    Kind.REJECT: _REJECTED,
    Kind.OVERWRITE: _OVERWRITTEN,
}
_RECEIVER_FIRST: Final = (Kind.RECEIVE, Kind.RECEIPT, Kind.PEER_RECEIPT)
_EDGE_KINDS: Final = frozenset(map(int, (*_SENDER_FIRST, *_RECEIVER_FIRST)))
_STATUSES: Final = frozenset(map(int, Status))


class _Life:
    """A session while it is collected."""

    __slots__ = ("detail", "elsewhere", "id", "protocol", "signers", "status")

    def __init__(
        self,
        identity: bytes,
        protocol: int,
        signers: tuple[int, ...],
        elsewhere: tuple[int, ...],
    ) -> None:
        self.elsewhere = elsewhere
        self.id = identity
        self.protocol = protocol
        self.signers = signers
        self.status = "active"
        self.detail = ""


class Counters:
    """Takes the records of a file in their order.

    Attributes:
        opened: how many sessions there are.
        is_cut: there were more edges than can be counted one by one.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.is_cut = False
        self._lives: list[_Life] = []
        self._late_protocols: dict[int, int] = {}
        self._edges: dict[tuple[int, int, int], list[int]] = {}

    def open(self, items: Items, world: World) -> int:
        """The number of the session that the record opens."""
        number = self.opened
        self.opened += 1
        _, identity, protocol, signers, rows, *_ = items
        if number < SESSIONS_MAX:
            signers = signers[:SIGNERS_MAX]
            self._lives.append(_Life(identity, protocol, signers, _elsewhere(number, world)))
        elif number in world.sessions:
            self._late_protocols[number] = protocol
        for sender, receiver, *_ in rows:
            self._counts(number, sender, receiver)
        return number

    def take(self, kind: int, items: Items) -> None:
        if kind in _EDGE_KINDS:
            self._count(kind, items)
        elif kind == Kind.STATUS:
            self._status(items)

    def _count(self, kind: int, items: Items) -> None:
        session = items[1]
        place = _SENDER_FIRST.get(Kind(kind))
        if place is not None:
            counts = self._counts(session, items[2], items[3])
            if counts is not None:
                counts[place] += 1
                if place == _SENT:
                    in_flight = counts[_SENT] - sum(counts[_RECEIVED:_DISCARDED])
                    counts[_PEAK] = max(counts[_PEAK], in_flight)
            return
        counts = self._counts(session, items[3], items[2])
        if counts is None:
            return
        if kind == Kind.RECEIVE:
            counts[_RECEIVED] += 1
        elif kind == Kind.PEER_RECEIPT:
            # The file has no RECEIVE of it: what its receiver signs for stands in its place.
            counts[_RECEIVED] = items[5]
            counts[_REJECTED] = counts[_DISCARDED] = items[7]
        else:
            counts[_DISCARDED] = items[7]

    def _status(self, items: Items) -> None:
        number, status, detail = items[1], items[2], items[4]
        ended = status not in (Status.ACTIVE, Status.DRAINING)
        if number < len(self._lives) and status in _STATUSES:
            life = self._lives[number]
            life.status, life.detail = Status(status).name.lower(), detail[:TEXT_CHARACTERS_MAX]
        elif ended:
            self._late_protocols.pop(number, None)

    def _counts(self, session: int, sender: int, receiver: int) -> list[int] | None:
        """The counts of an edge; sessions without a line of their own share those of a protocol."""
        if session >= len(self._lives):
            protocol = self._late_protocols.get(session)
            if protocol is None:
                return None
            session = -1 - protocol
        key = (session, sender, receiver)
        found = self._edges.get(key)
        if found is None:
            if len(self._edges) >= EDGES_MAX:
                self.is_cut = True
                return None
            found = self._edges[key] = [0] * len(_NAMES)
        return found

    def sessions(self) -> tuple[Session, ...]:
        return tuple(
            Session(
                life.id.hex(),
                life.protocol,
                life.status,
                escape(life.detail),
                life.signers,
                life.elsewhere,
            )
            for life in self._lives
        )

    def edges(self) -> tuple[Edge, ...]:
        found = []
        for (session, sender, receiver), counts in self._edges.items():
            late = session < 0
            protocol = -1 - session if late else self._lives[session].protocol
            found.append(Edge(None if late else session, protocol, sender, receiver, *counts))
        return tuple(found)

    def by_protocol(self) -> tuple[Edge, ...]:
        """The edges of each protocol, each with what it carried in all sessions together."""
        sums: dict[tuple[int, int, int], list[int]] = {}
        for edge in self.edges():
            counts = sums.setdefault((edge.protocol, edge.sender, edge.receiver), [0] * len(_NAMES))
            for place, name in enumerate(_NAMES):
                value: int = getattr(edge, name)
                counts[place] = (
                    max(counts[place], value) if place == _PEAK else counts[place] + value
                )
        return tuple(Edge(None, *key, *counts) for key, counts in sums.items())


def _elsewhere(number: int, world: World) -> tuple[int, ...]:
    """The roles that other machines hold."""
    session = world.sessions.get(number)
    return () if session is None else tuple(sorted(session.peers))[:SIGNERS_MAX]
