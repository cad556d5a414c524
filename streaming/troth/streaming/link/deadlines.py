"""The soonest of many deadlines that change all the time, without a look at each of them."""

from __future__ import annotations

from heapq import heappop, heappush


class Deadlines:
    """Of parts that are known by a number, when each has something to do.

    Most deadlines move to a later time again and again. The heap keeps the time that was asked
    for first, and only when that comes is looked at what it is now.
    """

    def __init__(self) -> None:
        self._at_ns: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []
        self._kept_ns: dict[int, int] = {}
        """By number, the soonest time that is in the heap."""

    def set(self, number: int, at_ns: int | None) -> None:
        """None when it has nothing to do."""
        if at_ns is None:
            self._at_ns.pop(number, None)
            return
        self._at_ns[number] = at_ns
        kept_ns = self._kept_ns.get(number)
        if kept_ns is None or at_ns < kept_ns:
            self._kept_ns[number] = at_ns
            heappush(self._heap, (at_ns, number))

    @property
    def soonest_ns(self) -> int | None:
        self._bring_up()
        return self._heap[0][0] if self._heap else None

    def take(self, now_ns: int) -> list[int]:
        """Those whose time has come; they are to be set again."""
        found = []
        while (soonest_ns := self.soonest_ns) is not None and soonest_ns <= now_ns:
            number = heappop(self._heap)[1]
            del self._kept_ns[number], self._at_ns[number]
            found.append(number)
        return found

    def _bring_up(self) -> None:
        """Until what is on top is what its part says now."""
        heap = self._heap
        while heap:
            kept_ns, number = heap[0]
            at_ns = self._at_ns.get(number)
            stands = self._kept_ns.get(number) == kept_ns
            if stands and at_ns == kept_ns:
                return
            heappop(heap)
            if stands:
                del self._kept_ns[number]
                if at_ns is not None:
                    self._kept_ns[number] = at_ns
                    heappush(heap, (at_ns, number))
