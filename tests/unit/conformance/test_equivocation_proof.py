"""Proofs that somebody told two stories: from public keys alone, and nothing made up."""

from __future__ import annotations

import io
from collections.abc import Callable

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_surgery import flipped, key_pair, sign
from proof_samples import check
from troth.conformance import verify_views
from troth.conformance.equivocation import (
    Claim,
    Delegation,
    TwoHeads,
    TwoStatements,
    encode_equivocation,
    parse_equivocation,
)
from troth.conformance.json_form import to_json
from troth.conformance.notes import to_base64
from troth.conformance.proof_check import Known
from troth.conformance.proof_files import (
    EQUIVOCATION_LINE,
    SignedTwice,
    encode_equivocation_file,
    parse_proof,
)
from troth.conformance.proof_render import to_prose
from troth.vm.errors import LimitExceeded, Malformed
from troth.vm.instructions import Seal
from troth.vm.keys import TrustFile
from troth.vm.merkle import Tree
from view_lies import hire, talk, trust

TRUST = trust("A", "B", "Client", "Server", "Dispatcher", "Worker")
TRUSTING = Known(trust=TRUST)


def proofs(*data: bytes) -> dict[str, str]:
    """By code, the first proof of each."""
    verdict = verify_views([io.BytesIO(one) for one in data], trust=TRUST, replay=None)
    found: dict[str, str] = {}
    for finding in verdict.findings:
        if finding.proof is not None:
            found.setdefault(finding.code, finding.proof)
    return found


SIGNED = proofs(talk(word=8)[0].data, talk()[1].data)
SEALED = proofs(talk(word=8, seal=Seal.ROUND)[0].data, talk(seal=Seal.ROUND)[1].data)
DELEGATED = proofs(hire()[0].data, hire(answer=2)[1].data)


def statements_in(text: str) -> TwoStatements:
    proof = parse_proof(text.encode())
    assert isinstance(proof, SignedTwice)
    assert isinstance(proof.equivocation, TwoStatements)
    return proof.equivocation


def heads_in(text: str) -> TwoHeads:
    proof = parse_proof(text.encode())
    assert isinstance(proof, SignedTwice)
    assert isinstance(proof.equivocation, TwoHeads)
    return proof.equivocation


MESSAGE = statements_in(SIGNED["merge.equivocation.message"])
UNDER_HEADS = statements_in(SEALED["merge.equivocation.message"])
BY_DELEGATE = statements_in(DELEGATED["merge.equivocation.message"])
HEADS = heads_in(SEALED["merge.equivocation.head"])


def code_of(proof: TwoStatements | TwoHeads) -> str | None:
    return check(encode_equivocation_file(proof), TRUSTING).code


# --- what holds ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*SIGNED.values(), *SEALED.values(), *DELEGATED.values()])
def test_every_proof_holds_by_itself(text: str) -> None:
    verdict = check(text, TRUSTING)
    assert (verdict.exit_code, verdict.code, verdict.form) == (0, None, "equivocation")
    assert verdict.equivocation is not None
    assert verdict.signer is not None
    assert verdict.signer.trusted_as is not None
    assert verdict.proves
    assert any("which of the two is true" in sentence for sentence in verdict.does_not_prove)
    assert '"equivocation": {' in to_json(verdict)


def test_two_messages_are_two_signatures_or_two_places() -> None:
    assert MESSAGE.first.signature is not None
    assert MESSAGE.second.signature is not None
    assert UNDER_HEADS.first.place is not None
    assert UNDER_HEADS.second.place is not None
    prose = to_prose(check(encode_equivocation_file(MESSAGE), TRUSTING))
    assert "one        A -> B say(withheld) #0" in prose
    assert "The signer for A signed both, and only one can be true" in prose


def test_a_delegate_is_shown_with_its_authority() -> None:
    assert len(BY_DELEGATE.first.delegations) == 1
    assert BY_DELEGATE.first.signer == key_pair("Worker").public_key


def test_keys_that_nobody_trusts() -> None:
    for known in (Known(), Known(trust=TrustFile(()))):
        verdict = check(SIGNED["merge.equivocation.message"], known)
        assert (verdict.exit_code, verdict.code) == (5, "proof.trust")
        assert verdict.proves


def test_both_signers_have_to_be_trusted() -> None:
    old = _claim_by_old_key()
    verdict = check(encode_equivocation_file(old), TRUSTING)
    assert verdict.exit_code == 0, to_prose(verdict)
    assert verdict.equivocation is not None
    assert len(verdict.equivocation.signers) == 2
    only = Known(trust=trust("Server"))
    assert check(encode_equivocation_file(old), only).code == "proof.trust"
    assert "Those who had authority for Server signed both" in to_prose(verdict)


def _claim_by_old_key() -> TwoStatements:
    """The delegate said one thing, and who delegated to it another."""
    said = BY_DELEGATE.second.statement
    server = key_pair("Server")
    other = Claim(said, server.public_key, (), sign(server, said), None)
    return BY_DELEGATE._replace(second=other)


def test_a_fork_is_shown_by_the_later_head() -> None:
    """Sizes differ: what the later head has under the earlier size has another root."""
    later = HEADS.second.head
    tree, other = Tree(), Tree()
    for number in range(5):
        tree.append(bytes([number]))
        other.append(bytes([number if number < 2 else 9]))
    pair = key_pair("A")
    first, second = (
        HEADS.first._replace(head=later._replace(size=size, root=one.root(size)))
        for size, one in ((3, other), (5, tree))
    )
    first, second = (
        one._replace(signature=sign(pair, one.head.statement)) for one in (first, second)
    )
    path = tuple(tree.consistency_proof(3, 5))
    fork = TwoHeads(pair.public_key, first, second, tree.root(3), path)
    assert code_of(fork) is None
    assert code_of(fork._replace(path=path[:-1])) == "proof.consistency"
    assert code_of(fork._replace(old_root=other.root(3))) == "proof.statement"
    assert code_of(fork._replace(old_root=None)) == "proof.statement"
    assert code_of(fork._replace(first=second, second=first)) == "proof.statement"
    honest = first._replace(head=first.head._replace(root=tree.root(3)))
    honest = honest._replace(signature=sign(pair, honest.head.statement))
    assert code_of(fork._replace(first=honest)) == "proof.statement"


# --- what does not ---------------------------------------------------------------------------

LIES: dict[str, tuple[Callable[[TwoStatements], TwoStatements], str]] = {
    "one thing said twice": (lambda p: p._replace(second=p.first), "proof.statement"),
    "another session's descriptor": (
        lambda p: p._replace(descriptor=BY_DELEGATE.descriptor),
        "proof.statement",
    ),
    "no descriptor": (lambda p: p._replace(descriptor=b"\x90"), "proof.statement"),
    "another signer": (
        lambda p: p._replace(first=p.first._replace(signer=key_pair("B").public_key)),
        "proof.signature",
    ),
    "a weak key": (
        lambda p: p._replace(first=p.first._replace(signer=bytes(32))),
        "proof.signature",
    ),
    "a made-up delegation": (
        lambda p: p._replace(
            first=p.first._replace(
                delegations=(Delegation(key_pair("B").public_key, bytes(64)),),
                signer=key_pair("B").public_key,
            )
        ),
        "proof.signature",
    ),
    "another statement": (
        lambda p: p._replace(first=p.first._replace(statement=p.first.statement[:-1] + b"\x00")),
        "proof.signature",
    ),
    "no statement": (
        lambda p: p._replace(first=p.first._replace(statement=b"\x00troth/v1/message\x00")),
        "proof.statement",
    ),
}


@pytest.mark.parametrize(("lie", "code"), LIES.values(), ids=LIES)
def test_a_lie_about_two_statements_is_refused(
    lie: Callable[[TwoStatements], TwoStatements], code: str
) -> None:
    assert code_of(MESSAGE) is None
    assert code_of(lie(MESSAGE)) == code


def test_statements_that_can_both_be_true() -> None:
    second = proofs(talk(answer=2)[1].data, talk()[0].data)["merge.equivocation.message"]
    other = statements_in(second)
    mixed = MESSAGE._replace(second=other.first)
    assert code_of(mixed) == "proof.statement"


def test_a_signature_that_is_none() -> None:
    assert MESSAGE.first.signature is not None
    forged = MESSAGE.first._replace(signature=flipped(MESSAGE.first.signature))
    assert code_of(MESSAGE._replace(first=forged)) == "proof.signature"


def test_a_place_that_is_none() -> None:
    place = UNDER_HEADS.first.place
    assert place is not None
    for changed, code in (
        (place._replace(leaf=place.leaf + 1), "proof.inclusion"),
        (place._replace(record=place.record + 1), "proof.inclusion"),
        (place._replace(path=place.path[:-1]), "proof.inclusion"),
        (place._replace(head=place.head._replace(root=bytes(32))), "proof.signature"),
        (place._replace(signature=flipped(place.signature)), "proof.signature"),
    ):
        first = UNDER_HEADS.first._replace(place=changed)
        assert code_of(UNDER_HEADS._replace(first=first)) == code


def test_heads_that_fit_together() -> None:
    assert code_of(HEADS) is None
    assert code_of(HEADS._replace(second=HEADS.first)) == "proof.statement"
    forged = HEADS.second._replace(signature=flipped(HEADS.second.signature))
    assert code_of(HEADS._replace(second=forged)) == "proof.signature"
    assert code_of(HEADS._replace(public_key=key_pair("B").public_key)) == "proof.signature"
    other_log = HEADS.second._replace(head=HEADS.second.head._replace(log_id=bytes(32)))
    assert code_of(HEADS._replace(second=other_log)) == "proof.statement"


# --- hostile bytes ---------------------------------------------------------------------------


def test_another_version_is_named() -> None:
    items = msgpack.unpackb(encode_equivocation(MESSAGE), use_list=False)
    data = msgpack.packb((2, *items[1:]))
    text = f"{EQUIVOCATION_LINE}\n{to_base64(data)}\n"
    verdict = check(text, TRUSTING)
    assert (verdict.exit_code, verdict.code) == (3, "proof.version")
    later = f"{EQUIVOCATION_LINE[:-1]}2\n{to_base64(data)}\n"
    assert check(later, TRUSTING).code == "proof.version"


@pytest.mark.parametrize("proof", [MESSAGE, UNDER_HEADS, BY_DELEGATE, HEADS])
def test_no_flipped_bit_is_accepted(proof: TwoStatements | TwoHeads) -> None:
    data = encode_equivocation(proof)
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        text = f"{EQUIVOCATION_LINE}\n{to_base64(changed)}\n"
        assert check(text, TRUSTING).exit_code in (2, 3), place


@given(st.binary(max_size=200))
def test_any_bytes_are_a_proof_or_refused(data: bytes) -> None:
    try:
        proof = parse_equivocation(data)
    except (Malformed, LimitExceeded):
        return
    assert encode_equivocation(proof) == data


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.binary(max_size=4) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=8).map(tuple),
    max_leaves=20,
)


@given(st.sampled_from(["statements", "heads", "x"]), st.lists(SHAPES, max_size=6))
def test_any_shape_is_a_proof_or_refused(name: str, parts: list[object]) -> None:
    with pytest.raises((Malformed, LimitExceeded)):
        parse_equivocation(msgpack.packb((1, name, *parts)))
