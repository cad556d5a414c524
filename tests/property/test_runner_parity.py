"""The threaded runner makes the same bytes as the cooperative one, at every worker count.

With `TROTH_LONG=1` the population has 20,000 machines and the stress takes ten minutes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final

import pytest

from parity_samples import Backwards, CountedWorkers, Plan, all_apart, drawn_member, execute, same
from troth.vm.coroutine import Coroutine
from troth.vm.errors import TrothError
from troth.vm.lanes import Lane, plan_lanes
from troth.vm.run_lanes import Workers
from troth.vm.session import Session
from troth.vm.shell_workers import ThreadWorkers

LONG: Final = os.environ.get("TROTH_LONG") == "1"
MEMBERS: Final = int(os.environ.get("TROTH_PARITY_MEMBERS", "20000" if LONG else "150"))
STRESS_SECONDS: Final = 600 if LONG else 4
WORKERS: Final = (1, 2, 4, 8)
SEED: Final = 20250301


@contextmanager
def _pools() -> Iterator[list[ThreadWorkers]]:
    pools = [ThreadWorkers(count) for count in WORKERS]
    try:
        yield pools
    finally:
        for pool in pools:
            pool.close()


def test_the_bytes_are_the_same_at_every_worker_count() -> None:
    """Every member runs backwards, lane by lane; every worker count has its share of members."""
    lanes = []
    faulted = 0
    with _pools() as pools:
        for number in range(MEMBERS):
            image, limits, quantum, policy = drawn_member(number)
            expected = execute(image, limits=limits, quantum=quantum, policy=policy)
            chosen = pools if LONG else [pools[number % len(pools)]]
            every: list[Workers] = [Backwards(), *chosen]
            for workers in every:
                counted = CountedWorkers(workers)
                outcome = execute(image, counted, limits=limits, quantum=quantum, policy=policy)
                assert same(outcome, expected), f"member {number}, {workers}"
            lanes.append(counted.lanes_max)
            faulted += b"vm.fault." in expected.artifact
    print(f"{MEMBERS} machines; lanes at most: {sorted(lanes)[len(lanes) // 2]} in the median")
    # What is compared is worth comparing.
    assert sum(count > 3 for count in lanes) > MEMBERS // 2
    assert faulted > MEMBERS // 5


# --- a broken planner is found out ----------------------------------------------------------


def _without_guards(batch: Sequence[Coroutine]) -> list[Lane]:
    return _by(batch, lambda coroutine: _sessions(coroutine, cargo=True))


def _without_cargo(batch: Sequence[Coroutine]) -> list[Lane]:
    return _by(batch, lambda c: [*_sessions(c, cargo=False), *c.code.guards])


def _first_session_only(batch: Sequence[Coroutine]) -> list[Lane]:
    return _by(batch, lambda c: [*_sessions(c, cargo=True)[:1], *c.code.guards])


def _without_bundles(batch: Sequence[Coroutine]) -> list[Lane]:
    return _by(batch, lambda c: [*_sessions(c, cargo=True, bundles=False), *c.code.guards])


def _sessions(coroutine: Coroutine, *, cargo: bool, bundles: bool = True) -> list[object]:
    found: list[Session] = [endpoint.session for endpoint in coroutine.owned]
    for session in found:
        reached = [endpoint.session for endpoint in session.cargo] if cargo else []
        if bundles:
            reached += session.bundle
        found += [other for other in dict.fromkeys(reached) if other not in found]
    return list(found)


def _by(batch: Sequence[Coroutine], keys: Callable[[Coroutine], list[object]]) -> list[Lane]:
    """Joins places that share a key, the slow way."""
    lanes: list[tuple[set[object], Lane]] = []
    for place, coroutine in enumerate(batch):
        mine, lane = set(keys(coroutine)), [place]
        apart = []
        for others, other in lanes:
            if mine & others:
                mine |= others
                lane = sorted(other + lane)
            else:
                apart.append((others, other))
        lanes = [*apart, (mine, lane)]
    return [lane for _, lane in lanes]


@pytest.mark.parametrize(
    "plan",
    [all_apart, _without_guards, _without_cargo, _without_bundles, _first_session_only],
)
def test_a_broken_planner_is_found_out(plan: Plan) -> None:
    """By other bytes, or by the runner itself, which asserts that lanes stay apart."""
    for number in range(400):
        image, limits, quantum, policy = drawn_member(number)
        expected = execute(image, limits=limits, quantum=quantum, policy=policy)
        try:
            outcome = execute(
                image, Backwards(), limits=limits, quantum=quantum, policy=policy, plan=plan
            )
        except (AssertionError, KeyError, TrothError) as error:
            print(f"{plan.__name__}: member {number}: {error!r}")
            return
        if not same(outcome, expected):
            print(f"{plan.__name__}: member {number}: other bytes")
            return
    pytest.fail("nobody noticed")


def test_the_slow_planner_is_the_real_one() -> None:
    """Another way to say which lanes there are, on the same machines."""

    def both(batch: Sequence[Coroutine]) -> list[Lane]:
        found = plan_lanes(batch)
        slow = _by(batch, lambda c: [*_sessions(c, cargo=True), *c.code.guards])
        assert sorted(found) == sorted(slow)
        assert found == sorted(found)
        return found

    for number in range(25):
        image, limits, quantum, policy = drawn_member(number)
        execute(image, Backwards(), limits=limits, quantum=quantum, policy=policy, plan=both)


# --- forced thread switches -----------------------------------------------------------------


def test_no_wake_up_is_lost_under_forced_thread_switches() -> None:
    before = sys.getswitchinterval()
    rng = Random(SEED)
    ends = time.monotonic() + STRESS_SECONDS
    count = 0
    sys.setswitchinterval(1e-6)
    try:
        while time.monotonic() < ends or not count:
            image, limits, quantum, policy = drawn_member(rng.randrange(1 << 30))
            expected = execute(image, limits=limits, quantum=quantum, policy=policy)
            pool = ThreadWorkers(rng.randint(2, 12))
            try:
                counted = CountedWorkers(pool)
                outcome = execute(image, counted, limits=limits, quantum=quantum, policy=policy)
            finally:
                pool.close()
            assert same(outcome, expected)
            count += 1
    finally:
        sys.setswitchinterval(before)
    print(f"{count} machines in {STRESS_SECONDS} s with forced switches")
