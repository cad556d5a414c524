"""Compares what the two ends of an edge recorded, message by message.

Both records are read in the order of the numbers, side by side, so memory does not grow with how
many messages there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import Final, NamedTuple

from troth.conformance.merge_views import Half
from troth.conformance.view_facts import EdgeKey, MessageKey
from troth.conformance.views_verdict import EdgeReport
from troth.vm.events import Status


class Told(NamedTuple):
    """One message as one record has it; `own` says that it is the sender's record."""

    half: Half
    record: int
    digest: bytes
    own: bool


class Conflict(NamedTuple):
    """Two messages in one place."""

    edge: EdgeKey
    key: MessageKey
    one: Told
    other: Told


class Missing(NamedTuple):
    """A message, or how many there are, that one end has and the other has not.

    `code` is that of the finding; `told` is the first of so many messages, `receipt` the record
    in which their receiver signed for them.
    """

    code: str
    edge: EdgeKey
    key: MessageKey
    told: Told
    messages: int
    sender: Half
    receiver: Half
    receipt: tuple[Half, int] | None = None


class EdgeResult(NamedTuple):
    report: EdgeReport
    conflicts: tuple[Conflict, ...]
    missing: tuple[Missing, ...]


CONFLICTS_MAX: Final = 4
"""Of one edge: one is enough to know, and a party that lies can lie often."""


def edges_of(halves: Sequence[Half]) -> Iterator[EdgeKey]:
    """The edges that some of the records have both ends or one end of, between machines."""
    seen: dict[EdgeKey, None] = {}
    for half in halves:
        for sender, receiver in half.session.modes:
            if (sender in half.session.here) != (receiver in half.session.here):
                seen.setdefault((sender, receiver))
    yield from seen


def compare_edge(halves: Sequence[Half], edge: EdgeKey) -> EdgeResult:
    sender = _best(half for half in halves if edge[0] in half.session.here)
    receiver = _best(half for half in halves if edge[1] in half.session.here)
    count = _Count(edge, sender, receiver)
    for key, told in _joined(halves, edge):
        count.take(key, told)
    return EdgeResult(count.report(), tuple(count.conflicts), tuple(count.missing(halves)))


class _Count:
    """What is found out about one edge while its messages go by."""

    def __init__(self, edge: EdgeKey, sender: Half | None, receiver: Half | None) -> None:
        self.edge = edge
        self.sender = sender
        self.receiver = receiver
        self.conflicts: list[Conflict] = []
        self._sent = self._arrived = self._arrivals = self._same = 0
        self._ahead = self._behind = self._refused = 0
        self._first_ahead: tuple[MessageKey, Told] | None = None
        self._first_behind: tuple[MessageKey, Told] | None = None

    def take(self, key: MessageKey, told: Sequence[Told]) -> None:
        """One message, with all who tell of it."""
        first = told[0]
        other = next((one for one in told if one.digest != first.digest), None)
        if other is not None and len(self.conflicts) < CONFLICTS_MAX:
            self.conflicts.append(Conflict(self.edge, key, first, other))
        sent = next((one for one in told if one.half is self.sender and one.own), None)
        came = [one for one in told if one.half is self.receiver and not one.own]
        self._sent += sent is not None
        self._arrived += bool(came)
        # In mode `off` a message can arrive again, and counts again in a receipt.
        self._arrivals += len(came)
        if sent is not None and came:
            self._same += sent.digest == came[0].digest
        elif sent is not None and self.receiver is not None:
            self._behind += 1
            self._refused += sent.digest in self.receiver.session.refused
            self._first_behind = self._first_behind or (key, sent)
        elif came and self.sender is not None:
            self._ahead += 1
            self._first_ahead = self._first_ahead or (key, came[0])

    def missing(self, halves: Sequence[Half]) -> Iterator[Missing]:
        sender, receiver = self.sender, self.receiver
        if sender is None or receiver is None or sender.view.shares_a_log(receiver.view):
            return
        if self._first_ahead is not None and sender.view.whole:
            ahead = (*self._first_ahead, self._ahead)
            yield Missing("merge.unsent", self.edge, *ahead, sender, receiver)
        if self._first_behind is None or not receiver.view.whole:
            return
        behind = (*self._first_behind, self._behind)
        receipt = _receipt(halves, self.edge, self._arrivals)
        if receipt is not None:
            code = "merge.withheld.receipt"
        elif receiver.session.status is Status.CLOSED:
            code = "merge.withheld.close"
        else:
            return
        yield Missing(code, self.edge, *behind, sender, receiver, receipt)

    def report(self) -> EdgeReport:
        return EdgeReport(
            sender=self.edge[0],
            receiver=self.edge[1],
            sent=None if self.sender is None else self._sent,
            arrived=None if self.receiver is None else self._arrived,
            same=self._same,
            in_flight=self._behind,
            ahead=self._ahead,
            refused=self._refused,
        )


def _receipt(halves: Sequence[Half], edge: EdgeKey, arrivals: int) -> tuple[Half, int] | None:
    """Where the receiver has signed for more than its record says came."""
    for half in halves:
        taken, record = half.session.taken.get(edge, (0, 0))
        if record < half.view.until and taken > arrivals:
            return half, record
    return None


def _best(halves: Iterator[Half]) -> Half | None:
    """The record that goes to its end, or the longest."""
    return max(
        halves,
        key=lambda half: (half.view.whole, half.view.facts.records, -half.view.place),
        default=None,
    )


def _joined(halves: Sequence[Half], edge: EdgeKey) -> Iterator[tuple[MessageKey, list[Told]]]:
    """Each message of the edge with all who tell of it, the sender's record first."""
    streams = []
    for own in (True, False):
        for half in halves:
            by_edge = half.session.sent if own else half.session.arrived
            if edge in by_edge:
                streams.append(_told(half, edge, own=own))
    for key, group in groupby(merge(*streams, key=_key), key=_key):
        yield key, [told for _, told in group]


def _key(entry: tuple[MessageKey, Told]) -> MessageKey:
    return entry[0]


def _told(half: Half, edge: EdgeKey, *, own: bool) -> Iterator[tuple[MessageKey, Told]]:
    by_edge = half.session.sent if own else half.session.arrived
    for key, record, digest in by_edge[edge].ordered(half.view.until):
        yield key, Told(half, record, digest, own)
