"""What the receiving side of an edge has taken, and the root of it."""

from __future__ import annotations

from typing import NamedTuple

from blake3 import blake3

from troth.vm import statements

_BITS = 256


class Taken(NamedTuple):
    """`chain` is the history's root; in mode `nullifier` there are the public tags instead."""

    mode: str
    chain: bytes = statements.history_start()
    tags: frozenset[bytes] = frozenset()
    generation: int = 0

    @property
    def root(self) -> bytes:
        return set_root(sorted(self.tags)) if self.mode == "nullifier" else self.chain


def take(taken: Taken, statement: bytes) -> Taken:
    """A message is consumed."""
    if taken.mode == "nullifier":
        return lose(taken, statement)
    return taken._replace(chain=statements.history_step(taken.chain, statement))


def lose(taken: Taken, statement: bytes) -> Taken:
    """A message that may be lost was: it is never taken again."""
    if taken.mode != "nullifier":
        return taken
    return taken._replace(tags=taken.tags | {statements.nullifier(statement)})


def next_generation(taken: Taken) -> Taken:
    return taken._replace(tags=frozenset(), generation=taken.generation + 1)


def set_root(keys: list[bytes]) -> bytes:
    """The root of a set of 32-byte keys, which are sorted: made anew from all of them."""
    if not keys:
        return bytes(32)
    if len(keys) == 1:
        return blake3(keys[0], derive_key_context="troth/v1 set leaf").digest()
    # Sorted, so the first and the last differ as early as any two do.
    bit = next(bit for bit in range(_BITS) if _bit(keys[0], bit) != _bit(keys[-1], bit))
    left = [key for key in keys if not _bit(key, bit)]
    right = [key for key in keys if _bit(key, bit)]
    data = bytes((bit,)) + set_root(left) + set_root(right)
    return blake3(data, derive_key_context="troth/v1 set node").digest()


def _bit(key: bytes, bit: int) -> int:
    return key[bit // 8] >> (7 - bit % 8) & 1
