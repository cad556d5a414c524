"""Published test vectors for what the evidence stands on: BLAKE3, Ed25519, RFC 6962, C2SP.

A few known answers are typed in here, so that a copy of the project without the vectors' folder
still checks something; with the folder all of them run.
"""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

import pytest
from blake3 import blake3

from fixtures_path import require
from troth.vm.errors import Place
from troth.vm.keys import generate, key_id, parse_verifier
from troth.vm.merkle import EMPTY_ROOT, Frontier, Tree
from troth.vm.signatures import acceptable_key, verify


def _load(name: str) -> Any:
    return json.loads(require(f"vectors/{name}").read_text(encoding="utf-8"))


# --- BLAKE3: test_vectors.json of BLAKE3-team/BLAKE3 ----------------------------------------

_BLAKE3_KEY = b"whats the Elvish word for friend"
_BLAKE3_CONTEXT = "BLAKE3 2019-12-27 16:29:52 test vectors context"


def test_blake3_of_nothing() -> None:
    assert blake3(b"").hexdigest() == (
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    )
    assert blake3(b"", key=_BLAKE3_KEY).hexdigest() == (
        "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"
    )
    assert blake3(b"", derive_key_context=_BLAKE3_CONTEXT).hexdigest() == (
        "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"
    )


def test_blake3_vectors() -> None:
    vectors = _load("blake3.json")
    key, context = vectors["key"].encode(), vectors["context_string"]
    for case in vectors["cases"]:
        data = bytes(i % 251 for i in range(case["input_len"]))
        length = len(case["hash"]) // 2
        assert blake3(data).digest(length).hex() == case["hash"]
        assert blake3(data, key=key).digest(length).hex() == case["keyed_hash"]
        derived = blake3(data, derive_key_context=context).digest(length).hex()
        assert derived == case["derive_key"]
    assert len(vectors["cases"]) >= 35


# --- Ed25519: RFC 8032, section 7.1 ---------------------------------------------------------

RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
        "1cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
        "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
        "984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("seed", "public_key", "message", "signature"), RFC_8032)
def test_ed25519_of_rfc_8032(seed: str, public_key: str, message: str, signature: str) -> None:
    pair = generate("rfc8032", bytes.fromhex(seed))
    assert pair.public_key.hex() == public_key
    assert acceptable_key(pair.public_key)
    assert verify(pair.public_key, bytes.fromhex(message), bytes.fromhex(signature))
    assert not verify(pair.public_key, bytes.fromhex(message) + b"!", bytes.fromhex(signature))


def test_ed25519_of_wycheproof() -> None:
    vectors = _load("wycheproof-ed25519_test.json")
    tried = 0
    for group in vectors["testGroups"]:
        public_key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            accepted = verify(public_key, message, signature)
            assert accepted == (case["result"] == "valid"), case["tcId"]
            tried += 1
    assert tried == vectors["numberOfTests"]


# --- RFC 6962 ------------------------------------------------------------------------------


def test_merkle_tree_of_rfc_6962() -> None:
    assert sha256(b"").digest() == EMPTY_ROOT
    frontier = Frontier()
    for leaf in (b"", b"\x00", b"\x10"):
        frontier.append(leaf)
    assert frontier.root.hex() == (
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    )


def test_merkle_vectors() -> None:
    vectors = _load("rfc6962.json")
    frontier, tree = Frontier(), Tree()
    assert frontier.root.hex() == tree.root().hex() == vectors["empty_root"]
    for leaf, root in zip(vectors["leaves"], vectors["roots"], strict=True):
        frontier.append(bytes.fromhex(leaf))
        tree.append(bytes.fromhex(leaf))
        assert frontier.root.hex() == tree.root().hex() == root


# --- C2SP signed notes ---------------------------------------------------------------------


def test_key_id_of_the_signed_note_page() -> None:
    text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    key = parse_verifier(text, Place())
    assert key.text == text
    assert key_id(key.name, key.public_key).hex() == "530d903a"


def test_signed_note_example() -> None:
    example = _load("c2sp.json")["signed_note"]
    key = parse_verifier(example["verifier_key"], Place())
    text, signature_line = example["note"].split("\n\n")
    dash, name, encoded = signature_line.rstrip("\n").split(" ")
    blob = base64.b64decode(encoded, validate=True)
    assert (dash, name) == ("—", key.name)
    assert blob[:4] == key_id(key.name, key.public_key)
    assert verify(key.public_key, f"{text}\n".encode(), blob[4:])
    assert not verify(key.public_key, text.encode(), blob[4:])
