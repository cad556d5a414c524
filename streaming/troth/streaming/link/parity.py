"""Parity over the shards of a group: any `m` of them lost, any `m` parities bring them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from troth.streaming.link.galois import coefficient, invert, times


def encode_parity(shards: Sequence[bytes], count: int, size: int) -> list[bytes]:
    """`count` parity shards of `size` bytes; shorter shards count as filled up with zeros."""
    numbers = [int.from_bytes(shard.ljust(size, b"\0")) for shard in shards]
    padded = [shard.ljust(size, b"\0") for shard in shards] if count > 1 else []
    total = 0
    for number in numbers:
        total ^= number
    found = [total.to_bytes(size)] if count else []
    for row in range(1, count):
        total = 0
        for column, shard in enumerate(padded):
            total ^= int.from_bytes(shard.translate(times(coefficient(row, column))))
        found.append(total.to_bytes(size))
    return found


def recover(
    data: Mapping[int, bytes], parity: Mapping[int, bytes], count: int, size: int
) -> dict[int, bytes] | None:
    """The lost ones of `count` shards, all of `size` bytes; None when there is too little.

    Args:
        data: the shards that came, by their column.
        parity: the parities that came, by their row.
    """
    lost = [column for column in range(count) if column not in data]
    if len(parity) < len(lost):
        return None
    rows = sorted(parity)[: len(lost)]
    sums = []
    for row in rows:
        total = int.from_bytes(parity[row])
        for column, shard in data.items():
            full = shard.ljust(size, b"\0")
            total ^= int.from_bytes(full.translate(times(coefficient(row, column))))
        sums.append(total.to_bytes(size))
    solution = invert([[coefficient(row, column) for column in lost] for row in rows])
    found = {}
    for column, factors in zip(lost, solution, strict=True):
        total = 0
        for factor, known in zip(factors, sums, strict=True):
            total ^= int.from_bytes(known.translate(times(factor)))
        found[column] = total.to_bytes(size)
    return found
