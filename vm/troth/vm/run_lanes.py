"""Executes the turns of a round lane by lane, side by side where somebody lends workers.

Each turn collects its effects in a `Turn` of its own. The scheduler commits them afterwards, in
queue order, just as the cooperative runner does. Within a lane turns run in queue order; what
they share is only theirs, so no turn can tell which runner it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from troth.vm.coroutine import Coroutine
from troth.vm.lanes import Lane, plan_lanes
from troth.vm.run_coop import TurnEnd
from troth.vm.turn import Context, Turn
from troth.vm.unsigned import batches_of, sign_late


class Workers(Protocol):
    """Who executes lanes and signs. They may do it one after the other or at the same time."""

    @property
    def lanes(self) -> bool:
        """Whether to give them lanes. Without, the turns of a round are executed in queue order."""

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        """Calls every job once and returns when all have ended.

        What a job raises is raised here, the first job's if there are several.
        """

    def share(self, count: int, work: Callable[[Iterator[int]], None]) -> None:
        """Calls `work` once or several times; what it iterates over is `range(count)` in all.

        Returns and raises as `run`. The work needs no interpreter lock for most of its time.
        """


class Allowance(NamedTuple):
    """What each turn of a round may use."""

    quantum: int
    coroutines: int
    sessions: int


class LaneRunner:
    """Keeps the turns of a round; they are emptied by their commit and used again."""

    __slots__ = ("_context", "_make_batch", "_plan", "_turns", "_workers")

    def __init__(
        self,
        context: Context,
        workers: Workers,
        plan: Callable[[Sequence[Coroutine]], list[Lane]] | None = None,
    ) -> None:
        """`plan` is for tests: they show that a wrong one is found out."""
        assert context.substitutes.events is None, "events have an order only once committed"
        self._context = context
        self._make_batch = batches_of(context)
        self._workers = workers
        self._plan = plan or plan_lanes
        self._turns: list[Turn] = []

    def execute(self, batch: list[Coroutine], allowance: Allowance) -> list[tuple[Turn, TurnEnd]]:
        """Executes one turn of each coroutine and commits nothing."""
        missing = len(batch) - len(self._turns)
        self._turns += [_late_signing(Turn(self._context)) for _ in range(missing)]
        ends: list[TurnEnd] = [TurnEnd.READY] * len(batch)
        if self._workers.lanes:
            self._execute_lanes(batch, allowance, ends)
        else:
            self._run_lane(range(len(batch)), batch, allowance, ends)
        turns = self._turns[: len(batch)]
        sign_late(self._make_batch, self._workers.share, turns)
        return list(zip(turns, ends, strict=True))

    def _execute_lanes(
        self, batch: list[Coroutine], allowance: Allowance, ends: list[TurnEnd]
    ) -> None:
        lanes = self._plan(batch)
        jobs = [partial(self._run_lane, lane, batch, allowance, ends) for lane in lanes]
        if len(jobs) == 1:
            jobs[0]()
        else:
            self._workers.run(jobs)
        _require_apart(batch, lanes, self._turns)

    def _run_lane(
        self, lane: Sequence[int], batch: list[Coroutine], allowance: Allowance, ends: list[TurnEnd]
    ) -> None:
        execute = self._context.substitutes.execute
        for place in lane:
            turn = self._turns[place]
            turn.coroutines_left = allowance.coroutines
            turn.sessions_left = allowance.sessions
            ends[place] = execute(turn, batch[place], allowance.quantum)


def _late_signing(turn: Turn) -> Turn:
    turn.unsigned = []
    return turn


def _require_apart(batch: list[Coroutine], lanes: list[Lane], turns: list[Turn]) -> None:
    """No lane has woken a coroutine that ran in another one, nor ended such a one's session."""
    if len(lanes) == 1:
        return
    lane_of = {batch[place]: number for number, lane in enumerate(lanes) for place in lane}
    for coroutine, turn in zip(batch, turns, strict=False):
        lane = lane_of[coroutine]
        for woken in turn.woken:
            assert lane_of.get(woken, lane) == lane, "a lane wakes only its own"
        for session in turn.ended:
            for endpoint in session.endpoints.values():
                owner = endpoint.owner
                assert owner is None or lane_of.get(owner, lane) == lane, "a lane ends its own"
