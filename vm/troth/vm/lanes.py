"""Lanes: which turns of a round may run side by side.

A turn touches its coroutine, the sessions in which the coroutine owns endpoints, the sessions
whose endpoints travel inside their messages (an end strands them, and they end in turn), those of
the same bundle (they end together), and the guards that its program names. Coroutines that could
touch the same of these form one lane. So nothing that a turn reads or writes belongs to another
lane, and lanes commute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from troth.vm.coroutine import Coroutine
from troth.vm.session import Session

Lane: TypeAlias = list[int]
"""Places in the round's batch, ascending: its turns run in this order."""


def plan_lanes(batch: Sequence[Coroutine]) -> list[Lane]:
    """The lanes of a round, in the order of their first turns."""
    planner = _Planner(len(batch))
    for place, coroutine in enumerate(batch):
        for guard in coroutine.code.guards:
            planner.name_guard(place, guard)
        if coroutine.owned:
            planner.reach(place, [endpoint.session for endpoint in coroutine.owned])
    return planner.lanes()


class _Planner:
    """A union of places: `_before` leads from each to the first of its lane."""

    def __init__(self, count: int) -> None:
        self._before = list(range(count))
        self._of_session: dict[Session, int] = {}
        self._of_guard: dict[int, int] = {}

    def name_guard(self, place: int, guard: int) -> None:
        self._join(place, self._of_guard.setdefault(guard, place))

    def reach(self, place: int, sessions: list[Session]) -> None:
        """The turn in `place` can get at these, and at what travels inside them."""
        known = self._of_session
        while sessions:
            session = sessions.pop()
            first = known.get(session)
            if first is not None:
                # What travels inside has been reached from there, and is in that lane.
                self._join(place, first)
                continue
            known[session] = place
            sessions += [endpoint.session for endpoint in session.cargo]
            # A bundle's sessions end together.
            sessions += session.bundle

    def _first(self, place: int) -> int:
        before = self._before
        while before[place] != place:
            before[place] = before[before[place]]
            place = before[place]
        return place

    def _join(self, one: int, other: int) -> None:
        first, second = sorted((self._first(one), self._first(other)))
        self._before[second] = first

    def lanes(self) -> list[Lane]:
        found: dict[int, Lane] = {}
        for place in range(len(self._before)):
            found.setdefault(self._first(place), []).append(place)
        return list(found.values())
