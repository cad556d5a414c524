"""Laws of proofs: of random trees, of random lies about them, and of random bytes."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_sign

import c2sp_reader as c2sp
from proof_samples import REPLY, check, publisher
from troth.conformance.event_proof import EventProof, leaf_of
from troth.conformance.leaf_path import LeafPath
from troth.conformance.proof_check import Known
from troth.conformance.proof_codes import PROOF_BY_CODE
from troth.conformance.proof_files import encode_published, encode_sealed
from troth.conformance.proof_render import to_prose
from troth.conformance.proving import event_of
from troth.vm.merkle import Tree, verify_consistency, verify_inclusion

SERVER = publisher(5)
KNOWN = Known(trust=SERVER.runs[0].trust)
EVENT = event_of(io.BytesIO(SERVER.runs[0].data), REPLY)

leaves_strategy = st.lists(st.binary(max_size=6), min_size=1, max_size=80)


def _flipped(path: tuple[bytes, ...], at: int) -> tuple[bytes, ...]:
    joined = bytearray(b"".join(path))
    joined[at % len(joined)] ^= 1
    return tuple(bytes(joined[i : i + 32]) for i in range(0, len(joined), 32))


@given(leaves_strategy, st.data())
def test_a_streamed_path_is_the_proof_of_the_tree(leaves: list[bytes], data: st.DataObject) -> None:
    marked = data.draw(st.integers(0, len(leaves) - 1))
    streamed, tree = LeafPath(), Tree()
    for index, leaf in enumerate(leaves):
        streamed.append(leaf, marked=index == marked)
        tree.append(leaf)
        root, path = streamed.head()
        assert root == tree.root()
        if index >= marked:
            assert path == tree.inclusion_proof(marked, index + 1)
            assert c2sp.root_by_path(leaves[marked], marked, index + 1, list(path)) == root


@given(leaves_strategy, st.data())
def test_a_wrong_inclusion_proof_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    size, root = len(leaves), tree.root()
    index = data.draw(st.integers(0, size - 1))
    path, leaf = tree.inclusion_proof(index, size), leaves[index]
    assert verify_inclusion(leaf, index, size, path, root)
    other = data.draw(st.integers(0, 2 * size))
    if other >= size or leaves[other] != leaf:
        assert not verify_inclusion(leaf, other, size, path, root)
    assert not verify_inclusion(leaf + b"x", index, size, path, root)
    assert not verify_inclusion(leaf, index, size, (*path, bytes(32)), root)
    if path:
        assert not verify_inclusion(leaf, index, size, path[1:], root)
        at = data.draw(st.integers(0, 10_000))
        assert not verify_inclusion(leaf, index, size, _flipped(path, at), root)


@given(leaves_strategy, st.data())
def test_a_wrong_consistency_proof_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    tree, rewritten = Tree(), Tree()
    old = data.draw(st.integers(1, len(leaves)))
    changed = data.draw(st.integers(0, old - 1))
    for index, leaf in enumerate(leaves):
        tree.append(leaf)
        rewritten.append(leaf + b"x" if index == changed else leaf)
    size, before, root = len(leaves), tree.root(old), tree.root()
    path = tree.consistency_proof(old, size)
    assert verify_consistency(old, size, before, root, path)
    if old < size:
        assert c2sp.roots_by_growth(old, size, list(path), before) == (before, root)
    other = rewritten.consistency_proof(old, size)
    assert not verify_consistency(old, size, before, rewritten.root(), other)
    if path:
        at = data.draw(st.integers(0, 10_000))
        assert not verify_consistency(old, size, before, root, _flipped(path, at))
        assert not verify_consistency(old, size, before, root, path[1:])


@given(st.sampled_from([encode_sealed(EVENT), encode_published(SERVER.published())]), st.data())
@settings(max_examples=300)
def test_a_changed_file_never_proves_something_else(text: str, data: st.DataObject) -> None:
    """One byte of the file is another."""
    raw = bytearray(text.encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255).filter(lambda value: value != raw[at]))
    verdict = check(bytes(raw), KNOWN)
    if verdict.exit_code == 0:
        # Only the name that the file gives to the signer is not proved; the key is.
        assert verdict.form == "event"
        assert verdict.event == check(EVENT, KNOWN).event
        assert verdict.signer is not None
        assert verdict.signer.trusted_as == "Server"
    else:
        assert verdict.exit_code in (2, 3), to_prose(verdict)
        assert verdict.code in PROOF_BY_CODE


@given(st.sampled_from([encode_sealed(EVENT), encode_published(SERVER.published())]), st.data())
def test_a_cut_file_proves_nothing(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    verdict = check(raw[:cut], KNOWN)
    assert verdict.exit_code == 2


@given(st.binary(max_size=400))
def test_random_bytes_end_in_a_verdict(data: bytes) -> None:
    for head in (b"", b"troth/event-proof@v1\n", b"c2sp.org/tlog-proof@v1\nextra ", b"old 1\n"):
        assert check(head + data, KNOWN).exit_code in (2, 3)


@given(
    st.integers(0, 1 << 40),
    st.binary(min_size=1, max_size=60),
    st.lists(st.binary(min_size=32, max_size=32), max_size=6),
    st.text(max_size=20),
)
def test_made_up_parts_end_in_a_verdict(
    record: int, covered: bytes, path: list[bytes], name: str
) -> None:
    """Whoever holds a key can sign any head over any leaf: the words must stand that, too."""
    pair = SERVER.pair
    leaf = leaf_of(record, covered)
    root = c2sp.leaf_hash(leaf)
    head = EVENT.head._replace(size=1, root=root)
    signature = crypto_sign(head.statement, pair.signing_key)[:64]
    proof = EventProof(name, pair.public_key, record, 0, covered, (), head, signature)
    verdict = check(proof, KNOWN)
    assert verdict.code in (None, "proof.statement", "proof.trust")
    assert to_prose(verdict)
    assert check(proof._replace(path=(bytes(32), *path)), KNOWN).exit_code == 2
