"""Arithmetic in GF(256) and the Cauchy matrix that parity is made with.

The field is that of the polynomial x^8 + x^4 + x^3 + x^2 + 1. Multiplying a whole shard by a
constant is one `bytes.translate` with a table of 256 bytes; adding two is one exclusive or of
two long integers.

Rows are parity, columns are data: 1 / (x_row + y_column) with all x and y different, each column
divided by its first entry. Every square part of it can be inverted, so any `m` lost shards of a
group come back from any `m` parities; and the first row is all ones, so the first parity costs
no multiplication.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from troth.streaming.transport_limits import GROUP_DATA_MAX, GROUP_PARITY_MAX

_POLYNOMIAL: Final = 0x11D
_ORDER: Final = 255


def _powers() -> tuple[list[int], list[int]]:
    powers, logarithms, value = [0] * (2 * _ORDER), [0] * 256, 1
    for exponent in range(_ORDER):
        powers[exponent] = powers[exponent + _ORDER] = value
        logarithms[value] = exponent
        value <<= 1
        if value > _ORDER:
            value ^= _POLYNOMIAL
    return powers, logarithms


_POWERS, _LOGARITHMS = _powers()


def multiply(a: int, b: int) -> int:
    if a == 0 or b == 0:
        return 0
    return _POWERS[_LOGARITHMS[a] + _LOGARITHMS[b]]


def inverse(a: int) -> int:
    assert a != 0, "zero has no inverse"
    return _POWERS[_ORDER - _LOGARITHMS[a]]


@cache
def times(constant: int) -> bytes:
    """The table that `bytes.translate` multiplies with."""
    return bytes(multiply(constant, value) for value in range(256))


@cache
def coefficient(row: int, column: int) -> int:
    """The entry of the matrix in that row of parity and column of data."""
    assert row < GROUP_PARITY_MAX, "a group has no more parity"
    assert column < GROUP_DATA_MAX, "a group has no more data"
    entry = inverse(row ^ (GROUP_PARITY_MAX + column))
    first = inverse(0 ^ (GROUP_PARITY_MAX + column))
    return multiply(entry, inverse(first))


def invert(matrix: list[list[int]]) -> list[list[int]]:
    """The inverse of a small square matrix, by Gauss and Jordan."""
    size = len(matrix)
    work = [row + [int(i == j) for j in range(size)] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(r for r in range(column, size) if work[r][column])
        work[column], work[pivot] = work[pivot], work[column]
        scale = inverse(work[column][column])
        work[column] = [multiply(scale, value) for value in work[column]]
        for row in range(size):
            factor = work[row][column]
            if row != column and factor:
                pairs = zip(work[row], work[column], strict=True)
                work[row] = [value ^ multiply(factor, other) for value, other in pairs]
    return [row[size:] for row in work]
