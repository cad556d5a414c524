"""A picture that says which frame it is: 80 cells of black and white on a moving background.

64 cells are the number, 16 its checksum, so a picture that was put together wrongly is told from
one that was not. The number is read from the pixels, as a camera before the screen would.
"""

from __future__ import annotations

import zlib
from typing import Final

from troth.vm.errors import Malformed

COLUMNS: Final = 10
ROWS: Final = 8
NUMBER_BITS: Final = 64
CHECK_BITS: Final = 16
WIDTH_MIN: Final = COLUMNS * 4
HEIGHT_MIN: Final = ROWS * 4
_BLACK: Final = 16
_WHITE: Final = 235
_MIDDLE: Final = (_BLACK + _WHITE) // 2
_RAMP: Final = bytes(range(64, 192)) * 2


def draw(number: int, width: int, height: int, monitor: int = 0) -> bytes:
    """One byte a pixel, row by row."""
    cell_width, cell_height = width // COLUMNS, height // ROWS
    bits = (number << CHECK_BITS) | _check(number)
    rows = []
    for row in range(ROWS):
        line = bytearray(_background(number + 32 * monitor + row, width))
        for column in range(COLUMNS):
            shift = NUMBER_BITS + CHECK_BITS - 1 - (row * COLUMNS + column)
            value = _WHITE if bits >> shift & 1 else _BLACK
            start = column * cell_width
            line[start : start + cell_width] = bytes((value,)) * cell_width
        rows.append(bytes(line) * cell_height)
    body = b"".join(rows)
    return body + _background(number, width) * (height - ROWS * cell_height)


def read_number(pixels: bytes, width: int, height: int) -> int:
    """The number that `draw` drew.

    Raises:
        Malformed: code `media.frame`.
    """
    cell_width, cell_height = width // COLUMNS, height // ROWS
    bits = 0
    for row in range(ROWS):
        line = (row * cell_height + cell_height // 2) * width
        for column in range(COLUMNS):
            at = line + column * cell_width + cell_width // 2
            bits = bits << 1 | (pixels[at] > _MIDDLE)
    number = bits >> CHECK_BITS
    if bits & 0xFFFF != _check(number):
        raise Malformed(
            "media.frame",
            "the picture does not say which frame it is",
            expected=f"{NUMBER_BITS} cells and their checksum",
            actual="cells that do not fit together",
        )
    return number


def _check(number: int) -> int:
    return zlib.crc32(number.to_bytes(8, "big")) & 0xFFFF


def _background(shift: int, width: int) -> bytes:
    start = shift % 128
    copies = width // 128 + 2
    return (_RAMP[:128] * copies)[start : start + width]
