"""How much parity a frame gets: what loss and its bursts ask for, between a floor and a ceiling."""

from __future__ import annotations

from functools import lru_cache
from math import comb, sqrt
from typing import Final

from troth.streaming.link.report import Report
from troth.streaming.transport_limits import GROUP_DATA_MAX, GROUP_PARITY_MAX

RESIDUAL: Final = 0.01
"""The share of groups that may need a repetition after parity."""

SHARE_MAX: Final = 0.4
CLEAN: Final = 0.0005
"""Below this loss a frame needs no parity: what is lost is sent again."""

_KEPT: Final = 0.98
"""What a report leaves of the reports before it: a memory of two and a half seconds."""

_KEPT_RECENT: Final = 0.85
"""The same for the recent ones, of a third of a second."""


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


class _Memory:
    """The loss of the reports that are remembered, which counts packets and not reports."""

    def __init__(self, kept: float) -> None:
        self._kept = kept
        self._lost = 0.0
        self._total = 0.0

    def add(self, lost: int, total: int) -> None:
        self._lost = self._lost * self._kept + lost
        self._total = self._total * self._kept + total

    @property
    def loss(self) -> float:
        return self._lost / self._total if self._total else 0.0

    @property
    def sure_loss(self) -> float:
        """The loss less its standard error: chance alone makes no more of it in most cases."""
        loss = self.loss
        return loss - sqrt(loss * (1 - loss) / self._total) if self._total else 0.0


class ParityPolicy:
    """Loss in, parity out. More loss is believed soon, when it is more than chance; less slowly."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.burst_packets = 0
        self.hidden = False
        self._long, self._recent = _Memory(_KEPT), _Memory(_KEPT_RECENT)

    def on_feedback(self, lost: int, received: int) -> None:
        if lost + received == 0:
            return
        for memory in (self._long, self._recent):
            memory.add(lost, lost + received)
        self.loss = max(self._long.loss, self._recent.sure_loss)

    def on_report(self, report: Report) -> None:
        """An epoch of the peer: its bursts, and whether it waits for what is sent again.

        Then the rest of a burst is cheaper sent again than insured against all the time.
        """
        self.burst_packets = max(report.burst_packets_max, self.burst_packets * 7 // 8)
        self.hidden = report.playout_delay_ns > 0

    def parity(self, shards: int) -> int:
        """Parity per group for a frame of so many shards."""
        if self.loss < CLEAN:
            return 0
        groups = -(-shards // GROUP_DATA_MAX)
        data = -(-shards // groups)
        parity = parity_for(data, max(1, round(self.loss * 1_000)))
        burst = 0 if self.hidden else -(-self.burst_packets // groups)
        ceiling = min(max(1, int(data * SHARE_MAX)), GROUP_PARITY_MAX)
        return min(max(parity, burst), ceiling)
