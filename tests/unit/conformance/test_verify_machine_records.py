"""What the holder of principal 0 alone could rewrite: statuses, faults, the end.

Principal 0's log carries the machine's own records, so whoever holds its key can sign others.
Levels 1 to 4 hold them against what the other principals signed, without running anything.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import pytest

from artifact_surgery import Record, collude, find, parse, with_field
from troth.conformance import Verdict, verify
from troth.vm.events import Status
from troth.vm.records import Kind
from verify_samples import sample

Edit = Callable[[list[Record]], None]


def _verdict(name: str, edit: Edit) -> Verdict:
    recorded = sample(name)
    records = parse(recorded.data)
    edit(records)
    return verify(io.BytesIO(collude(records, recorded)), trust=recorded.trust, replay=None)


def _last_status(status: Status, detail: str) -> Edit:
    """The final status of the only session is another, with everything that belongs to it."""

    def edit(records: list[Record]) -> None:
        index = max(i for i, record in enumerate(records) if record[0] == Kind.STATUS)
        changed = with_field(records[index], 2, int(status))
        records[index] = with_field(with_field(changed, 3, 0), 4, detail)

    return edit


def _then(*edits: Edit) -> Edit:
    def edit(records: list[Record]) -> None:
        for one in edits:
            one(records)

    return edit


def _set(kind: Kind, field: int, value: object) -> Edit:
    def edit(records: list[Record]) -> None:
        index = find(records, kind)
        assert records[index][field] != value, "the edit must change something"
        records[index] = with_field(records[index], field, value)

    return edit


def _drop(kind: Kind) -> Edit:
    def edit(records: list[Record]) -> None:
        del records[find(records, kind)]

    return edit


def _move(kind: Kind, before: Kind) -> Edit:
    def edit(records: list[Record]) -> None:
        record = records.pop(find(records, kind))
        records.insert(find(records, before), record)

    return edit


def _cancelled_by_the_host(records: list[Record]) -> None:
    index = max(i for i, record in enumerate(records) if record[0] == Kind.STATUS)
    records.insert(index, (Kind.CANCEL, 0, None, "why not", None, b""))


def _cancel_moved_up(records: list[Record]) -> None:
    """The giver cancels before its last message, and sends that all the same."""
    record = records.pop(find(records, Kind.CANCEL))
    records.insert(find(records, Kind.SEND, 2), record)


def _something_in_between(records: list[Record]) -> None:
    """Time passes between the fault and the status that it brings about."""
    records.insert(find(records, Kind.FAULT) + 1, (Kind.TIME, 0, 1))


FAILED: Final = _set(Kind.END, 3, "failed")

CASES: Final[dict[str, tuple[str, Edit, str]]] = {
    "faulted by nothing": (
        "hello",
        _then(_last_status(Status.FAULTED, ""), FAILED),
        "protocol.close",
    ),
    "no fault before": (
        "faulted",
        _then(_drop(Kind.FAULT), _last_status(Status.FAULTED, "")),
        "protocol.close",
    ),
    "a fault long before": ("faulted", _something_in_between, "protocol.close"),
    "cancelled after the latch": (
        "hello",
        _then(_cancelled_by_the_host, _last_status(Status.CANCELLED, "why not"), FAILED),
        "protocol.close",
    ),
    "a reason to drain": ("hello", _set(Kind.STATUS, 4, "bored"), "protocol.close"),
    "no such fault": ("faulted", _set(Kind.FAULT, 2, "vm.fault.moon"), "structure.shape"),
    "no such outcome": ("hello", _set(Kind.END, 3, "fine"), "structure.shape"),
    "stuck": ("faulted", _set(Kind.END, 3, "stuck"), "structure.shape"),
    "ok after a fault": ("faulted", _set(Kind.END, 3, "ok"), "structure.count"),
    "ok though cancelled": ("cancelled", _set(Kind.END, 3, "ok"), "structure.count"),
    "failed without a reason": ("hello", FAILED, "structure.count"),
    "sent after its cancellation": ("cancelled", _cancel_moved_up, "protocol.close"),
    "received after its cancellation": (
        "undone",
        _move(Kind.CANCEL, Kind.RECEIVE),
        "protocol.close",
    ),
    "notice after its cancellation": ("undone", _move(Kind.CANCEL, Kind.NOTICE), "protocol.close"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_machines_records_are_held_against_what_was_signed(case: str) -> None:
    name, edit, code = CASES[case]
    verdict = _verdict(name, edit)
    assert verdict.exit_code == 2
    assert verdict.findings[0].code == code, verdict.findings[0]


def test_a_cancellation_by_the_host_carries_no_signature() -> None:
    def edit(records: list[Record]) -> None:
        index = find(records, Kind.CANCEL)
        records[index] = with_field(with_field(records[index], 2, None), 4, None)

    assert "integrity.cancel" in [f.code for f in _verdict("cancelled", edit).findings]


@pytest.mark.parametrize("code", ["vm.fault.buffer", "no such code", ""])
def test_a_message_is_rejected_for_what_can_be_wrong_with_a_message(code: str) -> None:
    def edit(records: list[Record]) -> None:
        index = find(records, Kind.UNDELIVERED)
        _, session, sender, receiver, *_ = records[index]
        records[index] = (Kind.REJECT, session, sender, receiver, code, bytes(32))

    assert _verdict("cancelled", edit).findings[0].code in ("structure.shape", "artifact.record")
