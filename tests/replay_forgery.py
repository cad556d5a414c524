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
from troth.vm.covered import statement_of
from troth.vm.instructions import ReplayMode
from troth.vm.reader import RawRecord
from troth.vm.record_events import EventDecoder
from troth.vm.records import Kind

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
    """RECEIVE and RECEIPT records with the roots that follow from what was sent."""
    decoder = EventDecoder()
    taken: dict[Edge, Consumption] = {}
    in_flight: dict[Edge, deque[tuple[int, int, bytes]]] = {}
    done: list[Record] = []
    for index, record in enumerate(records):
        event = decoder.decode(RawRecord(index, 0, b"", record))
        changed = record
        match event:
            case ev.Opened():
                for edge in event.edges:
                    key = (event.session, edge.sender, edge.receiver)
                    taken[key] = start(ReplayMode(edge.replay))
                    in_flight[key] = deque()
            case ev.Sent():
                statement = statement_of(event)
                assert statement is not None
                key = (event.session, event.sender, event.receiver)
                in_flight[key].append((event.generation, event.sequence, statement))
            case ev.Received():
                key = (event.session, event.sender, event.receiver)
                taken[key].consume(*in_flight[key].popleft())
                changed = with_field(record, 6, taken[key].root)
            case ev.Receipted():
                key = (event.session, event.sender, event.role)
                changed = with_field(record, 7, taken[key].root)
        done.append(changed)
    return done


def renumbered(records: Sequence[Record], field: int, kind: Kind, by: int) -> list[Record]:
    """Adds to a field of all records of a kind, such as the rounds of seals."""
    return [
        with_field(record, field, record[field] + by) if record[0] == kind else record
        for record in records
    ]
