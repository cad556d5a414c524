"""Parity against an independent implementation, and every way of losing shards that it repairs."""

from __future__ import annotations

import itertools
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.streaming.link.fragments import Fragment, Shape, cut, read
from troth.streaming.link.galois import coefficient, inverse, invert, multiply
from troth.streaming.link.parity import encode_parity, recover
from troth.streaming.link.parity_policy import SHARE_MAX, ParityPolicy, parity_for
from troth.streaming.link.report import Report
from troth.streaming.transport_limits import GROUP_DATA_MAX, GROUP_PARITY_MAX
from troth.vm.errors import Malformed

SEED = 11


@cache
def _slow_product(a: int, b: int) -> int:
    """Long multiplication of polynomials over GF(2), then long division by the field's."""
    product = 0
    for bit in range(8):
        if b >> bit & 1:
            product ^= a << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0b1_0001_1101 << (bit - 8)
    return product


@cache
def _slow_inverse(a: int) -> int:
    return next(b for b in range(1, 256) if _slow_product(a, b) == 1)


def _slow_parity(shards: list[bytes], row: int, size: int) -> bytes:
    """By the definition, byte by byte: 1 / (row + 32 + column), over that of row 0."""
    out = bytearray(size)
    for column, shard in enumerate(shards):
        entry = _slow_inverse(row ^ (GROUP_PARITY_MAX + column))
        entry = _slow_product(entry, GROUP_PARITY_MAX + column)
        for place, value in enumerate(shard):
            out[place] ^= _slow_product(entry, value)
    return bytes(out)


def test_products_and_inverses_are_those_of_the_field() -> None:
    assert all(multiply(a, b) == _slow_product(a, b) for a in range(256) for b in range(0, 256, 7))
    assert all(inverse(a) == _slow_inverse(a) for a in range(1, 256))


def test_every_coefficient_is_that_of_the_definition() -> None:
    for row, column in itertools.product(range(GROUP_PARITY_MAX), range(GROUP_DATA_MAX)):
        one = _slow_parity([b""] * column + [b"\x01"], row, 1)
        assert coefficient(row, column) == one[0] != 0


@pytest.mark.parametrize("count", [1, 2, 5, GROUP_PARITY_MAX])
def test_parity_is_that_of_the_independent_implementation(count: int) -> None:
    draw = Random(SEED)
    shards = [draw.randbytes(40) for _ in range(20)] + [draw.randbytes(13)]
    assert encode_parity(shards, count, 40) == [
        _slow_parity(shards, row, 40) for row in range(count)
    ]


def test_all_small_losses_are_repaired() -> None:
    draw = Random(SEED)
    shards = [draw.randbytes(16) for _ in range(6)]
    parity = encode_parity(shards, 3, 16)
    everything = list(range(9))
    for lost in (set(some) for n in range(4) for some in itertools.combinations(everything, n)):
        data = {i: shard for i, shard in enumerate(shards) if i not in lost}
        kept = {i: shard for i, shard in enumerate(parity) if i + 6 not in lost}
        found = recover(data, kept, 6, 16)
        assert found == {i: shards[i] for i in range(6) if i in lost}


def test_too_much_lost_is_not_made_up() -> None:
    shards = [bytes([n]) * 8 for n in range(4)]
    parity = encode_parity(shards, 2, 8)
    assert recover({0: shards[0]}, dict(enumerate(parity)), 4, 8) is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_m_lost_come_back_from_any_m_parities(data: st.DataObject) -> None:
    draw = Random(data.draw(st.integers(0, 1 << 32)))
    count = data.draw(st.integers(1, GROUP_DATA_MAX))
    parity_count = data.draw(st.integers(1, GROUP_PARITY_MAX))
    lost_count = data.draw(st.integers(0, min(count, parity_count)))
    shards = [draw.randbytes(24) for _ in range(count)]
    parity = encode_parity(shards, parity_count, 24)
    lost = set(draw.sample(range(count), lost_count))
    rows = draw.sample(range(parity_count), max(lost_count, 1))
    kept = {i: shard for i, shard in enumerate(shards) if i not in lost}
    found = recover(kept, {row: parity[row] for row in rows}, count, 24)
    assert found == {i: shards[i] for i in lost}


def test_matrices_are_inverted() -> None:
    matrix = [[coefficient(row, column) for column in (3, 9, 40)] for row in (0, 5, 31)]
    product = [
        [
            _slow_product(a, b) ^ _slow_product(c, d) ^ _slow_product(e, f)
            for b, d, f in zip(*invert(matrix), strict=True)
        ]
        for a, c, e in matrix
    ]
    assert product == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


# --- fragments ------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300_000), st.integers(0, 4), st.booleans())
def test_fragments_say_all_that_is_needed(size: int, parity: int, key: bool) -> None:
    data = Random(size).randbytes(size)
    bodies = cut(2, 77, data, key=key, captured_ns=5, parity=parity, room=1_141)
    fragments = [read(body) for body in bodies]
    shape = fragments[0].shape
    assert {f.shape for f in fragments} == {shape}
    assert (shape.frame_bytes, shape.parity, shape.key) == (size, parity, key)
    pieces = [f.shard for f in fragments if not f.is_parity]
    assert b"".join(pieces) == data
    assert len(pieces) == shape.shards
    assert len(fragments) == shape.shards + shape.groups * parity
    assert sum(shape.group_size(group) for group in range(shape.groups)) == shape.shards
    assert max(shape.group_size(group) for group in range(shape.groups)) <= GROUP_DATA_MAX
    assert max(map(len, bodies)) <= 1_141 + 23


def _body(**changed: int) -> bytes:
    values = {
        "lane": 0, "flags": 0, "frame": 1, "size": 128, "shard": 64, "parity": 1, "position": 0,
        "length": 64,
    } | changed  # fmt: skip
    head = [values[name] for name in ("lane", "flags")]
    layout = bytes(head) + values["frame"].to_bytes(4, "big") + values["size"].to_bytes(4, "big")
    layout += values["shard"].to_bytes(2, "big") + bytes([values["parity"]])
    return layout + values["position"].to_bytes(2, "big") + bytes(8) + bytes(values["length"])


def test_a_fragment_is_read() -> None:
    shape = Shape(128, 64, 1, key=False, captured_ns=0)
    assert read(_body()) == Fragment(0, 1, shape, False, False, 0, bytes(64))


@pytest.mark.parametrize(
    "changed",
    [
        {"lane": 8},
        {"flags": 8},
        {"size": 0},
        {"size": (4 << 20) + 1},
        {"shard": 0},
        {"shard": 63},
        {"parity": GROUP_PARITY_MAX + 1},
        {"position": 2},
        {"length": 63},
        {"length": 65},
        {"flags": 2, "position": 1},
        {"flags": 2, "parity": 0},
        {"size": 100},
    ],
)
def test_fragments_that_cannot_be_are_refused(changed: dict[str, int]) -> None:
    if changed == {"size": 100}:
        read(_body(size=100))
        changed = {"size": 100, "position": 1}
    with pytest.raises(Malformed) as caught:
        read(_body(**changed))
    assert caught.value.code == "transport.chunk"


# --- how much of it -------------------------------------------------------------------------


def test_parity_follows_loss_within_bounds() -> None:
    policy = ParityPolicy()
    assert policy.parity(40) == 0
    seen = []
    for loss in (1, 5, 20):
        for _ in range(200):
            policy.on_feedback(loss, 100 - loss)
        seen.append(policy.parity(40))
    assert 0 < seen[0] < seen[1] < seen[2] <= int(40 * SHARE_MAX)
    for _ in range(1_000):
        policy.on_feedback(0, 100)
    assert policy.parity(40) == 0


def test_bursts_ask_for_as_much_as_they_take() -> None:
    policy = ParityPolicy()
    for _ in range(50):
        policy.on_feedback(1, 99)
    before = policy.parity(40)
    policy.on_report(Report(0, burst_packets_max=12))
    assert policy.parity(40) == 12 > before
    assert policy.parity(128) == max(6, parity_for(64, round(policy.loss * 1_000)))
    for _ in range(40):
        policy.on_report(Report(0))
    assert policy.parity(40) == before


def test_bursts_that_the_peer_waits_for_are_not_insured_against() -> None:
    policy = ParityPolicy()
    for _ in range(50):
        policy.on_feedback(1, 99)
    before = policy.parity(40)
    waiting = Report(0, packets_lost=10, burst_packets_max=12, playout_delay_ns=1)
    policy.on_report(waiting)
    assert policy.parity(40) == before
    policy.on_report(Report(0))
    assert policy.parity(40) == 10, "what was lost in a row is known all the same"


@pytest.mark.parametrize(("loss", "parity"), [(0.01, 1), (0.05, 3)])
def test_parity_is_for_the_loss_that_there_is(loss: float, parity: int) -> None:
    """Reports of few packets differ by chance; the largest of them is not what is believed."""
    draw, policy, believed = Random(7), ParityPolicy(), list[float]()
    for _ in range(600):
        lost = sum(draw.random() < loss for _ in range(25))
        policy.on_feedback(lost, 25 - lost)
        believed.append(policy.loss)
    middle = sorted(believed[200:])[200]
    assert middle == pytest.approx(loss, rel=0.35)
    assert policy.parity(8) == parity


def test_new_loss_is_believed_within_half_a_second() -> None:
    policy = ParityPolicy()
    for _ in range(200):
        policy.on_feedback(0, 25)
    for _ in range(10):
        policy.on_feedback(3, 22)
    assert policy.loss > 0.06
