"""Records that a principal has put in another order in its own log, and sealed again.

Nothing but the order is wrong: every hash is recomputed and every seal of the principal signed
anew, and the runs are those of roles that were watched, so no program can be run again. Both
verifiers find what the format says about the order.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import pytest

import mutation_corpus as corpus
import second_verifier
from artifact_surgery import Record, find, parse
from mutation_kinds import repaired
from troth.conformance import verify
from troth.vm.events import Status
from troth.vm.records import Kind

Edit = Callable[[list[Record]], None]


def _before(kind: Kind, number: int, other: Kind) -> Edit:
    """The record is moved to right before the last one of another kind that precedes it."""

    def edit(records: list[Record]) -> None:
        place = find(records, kind, number)
        there = max(i for i in range(place) if records[i][0] == other)
        records.insert(there, records.pop(place))

    return edit


def _second_status_behind_halt(records: list[Record]) -> None:
    ends = [i for i, one in enumerate(records) if one[0] == Kind.STATUS and one[2] > 1]
    assert len(ends) == 2, "two sessions of one bundle"
    assert records[ends[1]][2] == Status.CLOSED
    assert records[ends[1] + 1][0] == Kind.HALT
    records.insert(ends[1] + 1, records.pop(ends[1]))


def _seal_instead_of_a_notice(records: list[Record]) -> None:
    """The seal of a log comes where nothing is new in it; what it covered comes later."""
    notice = find(records, Kind.NOTICE, 1)
    seal = next(i for i in range(notice, len(records)) if records[i][:2] == (Kind.SEAL, 1))
    records[notice], records[seal] = records[seal], records[notice]


REORDERED: Final[dict[str, tuple[str, Edit, str]]] = {
    "a send after the receipt of a role that closes": (
        "call-refused",
        _before(Kind.RECEIPT, 1, Kind.SEND),
        "protocol.receipt",
    ),
    "a bundle that ends in two pieces": (
        "call-time_limit",
        _second_status_behind_halt,
        "protocol.bundle",
    ),
    "overwritten before there is a need to": (
        "latest-message",
        _before(Kind.OVERWRITE, 0, Kind.SEND),
        "consumption.lost",
    ),
    "dropped before the buffer is full": (
        "drops-message",
        _before(Kind.DROP, 0, Kind.SEND),
        "consumption.lost",
    ),
    "a seal of nothing new": ("call-no_call", _seal_instead_of_a_notice, "integrity.head"),
}


@pytest.mark.parametrize("name", REORDERED)
def test_what_is_in_another_order_is_found_by_both(name: str) -> None:
    artifact, edit, code = REORDERED[name]
    sample = corpus.artifact(artifact)
    records = list(parse(sample.data))
    edit(records)
    data = repaired(records, list(sample.keys.values()))
    assert data != sample.data
    verdict = verify(io.BytesIO(data), trust=sample.trust, replay=None)
    assert verdict.findings[0].code == code
    keys = {pair.name: pair.public_key for pair in sample.keys.values()}
    assert second_verifier.judge(data, keys).word == "invalid"


@pytest.mark.parametrize("name", sorted({artifact for artifact, _, _ in REORDERED.values()}))
def test_as_they_were_recorded_both_accept_them(name: str) -> None:
    sample = corpus.artifact(name)
    again = repaired(list(parse(sample.data)), list(sample.keys.values()))
    for data in (sample.data, again):
        assert not verify(io.BytesIO(data), trust=sample.trust, replay=None).findings
        keys = {pair.name: pair.public_key for pair in sample.keys.values()}
        assert second_verifier.judge(data, keys).word == "valid"
