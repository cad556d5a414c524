"""Signatures by PyNaCl's door to libsodium and by its public functions: the same, one quicker."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_surgery import key_pair
from troth.vm import sodium
from troth.vm.errors import Unusable
from troth.vm.host_signer import HostSigner
from troth.vm.signer import Wanted
from troth.vm.sodium import Batch, Ed25519, by_bindings, find

DOOR = find()
WAYS = {"door": DOOR, "bindings": by_bindings()}
KEYS = [key_pair(name) for name in ("A", "B")]


def test_the_door_is_found_here() -> None:
    """Should a new PyNaCl have none, everything works, and more slowly: then look for it anew."""
    assert DOOR.sign.__qualname__.startswith("by_door")
    assert sodium.sign.__qualname__.startswith("by_door")


@pytest.mark.parametrize("module", ["nacl.no_such_module", "math"])
def test_without_the_door_the_public_functions_are_taken(module: str) -> None:
    assert find(module) == by_bindings()


def test_a_door_with_half_of_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    half = ModuleType("half")
    half.lib = object()  # type: ignore[attr-defined]  # it is made up here
    monkeypatch.setitem(__import__("sys").modules, "half", half)
    assert find("half") == by_bindings()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_published_vector(way: Ed25519) -> None:
    """RFC 8032, section 7.1, TEST 2."""
    seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert way.sign(bytes.fromhex(seed) + public, b"\x72") == signature
    assert way.check(public, b"\x72", signature)
    assert not way.check(public, b"\x73", signature)
    assert not way.check(public, b"", signature)


@given(statement=st.binary(max_size=300), bit=st.integers(0, 511))
def test_both_ways_agree(statement: bytes, bit: int) -> None:
    key = KEYS[0]
    signatures = {way.sign(key.signing_key, statement) for way in WAYS.values()}
    assert len(signatures) == 1
    (signature,) = signatures
    wrong = bytearray(signature)
    wrong[bit // 8] ^= 1 << bit % 8
    for way in WAYS.values():
        assert way.check(key.public_key, statement, signature)
        assert not way.check(key.public_key, statement, bytes(wrong))
        assert not way.check(KEYS[1].public_key, statement, signature)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_batch_is_what_each_would_be(way: Ed25519) -> None:
    rows = [(KEYS[n % 2].signing_key, bytes([n]) * n, KEYS[n % 3 % 2].public_key) for n in range(9)]
    batch = way.batch([*rows, (KEYS[0].signing_key, b"unchecked", None)])
    _in_two(batch, 10)
    *found, unchecked = batch.results()
    assert unchecked == (way.sign(KEYS[0].signing_key, b"unchecked"), False)
    for (signing_key, statement, key), (signature, genuine) in zip(rows, found, strict=True):
        assert signature == way.sign(signing_key, statement)
        assert genuine == way.check(key, statement, signature)
    assert {genuine for _, genuine in found} == {True, False}


def _in_two(batch: Batch, count: int) -> None:
    places: Iterator[int] = iter(range(count - 1, -1, -1))
    batch.run(iter([next(places)]))
    batch.run(places)


def test_a_key_that_is_not_held_is_named() -> None:
    signer = HostSigner({"A": KEYS[0]})
    wanted = [Wanted(pair.public_key, b"", None) for pair in KEYS]
    with pytest.raises(Unusable) as caught:
        signer.batch(wanted)
    assert caught.value.code == "key.missing"
