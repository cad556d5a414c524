"""What all principals made up together, and only running the image again can tell."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import pytest

from artifact_surgery import Record, Sample, find, parse, with_field
from replay_forgery import agreeing, renumbered
from replay_samples import WAITING, Host, judged, level_5, record_run, surplus
from troth.conformance import Finding, verify
from troth.conformance.codes import Category
from troth.dsl import compile_source
from troth.vm.codec import encode_payload
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.records import Kind
from verify_samples import CANCELLED, FAULTED

SHOP: Final = """
effect price_of(name: str) -> int

protocol Shop(Client, Seller):
    Client -> Seller: ask(name: str)
    Seller -> Client: quote(price: int)
    choice at Client:
        Client -> Seller: buy(count: int)
        Seller -> Client: thanks()
    or:
        Client -> Seller: leave()

program client(s: Shop.Client):
    send s.Seller ask("tea")
    recv s.Seller quote(price)
    print price
    if price < 10:
        send s.Seller buy(3)
        recv s.Seller thanks()
        print "bought"
    else:
        send s.Seller leave()
    close s

program seller(s: Shop.Seller):
    recv s.Client ask(name)
    let price = call price_of(name)
    send s.Client quote(price)
    recv s.Client:
        buy(count):
            print count
            send s.Client thanks()
        leave():
            pass
    close s

main:
    open Shop as c, s
    spawn client(c)
    spawn seller(s)
"""

Edit = Callable[[list[Record]], list[Record]]


@cache
def _recorded(name: str, replay: ReplayMode | None = None, seal: Seal | None = None) -> Sample:
    if name == "surplus":
        return record_run(surplus(1000), Host(now_ns=lambda rounds: 50))  # noqa: ARG005
    script = {"shop": SHOP, "cancelled": CANCELLED, "faulted": FAULTED, "waiting": WAITING}[name]
    host = Host(
        effects={"price_of": len, "double": lambda n: 2 * n},
        delay=100 if name == "waiting" else 0,
    )
    return record_run(compile_source(script, f"{name}.troth"), host, replay=replay, seal=seal)


def _set(kind: Kind, number: int, field: int, value: object) -> Edit:
    def edit(records: list[Record]) -> list[Record]:
        index = find(records, kind, number)
        assert records[index][field] != value, "the edit must change something"
        records[index] = with_field(records[index], field, value)
        return records

    return edit


def _drop(kind: Kind, number: int) -> Edit:
    def edit(records: list[Record]) -> list[Record]:
        del records[find(records, kind, number)]
        return records

    return edit


def _insert(before: Kind, number: int, record: Record) -> Edit:
    def edit(records: list[Record]) -> list[Record]:
        records.insert(find(records, before, number), record)
        return records

    return edit


def _move(kind: Kind, number: int, before: Kind, which: int) -> Edit:
    def edit(records: list[Record]) -> list[Record]:
        record = records.pop(find(records, kind, number))
        records.insert(find(records, before, which), record)
        return records

    return edit


def _all(*edits: Edit) -> Edit:
    def edit(records: list[Record]) -> list[Record]:
        for one in edits:
            records = one(records)
        return records

    return edit


def _later_seals(records: list[Record]) -> list[Record]:
    return renumbered(records, 5, Kind.SEAL, 1)


def _payload(*values: object) -> bytes:
    return encode_payload(values)  # type: ignore[arg-type]


# (script, edit, kind and number of the record at which level 5 has to stop)
CASES: Final[dict[str, tuple[str, Edit, Kind, int]]] = {
    "another question": ("shop", _set(Kind.SEND, 0, 9, _payload("tee")), Kind.SEND, 0),
    "another price": ("shop", _set(Kind.SEND, 1, 9, _payload(4)), Kind.SEND, 1),
    "another order": ("shop", _set(Kind.SEND, 2, 9, _payload(4)), Kind.SEND, 2),
    "asked for something else": ("shop", _set(Kind.INVOKE, 0, 4, _payload("oil")), Kind.INVOKE, 0),
    "another answer": ("shop", _set(Kind.COMPLETE, 0, 3, _payload(4)), Kind.SEND, 1),
    "a failed effect": (
        "shop",
        _all(_set(Kind.COMPLETE, 0, 2, True), _set(Kind.COMPLETE, 0, 3, b"no")),
        Kind.SEND,
        1,
    ),
    "an answer that would have led elsewhere": (
        "shop",
        _all(
            _set(Kind.COMPLETE, 0, 3, _payload(40)),
            _set(Kind.SEND, 1, 9, _payload(40)),
            _set(Kind.PRINT, 0, 2, "40"),
        ),
        Kind.SEND,
        2,
    ),
    "another print": ("shop", _set(Kind.PRINT, 1, 2, "4"), Kind.PRINT, 1),
    "printed by another": ("shop", _set(Kind.PRINT, 1, 1, 1), Kind.PRINT, 1),
    "a print less": ("shop", _drop(Kind.PRINT, 1), Kind.SEND, 3),
    "a print more": ("shop", _insert(Kind.PRINT, 1, (Kind.PRINT, 1, "3")), Kind.PRINT, 1),
    "printed too early": ("shop", _move(Kind.PRINT, 0, Kind.RECEIVE, 1), Kind.PRINT, 0),
    "halted too early": ("shop", _move(Kind.HALT, 2, Kind.RECEIPT, 1), Kind.HALT, 2),
    "the last thing left out": (
        "shop",
        _all(_drop(Kind.HALT, 2), _set(Kind.END, 0, 3, "failed")),
        Kind.END,
        0,
    ),
    "something after the last": ("shop", _insert(Kind.END, 0, (Kind.TIME, 9, 6)), Kind.TIME, 0),
    "another program": ("shop", _set(Kind.SPAWN, 2, 2, 0), Kind.SPAWN, 2),
    "another fault": ("faulted", _set(Kind.FAULT, 0, 3, "no less"), Kind.FAULT, 0),
    "faulted elsewhere": ("faulted", _set(Kind.FAULT, 0, 5, 0), Kind.FAULT, 0),
    "another reason": (
        "cancelled",
        _all(_set(Kind.CANCEL, 0, 3, "bored"), _set(Kind.STATUS, 0, 4, "bored")),
        Kind.CANCEL,
        0,
    ),
    "cancelled by the host": (
        "cancelled",
        _all(
            _set(Kind.CANCEL, 0, 2, None),
            _set(Kind.CANCEL, 0, 4, 1),
            _set(Kind.CANCEL, 0, 5, b""),
        ),
        Kind.CANCEL,
        0,
    ),
    "answered later": (
        "waiting",
        _all(_set(Kind.COMPLETE, 0, 4, 305), _set(Kind.END, 0, 1, 305)),
        Kind.COMPLETE,
        0,
    ),
    "a round later": (
        "shop",
        _all(_set(Kind.END, 0, 1, 99), lambda records: renumbered(records, 5, Kind.SEAL, 99)),
        Kind.END,
        0,
    ),
    "sealed later": ("shop", _later_seals, Kind.SEAL, 0),
    "another deadline": ("surplus", _set(Kind.TIME, 0, 1, 51), Kind.TIME, 1),
}


def _forged(case: str, **modes: Any) -> tuple[Sample, list[Record]]:
    name, edit, _, _ = CASES[case]
    recorded = _recorded(name, **modes)
    data = agreeing(edit(parse(recorded.data)), recorded)
    return Sample(data, recorded.keys), parse(data)


def _only_finding(forged: Sample) -> Finding:
    before = verify(io.BytesIO(forged.data), trust=forged.trust, replay=None)
    assert before.findings == (), f"levels 1 to 4 see it: {before.findings[0]}"
    assert before.exit_code == (0 if before.principals else 5)
    verdict = judged(forged)
    assert verdict.exit_code == 2
    (finding,) = verdict.findings
    assert (level_5(verdict).ran, level_5(verdict).ok) == (True, False)
    assert level_5(verdict).why == f"replay.divergence at byte {finding.offset}"
    assert verdict.fragment is None
    return finding


@pytest.mark.parametrize("case", CASES)
def test_what_all_made_up_is_found_where_it_is(case: str) -> None:
    forged, records = _forged(case)
    _, _, kind, number = CASES[case]
    finding = _only_finding(forged)
    assert finding.code == "replay.divergence"
    assert finding.record == find(records, kind, number), finding
    assert finding.said.startswith(f"{finding.record} {kind.name}")
    assert (finding.category, finding.level) == (Category.NONDETERMINISTIC, 5)


MODES: Final = [(replay, seal) for replay in ReplayMode for seal in Seal]


@pytest.mark.parametrize(("replay", "seal"), MODES)
@pytest.mark.parametrize("case", ["another price", "another answer", "another print"])
def test_in_every_mode(case: str, replay: ReplayMode, seal: Seal) -> None:
    forged, records = _forged(case, replay=replay, seal=seal)
    _, _, kind, number = CASES[case]
    assert _only_finding(forged).record == find(records, kind, number)


def test_a_finding_says_what_ran_and_what_differs() -> None:
    finding = _only_finding(_forged("another price")[0])
    assert (finding.program, finding.line) == ("seller", SHOP.splitlines().index(QUOTE) + 1)
    assert finding.session is not None
    assert finding.session.startswith("0 of Shop, id ")
    assert (finding.edge, finding.role) == ("Seller -> Client", "Seller")
    assert finding.expected_side == "recomputed by running the image"
    assert finding.actual_side == "recorded"
    assert str(finding.expected).endswith("payload [3]")
    assert str(finding.actual).endswith("payload [4]")
    assert len(finding.context) == 3
    assert finding.context[-1].split()[1] == "COMPLETE"
    assert finding.docs == "docs/reference/verdicts.md#replay-divergence"


QUOTE: Final = "    send s.Client quote(price)"


def test_what_is_missing_is_told_from_what_is_surplus() -> None:
    missing = _only_finding(_forged("a print less")[0])
    assert "PRINT" in str(missing.expected)
    assert "SEND" in str(missing.actual)
    more = _only_finding(_forged("something after the last")[0])
    assert more.message == "the program does nothing more: it is finished"
    assert str(more.actual).endswith("TIME 9 ns")


def test_the_same_finding_every_time() -> None:
    forged, _ = _forged("another answer")
    assert len({repr(judged(forged)) for _ in range(3)}) == 1


def test_another_image_that_says_the_same_is_not_what_ran() -> None:
    """The record of one program under the image of another: the first difference shows."""
    honest = _recorded("shop")
    other = record_run(
        compile_source(SHOP.replace('ask("tea")', 'ask("ale")'), "shop.troth"),
        Host(effects={"price_of": len}),
    )
    records, others = parse(honest.data), parse(other.data)
    records[0], records[1] = others[0], others[1]
    finding = _only_finding(Sample(agreeing(records, honest), honest.keys))
    assert finding.record == find(records, Kind.SEND)
    assert "ale" in str(finding.expected)
    assert "tea" in str(finding.actual)
