"""Bundles before both verifiers: records that hold, and what becomes of those that do not."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import (
    Edit,
    Record,
    Sample,
    collude,
    dropped,
    find,
    flipped,
    parse,
    record_image,
    with_field,
)
from bundle_scripts import DESKTOP, TRIANGLE, leaving
from second_verifier import judge
from spread_machines import run_spread, trust_of
from troth.conformance import Budget, Verdict, verify
from troth.dsl.compile import compile_source
from troth.vm.events import Status
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.records import Kind

SCRIPTS: Final = {
    "desktop": DESKTOP,
    "triangle": TRIANGLE,
    "cancelled": leaving('cancel d "enough"'),
    "faulted": leaving('fail "broken"'),
}


def _record(name: str, folder: Path, seal: Seal | None = None) -> Sample:
    ok = name in ("desktop", "triangle")
    return record_image(compile_source(SCRIPTS[name], name), folder, seal=seal, ok=ok)


def _judge(data: bytes, sample: Sample) -> tuple[Verdict, str]:
    trust = {pair.verifier.name: pair.public_key for pair in sample.keys.values()}
    verdict = verify(io.BytesIO(data), trust=sample.trust, replay=Budget())
    return verdict, judge(data, trust).word


@pytest.mark.parametrize("seal", [None, Seal.ROUND])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_run_with_a_bundle_verifies(name: str, seal: Seal | None, tmp_path: Path) -> None:
    sample = _record(name, tmp_path, seal)
    verdict, second = _judge(sample.data, sample)
    assert verdict.exit_code == 0, verdict.findings
    assert second == "valid"
    statuses = [record[2] for record in parse(sample.data) if record[0] == Kind.STATUS]
    ends = [Status(status) for status in statuses if status >= Status.CLOSED]
    wanted = {"cancelled": Status.CANCELLED, "faulted": Status.FAULTED}.get(name, Status.CLOSED)
    assert ends == [wanted] * (3 if name == "triangle" else 2)


def _change(kind: Kind, number: int, field: int, change: Callable[[object], object]) -> Edit:
    def edit(records: list[Record]) -> None:
        index = find(records, kind, number)
        records[index] = with_field(records[index], field, change(records[index][field]))

    return edit


def _last_status(records: Sequence[Record], status: Status) -> int:
    places = [p for p, record in enumerate(records) if record[:1] == (Kind.STATUS,)]
    return max(place for place in places if records[place][2] == status)


def _one_left_open(records: list[Record]) -> None:
    """The second session is never said to have closed."""
    del records[_last_status(records, Status.CLOSED)]
    end = find(records, Kind.END)
    records[end] = with_field(records[end], 3, "failed")


def _another_end(records: list[Record]) -> None:
    """The second session is cancelled by the host when the first is closed."""
    place = _last_status(records, Status.CLOSED)
    session = records[place][1]
    records[place : place + 1] = [
        (Kind.CANCEL, session, None, "why not", None, b""),
        (Kind.STATUS, session, Status.CANCELLED, 0, "why not"),
    ]


def _early_close(records: list[Record]) -> None:
    """The first session closes when its own roles are done."""
    places = [p for p, record in enumerate(records) if record[0] == Kind.STATUS]
    closed = next(p for p in places if records[p][2] == Status.CLOSED)
    session = records[closed][1]
    notices = [
        p for p, r in enumerate(records) if r[0] == Kind.NOTICE and r[1] == session and p < closed
    ]
    other = [p for p, r in enumerate(records) if r[0] == Kind.NOTICE and r[1] != session]
    assert notices[-1] > other[-1], "the session closes with its last notice"
    moved = records.pop(_last_status(records, Status.CLOSED))
    after = other[-1] + 1 + (records[other[-1] + 1][0] == Kind.STATUS)
    records.insert(after, moved)


def _between(records: list[Record]) -> None:
    """The host asks for nothing between the bundle and its sessions."""
    records.insert(find(records, Kind.OPEN), (Kind.TIME, 0, 0))


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return flipped(value)


MISTAKES: Final[dict[str, tuple[Edit, str]]] = {
    "another id": (_change(Kind.BUNDLE, 0, 1, _bytes), "structure.order"),
    "another name": (_change(Kind.BUNDLE, 0, 2, lambda _: "Laptop"), "structure.reference"),
    "other roles": (
        _change(Kind.BUNDLE, 0, 3, lambda _: ("Host", "Guest")),
        "structure.reference",
    ),
    "another nonce": (_change(Kind.BUNDLE, 0, 6, _bytes), "structure.identity"),
    "other parties": (_change(Kind.BUNDLE, 0, 4, lambda _: (1, 0)), "integrity.session"),
    "a session's nonce": (_change(Kind.OPEN, 1, 7, _bytes), "structure.order"),
    "no bundle": (dropped(Kind.BUNDLE, 0), "structure.identity"),
    "one session less": (dropped(Kind.OPEN, 1), "structure.reference"),
    "something between": (_between, "structure.order"),
    "one left open": (_one_left_open, "protocol.close"),
    "another end": (_another_end, "protocol.close"),
    "an early close": (_early_close, "protocol.close"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_bundle_that_is_told_otherwise_is_refused(name: str, tmp_path: Path) -> None:
    """All parties collude: every signature, count and root is right."""
    edit, code = MISTAKES[name]
    sample = _record("desktop", tmp_path)
    records = parse(sample.data)
    edit(records)
    forged = collude(records, sample)
    verdict, second = _judge(forged, sample)
    assert verdict.exit_code == 2
    assert second == "invalid"
    assert code in {finding.code for finding in verdict.findings}, verdict.findings


def test_the_sessions_of_one_bundle_end_in_one_way(tmp_path: Path) -> None:
    """The fault that ends one session ends the other as faulted, not as something else."""
    sample = _record("faulted", tmp_path)
    records = parse(sample.data)
    place = _last_status(records, Status.FAULTED)
    session = records[place][1]
    records[place : place + 1] = [
        (Kind.CANCEL, session, None, "instead", None, b""),
        (Kind.STATUS, session, Status.CANCELLED, 0, "instead"),
    ]
    verdict, second = _judge(collude(records, sample), sample)
    assert {finding.code for finding in verdict.findings} & {"protocol.close", "protocol.bundle"}
    assert second == "invalid"


# --- several machines ------------------------------------------------------------------------

HOMES: Final = {
    "desktop": (("Host",), ("Client",)),
    "triangle": (("A",), ("B",), ("C",)),
    "cancelled": (("Desktop.Host",), ("Desktop.Client",)),
    "faulted": (("Host",), ("Client",)),
}


@pytest.mark.parametrize("seal", [None, Seal.ROUND])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_bundle_on_several_machines(name: str, seal: Seal | None) -> None:
    image = compile_source(SCRIPTS[name], name)
    parties, _ = run_spread(image, HOMES[name], seal=seal)
    ok = name in ("desktop", "triangle")
    for party in parties:
        verdict = party.verdict(trust_of())
        assert verdict.exit_code == 0, verdict.findings
        trust = {pair.name: pair.public_key for pair in trust_of().keys}
        assert judge(party.data, trust).word == "valid"
        ends = {
            record[2]
            for record in parse(party.data)
            if record[0] == Kind.STATUS and record[2] >= Status.CLOSED
        }
        assert (ends == {Status.CLOSED}) == ok
    if name == "triangle":
        lines = sorted(line for party in parties for line in party.printed)
        assert lines == ["16", "4", "9"]
        opened = [sum(r[0] == Kind.OPEN for r in parse(party.data)) for party in parties]
        assert opened == [2, 2, 2], "each machine has the sessions in which it plays"


@pytest.mark.parametrize("replay", [ReplayMode.OFF, ReplayMode.NULLIFIER])
def test_every_replay_mode_has_bundles(replay: ReplayMode) -> None:
    image = compile_source(TRIANGLE, "triangle")
    for party in run_spread(image, (("A", "C"), ("B",)), replay=replay)[0]:
        assert party.verdict(trust_of()).exit_code == 0
