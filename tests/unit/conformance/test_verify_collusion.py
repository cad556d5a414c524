"""All principals sign something that did not happen so: levels 1, 3 and 4 have teeth of their own.

Every signature, count, root and seal of these artifacts is right. What is wrong is only what
the records say together.
"""

from __future__ import annotations

import io
from typing import Final

import pytest

from artifact_surgery import (
    Edit,
    Record,
    collude,
    dropped,
    find,
    flipped,
    parse,
    reopen,
    with_field,
)
from troth.conformance import Budget, Verdict, verify
from troth.vm.codec import encode_payload
from troth.vm.events import Status
from troth.vm.records import Kind
from verify_samples import sample


def _verdict(name: str, edit: Edit, *, run_again: bool = True) -> Verdict:
    recorded = sample(name)
    records = parse(recorded.data)
    edit(records)
    stream = io.BytesIO(collude(records, recorded))
    return verify(stream, trust=recorded.trust, replay=Budget() if run_again else None)


def _set(kind: Kind, number: int, field: int, value: object) -> Edit:
    def edit(records: list[Record]) -> None:
        index = find(records, kind, number)
        assert records[index][field] != value, "the edit must change something"
        records[index] = with_field(records[index], field, value)

    return edit


def _flip(kind: Kind, number: int, field: int) -> Edit:
    def edit(records: list[Record]) -> None:
        index = find(records, kind, number)
        records[index] = with_field(records[index], field, flipped(records[index][field]))

    return edit


def _repeat(kind: Kind, number: int) -> Edit:
    def edit(records: list[Record]) -> None:
        index = find(records, kind, number)
        records.insert(index, records[index])

    return edit


def _swap(kind: Kind, first: int, second: int) -> Edit:
    def edit(records: list[Record]) -> None:
        i, j = find(records, kind, first), find(records, kind, second)
        records[i], records[j] = records[j], records[i]

    return edit


def _move(kind: Kind, number: int, before: Kind, which: int = 0) -> Edit:
    def edit(records: list[Record]) -> None:
        record = records.pop(find(records, kind, number))
        records.insert(find(records, before, which), record)

    return edit


def _edge_field(place: int, value: object) -> Edit:
    """Another setting of the first edge, opened properly: the session id follows."""

    def edit(records: list[Record]) -> None:
        first, *others = records[find(records, Kind.OPEN)][4]
        assert first[place] != value, "the edit must change something"
        rows = (with_field(first, place, value), *others)
        records[:] = reopen(records, 0, 4, rows)

    return edit


def _small_buffer(records: list[Record]) -> None:
    """Five messages in flight at once, on an edge opened for three."""
    first, *others = records[find(records, Kind.OPEN)][4]
    small = with_field(with_field(first, 4, 3), 6, 3)
    records[:] = reopen(records, 0, 4, (small, *others))


def _change_loss(kind: Kind, other: Kind) -> Edit:
    """One way to lose a message instead of the other, of the label `frame` or number 1."""

    def edit(records: list[Record]) -> None:
        index = find(records, kind)
        place = (1,) if other is Kind.DROP else (0, 0)
        records[index] = (other, *records[index][1:4], *place)

    return edit


def _after_notice(records: list[Record]) -> None:
    """The host drops one more frame when its protocol is over, while the buffer is full."""
    dropped = records[find(records, Kind.DROP)]
    records.insert(find(records, Kind.SEND, 1) + 1, dropped)


def _rotates_late(records: list[Record]) -> None:
    records.insert(find(records, Kind.NOTICE) + 1, records[find(records, Kind.ROTATE, 1)])


def _no_edges(records: list[Record]) -> None:
    records[:] = reopen(records, 0, 4, ())


def _after_the_end(records: list[Record]) -> None:
    """The last thing printed is printed after the END record."""
    records.insert(find(records, Kind.END) + 1, (Kind.TIME, 0, 99))


CASES: Final[dict[str, tuple[str, Edit, str]]] = {
    # level 1
    "nonce": ("hello", _flip(Kind.OPEN, 0, 7), "structure.identity"),
    "coroutine id": ("hello", _flip(Kind.SPAWN, 1, 3), "structure.identity"),
    "effect id": ("hidden", _flip(Kind.INVOKE, 0, 3), "structure.identity"),
    "another entry": ("hello", _set(Kind.SPAWN, 0, 2, 0), "structure.reference"),
    "image byte": ("hello", _flip(Kind.IMAGE, 0, 1), "structure.image"),
    "image id": ("hello", _flip(Kind.HEADER, 0, 2), "structure.image"),
    "nobody prints": ("hello", _set(Kind.PRINT, 0, 1, 9), "structure.reference"),
    "halt twice": ("hello", _repeat(Kind.HALT, 0), "structure.reference"),
    "fault elsewhere": ("faulted", _set(Kind.FAULT, 0, 4, "main"), "structure.reference"),
    "closed from active": ("hello", dropped(Kind.STATUS, 0), "structure.lifecycle"),
    "effect answered twice": ("hidden", _repeat(Kind.COMPLETE, 0), "structure.reference"),
    "rounds": ("hidden", _set(Kind.END, 0, 1, 0), "structure.round"),
    "same principal": ("hello", _repeat(Kind.PRINCIPAL, 1), "structure.duplicate"),
    "same protocol": ("hello", _repeat(Kind.PROTOCOL, 0), "structure.duplicate"),
    "after the end": ("hello", _after_the_end, "structure.surplus"),
    # level 2, what no key helps with
    "session id": ("hello", _flip(Kind.OPEN, 0, 1), "integrity.session"),
    "linger": ("hello", _set(Kind.OPEN, 0, 6, 1), "integrity.session"),
    "parties": ("hello", _set(Kind.OPEN, 0, 3, (1, 0)), "integrity.session"),
    "protocol id": ("hello", _flip(Kind.PROTOCOL, 0, 1), "integrity.protocol"),
    "roles": ("hello", _set(Kind.PROTOCOL, 0, 3, ("Client", "Servant")), "integrity.protocol"),
    "another override": ("hello", _set(Kind.HEADER, 0, 8, "off"), "structure.setting"),
    "no such buffer": ("hello", _edge_field(3, "latest"), "structure.setting"),
    "no capacity": ("hello", _edge_field(4, 0), "structure.setting"),
    "too much capacity": ("hello", _edge_field(6, 1 << 40), "structure.setting"),
    "nothing may be dropped": ("hello", _edge_field(5, "drop"), "structure.setting"),
    "may lose in a sequence": ("hello", _edge_field(8, ("greet",)), "structure.setting"),
    "nothing may be lost": ("latest", _edge_field(8, ()), "structure.setting"),
    "lossy labels unsorted": ("drops", _edge_field(8, ("frame", "done")), "structure.setting"),
    "rotation of nothing": ("rotates", _edge_field(9, 0), "structure.setting"),
    "sequence rotates": ("drain", _edge_field(9, 4), "structure.setting"),
    "latest grows": ("latest", _edge_field(5, "resize"), "structure.setting"),
    "drop of no label": ("drops", _set(Kind.DROP, 0, 4, 9), "structure.reference"),
    # level 3
    "send number": ("drain", _set(Kind.SEND, 2, 7, 9), "consumption.sent.number"),
    "send dropped": ("drain", dropped(Kind.SEND, 2), "consumption.sent.number"),
    "send repeated": ("drain", _repeat(Kind.SEND, 2), "consumption.sent.number"),
    "sends swapped": ("drain", _swap(Kind.SEND, 1, 2), "consumption.sent.number"),
    "last send dropped": ("drain", dropped(Kind.SEND, 5), "protocol.notice"),
    "received twice": ("drain", _repeat(Kind.RECEIVE, 1), "consumption.duplicate"),
    "receives swapped": ("drain", _swap(Kind.RECEIVE, 1, 2), "consumption.order"),
    "receive dropped": ("drain", dropped(Kind.RECEIVE, 1), "consumption.order"),
    "received before sent": ("hello", _move(Kind.RECEIVE, 0, Kind.SEND), "consumption.unsent"),
    "root": ("drain", _flip(Kind.RECEIVE, 1, 6), "consumption.root"),
    "no root": ("drain", _set(Kind.RECEIVE, 1, 6, None), "consumption.root"),
    "nullifier root": ("nested_recursion", _flip(Kind.RECEIVE, 3, 6), "consumption.root"),
    "receipt's root": ("drain", _flip(Kind.RECEIPT, 0, 8), "consumption.root"),
    "message": (
        "drain",
        _set(Kind.SEND, 1, 9, encode_payload([7])),
        "consumption.root",
    ),
    "hidden message": ("hidden", _flip(Kind.SEND, 0, 10), "consumption.root"),
    "small buffer": ("drain", _small_buffer, "consumption.sent.capacity"),
    "another mode": ("hello", _edge_field(2, "off"), "consumption.root"),
    "overwrite dropped": ("latest", dropped(Kind.OVERWRITE, 0), "consumption.sent.capacity"),
    "overwritten twice": ("latest", _repeat(Kind.OVERWRITE, 0), "consumption.lost"),
    "overwritten early": ("latest", _move(Kind.OVERWRITE, 0, Kind.SEND, 1), "consumption.lost"),
    "nothing overwritten": ("latest", _set(Kind.OVERWRITE, 0, 5, 9), "consumption.lost"),
    "another overwritten": ("latest", _set(Kind.OVERWRITE, 0, 5, 1), "consumption.lost"),
    "overwritten in fifo": ("drops", _change_loss(Kind.DROP, Kind.OVERWRITE), "consumption.lost"),
    "dropped in latest": ("latest", _change_loss(Kind.OVERWRITE, Kind.DROP), "consumption.lost"),
    "dropped early": ("drops", _move(Kind.DROP, 0, Kind.SEND), "consumption.lost"),
    "dropped what must arrive": ("drops", _set(Kind.DROP, 0, 4, 0), "consumption.lost"),
    "rotation dropped": ("rotates", dropped(Kind.ROTATE, 0), "consumption.sent.number"),
    "rotation twice": ("rotates", _repeat(Kind.ROTATE, 0), "consumption.generation"),
    "rotation early": ("rotates", _move(Kind.ROTATE, 0, Kind.SEND, 2), "consumption.generation"),
    "rotation of more": ("rotates", _set(Kind.ROTATE, 0, 5, 4), "consumption.generation"),
    "rotation of another": ("rotates", _set(Kind.ROTATE, 0, 4, 1), "consumption.generation"),
    "retired early": ("rotates", _move(Kind.RETIRE, 0, Kind.RECEIVE, 2), "consumption.generation"),
    "never retired": ("rotates", dropped(Kind.RETIRE, 0), "consumption.generation"),
    "retired twice": ("rotates", _repeat(Kind.RETIRE, 0), "consumption.generation"),
    "retired root": ("rotates", _flip(Kind.RETIRE, 0, 5), "consumption.root"),
    "number goes on": ("rotates", _set(Kind.SEND, 3, 7, 3), "consumption.sent.number"),
    "generation stays": ("rotates", _set(Kind.SEND, 3, 6, 0), "consumption.sent.number"),
    "another rotation": ("rotates", _edge_field(9, 4), "protocol.setting"),
    # level 4
    "others may be lost": ("drops", _edge_field(8, ("done", "frame")), "protocol.setting"),
    "discards of overwritten": ("latest", _set(Kind.RECEIPT, 0, 7, 0), "protocol.receipt"),
    "dropped after the notice": ("drops", _after_notice, "protocol.turn"),
    "edges missing": ("hidden", _no_edges, "protocol.turn"),
    "shown after all": ("hidden", _edge_field(7, "inline"), "protocol.setting"),
    "payload type": ("drain", _set(Kind.SEND, 1, 9, encode_payload(["x"])), "protocol.payload"),
    "payload form": ("drain", _set(Kind.SEND, 1, 9, b"\x91\xcc\x01"), "protocol.payload"),
    "payload garbage": ("drain", _set(Kind.SEND, 1, 9, b"\xc1"), "protocol.payload"),
    "label": ("hello", _set(Kind.SEND, 0, 5, 1), "protocol.label"),
    "step kind": ("hello", _set(Kind.SEND, 0, 4, 1), "protocol.kind"),
    "not a selection": ("drain", _set(Kind.SEND, 0, 4, 0), "protocol.kind"),
    "notice early": ("hello", _move(Kind.NOTICE, 0, Kind.SEND), "protocol.notice"),
    "notice dropped": ("hello", dropped(Kind.NOTICE, 1), "protocol.close"),
    "notice repeated": ("hello", _repeat(Kind.NOTICE, 0), "protocol.notice"),
    "final generation": ("rotates", _set(Kind.NOTICE, 0, 3, ((1, 1, 8),)), "protocol.notice"),
    "receipt's generation": ("rotates", _set(Kind.RECEIPT, 0, 4, 1), "protocol.receipt"),
    "rotation after the notice": ("rotates", _rotates_late, "consumption.generation"),
    "final number": ("drain", _set(Kind.NOTICE, 0, 3, ((1, 0, 5),)), "protocol.notice"),
    "no finals": ("drain", _set(Kind.NOTICE, 0, 3, ()), "protocol.notice"),
    "receipt dropped": ("drain", dropped(Kind.RECEIPT, 0), "protocol.receipt"),
    "receipt count": ("drain", _set(Kind.RECEIPT, 0, 5, 5), "protocol.receipt"),
    "receipt discards": ("drain", _set(Kind.RECEIPT, 0, 7, 1), "protocol.receipt"),
    "receipt of fewer reliable": ("drain", _set(Kind.RECEIPT, 0, 6, 0), "protocol.receipt"),
    "receipt of more reliable": ("latest", _set(Kind.RECEIPT, 0, 6, 2), "protocol.receipt"),
    "epoch": ("hello", _set(Kind.STATUS, 1, 3, 2), "protocol.epoch"),
    "draining epoch": ("hello", _set(Kind.STATUS, 0, 3, 1), "protocol.epoch"),
    "drains unasked": ("hello", _move(Kind.STATUS, 0, Kind.SEND), "protocol.close"),
    "closed early": ("drain", _move(Kind.STATUS, 1, Kind.RECEIVE), "protocol.close"),
    "lingered": ("hello", _set(Kind.STATUS, 1, 4, "linger time is over"), "protocol.close"),
    "faulted instead": (
        "hello",
        _set(Kind.STATUS, 1, 2, int(Status.FAULTED)),
        "protocol.epoch",
    ),
    "never drained": ("late_fault", dropped(Kind.STATUS, 0), "protocol.close"),
    "one undelivered less": ("cancelled", dropped(Kind.UNDELIVERED, 2), "protocol.undelivered"),
    "undelivered order": ("cancelled", _swap(Kind.UNDELIVERED, 0, 1), "protocol.undelivered"),
    "undelivered twice": ("cancelled", _repeat(Kind.UNDELIVERED, 2), "protocol.undelivered"),
    "nobody cancelled": ("cancelled", dropped(Kind.CANCEL, 0), "protocol.close"),
    "another reason": ("cancelled", _set(Kind.STATUS, 0, 4, "bored"), "protocol.close"),
    "another fault": ("faulted", _set(Kind.STATUS, 0, 4, "vm.fault.type"), "protocol.close"),
    "certificate dropped": ("delegation", dropped(Kind.DELEGATE, 0), "protocol.endpoint"),
    "certificate alone": ("delegation", _move(Kind.SEND, 1, Kind.SEND), "protocol.endpoint"),
    "certificate for another": ("delegation", _set(Kind.DELEGATE, 0, 2, 0), "protocol.endpoint"),
    "delegated late": ("delegation", _move(Kind.DELEGATE, 0, Kind.RECEIVE), "protocol.endpoint"),
    "hidden certificate": (
        "hidden_delegation",
        _set(Kind.DELEGATE, 0, 2, 0),
        "protocol.endpoint",
    ),
    "guard acquired twice": ("guarded", _repeat(Kind.ACQUIRE, 0), "protocol.guard"),
    "guard not released": ("guarded", dropped(Kind.RELEASE, 0), "protocol.guard"),
    "guard released twice": ("guarded", _repeat(Kind.RELEASE, 0), "protocol.guard"),
    "guard of another": ("guarded", _move(Kind.ACQUIRE, 1, Kind.RELEASE), "protocol.guard"),
    "guard held at the halt": ("guarded", dropped(Kind.RELEASE, 1), "protocol.guard"),
    "guard of nobody": ("guarded", _set(Kind.ACQUIRE, 0, 2, 1), "structure.reference"),
    "effect arguments": ("hidden", _set(Kind.INVOKE, 0, 4, b"\x91\x01"), "protocol.value"),
    "effect result": ("hidden", _set(Kind.COMPLETE, 0, 3, b"\x91\xc0"), "protocol.value"),
    "effect failure": ("hidden", _set(Kind.COMPLETE, 0, 3, b"\x91\x01"), ""),
    "a drop left out": ("drops", dropped(Kind.DROP, 0), ""),
    "printed text": ("hello", _set(Kind.PRINT, 0, 2, "goodbye"), ""),
}


@pytest.mark.parametrize("case", [name for name, (_, _, code) in CASES.items() if code])
def test_what_all_signed_is_still_refused(case: str) -> None:
    name, edit, code = CASES[case]
    verdict = _verdict(name, edit)
    assert verdict.exit_code == 2
    first = verdict.findings[0]
    assert first.code == code, first
    assert first.record is not None


@pytest.mark.parametrize("case", [name for name, (_, _, code) in CASES.items() if not code])
def test_only_running_it_again_can_tell(case: str) -> None:
    """What a program did with a value is for level 5: levels 1 to 4 must not guess."""
    name, edit, _ = CASES[case]
    assert _verdict(name, edit, run_again=False).exit_code == 0
    verdict = _verdict(name, edit)
    assert verdict.exit_code == 2
    assert [finding.code for finding in verdict.findings] == ["replay.divergence"]


def test_one_error_is_reported_once() -> None:
    """A wrong label does not also make every later message of the session wrong."""
    name, edit, _ = CASES["label"]
    assert [finding.code for finding in _verdict(name, edit).findings] == [
        "protocol.label",
        "consumption.root",
    ]


def test_a_finding_names_everything() -> None:
    name, edit, _ = CASES["label"]
    first = _verdict(name, edit).findings[0]
    assert first.session is not None
    assert first.session.startswith("0 of Hello, id ")
    assert (first.edge, first.role) == ("Client -> Server", "Client")
    assert (first.expected, first.actual) == ("send one of greet", "send reply")
    assert first.position == (
        "Hello.Client, state 0: send to Server\n  greet(name: str)\n> reply: not possible here"
    )
    assert len(first.context) == 3
    assert first.docs == "docs/reference/verdicts.md#protocol-label"
    assert (first.category.value, first.level) == ("type violation", 4)


def test_the_offending_branch_is_marked() -> None:
    name, edit, _ = CASES["payload type"]
    position = _verdict(name, edit).findings[0].position
    assert position is not None
    assert "\n> item(n: int)\n  last()" in position
