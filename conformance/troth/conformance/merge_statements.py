"""Compares what parties said beside messages: joins, notices, receipts, cancellations, failures."""

from __future__ import annotations

from collections.abc import Sequence

from troth.conformance.merge_findings import Findings, Place
from troth.conformance.merge_views import Half
from troth.conformance.view_facts import Statement


def compare_statements(halves: Sequence[Half], findings: Findings) -> None:
    """Of one session."""
    disputed = _same_place(halves, findings)
    for half in halves:
        for data, said in half.session.statements.items():
            if said.own or said.record >= half.view.until or said.slot in disputed:
                continue
            maker = _maker(halves, said.role)
            if maker is None or data in maker.session.statements:
                continue
            place = Place(half.view, said.record)
            findings.add_unrecorded(half, said.text, said.role, place, maker.view)


def _maker(halves: Sequence[Half], role: str) -> Half | None:
    """A record of the role that should have all that the role said."""
    return next(
        (half for half in halves if role in half.session.here and half.view.whole),
        None,
    )


def _same_place(halves: Sequence[Half], findings: Findings) -> set[tuple[object, ...] | None]:
    """Finds statements that cannot both be true, and returns the places that they fill."""
    known: dict[tuple[object, ...], tuple[Half, bytes, Statement]] = {}
    disputed: set[tuple[object, ...] | None] = set()
    for half in halves:
        for data, said in half.session.statements.items():
            if said.slot is None or said.record >= half.view.until:
                continue
            first, earlier, statement = known.setdefault(said.slot, (half, data, said))
            if earlier == data or said.slot in disputed:
                continue
            disputed.add(said.slot)
            findings.add_statements(
                first,
                f"{statement.text}; {said.text}",
                said.role,
                Place(first.view, statement.record),
                Place(half.view, said.record),
            )
    return disputed
