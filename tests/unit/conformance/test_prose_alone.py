"""Given one changed artifact, the prose alone is enough to say what was changed.

Each row is a change that somebody might make, with the words from which a reader who has nothing
else knows it: what stands there now, and what should.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import msgpack
import pytest

import mutation_corpus as corpus
from artifact_surgery import Edit, Record, Sample, dropped, find, join, key_pair, parse, with_field
from mutation_kinds import repaired
from replay_samples import record_run
from troth.conformance import to_prose, verify
from troth.vm.records import Kind

LINES_READ: Final = 40
"""The first findings; nobody reads on when these do not say it."""


def _set(kind: Kind, number: int, field: int, value: object) -> Edit:
    def edit(records: list[Record]) -> None:
        place = find(records, kind, number)
        records[place] = with_field(records[place], field, value)

    return edit


def _swapped(kind: Kind, number: int) -> Edit:
    """With the record behind it."""

    def edit(records: list[Record]) -> None:
        place = find(records, kind, number)
        records[place : place + 2] = reversed(records[place : place + 2])

    return edit


def _twice(kind: Kind, number: int) -> Edit:
    def edit(records: list[Record]) -> None:
        place = find(records, kind, number)
        records.insert(place, records[place])

    return edit


def _cut(count: int) -> Edit:
    def edit(records: list[Record]) -> None:
        del records[-count:]

    return edit


TAMPERED: Final[dict[str, tuple[str, Edit, tuple[str, ...]]]] = {
    "a price": (
        "two_buyer",
        _set(Kind.SEND, 1, 9, msgpack.packb([20])),
        ("Seller -> Alice quote(20)", "gave (280)", "signature for Seller"),
    ),
    "what an effect gave": (
        "two_buyer",
        _set(Kind.COMPLETE, 0, 3, msgpack.packb([20])),
        ("quote(20)", "quote(280)"),
    ),
    "a printed line": (
        "hello",
        _set(Kind.PRINT, 0, 2, "made up"),
        ('text "hello, world"', 'text "made up"', "PRINT"),
    ),
    "a message left out": (
        "drain",
        dropped(Kind.SEND, 2),
        ("does not have the next number", "item(3) #3", "number 2"),
    ),
    "a message twice": (
        "delegation",
        _twice(Kind.SEND, 0),
        ("does not have the next number", "ask(42) #0", "number 1"),
    ),
    "a receipt of too much": (
        "hello",
        _set(Kind.RECEIPT, 0, 5, 2),
        ("1 received", "2 received", "Server took 2 of Client"),
    ),
    "taken, not recorded": (
        "hello",
        dropped(Kind.RECEIVE, 0),
        ("greet #0 was sent and waits to be received", "Server cannot send"),
    ),
    "two taken in another order": (
        "drain",
        _swapped(Kind.RECEIVE, 0),
        ("received before its turn", "number 0", "number 1"),
    ),
    "a notice left out": (
        "delegation",
        dropped(Kind.NOTICE, 1),
        ("not every role gave notice", "a notice of Worker"),
    ),
    "how a session ended": (
        "hello",
        _set(Kind.STATUS, 1, 2, 3),
        ("is cancelled", "Client", "NOTICE"),
    ),
    "somebody else's key": (
        "hello",
        _set(Kind.PRINCIPAL, 0, 2, key_pair("Mallory").public_key),
        ("Client has another key than the trust file says",),
    ),
    "the seed": (
        "hello",
        _set(Kind.HEADER, 0, 3, bytes(32)),
        ("SPAWN", "coroutine id"),
    ),
    "the end left out": (
        "hello",
        _cut(3),
        ("incomplete (exit 4)", "has no end record"),
    ),
}


def _plain(records: list[Record], sample: Sample) -> bytes:
    del sample
    return join(records)


def _rehashed(records: list[Record], sample: Sample) -> bytes:
    del sample
    return repaired(records, [])


def _resealed(records: list[Record], sample: Sample) -> bytes:
    """By the principal whose log has what belongs to the machine."""
    return repaired(records, [next(iter(sample.keys.values()))])


@pytest.mark.parametrize("how", [_plain, _rehashed, _resealed])
@pytest.mark.parametrize("change", TAMPERED)
def test_the_prose_says_what_was_changed(
    change: str, how: Callable[[list[Record], Sample], bytes]
) -> None:
    name, edit, words = TAMPERED[change]
    sample = record_run(corpus.image(name), corpus.HOST)
    records = parse(sample.data)
    edit(records)
    verdict = verify(io.BytesIO(how(records, sample)), trust=sample.trust)
    assert verdict.exit_code in (2, 4)
    read = "\n".join(to_prose(verdict).splitlines()[:LINES_READ])
    assert [word for word in words if word not in read] == [], read
