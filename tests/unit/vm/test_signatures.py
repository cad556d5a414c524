"""Which signatures and keys are accepted, at the edges."""

from __future__ import annotations

from hashlib import sha512

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_sign,
)

from troth.vm.keys import generate
from troth.vm.signatures import acceptable_key, verify

PAIR = generate("Alice", b"a" * 32)
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19


def _sign(statement: bytes) -> bytes:
    return crypto_sign(statement, PAIR.signing_key)[:64]


def _point(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


_SMALL_ORDER = {
    "identity": _point(1),
    "order two": _point(PRIME - 1),
    "order four": _point(0),
    "order four, other sign": _point(0, 1),
    "order eight": bytes.fromhex(
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
    ),
    "order eight, other": bytes.fromhex(
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
    ),
}
_NOT_CANONICAL = {
    "y is p": _point(PRIME),
    "y is p + 1": _point(PRIME + 1),
    "y is 2^255 - 1": _point(2**255 - 1),
    "negative zero x": _point(1, 1),
    "negative zero x of order two": _point(PRIME - 1, 1),
}


def _off_the_curve() -> bytes:
    """A y for which no x exists (half of all), found with Euler's criterion."""
    d = -121665 * pow(121666, PRIME - 2, PRIME)
    for y in range(2, 100):
        square = (y * y - 1) * pow(d * y * y + 1, PRIME - 2, PRIME) % PRIME
        if pow(square, (PRIME - 1) // 2, PRIME) == PRIME - 1:
            return _point(y)
    raise AssertionError("half of all y have no x")


@pytest.mark.parametrize("name", [*_SMALL_ORDER, *_NOT_CANONICAL])
def test_weak_keys_are_refused(name: str) -> None:
    assert not acceptable_key((_SMALL_ORDER | _NOT_CANONICAL)[name])


def test_keys_off_the_curve_or_of_another_length_are_refused() -> None:
    assert not acceptable_key(_off_the_curve())
    assert not acceptable_key(PAIR.public_key[:31])
    assert not acceptable_key(PAIR.public_key + b"\0")
    assert not acceptable_key(b"")


def test_a_proper_key_is_accepted() -> None:
    assert acceptable_key(PAIR.public_key)


def test_signature_is_over_exactly_the_statement() -> None:
    signature = _sign(b"statement")
    assert verify(PAIR.public_key, b"statement", signature)
    assert not verify(PAIR.public_key, b"statemenT", signature)
    assert not verify(PAIR.public_key, b"", signature)
    assert not verify(generate("Bob", b"b" * 32).public_key, b"statement", signature)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_signatures_of_another_length_are_refused(length: int) -> None:
    assert not verify(PAIR.public_key, b"x", (_sign(b"x") * 2)[:length])


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_keys_of_another_length_never_verify(length: int) -> None:
    assert not verify((PAIR.public_key * 2)[:length], b"x", _sign(b"x"))


def test_scalar_above_the_order_is_refused() -> None:
    """Otherwise anybody could make a second valid signature from a first."""
    signature = _sign(b"x")
    scalar = int.from_bytes(signature[32:], "little")
    forged = signature[:32] + (scalar + ORDER).to_bytes(32, "little")
    assert not verify(PAIR.public_key, b"x", forged)


@pytest.mark.parametrize("name", sorted(_SMALL_ORDER))
def test_small_order_keys_and_points_never_verify(name: str) -> None:
    """With S = 0 such a key or R would satisfy the equation for many messages."""
    point = _SMALL_ORDER[name]
    for statement in (b"", b"x", b"y"):
        assert not verify(point, statement, point + bytes(32))
        assert not verify(point, statement, _point(1) + bytes(32))
        assert not verify(PAIR.public_key, statement, point + bytes(32))


def _signed_with(point: bytes, nonce: int) -> bytes:
    """Alice's signature of b"x" with any R: what only the owner of a key can make."""
    secret = bytearray(sha512(PAIR.seed).digest()[:32])
    secret[0] &= 248
    secret[31] = secret[31] & 127 | 64
    challenge = int.from_bytes(sha512(point + PAIR.public_key + b"x").digest(), "little")
    scalar = (nonce + challenge * int.from_bytes(secret, "little")) % ORDER
    return point + scalar.to_bytes(32, "little")


def test_the_equation_is_checked_without_the_cofactor() -> None:
    """Else two libraries could disagree about a signature that its owner made on purpose."""
    nonce = 1234567
    honest = crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))
    assert verify(PAIR.public_key, b"x", _signed_with(honest, nonce))
    mixed = crypto_core_ed25519_add(honest, _SMALL_ORDER["order eight"])
    assert not verify(PAIR.public_key, b"x", _signed_with(mixed, nonce))


def test_keys_of_mixed_order_are_refused() -> None:
    mixed = crypto_core_ed25519_add(PAIR.public_key, _SMALL_ORDER["order eight"])
    assert not acceptable_key(mixed)


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=70))
def test_verify_never_raises(public_key: bytes, statement: bytes, signature: bytes) -> None:
    assert verify(public_key, statement, signature) is False


@given(st.integers(min_value=0, max_value=64 * 8 - 1))
def test_every_bit_of_a_signature_counts(bit: int) -> None:
    signature = bytearray(_sign(b"x"))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(PAIR.public_key, b"x", bytes(signature))
