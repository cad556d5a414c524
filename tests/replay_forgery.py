"""Making up what a program did so well that only running it again shows the difference.

All principals sign; counts, roots and seals are right; every message is of its type.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from artifact_surgery import Record, Sample, reseal, sign_all, with_field
from troth.vm import events as ev
from troth.vm.consumption import Consumption, start
from troth.vm.instructions import ReplayMode
from troth.vm.reader import RawRecord
from troth.vm.record_events import EventDecoder
from troth.vm.records import Kind
from troth.vm.statements import message_statement

Edge = tuple[Any, str, str]


def agreeing(records: Sequence[Record], sample: Sample) -> bytes:
    """The artifact with consumption roots, counts, logs and seals that follow from the records."""
    pairs = list(sample.keys.values())
    agreed = reroot(records)
    signed = [
        # What is sealed by round is not signed by itself.
        after if before[-1] else before
        for before, after in zip(agreed, sign_all(agreed, pairs), strict=True)
    ]
    return reseal(signed, pairs)


def reroot(records: Sequence[Record]) -> list[Record]:
    """RECEIVE, RECEIPT and RETIRE records with the roots that follow from what was sent."""
    decoder, sides = EventDecoder(), _Sides()
    done: list[Record] = []
    for index, record in enumerate(records):
        event = decoder.decode(RawRecord(index, 0, b"", record))
        done.append(sides.rooted(record, event))
    return done


class _Sides:
    """What is in flight on each edge, and what its receiving side has taken."""

    def __init__(self) -> None:
        self._taken: dict[Edge, Consumption] = {}
        self._in_flight: dict[Edge, deque[tuple[int, int, bytes]]] = {}

    def rooted(self, record: Record, event: ev.Event | None) -> Record:
        match event:
            case ev.Opened():
                for edge in event.edges:
                    key = (event.session, edge.sender, edge.receiver)
                    self._taken[key] = start(ReplayMode(edge.replay))
                    self._in_flight[key] = deque()
            case ev.Sent() | ev.Arrived():
                said = message_statement(*event[:7], event.commitment)
                key = (event.session, event.sender, event.receiver)
                self._in_flight[key].append((event.generation, event.sequence, said))
            case ev.Received():
                key = (event.session, event.sender, event.receiver)
                self._taken[key].consume(*self._in_flight[key].popleft())
                return with_field(record, 6, self._taken[key].root)
            case ev.Overwritten():
                key = (event.session, event.sender, event.receiver)
                self._overwrite(key, event)
            case ev.Retired():
                key = (event.session, event.sender, event.role)
                return with_field(record, 5, self._taken[key].retire())
            case ev.Receipted():
                key = (event.session, event.sender, event.role)
                return with_field(record, 8, self._taken[key].root)
        return record

    def _overwrite(self, key: Edge, event: ev.Overwritten) -> None:
        place = (event.generation, event.sequence)
        lost = next(one for one in self._in_flight[key] if one[:2] == place)
        self._in_flight[key].remove(lost)
        self._taken[key].discard(lost[2])


def renumbered(records: Sequence[Record], field: int, kind: Kind, by: int) -> list[Record]:
    """Adds to a field of all records of a kind, such as the rounds of seals."""
    return [
        with_field(record, field, record[field] + by) if record[0] == kind else record
        for record in records
    ]
