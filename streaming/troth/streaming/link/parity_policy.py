"""How much parity a frame gets: what loss and its bursts ask for, between a floor and a ceiling."""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import Final

from troth.streaming.transport_limits import GROUP_DATA_MAX, GROUP_PARITY_MAX

RESIDUAL: Final = 0.01
"""The share of groups that may need a repetition after parity."""

SHARE_MAX: Final = 0.4
CLEAN: Final = 0.0005
"""Below this loss a frame needs no parity: what is lost is sent again."""

_RISE: Final = 0.15
_FALL: Final = 0.02


@lru_cache(maxsize=4_096)
def parity_for(data: int, loss_permille: int) -> int:
    """The least parity with which a group of `data` shards is whole at independent loss."""
    loss = loss_permille / 1_000
    ceiling = min(max(1, int(data * SHARE_MAX)), GROUP_PARITY_MAX)
    for parity in range(1, ceiling):
        total = data + parity
        whole = sum(
            comb(total, lost) * loss**lost * (1 - loss) ** (total - lost)
            for lost in range(parity + 1)
        )
        if 1 - whole <= RESIDUAL:
            return parity
    return ceiling


class ParityPolicy:
    """Loss in, parity out. Loss is believed fast and forgotten slowly."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.burst_packets = 0

    def on_feedback(self, lost: int, received: int) -> None:
        if lost + received == 0:
            return
        share = lost / (lost + received)
        self.loss += (share - self.loss) * (_RISE if share > self.loss else _FALL)

    def on_report(self, burst_packets: int) -> None:
        self.burst_packets = max(burst_packets, self.burst_packets * 7 // 8)

    def parity(self, shards: int) -> int:
        """Parity per group for a frame of so many shards."""
        if self.loss < CLEAN:
            return 0
        groups = -(-shards // GROUP_DATA_MAX)
        data = -(-shards // groups)
        parity = parity_for(data, max(1, round(self.loss * 1_000)))
        burst = -(-self.burst_packets // groups)
        ceiling = min(max(1, int(data * SHARE_MAX)), GROUP_PARITY_MAX)
        return min(max(parity, burst), ceiling)
