"""What `check-proof` accepts, and everything that it must not."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from artifact_surgery import flipped, parse
from proof_samples import REPLY, W1, W2, WITNESSES, check, cosigned, publisher
from troth.conformance.event_proof import EventProof
from troth.conformance.json_form import to_json
from troth.conformance.proof_check import Known
from troth.conformance.proof_codes import PROOF_BY_CODE
from troth.conformance.proof_files import (
    Growth,
    PublishedEvent,
    encode_growth,
    encode_published,
    encode_sealed,
)
from troth.conformance.proof_render import to_prose
from troth.conformance.proving import event_of
from troth.conformance.publishing import growth
from troth.vm.errors import Malformed, Unusable
from troth.vm.keys import TrustFile
from troth.vm.merkle import leaf_hash
from troth.vm.records import Kind
from verify_samples import sample

SERVER = publisher(5)
TRUSTING = Known(trust=SERVER.runs[0].trust)


def sealed() -> EventProof:
    return event_of(io.BytesIO(SERVER.runs[0].data), REPLY)


def test_a_published_event_holds() -> None:
    verdict = check(SERVER.published(), TRUSTING)
    assert (verdict.exit_code, verdict.status, verdict.code) == (0, "valid", None)
    assert verdict.event is not None
    assert verdict.event.said == 'Server -> Client reply("hello, world") #0'
    assert (verdict.event.protocol, verdict.event.in_descriptor) == ("Hello", True)
    assert verdict.publication is not None
    assert (verdict.publication.entry, verdict.publication.size) == (0, 5)
    assert any("as record 14 of the run" in sentence for sentence in verdict.proves)
    assert any("was received" in sentence for sentence in verdict.does_not_prove)


def test_an_event_under_a_head_alone_holds() -> None:
    verdict = check(sealed(), TRUSTING)
    assert verdict.exit_code == 0
    assert verdict.publication is None
    assert "that the run was published where a witness could see it" in verdict.does_not_prove


@pytest.mark.parametrize(
    "name", ["hello", "delegation", "hidden", "cancelled", "faulted", "rotates", "drops", "latest"]
)
def test_every_record_of_a_run_can_be_proved(name: str) -> None:
    run = sample(name)
    records = parse(run.data)
    assert len(records) < 100
    for number, items in enumerate(records):
        if items[0] == Kind.SEAL:
            continue
        event = event_of(io.BytesIO(run.data), number)
        verdict = check(event, Known(trust=run.trust))
        assert verdict.exit_code == 0, to_prose(verdict)
        assert verdict.event is not None
        assert verdict.event.record == number


def test_who_acts_by_delegation_is_not_in_the_descriptor() -> None:
    run = sample("delegation")
    found = set()
    for number, items in enumerate(parse(run.data)):
        if items[0] == Kind.SEND:
            verdict = check(event_of(io.BytesIO(run.data), number), Known(trust=run.trust))
            assert verdict.event is not None
            found.add(verdict.event.in_descriptor)
    assert found == {True, False}


def test_without_the_payload_the_words_are_withheld() -> None:
    event = event_of(io.BytesIO(SERVER.runs[0].data), REPLY, with_payload=False)
    verdict = check(event, TRUSTING)
    assert verdict.event is not None
    assert not verdict.event.payload_open
    assert "hello" not in to_prose(verdict) + encode_sealed(event)
    assert any("commitment only" in sentence for sentence in verdict.does_not_prove)


# --- trust and witnesses -----------------------------------------------------------------------


def test_whom_nobody_knows_is_self_consistent_only() -> None:
    for known in (Known(), Known(trust=TrustFile(()))):
        verdict = check(SERVER.published(), known)
        assert (verdict.exit_code, verdict.code) == (5, "proof.trust")
        assert verdict.proves


def test_a_name_with_another_key_is_contradicted() -> None:
    other = sample("hello", variant=1).keys["Server"]
    verdict = check(SERVER.published(), Known(trust=TrustFile((other.verifier,))))
    assert (verdict.exit_code, verdict.code) == (2, "proof.contradicted")
    assert verdict.proves == ()


def test_witnesses_are_reported_and_counted() -> None:
    note = cosigned(SERVER.note(), ("witness.example/w1", W1))
    proof = SERVER.published()._replace(note=note)
    known = Known(trust=TRUSTING.trust, witnesses=WITNESSES, witnesses_wanted=1)
    verdict = check(proof, known)
    assert verdict.exit_code == 0
    assert verdict.publication is not None
    assert [one.name for one in verdict.publication.witnesses] == ["witness.example/w1"]
    assert "witnessed  by witness.example/w1" in to_prose(verdict)
    more = Known(trust=TRUSTING.trust, witnesses=WITNESSES, witnesses_wanted=2)
    assert (check(proof, more).exit_code, check(proof, more).code) == (4, "proof.witnesses")
    both = proof._replace(note=cosigned(note, ("witness.example/w2", W2)))
    assert check(both, more).exit_code == 0
    assert check(proof, TRUSTING).exit_code == 0


def test_what_is_not_published_has_no_witnesses() -> None:
    known = Known(trust=TRUSTING.trust, witnesses=WITNESSES, witnesses_wanted=1)
    assert check(sealed(), known).code == "proof.witnesses"


def test_a_forged_cosignature_is_refused() -> None:
    note = cosigned(SERVER.note(), ("witness.example/w1", W1))
    *rest, last = note.signatures
    forged = note._replace(signatures=(*rest, last._replace(signature=flipped(last.signature))))
    proof = SERVER.published()._replace(note=forged)
    known = Known(trust=TRUSTING.trust, witnesses=WITNESSES)
    assert check(proof, known).code == "proof.cosignature"
    assert check(proof, TRUSTING).exit_code == 0, "a stranger's line is passed over"


# --- what does not hold ------------------------------------------------------------------------


def _shifted(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


OTHER = event_of(io.BytesIO(SERVER.runs[1].data), REPLY)

EVENT_LIES: dict[str, tuple[Callable[[EventProof], EventProof], str]] = {
    "another record": (lambda e: e._replace(record=e.record + 1), "proof.inclusion"),
    "another leaf": (lambda e: e._replace(leaf_index=e.leaf_index + 1), "proof.inclusion"),
    "no path": (lambda e: e._replace(path=()), "proof.inclusion"),
    "a longer path": (lambda e: e._replace(path=(*e.path, bytes(32))), "proof.inclusion"),
    "another path": (lambda e: e._replace(path=OTHER.path), "proof.inclusion"),
    "another statement": (lambda e: e._replace(covered=OTHER.covered), "proof.inclusion"),
    "another label": (
        lambda e: e._replace(covered=e.covered.replace(b"reply", b"deny!")),
        "proof.inclusion",
    ),
    "another head": (lambda e: e._replace(head=OTHER.head), "proof.signature"),
    "a final head of a part": (
        lambda e: e._replace(head=e.head._replace(size=3)),
        "proof.signature",
    ),
    "another signature": (lambda e: e._replace(signature=OTHER.signature), "proof.signature"),
    "another key": (
        lambda e: e._replace(public_key=SERVER.runs[0].keys["Client"].public_key),
        "proof.signature",
    ),
    "a weak key": (lambda e: e._replace(public_key=bytes(32)), "proof.signature"),
    "another payload": (
        lambda e: e._replace(payload=b"\x91\xa4free"),
        "proof.statement",
    ),
    "another salt": (lambda e: e._replace(salt=_shifted(e.salt or b"")), "proof.statement"),
    "another session": (lambda e: e._replace(descriptor=OTHER.descriptor), "proof.statement"),
    "half a payload": (lambda e: e._replace(salt=None), "proof.malformed"),
    "a short hash": (lambda e: e._replace(path=(b"x", *e.path)), "proof.malformed"),
}


@pytest.mark.parametrize(("lie", "code"), EVENT_LIES.values(), ids=EVENT_LIES)
def test_a_lie_about_an_event_is_refused(
    lie: Callable[[EventProof], EventProof], code: str
) -> None:
    verdict = check(lie(sealed()), TRUSTING)
    assert (verdict.code, verdict.exit_code) == (code, PROOF_BY_CODE[code].exit_code)
    assert verdict.proves == ()
    published = SERVER.published()
    lied = check(published._replace(event=lie(published.event)), TRUSTING)
    assert lied.exit_code == 2


PUBLICATION_LIES: dict[str, tuple[Callable[[PublishedEvent], PublishedEvent], str]] = {
    "another entry": (lambda p: p._replace(entry=1), "proof.inclusion"),
    "an entry beyond": (lambda p: p._replace(entry=9), "proof.inclusion"),
    "no path": (lambda p: p._replace(path=()), "proof.inclusion"),
    "another run's path": (lambda p: p._replace(path=SERVER.published(1).path), "proof.inclusion"),
    "another run": (lambda p: p._replace(event=OTHER), "proof.inclusion"),
    "an older checkpoint": (lambda p: p._replace(note=SERVER.note(3)), "proof.inclusion"),
    "another log": (lambda p: p._replace(note=publisher(5, "Client").note()), "proof.origin"),
    "a size of one's own": (
        lambda p: p._replace(note=p.note._replace(text=p.note.text.replace("\n5\n", "\n6\n"))),
        "proof.signature",
    ),
    "no signature of the log": (
        lambda p: p._replace(
            note=p.note._replace(signatures=publisher(5, "Client").note().signatures)
        ),
        "proof.signature",
    ),
}


@pytest.mark.parametrize(("lie", "code"), PUBLICATION_LIES.values(), ids=PUBLICATION_LIES)
def test_a_lie_about_the_publication_is_refused(
    lie: Callable[[PublishedEvent], PublishedEvent], code: str
) -> None:
    verdict = check(lie(SERVER.published()), TRUSTING)
    assert (verdict.code, verdict.exit_code) == (code, 2)


def test_an_inner_node_is_no_leaf() -> None:
    """The two kinds of nodes are hashed apart, so a path cannot begin above the leaves."""
    event = sealed()
    joined = leaf_hash(event.leaf) + event.path[0]
    verdict = check(
        event._replace(covered=joined[8:], record=int.from_bytes(joined[:8], "big") >> 1), TRUSTING
    )
    assert verdict.exit_code == 2


# --- growth --------------------------------------------------------------------------------------


def _since(size: int) -> Known:
    return Known(trust=TRUSTING.trust, earlier=SERVER.note(size).encode().encode())


@pytest.mark.parametrize("old", range(6))
def test_a_log_that_only_grew_holds(old: int) -> None:
    proof = growth(SERVER.publications, SERVER.note(old), SERVER.note())
    verdict = check(encode_growth(proof), _since(old))
    assert verdict.exit_code == 0
    assert verdict.publication is not None
    assert verdict.publication.grown_from == old


def test_a_rewritten_log_is_refused() -> None:
    proof = growth(SERVER.publications, SERVER.note(2), SERVER.note())
    client = publisher(5, "Client")
    other = growth(client.publications, client.note(2), client.note())
    lies: list[tuple[Growth, Known, str]] = [
        (proof, _since(3), "proof.consistency"),
        (proof._replace(path=proof.path[1:]), _since(2), "proof.consistency"),
        (proof._replace(path=(bytes(32), *proof.path[1:])), _since(2), "proof.consistency"),
        (proof._replace(path=()), _since(2), "proof.malformed"),
        (other, _since(2), "proof.origin"),
        (proof, TRUSTING, "proof.malformed"),
    ]
    for lie, known, code in lies:
        assert check(encode_growth(lie), known).code == code


def test_a_dropped_run_is_noticed() -> None:
    """The same key, a log without the second run: the earlier checkpoint stands against it."""
    dropped = publisher(1).publications.checkpoint()
    assert dropped.size < SERVER.publications.size
    verdict = check(publisher(1).note().encode(), _since(5))
    assert verdict.code == "proof.consistency"


def test_a_checkpoint_of_the_same_size_can_be_compared_without_hashes() -> None:
    assert check(SERVER.note().encode(), _since(5)).exit_code == 0
    assert check(SERVER.note().encode(), _since(3)).code == "proof.malformed"


# --- making proofs -------------------------------------------------------------------------------


def test_a_record_that_is_not_there_cannot_be_proved() -> None:
    data = SERVER.runs[0].data
    seal = len(parse(data)) - 1
    for number in (seal, 10_000):
        with pytest.raises(Unusable, match=r"prove\.event"):
            event_of(io.BytesIO(data), number)


def test_a_record_after_the_last_seal_cannot_be_proved() -> None:
    data = SERVER.runs[0].data
    with pytest.raises(Unusable, match=r"prove\.unsealed"):
        event_of(io.BytesIO(data[:1500]), REPLY)


def test_a_run_is_published_once_and_with_one_head_only() -> None:
    publications = publisher(2).publications
    head = sealed().head
    assert publications.add(head.statement) == 0
    with pytest.raises(Malformed, match="another final head"):
        publications.add(head._replace(size=head.size + 1).statement)
    with pytest.raises(Malformed, match="not signed for the end"):
        publications.add(OTHER.head._replace(final=False, log_id=bytes(32)).statement)
    assert publications.size == 2


# --- hostile inputs ------------------------------------------------------------------------------

HOSTILE = {
    "nothing": b"",
    "no text": b"\xff\xfe",
    "a control character": b"troth/event-proof@v1\n\x1b[2J\n",
    "another version": b"troth/event-proof@v2\nAAAA\n",
    "another tlog-proof": b"c2sp.org/tlog-proof@v2\nindex 0\n\n",
    "no event": b"c2sp.org/tlog-proof@v1\nindex 0\n\na\n1\nb\n",
    "no base64": b"troth/event-proof@v1\n!!\n",
    "no array": b"troth/event-proof@v1\nAA==\n",
    "a deep array": b"troth/event-proof@v1\n" + b"kZGR" * 4096 + b"\n",
    "a long array": b"troth/event-proof@v1\n3f////8=\n",
    "many hashes": b"old 1\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 100 + b"\na\n",
    "an artifact": SERVER.runs[0].data,
    "too long": b"a" * (1 << 26),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_end_in_a_verdict(data: bytes) -> None:
    verdict = check(data, TRUSTING)
    assert verdict.exit_code in (2, 3)
    assert verdict.code in PROOF_BY_CODE
    assert to_prose(verdict).isprintable() or "\n" in to_prose(verdict)
    assert to_json(verdict).isascii()


def test_text_of_a_proof_cannot_reach_the_terminal() -> None:
    note = f"evil\u202e\u009b\n1\n{'A' * 43}=\n\n\u2014 x AAAAAAAA\n"
    prose = to_prose(check(note, TRUSTING))
    assert "\u202e" not in prose
    assert "\u009b" not in prose
    event = sealed()._replace(name="\u202eevil")
    assert "\u202e" not in to_prose(check(event, Known()))


def test_the_codes_of_the_table_are_those_that_are_tested() -> None:
    listed = {code for _, code in (*EVENT_LIES.values(), *PUBLICATION_LIES.values())}
    listed |= {check(data, TRUSTING).code or "" for data in HOSTILE.values()}
    elsewhere = {"trust", "contradicted", "witnesses", "cosignature", "consistency"}
    assert listed | {f"proof.{name}" for name in elsewhere} == set(PROOF_BY_CODE)


def test_what_is_written_is_what_is_read() -> None:
    for text in (encode_sealed(sealed()), encode_published(SERVER.published())):
        assert check(text, TRUSTING).exit_code == 0
        assert check(text + "\n", TRUSTING).exit_code == 2
