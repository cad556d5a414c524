"""Who is timed out: a coroutine that gets no turn until a time, whatever it was woken for."""

from __future__ import annotations

from troth.vm.coroutine import Coroutine


class Pauses:
    """
    Attributes:
        until_ns: when each timeout is over.
        aside: who would have had a turn meanwhile, in order.
    """

    __slots__ = ("aside", "until_ns")

    def __init__(self) -> None:
        self.until_ns: dict[Coroutine, int] = {}
        self.aside: list[Coroutine] = []

    def __bool__(self) -> bool:
        return bool(self.until_ns)

    def deadline_ns(self) -> int | None:
        return min(self.until_ns.values(), default=None)

    def hold(self, ready: list[Coroutine]) -> list[Coroutine]:
        """Takes out who is timed out; returns the others."""
        if not self.until_ns:
            return ready
        self.aside += [one for one in ready if one in self.until_ns]
        return [one for one in ready if one not in self.until_ns]

    def end(self, now_ns: int) -> list[Coroutine]:
        """Timeouts are over; returns who has waited for a turn."""
        for one in [one for one, until_ns in self.until_ns.items() if until_ns <= now_ns]:
            del self.until_ns[one]
        back = [one for one in self.aside if one not in self.until_ns]
        self.aside = [one for one in self.aside if one in self.until_ns]
        return back

    def forget(self, coroutine: Coroutine) -> None:
        self.until_ns.pop(coroutine, None)
        self.aside = [one for one in self.aside if one is not coroutine]
