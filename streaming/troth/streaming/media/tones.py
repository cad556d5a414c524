"""Sound without devices: each group of 20 ms is one of four tones, which the other side tells.

8,000 samples a second of 8 bits, as on a telephone; the tones have whole periods in a group, so
that they do not leak into one another.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

from troth.streaming.media.interfaces import SoundGroup
from troth.vm.errors import Malformed

GROUP_MS: Final = 20
SAMPLES_PER_SECOND: Final = 8_000
SAMPLES: Final = SAMPLES_PER_SECOND * GROUP_MS // 1000
TONES_HZ: Final = (500, 1000, 1500, 2000)
GROUP_BYTES: Final = SAMPLES
_LOUDNESS: Final = 100
_SURE: Final = 4
"""A tone counts when it is so many times as strong as the next."""


def _tone(hertz: int) -> bytes:
    step = 2 * math.pi * hertz / SAMPLES_PER_SECOND
    return array("b", (round(_LOUDNESS * math.sin(step * i)) for i in range(SAMPLES))).tobytes()


_GROUPS: Final = tuple(_tone(hertz) for hertz in TONES_HZ)


class SyntheticTones:
    """Plays the four tones round and round."""

    def __init__(self) -> None:
        self.capturing = True
        self._next = 0

    def capture(self, now_us: int) -> SoundGroup:
        number = self._next
        self._next = number + 1
        return SoundGroup(number, now_us, _GROUPS[number % len(_GROUPS)])

    def stop(self) -> None:
        self.capturing = False


class ToneMeter:
    """Tells which tone a group is, and how loud."""

    def __init__(self) -> None:
        self.level = 0.0

    def play(self, data: bytes) -> int:
        """
        Raises:
            Malformed: code `media.sound`.
        """
        if len(data) != GROUP_BYTES:
            raise _malformed(f"{GROUP_BYTES} bytes", f"{len(data)} bytes")
        samples = array("b", data)
        self.level = math.sqrt(sum(sample * sample for sample in samples) / SAMPLES)
        powers = [_power(samples, hertz) for hertz in TONES_HZ]
        best = max(range(len(powers)), key=powers.__getitem__)
        others = max(power for tone, power in enumerate(powers) if tone != best)
        if powers[best] <= _SURE * others or powers[best] == 0:
            raise _malformed("one of the four tones", "none of them stands out")
        return best


def _power(samples: array[int], hertz: int) -> float:
    """Goertzel's algorithm: how much of one frequency there is."""
    twice_cosine = 2 * math.cos(2 * math.pi * hertz / SAMPLES_PER_SECOND)
    one = two = 0.0
    for sample in samples:
        one, two = sample + twice_cosine * one - two, one
    return one * one + two * two - twice_cosine * one * two


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "media.sound", "this is not a synthetic group of sound", expected=expected, actual=actual
    )
