"""The threaded runner makes the same bytes as the cooperative one, at every worker count.

`TROTH_PARITY_MEMBERS` says how many machines; with `TROTH_LONG=1` there are 20,000 of them, and
the stress takes ten minutes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

import pytest

from parity_campaign import Tally, try_machine, worker_pools
from parity_population import drawn_member
from parity_samples import Backwards, Plan, all_apart, run
from troth.vm.coroutine import Coroutine
from troth.vm.errors import TrothError
from troth.vm.lanes import Lane, plan_lanes
from troth.vm.session import Session
from troth.vm.shell_workers import ThreadWorkers

LONG: Final = os.environ.get("TROTH_LONG") == "1"
MEMBERS: Final = int(os.environ.get("TROTH_PARITY_MEMBERS", "20000" if LONG else "1000"))
ENOUGH: Final = 1_000
"""Of fewer machines it is chance what happens in them."""
STRESS_SECONDS: Final = 600 if LONG else 4
SEED: Final = 20250301
HAPPENS: Final[Mapping[str, int]] = {
    "Acquired": 400,
    "BundleOpened": 150,
    "CORRUPT": 5,
    "CRASH": 20,
    "Cancelled": 300,
    "Completed": 100,
    "Delegated": 200,
    "Dropped": 20,
    "EndAsked": 80,
    "Faulted": 2_000,
    "HEAL": 5,
    "Overwritten": 80,
    "PARTITION": 10,
    "Rotated": 80,
    "TIMEOUT": 8,
    "TimerExpired": 40,
    "TimerStarted": 100,
    "Undelivered": 400,
    "cancelled by the host": 80,
    "rounds in one lane": 100,
    "sent leave": 30,
    "sent order": 60,
}
"""What happens, at least so often in a thousand machines. Only a buyer that speculates orders."""


@pytest.mark.slow
def test_every_runner_makes_the_same_bytes_and_the_reference_agrees() -> None:
    """On one thread, the lanes of each round from behind; on 1, 2, 4 and 8; and by the reference.

    `python -m parity_campaign` is the same for 20,000 machines.
    """
    tally = Tally()
    started = time.monotonic()
    with worker_pools() as pools:
        for number in range(MEMBERS):
            try_machine(number, pools, tally)
            assert not tally.differences
    print(tally.told(time.monotonic() - started))
    # What is compared is worth comparing.
    assert tally.machines == len(tally.lanes) == MEMBERS
    rare = {
        kind: tally.happened[kind]
        for kind, least in HAPPENS.items()
        if tally.happened[kind] < least * MEMBERS // 1_000 and MEMBERS >= ENOUGH
    }
    assert not rare
    assert sum(count > 3 for count in tally.lanes) > MEMBERS // 2


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
        member = drawn_member(number)
        expected = run(member)
        try:
            outcome = run(member, Backwards(), plan=plan)
        except (AssertionError, KeyError, TrothError) as error:
            print(f"{plan.__name__}: member {number}: {error!r}")
            return
        if outcome != expected:
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
        run(drawn_member(number), Backwards(), plan=both)


# --- forced thread switches -----------------------------------------------------------------


def test_no_wake_up_is_lost_under_forced_thread_switches() -> None:
    before = sys.getswitchinterval()
    rng = Random(SEED)
    ends = time.monotonic() + STRESS_SECONDS
    first, count = rng.randrange(1_000_000), 0
    sys.setswitchinterval(1e-6)
    try:
        while time.monotonic() < ends or not count:
            member = drawn_member(first + count)
            expected = run(member)
            pool = ThreadWorkers(rng.randint(2, 12))
            try:
                outcome = run(member, pool)
            finally:
                pool.close()
            assert outcome == expected
            count += 1
    finally:
        sys.setswitchinterval(before)
    print(f"{count} machines in {STRESS_SECONDS} s with forced switches")
