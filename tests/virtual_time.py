"""Whole sessions in virtual time: nothing sleeps, and what a test measures is the same every time.

Between two things that are to happen the clock jumps. Each turn of the loop costs a little, and of
a starved machine much: that is the only thing that computing costs here.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar
from unittest import mock

BEGAN_NS: Final = 1_000_000_000_000
TURN_NS: Final = 20_000
TURNS_MAX: Final = 400_000
"""A loop that turns round and round must end as a failure."""
Result = TypeVar("Result")
SHOWS: Final[contextvars.ContextVar[Callable[[int], int]]] = contextvars.ContextVar("SHOWS")
"""What the clock of a task shows; where nobody says, that of the loop."""


def _as_it_is(now_ns: int) -> int:
    return now_ns


class _Selector(selectors.DefaultSelector):
    """Instead of waiting it moves the clock, as far as the loop would have waited."""

    def __init__(self, turn_ns: int) -> None:
        super().__init__()
        self.now_ns = BEGAN_NS
        self._turn_ns = turn_ns
        self._turns = 0

    def clock_ns(self) -> int:
        return SHOWS.get(_as_it_is)(self.now_ns)

    def clock_seconds(self) -> float:
        return self.clock_ns() / 1e9

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        self._turns += 1
        assert self._turns <= TURNS_MAX, "it goes round and round"
        assert found or timeout is not None, "everybody waits, and nothing will ever happen"
        self.now_ns += self._turn_ns
        if not found and timeout is not None and timeout > 0:
            self.now_ns += int(timeout * 1e9) + 1
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, selector: _Selector) -> None:
        super().__init__(selector)
        self._virtual = selector

    def time(self) -> float:
        return self._virtual.now_ns / 1e9


def run_virtually(
    make: Callable[[], Coroutine[Any, Any, Result]], *, turn_ns: int = TURN_NS
) -> Result:
    """Runs it to its end. All clocks that move are those of the loop."""
    selector = _Selector(turn_ns)
    with (
        mock.patch.object(time, "monotonic_ns", selector.clock_ns),
        mock.patch.object(time, "monotonic", selector.clock_seconds),
        asyncio.Runner(loop_factory=lambda: _Loop(selector)) as runner,
    ):
        return runner.run(make())
