"""Noise XX against published test vectors.

The vector is that of Noise_XX_25519_ChaChaPoly_BLAKE2s in `vectors/cacophony.txt` of
https://github.com/haskell-cryptography/cacophony, which is in the public domain; snow
(https://github.com/mcginty/snow, Apache-2.0 or MIT) carries the same file with the handshake's
hash added. That hash is the one after the second message, as all other values show.
"""

from __future__ import annotations

import hashlib

import pytest
from nacl.bindings import crypto_aead_chacha20poly1305_ietf_encrypt

from troth.streaming.handshake.noise import HandshakeState, SymmetricState, hkdf, noise_nonce
from troth.vm.errors import Malformed

PROLOGUE = bytes.fromhex("4a6f686e2047616c74")
INITIATOR_STATIC = bytes.fromhex("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1")
INITIATOR_EPHEMERAL = bytes.fromhex(
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"
)
RESPONDER_STATIC = bytes.fromhex("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893")
RESPONDER_EPHEMERAL = bytes.fromhex(
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"
)
HASH = "3a24afb2e6dd98616709e1b88261a869a6b567f584d3c573e90002d8757cac33"
MESSAGES = [
    (
        b"Ludwig von Mises",
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
        "4c756477696720766f6e204d69736573",
    ),
    (
        b"Murray Rothbard",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
        "7c365eb362a1c991b0557fe8a7fb187d99346765d93ec63db6c1b01504ebeec5"
        "5a2298d2dbff80eff034d20595153f63a196a6cead1e11b2bb13e336fa13616d"
        "d3e8b0a070c882ed3f1a78c7c06c93",
    ),
    (
        b"F. A. Hayek",
        "46c3307de83b014258717d97781c1f50936d8b7d50c0722a1739654d10392d41"
        "5b670c114f79b9a4f80541570f77ce88802efa4220cff733e7b5668ba38059ec"
        "904b4b8eef9448085faf51",
    ),
]
TRANSPORT = [
    (False, 0, b"Carl Menger", "d5e83adfaac5dc324a68f1862df54549e56d209fba707205f328b2"),
    (
        True,
        0,
        b"Jean-Baptiste Say",
        "d102c9029b1f55c788f561ba7737afbccef9c9f1bf2f238167fd40ba9c1c134867",
    ),
    (
        False,
        1,
        "Eugen B\u00f6hm von Bawerk".encode("latin-1"),
        "cb1ce80960382c6d5d5e740ffb724d1432f0310b200fb6f8424120f506092744baa415e155",
    ),
]


def _start() -> tuple[HandshakeState, HandshakeState]:
    return (
        HandshakeState.start(PROLOGUE, INITIATOR_STATIC, INITIATOR_EPHEMERAL),
        HandshakeState.start(PROLOGUE, RESPONDER_STATIC, RESPONDER_EPHEMERAL),
    )


def test_the_published_vector_byte_by_byte() -> None:
    initiator, responder = _start()
    initiator, first = initiator.write_first(MESSAGES[0][0])
    assert first.hex() == MESSAGES[0][1]
    responder, payload = responder.read_first(first)
    assert payload == MESSAGES[0][0]
    responder, keys = responder.write_second_keys()
    responder, sealed = responder.seal_payload(MESSAGES[1][0])
    assert (keys + sealed).hex() == MESSAGES[1][1]
    assert responder.hash.hex() == HASH
    initiator, sealed = initiator.read_second_keys(keys + sealed)
    initiator, payload = initiator.open_payload(sealed)
    assert payload == MESSAGES[1][0]
    assert initiator.hash.hex() == HASH
    initiator, keys = initiator.write_third_keys()
    initiator, sealed = initiator.seal_payload(MESSAGES[2][0])
    assert (keys + sealed).hex() == MESSAGES[2][1]
    responder, sealed = responder.read_third_keys(keys + sealed)
    responder, payload = responder.open_payload(sealed)
    assert payload == MESSAGES[2][0]
    assert initiator.hash == responder.hash
    assert initiator.split() == responder.split()
    sending, receiving = initiator.split()
    for from_initiator, number, plain, expected in TRANSPORT:
        key = sending if from_initiator else receiving
        made = crypto_aead_chacha20poly1305_ietf_encrypt(plain, b"", noise_nonce(number), key)
        assert made.hex() == expected


def test_a_message_that_is_not_authentic_changes_nothing() -> None:
    initiator, responder = _start()
    initiator, first = initiator.write_first()
    responder, _ = responder.read_first(first)
    responder, keys = responder.write_second_keys()
    responder, sealed = responder.seal_payload(b"payload")
    message = keys + sealed
    before = initiator
    for place in range(len(message)):
        forged = message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]
        with pytest.raises(Malformed) as caught:
            _open_second(initiator, forged)
        assert caught.value.code == "transport.handshake"
    assert initiator is before
    assert _open_second(initiator, message) == b"payload"


def _open_second(state: HandshakeState, message: bytes) -> bytes:
    state, sealed = state.read_second_keys(message)
    return state.open_payload(sealed)[1]


@pytest.mark.parametrize("length", [0, 31, 79])
def test_short_messages_are_refused(length: int) -> None:
    initiator, _ = _start()
    with pytest.raises(Malformed):
        initiator.read_second_keys(bytes(length))


def test_keys_of_small_order_are_refused() -> None:
    initiator, _ = _start()
    with pytest.raises(Malformed):
        initiator.read_second_keys(bytes(80))


def test_another_prologue_is_another_handshake() -> None:
    initiator, _ = _start()
    responder = HandshakeState.start(b"other", RESPONDER_STATIC, RESPONDER_EPHEMERAL)
    initiator, first = initiator.write_first()
    responder, _ = responder.read_first(first)
    _, keys = responder.write_second_keys()
    with pytest.raises(Malformed):
        initiator.read_second_keys(keys)


def test_the_name_is_hashed_since_it_is_longer_than_a_hash() -> None:
    name = b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
    first = hashlib.blake2s(hashlib.blake2s(name).digest()).digest()
    assert SymmetricState.start(b"").hash == first


def test_the_two_outputs_differ() -> None:
    first, second = hkdf(bytes(32), b"x")
    assert first != second
    assert len(first) == len(second) == 32
