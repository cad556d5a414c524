"""What one principal could try alone, with its own key and nobody else's."""

from __future__ import annotations

import io
from pathlib import Path

import msgpack

from artifact_surgery import Sample, find, parse, record_image, reseal, sign_all, with_field
from troth.conformance import Verdict, verify
from troth.dsl import compile_source
from troth.vm import RunOptions, run
from troth.vm.records import Kind
from verify_samples import sealed_often

CANCELLED = """
protocol P(A, B):
    A -> B: hi()

program a(s: P.A):
    send s.B hi()
    close s

main:
    open P as x, y
    cancel y "no"
    spawn a(x)
"""

OFF = """
protocol Ask(Client, Server):
    Client -> Server: ask()
    Server -> Client: answer(n: int)

program client(s: Ask.Client):
    send s.Server ask()
    recv s.Server answer(n)
    close s

program server(s: Ask.Server):
    recv s.Client ask()
    send s.Client answer(120)
    close s

main:
    open Ask as c, s with replay = off
    spawn client(c)
    spawn server(s)
"""

NAMED_ONLY = """
protocol Loan(Lender, Borrower):
    Lender -> Borrower: sign(sum: int)

main:
    open Loan as lender, borrower
    cancel lender "changed my mind"
    cancel borrower "too late to say anything"
"""


def _sample(text: str, folder: Path, *, ok: bool = True) -> Sample:
    return record_image(compile_source(text, "owner.troth"), folder, ok=ok)


def _verdict(data: bytes, sample: Sample) -> Verdict:
    return verify(io.BytesIO(data), trust=sample.trust)


def test_an_endpoint_of_a_cancelled_session_may_be_spawned(tmp_path: Path) -> None:
    sample = _sample(CANCELLED, tmp_path, ok=False)
    verdict = _verdict(sample.data, sample)
    assert verdict.exit_code == 0, verdict.findings


def test_a_recorder_survives_many_sessions_between_end_and_spawn(tmp_path: Path) -> None:
    text = CANCELLED.replace(
        "    spawn a(x)",
        "    for i in range(17000):\n"
        "        open P as p, q\n"
        '        cancel q "no"\n'
        '        cancel p "no"\n'
        "    spawn a(x)",
    )
    image = compile_source(text, "many.troth")
    result = run(image, options=RunOptions(record=tmp_path / "many.replay"))
    assert not result.ok


def test_a_head_on_the_way_cannot_pass_for_the_last() -> None:
    """Sender ends the record early, with Receiver's own signed head of that moment."""
    sample = sealed_often("drain", 1)
    records = parse(sample.data)
    cut = find(records, Kind.SEAL, 8)
    other = records[cut][1]
    names = [record[1] for record in records if record[0] == Kind.PRINCIPAL]
    forger = 1 - other
    own = next(record for record in records if record[0] == Kind.SEAL and record[1] == forger)
    end = (Kind.END, records[cut][5], cut, "failed")
    seals = sorted([with_field(own, 8, True), records[cut]], key=lambda seal: int(seal[1]))
    held = [sample.keys[names[forger]]]
    verdict = _verdict(reseal([*records[:cut], end, *seals], held), sample)
    assert verdict.exit_code == 2
    assert "integrity.final" in {finding.code for finding in verdict.findings}


def test_without_replay_protection_a_sender_cannot_rewrite_what_was_received(
    tmp_path: Path,
) -> None:
    sample = _sample(OFF, tmp_path)
    records = parse(sample.data)
    place = find(records, Kind.SEND, 1)
    records[place] = with_field(records[place], 9, msgpack.packb([1]))
    held = [sample.keys["Server"]]
    verdict = _verdict(reseal(sign_all(records, held), held), sample)
    assert verdict.exit_code == 2
    assert verdict.findings[0].code == "consumption.root"


def test_being_named_is_not_having_signed(tmp_path: Path) -> None:
    sample = _sample(NAMED_ONLY, tmp_path, ok=False)
    verdict = _verdict(sample.data, sample)
    signed = {principal.name: principal.roles for principal in verdict.principals}
    assert signed == {"Lender": ("Loan.Lender",), "Borrower": ()}


def test_the_sample_is_honest(tmp_path: Path) -> None:
    sample = _sample(OFF, tmp_path)
    verdict = _verdict(sample.data, sample)
    assert (verdict.exit_code, verdict.outcome_recorded) == (0, "ok")
