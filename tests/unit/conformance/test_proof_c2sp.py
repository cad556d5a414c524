"""What is published is what C2SP says: known answers, and a reader written from its pages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey

import c2sp_reader as c2sp
from fixtures_path import require
from proof_samples import W1, W2, WITNESSES, cosigned, publisher
from troth.conformance.checkpoints import (
    Checkpoint,
    cosignatures,
    is_signed,
    key_of_origin,
    log_key,
    origin_of,
    parse_checkpoint,
)
from troth.conformance.notes import parse_note
from troth.conformance.proof_files import encode_growth, encode_published, parse_proof
from troth.conformance.publishing import growth
from troth.vm.errors import Malformed, Place
from troth.vm.keys import parse_verifier, parse_witnesses
from troth.vm.merkle import Tree

# The examples of c2sp.org/signed-note and c2sp.org/tlog-checkpoint (CC BY 4.0).
NOTE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXpp"
    "zi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
COSIGNED = (
    CHECKPOINT
    + "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrD"
    "JsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
"""The example of c2sp.org/tlog-cosignature; its time is 1679315147."""


def test_the_note_of_the_page_is_read_and_verified() -> None:
    note = parse_note(NOTE)
    assert note.encode() == NOTE
    assert is_signed(note, parse_verifier(NOTE_KEY, Place()))
    assert c2sp.open_note(NOTE, NOTE_KEY) == note.text == "This is an example message.\n"


def test_the_note_of_the_page_with_another_text_is_refused() -> None:
    with pytest.raises(Malformed, match=r"proof\.signature"):
        is_signed(parse_note(NOTE.replace("an", "no")), parse_verifier(NOTE_KEY, Place()))


def test_the_checkpoint_of_the_page_is_read() -> None:
    note = parse_note(CHECKPOINT)
    checkpoint = parse_checkpoint(note)
    assert checkpoint[:2] == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == note.text
    assert note.encode() == CHECKPOINT


def test_the_cosignature_of_the_page_has_its_time() -> None:
    name, key_id, data = parse_note(COSIGNED).signatures[1]
    assert (name, key_id.hex(), len(data)) == ("witness.example.com/w1", "8d66cf3f", 8 + 64)
    assert int.from_bytes(data[:8], "big") == 1679315147


def test_the_published_vectors() -> None:
    vectors: Any = json.loads(require("vectors/c2sp.json").read_text(encoding="utf-8"))
    note = vectors["signed_note"]
    assert is_signed(parse_note(note["note"]), parse_verifier(note["verifier_key"], Place()))
    checkpoint = parse_note(vectors["checkpoint"])
    assert parse_checkpoint(checkpoint).text == checkpoint.text
    assert checkpoint.encode() == vectors["checkpoint"]


def test_roots_of_the_reference_leaves() -> None:
    vectors: Any = json.loads(require("vectors/rfc6962.json").read_text(encoding="utf-8"))
    leaves = [bytes.fromhex(leaf) for leaf in vectors["leaves"]]
    tree = Tree()
    for count, (leaf, root) in enumerate(zip(leaves, vectors["roots"], strict=True), start=1):
        tree.append(leaf)
        assert tree.root().hex() == root == c2sp.tree_hash(leaves[:count]).hex()
        for index in range(count):
            path = list(tree.inclusion_proof(index, count))
            assert c2sp.root_by_path(leaves[index], index, count, path).hex() == root


# --- what we write, read by the other reader --------------------------------------------------


def test_a_checkpoint_of_ours_verifies_with_the_other_reader() -> None:
    server = publisher(3)
    note = server.note().encode()
    head = c2sp.read_checkpoint(c2sp.open_note(note, log_key(server.pair.verifier).text))
    assert head.origin == f"troth/publications/Server/{server.pair.public_key.hex()}"
    assert head.size == 3
    with pytest.raises(BadSignatureError):
        c2sp.open_note(note.replace("\n3\n", "\n4\n"), log_key(server.pair.verifier).text)


@pytest.mark.parametrize("run", range(5))
def test_a_tlog_proof_of_ours_verifies_with_the_other_reader(run: int) -> None:
    server = publisher(5)
    published = server.published(run)
    proof = c2sp.read_tlog_proof(encode_published(published))
    head = c2sp.read_checkpoint(c2sp.open_note(proof.note, log_key(server.pair.verifier).text))
    entry = published.event.head.statement
    assert c2sp.root_by_path(entry, proof.index, head.size, proof.path) == head.root
    assert proof.extra == published.event.encode()
    assert parse_proof(encode_published(published).encode()) == published


@pytest.mark.parametrize("old", range(1, 6))
def test_growth_of_ours_verifies_with_the_other_reader(old: int) -> None:
    server = publisher(5)
    proof = growth(server.publications, server.note(old), server.note())
    earlier, later = (parse_checkpoint(server.note(size)) for size in (old, 5))
    roots = c2sp.roots_by_growth(old, 5, list(proof.path), earlier.root)
    assert roots == (earlier.root, later.root)
    assert encode_growth(proof).startswith(f"old {old}\n")


def test_cosignatures_of_the_other_reader_are_accepted() -> None:
    note = cosigned(publisher(1).note(), ("witness.example/w1", W1), ("elsewhere.example/w2", W2))
    (found,) = cosignatures(note, WITNESSES)
    assert (found.witness.name, found.unix_time) == ("witness.example/w1", 1_700_000_000)


def test_the_earliest_of_several_cosignatures_counts() -> None:
    note = cosigned(publisher(1).note(), ("witness.example/w1", W1), unix_time=200)
    note = cosigned(note, ("witness.example/w1", W1), unix_time=100)
    assert [one.unix_time for one in cosignatures(note, WITNESSES)] == [100]


def test_a_cosignature_by_another_key_under_the_witness_own_name_is_passed_over() -> None:
    # Its id differs, so it is an unknown key that shares a name.
    note = cosigned(publisher(1).note(), ("witness.example/w1", SigningKey(b"3" * 32)))
    assert cosignatures(note, WITNESSES) == ()


# --- keys and origins ---------------------------------------------------------------------------


def test_an_origin_names_its_key() -> None:
    key = publisher(1).pair.verifier
    assert key_of_origin(origin_of(key)) == key
    assert key_of_origin(origin_of(key).upper()) is None
    assert key_of_origin("example.com/log") is None
    assert key_of_origin("troth/publications/Server/00") is None


def test_a_witness_key_is_no_verifier_key_and_the_other_way_round() -> None:
    with pytest.raises(Malformed, match="the first 1"):
        parse_verifier(WITNESSES[0].text, Place())
    with pytest.raises(Malformed, match="the first 4"):
        parse_witnesses(publisher(1).pair.public_text, "witnesses")


BAD_NOTES = {
    "no signature": "a\n1\nb\n\n",
    "no text": "\n\n\u2014 a AAAAAAAA\n",
    "no empty line": "a\n\u2014 a AAAAAAAA\n",
    "a hyphen": NOTE.replace("\u2014", "-"),
    "two spaces": NOTE.replace("\u2014 ", "\u2014  "),
    "a plus": NOTE.replace("com/foo", "com+foo"),
    "no base64": NOTE.replace("Uw2Q", "U!2Q"),
    "other base64": NOTE.replace("yaQM=", "yaQN="),
    "only an id": "a\n\n\u2014 a AAAAAA==\n",
    "no line end": NOTE.rstrip("\n"),
    "too many": "a\n\n" + "\u2014 a AAAAAAAA\n" * 65,
    "too long": "a" * 70_000 + "\n\n\u2014 a AAAAAAAA\n",
}


@pytest.mark.parametrize("text", BAD_NOTES.values(), ids=BAD_NOTES)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(Exception, match=r"proof\.(malformed|limit)"):
        parse_note(text)


BAD_HEADS = ("", "a\n1\n", "a\n01\n{}\n", "a\n-1\n{}\n", "a\n1\nAAAA\n", "a\n\n{}\n", "a\n0\n{}\n")


@pytest.mark.parametrize("text", BAD_HEADS)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    root = parse_checkpoint(parse_note(CHECKPOINT)).text.split("\n")[2]
    note = parse_note(NOTE)._replace(text=text.format(root))
    with pytest.raises(Malformed, match=r"proof\.malformed"):
        parse_checkpoint(note)


def test_extension_lines_are_kept() -> None:
    text = Checkpoint("a", 1, bytes(32), ("more",)).text
    assert parse_checkpoint(parse_note(NOTE)._replace(text=text)).text == text
