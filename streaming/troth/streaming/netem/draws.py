"""Random numbers from a seed: SplitMix64, so that a run depends on nothing but its seed."""

from __future__ import annotations

import hashlib
from typing import Final

_MASK: Final = (1 << 64) - 1
_STEP: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
_FRACTION_BITS: Final = 53


class Draws:
    """Numbers that look random, the same for the same name."""

    def __init__(self, name: str) -> None:
        self._state = int.from_bytes(hashlib.blake2s(name.encode()).digest()[:8], "big")

    def chance(self) -> float:
        """From 0 up to and without 1."""
        self._state = (self._state + _STEP) & _MASK
        mixed = self._state
        mixed = (mixed ^ mixed >> 30) * _FIRST & _MASK
        mixed = (mixed ^ mixed >> 27) * _SECOND & _MASK
        mixed ^= mixed >> 31
        return (mixed >> 64 - _FRACTION_BITS) / (1 << _FRACTION_BITS)
