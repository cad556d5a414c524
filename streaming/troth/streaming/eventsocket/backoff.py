"""How long to wait before connecting again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from troth.vm.errors import Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits `first_s`, then `factor` times as long each time, at most `longest_s`.

    Each wait is shortened by up to `jitter` of itself, so that many clients do not come at once.
    A connection that held for `stable_s` starts the count anew: one that is accepted and dropped
    at once does not.
    """

    first_s: float = 0.5
    factor: float = 2.0
    longest_s: float = 30.0
    jitter: float = 0.2
    stable_s: float = 10.0

    def __post_init__(self) -> None:
        sound = (
            0 < self.first_s <= self.longest_s
            and self.factor >= 1
            and 0 <= self.jitter < 1
            and self.stable_s > 0
        )
        if not sound:
            raise Unusable(
                "esl.backoff",
                "these waits cannot be kept",
                expected="0 < first_s <= longest_s, factor >= 1, 0 <= jitter < 1, stable_s > 0",
                actual=repr(self),
                advice="Leave them out to get the defaults",
            )

    def delay_s(self, failures: int, draw: Callable[[], float]) -> float:
        """The wait after that many failures in a row; `draw` gives a number from 0 up to 1."""
        wait_s = self.first_s
        for _ in range(max(0, failures - 1)):
            wait_s *= self.factor
            if wait_s >= self.longest_s:
                wait_s = self.longest_s
                break
        return wait_s * (1 - self.jitter * draw())
