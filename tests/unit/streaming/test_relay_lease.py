"""Leases: one form, one signer, one holder."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest

from relay_world import GATEWAY_PUBLIC, GATEWAY_SIGNING, RELAY_KEY, RelayWorld
from troth.streaming.relay.lease import (
    TOKEN_BYTES_MAX,
    Role,
    codes_of,
    issue,
    new_exchange_key,
    read_unverified,
    relay_exchange_key,
    signed_by,
)
from troth.vm.errors import Malformed


def test_a_lease_is_read_back_as_it_was_issued() -> None:
    world = RelayWorld()
    lease = world.lease(Role.HOST, world.key(), bytes_per_s=1 << 40)
    token = issue(lease, GATEWAY_SIGNING)
    assert read_unverified(token) == lease
    assert signed_by(token, GATEWAY_PUBLIC)
    assert len(token) <= TOKEN_BYTES_MAX


def test_every_changed_byte_breaks_the_signature_or_the_form() -> None:
    world = RelayWorld()
    token = issue(world.lease(Role.CLIENT, world.key()), GATEWAY_SIGNING)
    for place in range(len(token)):
        changed = token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :]
        assert not signed_by(changed, GATEWAY_PUBLIC)
    assert not signed_by(token, bytes(32))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (0, 2), (0, True), (1, ""), (1, "r" * 65), (1, b"relay"), (2, b"s" * 15), (3, 2), (3, -1),
        (3, False), (4, 0), (4, 1 << 32), (5, b""), (6, "x" * 32), (7, b"k" * 33), (8, -1),
        (9, 1 << 41), (10, 0), (11, 1.0), (11, None),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_is_refused(field: int, value: object) -> None:
    world = RelayWorld()
    token = issue(world.lease(Role.CLIENT, world.key()), GATEWAY_SIGNING)
    items = msgpack.unpackb(token[64:])
    items[field] = value
    with pytest.raises(Malformed, match="not a lease") as caught:
        read_unverified(token[:64] + msgpack.packb(items))
    assert caught.value.code == "relay.lease"


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", b"\x90", msgpack.packb(list(range(13))), b"\xdd\xff\xff\xff\xff", b"\x9c" * 400],
)
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_unverified(bytes(64) + body)


def test_another_spelling_of_a_lease_is_refused() -> None:
    world = RelayWorld()
    token = issue(world.lease(Role.CLIENT, world.key()), GATEWAY_SIGNING)
    assert token[64] == 0x9C
    with pytest.raises(Malformed, match="shortest form"):
        read_unverified(token[:64] + b"\xdc\x00\x0c" + token[65:])


def test_both_sides_and_nobody_else_derive_the_codes() -> None:
    world = RelayWorld()
    key = world.key()
    lease = world.lease(Role.CLIENT, key)
    ours, theirs = codes_of(key, RELAY_KEY.public, lease), codes_of(RELAY_KEY, key.public, lease)
    assert ours == theirs
    assert ours.to_relay != ours.from_relay
    assert codes_of(world.key(), RELAY_KEY.public, lease) != ours
    assert codes_of(key, RELAY_KEY.public, replace(lease, lease_id=bytes(16))) != ours


def test_a_key_of_small_order_is_refused() -> None:
    world = RelayWorld()
    lease = world.lease(Role.CLIENT, world.key())
    with pytest.raises(Malformed, match="small order"):
        codes_of(RELAY_KEY, bytes(32), lease)


def test_keys_show_no_secret_and_a_relay_has_the_same_after_a_restart() -> None:
    key = new_exchange_key(lambda length: bytes(range(length)))
    assert key.secret.hex() not in repr(key)
    assert relay_exchange_key(b"a" * 32) == relay_exchange_key(b"a" * 32)
    assert relay_exchange_key(b"a" * 32) != relay_exchange_key(b"b" * 32)
