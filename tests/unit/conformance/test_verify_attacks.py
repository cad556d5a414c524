"""Forgeries by somebody who holds some of the keys, or none."""

from __future__ import annotations

import io

import pytest

from artifact_surgery import (
    Record,
    find,
    flipped,
    join,
    key_pair,
    parse,
    reseal,
    sign_all,
    sign_seal,
    with_field,
)
from troth.conformance import Verdict, integrity, to_prose, verify
from troth.conformance.integrity import SIGNERS_TRIED_MAX
from troth.conformance.pipeline import FINDINGS_MAX
from troth.vm.codec import encode_payload
from troth.vm.keys import KeyPair
from troth.vm.records import SIGNER_OWNED, Kind
from troth.vm.signatures import verify as verify_signature
from verify_samples import sample

SIGNATURE_OF_SEND = 11
PAYLOAD_OF_SEND = 9


def _verdict(data: bytes, name: str = "hello") -> Verdict:
    return verify(io.BytesIO(data), trust=sample(name).trust)


def _keys(name: str, *roles: str) -> list[KeyPair]:
    return [sample(name).keys[role] for role in roles]


def _codes(verdict: Verdict) -> list[str]:
    assert verdict.exit_code == 2
    return [finding.code for finding in verdict.findings]


def _records(name: str = "hello") -> list[Record]:
    return parse(sample(name).data)


def _lie(records: list[Record], number: int = 0) -> None:
    index = find(records, Kind.SEND, number)
    records[index] = with_field(records[index], PAYLOAD_OF_SEND, encode_payload(["lies"]))


def test_a_transplanted_signature() -> None:
    """Every seal is right, but the signatures of two messages have changed places."""
    records = _records("drain")
    first, second = find(records, Kind.SEND, 0), find(records, Kind.SEND, 1)
    one, two = records[first], records[second]
    records[first] = with_field(one, SIGNATURE_OF_SEND, two[SIGNATURE_OF_SEND])
    records[second] = with_field(two, SIGNATURE_OF_SEND, one[SIGNATURE_OF_SEND])
    data = reseal(records, _keys("drain", "Sender", "Receiver"))
    assert _codes(_verdict(data, "drain")) == ["integrity.message"] * 2


def test_unkeyed_hashes_recomputed() -> None:
    """Without keys one can recompute roots, but not sign them."""
    records = _records()
    _lie(records)
    right = parse(reseal(records, _keys("hello", "Client", "Server")))
    for index, record in enumerate(records):
        if record[0] == Kind.SEAL:
            records[index] = (*right[index][:-1], record[-1])
    codes = _codes(_verdict(join(records)))
    assert codes[0] == "integrity.message"
    assert "integrity.seal" in codes


def test_the_receiver_changes_what_it_was_sent() -> None:
    """Server holds its own key only: it cannot sign for Client."""
    records = _records()
    _lie(records)
    server = _keys("hello", "Server")
    verdict = _verdict(reseal(sign_all(records, server), server))
    codes = _codes(verdict)
    assert codes[0] == "integrity.message"
    assert "a signature of nobody here" in str(verdict.findings[0].actual)


def test_the_sender_changes_what_it_said_afterwards() -> None:
    """Server signs another answer and its own log anew: Client's log knows what it took."""
    records = _records()
    _lie(records, 1)
    server = _keys("hello", "Server")
    codes = _codes(_verdict(reseal(sign_all(records, server), server)))
    assert codes == ["consumption.root", "replay.divergence"]


def test_the_machine_owner_rewrites_what_the_other_received() -> None:
    """Client holds principal 0's log and its own messages, but Server's log is Server's."""
    records = _records()
    _lie(records, 0)
    client = _keys("hello", "Client")
    codes = _codes(_verdict(reseal(sign_all(records, client), client)))
    assert codes == ["consumption.root", "replay.divergence"]


def test_a_record_of_the_other_dropped() -> None:
    """Dropping Server's receipt: Client cannot seal Server's shorter log."""
    records = _records()
    del records[find(records, Kind.RECEIPT, 0)]
    codes = _codes(_verdict(reseal(records, _keys("hello", "Client"))))
    assert codes[0] == "protocol.receipt"
    assert "integrity.root" in codes


def test_signed_by_the_right_person_for_the_wrong_role() -> None:
    """Client signs Server's answer; the finding says whose signature it is."""
    records = _records()
    index = find(records, Kind.SEND, 1)
    client = sample("hello").keys["Client"]
    stranger = [KeyPair("Server", sample("hello").keys["Server"].public_key, client.signing_key)]
    records[index] = sign_all(records, stranger)[index]
    data = reseal(records, _keys("hello", "Client", "Server"))
    verdict = _verdict(data)
    assert _codes(verdict) == ["integrity.message"]
    assert str(verdict.findings[0].actual).startswith("a signature of Client")
    assert str(verdict.findings[0].expected).startswith("a signature of Server")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.SEND, "integrity.message"),
        (Kind.NOTICE, "integrity.notice"),
        (Kind.RECEIPT, "integrity.receipt"),
        (Kind.DELEGATE, "integrity.delegation"),
    ],
)
def test_every_kind_of_signature_is_checked(kind: Kind, code: str) -> None:
    recorded = sample("delegation")
    records = parse(recorded.data)
    index = find(records, kind)
    records[index] = (*records[index][:-1], flipped(records[index][-1]))
    data = reseal(records, list(recorded.keys.values()))
    assert _codes(_verdict(data, "delegation")) == [code]


def test_the_signature_of_a_cancellation_is_checked() -> None:
    recorded = sample("cancelled")
    records = parse(recorded.data)
    index = find(records, Kind.CANCEL)
    records[index] = (*records[index][:-1], flipped(records[index][-1]))
    data = reseal(records, list(recorded.keys.values()))
    assert _codes(_verdict(data, "cancelled")) == ["integrity.cancel"]


def test_a_delegate_cannot_sign_before_it_is_one() -> None:
    """Without the certificate, the answer of the worker is nobody's who had authority."""
    recorded = sample("delegation")
    records = parse(recorded.data)
    del records[find(records, Kind.DELEGATE)]
    codes = _codes(_verdict(reseal(records, list(recorded.keys.values())), "delegation"))
    assert codes[0] == "protocol.endpoint"
    assert "integrity.message" in codes


def test_a_session_of_another_run_spliced_in() -> None:
    """Same script, same keys, another seed: the session does not belong to this header."""
    records, others = _records(), parse(sample("hello", seed=2).data)
    spliced = [*records[:1], *others[1:]]
    codes = _codes(_verdict(reseal(spliced, _keys("hello", "Client", "Server"))))
    assert codes == ["structure.identity"]


def test_a_session_of_another_run_inside_of_this_one() -> None:
    records, others = _records(), parse(sample("hello", seed=2).data)
    start, end = find(records, Kind.OPEN), find(records, Kind.OPEN) + 1
    spliced = [*records[:start], others[find(others, Kind.OPEN)], *records[end:]]
    codes = _codes(_verdict(reseal(spliced, _keys("hello", "Client", "Server"))))
    assert codes == ["structure.identity"]


def test_messages_of_another_run_in_this_session() -> None:
    records, others = _records(), parse(sample("hello", seed=2).data)
    index = find(records, Kind.SEND)
    records[index] = others[find(others, Kind.SEND)]
    codes = _codes(_verdict(reseal(records, _keys("hello", "Client", "Server"))))
    assert codes == ["integrity.message", "consumption.root"]


def test_a_key_that_anybody_can_sign_for() -> None:
    """The neutral element of the curve as a public key."""
    records = _records()
    weak = bytes([1]) + bytes(31)
    index = find(records, Kind.PRINCIPAL)
    records[index] = with_field(records[index], 2, weak)
    assert "integrity.key" in _codes(_verdict(join(records)))


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (2, 99, "integrity.root"),
        (4, bytes(32), "integrity.head"),
        (6, 1, "integrity.counts"),
        (7, 2, "integrity.counts"),
    ],
)
def test_a_seal_that_its_owner_signed_wrongly(field: int, value: object, code: str) -> None:
    recorded = sample("hello")
    records = parse(recorded.data)
    index = find(records, Kind.SEAL, 1)
    wrong = with_field(records[index], field, value)
    records[index] = sign_seal(records, wrong, recorded.keys["Server"])
    assert _codes(_verdict(join(records))) == [code]


def test_a_stranger_who_uses_the_same_names() -> None:
    """A whole valid run, signed by other keys under the trusted names."""
    stranger = sample("hello", variant=1)
    verdict = verify(io.BytesIO(stranger.data), trust=sample("hello").trust)
    assert _codes(verdict) == ["trust.contradicted"] * 2
    assert key_pair("Client", variant=1).public_key.hex() in str(verdict.findings[0].actual)


def _crowd(count: int, name: str = "Client") -> bytes:
    """A file with `count` principals of one name who do nothing."""
    records = _records()
    index = find(records, Kind.OPEN)
    crowd = [
        (Kind.PRINCIPAL, name, key_pair("crowd", variant=number).public_key)
        for number in range(1, count + 1)
    ]
    return join([*records[:index], *crowd, *records[index:]])


def test_contradictions_are_findings_like_others() -> None:
    verdict = _verdict(_crowd(100))
    assert "trust.contradicted" in {finding.code for finding in verdict.findings}
    assert len(verdict.findings) <= FINDINGS_MAX + 1
    assert verdict.findings_cut


def test_a_wrong_signature_is_tried_for_a_few_principals_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = parse(_crowd(SIGNERS_TRIED_MAX + 30, "Nobody"))
    index = find(records, Kind.SEND)
    records[index] = with_field(
        records[index], SIGNATURE_OF_SEND, flipped(records[index][SIGNATURE_OF_SEND])
    )
    tried = 0

    def counted(*arguments: bytes) -> bool:
        nonlocal tried
        tried += 1
        return verify_signature(*arguments)

    monkeypatch.setattr(integrity, "verify", counted)
    verdict = verify(io.BytesIO(join(records)), replay=None)
    first = verdict.findings[0]
    assert first.code == "integrity.message"
    assert first.actual == f"a signature of none of the first {SIGNERS_TRIED_MAX} principals"
    statements = sum(record[0] in SIGNER_OWNED | {Kind.SEAL} for record in records)
    assert tried <= statements + SIGNERS_TRIED_MAX


def test_no_name_hides_who_could_have_signed() -> None:
    records = _records()
    index = find(records, Kind.PRINCIPAL)
    records[index] = with_field(records[index], 1, 'A", "B' + 200 * "x")
    prose = to_prose(_verdict(join(records)))
    start = prose.index("One process hosted all of these principals")
    assert prose[start:].startswith(
        "One process hosted all of these principals; its operator could have signed for any of "
        "them: \"A', 'Bxxx"
    )
