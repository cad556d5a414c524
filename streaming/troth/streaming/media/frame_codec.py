"""How a synthetic frame is packed: a head, the compressed pixels, and filler up to the bitrate.

A key frame holds its pixels, any other the difference to the frame before, so a viewer that has
lost one needs a key frame, as with every real codec.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from troth.streaming.media.pixels import HEIGHT_MIN, WIDTH_MIN
from troth.vm.errors import Malformed

_HEAD: Final = struct.Struct(">2sBBQQHHI")
_MAGIC: Final = b"TF"
_VERSION: Final = 1
SIDE_MAX: Final = 8192
PIXELS_MAX: Final = 4 << 20
"""Of one picture; what a frame claims to be is held against it before memory is spent."""


@dataclass(frozen=True, slots=True)
class FrameHead:
    number: int
    key: bool
    reference: int
    width: int
    height: int


def pack(head: FrameHead, pixels: bytes, previous: bytes, size: int) -> bytes:
    """A frame of at least `size` bytes; `previous` are the pixels of the frame before."""
    plane = pixels if head.key else _difference(pixels, previous)
    body = zlib.compress(plane, 1)
    data = _HEAD.pack(
        _MAGIC, _VERSION, int(head.key), head.number, head.reference, head.width, head.height,
        len(body),
    ) + body  # fmt: skip
    missing = size - len(data)
    if missing > 0:
        # As hard to compress as what a real codec makes.
        data += blake3(data).digest(missing)
    return data


def unpack(data: bytes) -> tuple[FrameHead, bytes]:
    """The head, and the pixels or their difference.

    Raises:
        Malformed: code `media.frame`.
    """
    if len(data) < _HEAD.size:
        raise _malformed(f"a head of {_HEAD.size} bytes", f"{len(data)} bytes")
    magic, version, flags, number, reference, width, height, size = _HEAD.unpack_from(data)
    if magic != _MAGIC or version != _VERSION or flags > 1:
        raise _malformed("a frame of version 1", f"the bytes {data[:4].hex()}")
    if not (WIDTH_MIN <= width <= SIDE_MAX and HEIGHT_MIN <= height <= SIDE_MAX):
        raise _malformed(f"sides of {WIDTH_MIN} by {HEIGHT_MIN} and more", f"{width} by {height}")
    pixels_count = width * height
    if pixels_count > PIXELS_MAX:
        raise _malformed(f"at most {PIXELS_MAX} pixels", f"{width} by {height}")
    if size > len(data) - _HEAD.size:
        raise _malformed(f"{size} bytes of pixels", f"{len(data) - _HEAD.size} bytes")
    expanding = zlib.decompressobj()
    try:
        plane = expanding.decompress(data[_HEAD.size : _HEAD.size + size], pixels_count + 1)
    except zlib.error as error:
        raise _malformed("compressed pixels", "bytes that are not") from error
    if len(plane) != pixels_count:
        raise _malformed(f"{pixels_count} pixels", f"{len(plane)} or more")
    return FrameHead(number, bool(flags), reference, width, height), plane


def restore(plane: bytes, previous: bytes) -> bytes:
    """The pixels of a frame that is the difference to `previous`."""
    return _difference(plane, previous)


def _difference(one: bytes, other: bytes) -> bytes:
    mixed = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return mixed.to_bytes(len(one), "little")


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "media.frame",
        "this is not a synthetic frame",
        expected=expected,
        actual=actual,
        advice="Let host and client use the same source and sink",
    )
