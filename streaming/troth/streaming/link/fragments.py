"""Frames cut into fragments: shards of the data, and parity over them.

A frame of `k` shards has `g = ceil(k / GROUP_DATA_MAX)` groups. Shard `i` is in group `i % g`, in
column `i // g`, so neighbours on the wire are in different groups and a burst is spread. Parity
`p` is of group `p % g` and is its row `p // g`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from troth.streaming.link.chunks import FRAGMENT, unpack
from troth.streaming.link.parity import encode_parity
from troth.streaming.transport_limits import FRAME_BYTES_MAX, GROUP_DATA_MAX, GROUP_PARITY_MAX
from troth.streaming.wire import malformed
from troth.vm.errors import LimitExceeded

KEY: Final = 1
PARITY: Final = 2
REPEATED: Final = 4
LANES: Final = 8
SHARDS_MAX: Final = 1 << 16
SHARD_BYTES_MIN: Final = 64
"""Shorter shards are only for frames that have one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What all fragments of a frame agree on."""

    frame_bytes: int
    shard_bytes: int
    parity: int
    key: bool
    captured_ns: int
    shards: int = field(init=False)
    groups: int = field(init=False)

    def __post_init__(self) -> None:
        shards = -(-self.frame_bytes // self.shard_bytes)
        object.__setattr__(self, "shards", shards)
        object.__setattr__(self, "groups", -(-shards // GROUP_DATA_MAX))

    def group_size(self, group: int) -> int:
        return -(-(self.shards - group) // self.groups)

    def shard_size(self, index: int) -> int:
        """The last shard may be shorter than the others."""
        if index < self.shards - 1:
            return self.shard_bytes
        return self.frame_bytes - self.shard_bytes * (self.shards - 1)


class Fragment(NamedTuple):
    """One fragment as it comes from the wire."""

    lane: int
    frame: int
    shape: Shape
    is_parity: bool
    repeated: bool
    position: int
    shard: bytes


def check_frame(data: bytes) -> None:
    """Raises:
    LimitExceeded: code `transport.frame`.
    """
    if not 0 < len(data) <= FRAME_BYTES_MAX:
        raise LimitExceeded(
            "transport.frame",
            "a frame is empty or too large",
            expected=f"1 to FRAME_BYTES_MAX={FRAME_BYTES_MAX:,} bytes",
            actual=f"{len(data):,} bytes",
            advice="Encode it smaller, or send it as several frames",
        )


def shards_of(frame_bytes: int, room: int) -> tuple[int, int]:
    """How many shards a frame has where `room` bytes fit into a fragment, and how large."""
    shards = -(-frame_bytes // room)
    shard_bytes = max(-(-frame_bytes // shards), SHARD_BYTES_MIN if shards > 1 else 1)
    return -(-frame_bytes // shard_bytes), shard_bytes


def cut(
    lane: int, frame: int, data: bytes, *, key: bool, captured_ns: int, parity: int, room: int
) -> list[bytes]:
    """The bodies of the FRAGMENT chunks of a frame, data first. `parity` is per group."""
    shards, shard_bytes = shards_of(len(data), room)
    groups = -(-shards // GROUP_DATA_MAX)
    flags = KEY if key else 0
    pack = FRAGMENT.pack
    pieces = [data[at : at + shard_bytes] for at in range(0, len(data), shard_bytes)]
    size = len(data)
    bodies = [
        pack(lane, flags, frame, size, shard_bytes, parity, index, captured_ns) + piece
        for index, piece in enumerate(pieces)
    ]
    if parity:
        flags |= PARITY
        rows = [encode_parity(pieces[g::groups], parity, shard_bytes) for g in range(groups)]
        for position in range(groups * parity):
            head = pack(lane, flags, frame, size, shard_bytes, parity, position, captured_ns)
            bodies.append(head + rows[position % groups][position // groups])
    return bodies


def as_repeated(body: bytes) -> bytes:
    """The same fragment, marked as sent again."""
    return body[:1] + bytes([body[1] | REPEATED]) + body[2:]


def is_repeated(body: bytes) -> bool:
    """Whether a body, which may be of any length, says that it is sent again."""
    return bool(body[1:2] and body[1] & REPEATED)


@lru_cache(maxsize=256)
def _shape(size: int, shard_bytes: int, parity: int, key: bool, captured_ns: int) -> Shape:
    """The shape of a frame, looked at once and not for every fragment."""
    if parity > GROUP_PARITY_MAX:
        raise malformed("chunk", f"at most {GROUP_PARITY_MAX} parities", parity, 12)
    if not 0 < size <= FRAME_BYTES_MAX or not shard_bytes > 0:
        raise malformed("chunk", "a frame of 1 byte to the limit", size, 6)
    shape = Shape(size, shard_bytes, parity, key, captured_ns)
    if shape.shards > SHARDS_MAX or (shape.shards > 1 and shard_bytes < SHARD_BYTES_MIN):
        raise malformed("chunk", f"shards of {SHARD_BYTES_MIN} bytes or more", shard_bytes, 10)
    return shape


def read(body: bytes) -> Fragment:
    """Reads the body of a FRAGMENT chunk.

    Raises:
        Malformed: code `transport.chunk`.
    """
    lane, flags, frame, size, shard_bytes, parity, position, captured_ns = unpack(FRAGMENT, body)
    if lane >= LANES or flags > KEY | PARITY | REPEATED:
        raise malformed("chunk", "a lane and flags that there are", flags, 0)
    shape = _shape(size, shard_bytes, parity, bool(flags & KEY), captured_ns)
    shard = body[FRAGMENT.size :]
    is_parity = bool(flags & PARITY)
    count = shape.groups * parity if is_parity else shape.shards
    if position >= count:
        raise malformed("chunk", f"a position below {count}", position, 13)
    expected = shard_bytes if is_parity else shape.shard_size(position)
    if len(shard) != expected:
        raise malformed("chunk", f"a shard of {expected} bytes", len(shard), FRAGMENT.size)
    return Fragment(lane, frame, shape, is_parity, bool(flags & REPEATED), position, shard)
