"""The compact Merkle set against a model that knows nothing of trees that grow."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from troth.vm.merkle_set import EMPTY_ROOT, MerkleSet

# Few distinct bytes at both ends make keys that share long prefixes as well as none.
_BYTE = st.sampled_from([0x00, 0x01, 0x80, 0xFF])
KEYS = st.builds(
    lambda head, middle, tail: bytes([head]) + bytes([middle]) * 30 + bytes([tail]),
    _BYTE,
    _BYTE,
    _BYTE,
) | st.binary(min_size=32, max_size=32)


def _bits(key: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in key)


def _model(keys: set[bytes]) -> bytes:
    """The root by the definition: split the set at the first bit in which it differs."""
    if not keys:
        return bytes(32)
    if len(keys) == 1:
        return blake3(min(keys), derive_key_context="troth/v1 set leaf").digest()
    bit = next(i for i in range(256) if len({_bits(key)[i] for key in keys}) == 2)
    left = {key for key in keys if _bits(key)[bit] == "0"}
    data = bytes([bit]) + _model(left) + _model(keys - left)
    return blake3(data, derive_key_context="troth/v1 set node").digest()


@given(st.lists(KEYS, max_size=24), st.randoms(use_true_random=False))
def test_root_is_that_of_the_set(keys: list[bytes], random: object) -> None:
    grown, seen = MerkleSet(), set[bytes]()
    for key in keys:
        assert (key in grown) == (key in seen)
        assert grown.insert(key) == (key not in seen)
        seen.add(key)
        assert key in grown
        assert grown.root == _model(seen)
        assert len(grown) == len(seen)
    shuffled = sorted(seen, key=lambda key: blake3(key + repr(random).encode()).digest())
    other = MerkleSet()
    for key in shuffled:
        other.insert(key)
    assert other.root == grown.root


@given(st.sets(KEYS, max_size=12), KEYS)
def test_membership(keys: set[bytes], asked: bytes) -> None:
    merkle_set = MerkleSet()
    for key in sorted(keys):
        merkle_set.insert(key)
    assert (asked in merkle_set) == (asked in keys)


@given(st.sets(KEYS, min_size=1, max_size=12), KEYS)
def test_another_set_has_another_root(keys: set[bytes], added: bytes) -> None:
    one, other = MerkleSet(), MerkleSet()
    for key in sorted(keys):
        one.insert(key)
        other.insert(key)
    assert one.root != EMPTY_ROOT
    if other.insert(added):
        assert one.root != other.root


def test_hostile_keys_cost_no_more_than_their_bits() -> None:
    """Keys that differ from zero in one bit each make the deepest tree there is."""
    merkle_set = MerkleSet()
    for bit in range(256):
        assert merkle_set.insert((1 << bit).to_bytes(32, "big"))
    assert merkle_set.insert(bytes(32))
    assert len(merkle_set) == 257
    assert not merkle_set.insert(bytes(32))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_of_another_length_are_refused(length: int) -> None:
    merkle_set = MerkleSet()
    with pytest.raises(ValueError, match="32 bytes"):
        merkle_set.insert(bytes(length))
    assert len(merkle_set) == 0
