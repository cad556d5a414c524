"""Credit between machines, for what may not be lost: both verifiers count it.

The records are those of a host and a viewer. Whoever is said to lie here has signed the lie:
hashes and signatures are right, and only what the records mean gives it away.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import pytest

import second_verifier
from artifact_surgery import Record, find, key_pair, parse, reseal, sign, sign_all, with_field
from lossy_scripts import KEYS_FIRST, Line, in_order
from spread_machines import Party, trust_of
from troth.conformance import verify
from troth.dsl import compile_source
from troth.vm import statements
from troth.vm.events import Opened
from troth.vm.records import Kind

Edit = Callable[[list[Record]], None]


def _viewer() -> Party:
    """It takes a frame, has one overwritten, and gets all the rest."""
    line = Line(in_order(capacity=2, more=", buffer = latest", frames=2))
    viewer = line.viewer.machine
    assert viewer.deliver(line.said["frame"]).code == ""
    assert viewer.deliver(line.said["one"]).code == ""
    assert viewer.deliver(line.said["done"]).code == "", "the frame makes room"
    line.go_on()
    line.receipt()
    line.deliver("two")
    line.deliver("three")
    line.viewer.finish()
    return line.viewer


def _host(more: str = "") -> Party:
    """Two messages are taken; in a full buffer what may be lost is dropped, if so it is said."""
    line = Line(compile_source(KEYS_FIRST.format(more=more), "keys.troth"))
    line.deliver("key")
    line.go_on()
    assert line.receipt() == ""
    line.host.finish()
    return line.host


def _without(kind: Kind, number: int = 0) -> Edit:
    def edit(records: list[Record]) -> None:
        del records[find(records, kind, number)]

    return edit


def _behind(kind: Kind, other: Kind) -> Edit:
    """The record goes to right behind the next one of another kind."""

    def edit(records: list[Record]) -> None:
        place = find(records, kind, 0)
        there = next(i for i in range(place, len(records)) if records[i][0] == other)
        records.insert(there, records.pop(place))

    return edit


def _before(kind: Kind, other: Kind) -> Edit:
    """The record goes to right before the last one of another kind that precedes it."""

    def edit(records: list[Record]) -> None:
        place = find(records, kind, 0)
        there = max(i for i in range(place) if records[i][0] == other)
        records.insert(there, records.pop(place))

    return edit


def _reliable(kind: Kind, change: int, session: bytes) -> Edit:
    """A receipt that counts more or fewer that may not be lost, signed by the viewer."""

    def edit(records: list[Record]) -> None:
        place = find(records, kind, 0)
        record = with_field(records[place], 6, records[place][6] + change)
        said = statements.receipt_statement(session, "Viewer", "Host", *record[4:9])
        records[place] = with_field(record, 9, sign(key_pair("Viewer"), said))

    return edit


def _session(party: Party) -> bytes:
    return next(event.session for event in party.events if isinstance(event, Opened))


VIEWER: Final[dict[str, tuple[Edit, str]]] = {
    "nothing makes room": (_without(Kind.OVERWRITE), "consumption.sent.capacity"),
    "room is made too late": (_behind(Kind.OVERWRITE, Kind.RECEIVE), "consumption.sent.capacity"),
    "room is made too early": (_before(Kind.OVERWRITE, Kind.ARRIVE), "consumption.lost"),
    "the new one is lost, not the oldest": (
        lambda records: records.__setitem__(
            find(records, Kind.OVERWRITE, 0),
            with_field(records[find(records, Kind.OVERWRITE, 0)], 5, 2),
        ),
        "consumption.lost",
    ),
}


def _judge(party: Party, edit: Edit | None, owner: str) -> tuple[str, str]:
    records = list(parse(party.data))
    if edit is not None:
        edit(records)
    pairs = [key_pair(owner)]
    data = reseal(sign_all(records, pairs), pairs)
    verdict = verify(io.BytesIO(data), trust=trust_of(), replay=None)
    return verdict.findings[0].code if verdict.findings else "", second_verifier.judge(data).word


@pytest.mark.parametrize("name", VIEWER)
def test_a_buffer_never_holds_more_than_its_capacity(name: str) -> None:
    edit, code = VIEWER[name]
    assert _judge(_viewer(), edit, "Viewer") == (code, "invalid")


@pytest.mark.parametrize("change", [1, -1])
def test_a_viewer_counts_what_may_not_be_lost(change: int) -> None:
    viewer = _viewer()
    edit = _reliable(Kind.RECEIPT, change, _session(viewer))
    assert _judge(viewer, edit, "Viewer") == ("protocol.receipt", "invalid")


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (_without(Kind.PEER_RECEIPT), "consumption.sent.capacity"),
        (_behind(Kind.PEER_RECEIPT, Kind.SEND), "consumption.sent.capacity"),
    ],
)
def test_a_host_sends_no_more_than_it_has_credit_for(edit: Edit, code: str) -> None:
    assert _judge(_host(), edit, "Host") == (code, "invalid")


@pytest.mark.parametrize("change", [3, 100])
def test_a_host_believes_no_receipt_of_more_than_it_sent(change: int) -> None:
    host = _host()
    edit = _reliable(Kind.PEER_RECEIPT, change, _session(host))
    assert _judge(host, edit, "Host") == ("consumption.receipt", "invalid")


def test_nothing_is_dropped_while_there_is_credit() -> None:
    host = _host(", policy = drop")
    assert _judge(host, _before(Kind.DROP, Kind.SEND), "Host") == ("consumption.lost", "invalid")


def test_as_they_were_recorded_both_accept_them() -> None:
    for party, owner in ((_viewer(), "Viewer"), (_host(), "Host")):
        assert _judge(party, None, owner) == ("", "valid")
    assert _judge(_host(", policy = drop"), None, "Host") == ("", "valid")
