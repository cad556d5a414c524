"""Runs one image on different runners in memory and gives all that can be compared of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from random import Random
from typing import Final, NamedTuple

import builders
from crowded_machines import crowded_limits, crowded_script
from population import Conversation, conversations
from troth.dsl.compile import compile_source
from troth.vm.coroutine import Coroutine
from troth.vm.errors import TrothError
from troth.vm.fragment import FragmentBuilder
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.lanes import Lane
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.machine import Machine
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.run_lanes import LaneRunner, Workers
from troth.vm.scheduling import Cooperative, Priority, RoundRobin, Scheduling
from troth.vm.settings import NO_OVERRIDES, Overrides

Plan = Callable[[Sequence[Coroutine]], list[Lane]]


def all_apart(batch: Sequence[Coroutine]) -> list[Lane]:
    """A planner that gives every coroutine a lane of its own, whatever they share."""
    return [[place] for place in range(len(batch))]


class Outcome(NamedTuple):
    """`artifact` has every event, signature and seal in it, in order."""

    artifact: bytes
    fragment: bytes
    rounds: int
    ended: str
    lanes_max: int


class CountedWorkers:
    """Passes lanes on and remembers how many there were at most."""

    def __init__(self, inner: Workers) -> None:
        self.inner = inner
        self.lanes = inner.lanes
        self.lanes_max = 1
        self.threads: set[int] = set()

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        self.lanes_max = max(self.lanes_max, len(jobs))
        self.inner.run([self._noted(job) for job in jobs])

    def _noted(self, job: Callable[[], None]) -> Callable[[], None]:
        def noted() -> None:
            self.threads.add(threading.get_ident())
            job()

        return noted

    def share(self, count: int, work: Callable[[int, int], None]) -> None:
        self.inner.share(count, work)


class Backwards:
    """Executes lanes on one thread, the last first: what depends on lanes shows every time."""

    lanes = True

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        for job in reversed(jobs):
            job()

    def share(self, count: int, work: Callable[[int, int], None]) -> None:
        for place in reversed(range(count)):
            work(place, place + 1)


SEED: Final = 20250301
ROUND_NS: Final = 1_000_000


def drawn_member(number: int) -> tuple[Image, Limits, int, Scheduling]:
    """One machine of the population: its image, limits, quantum and policy."""
    rng = Random(SEED + number)
    conversation: Conversation | None = None
    if number % 3 == 0:
        (conversation,) = conversations(rng, 1, [])
    image = compile_source(crowded_script(rng, conversation), f"member {number}")
    policies = (Cooperative(), Cooperative(), RoundRobin(), Priority({"left": 2, "hub": 1}, 2))
    return image, crowded_limits(rng), rng.choice((1, 2, 7, 64)), rng.choice(policies)


def same(outcome: Outcome, expected: Outcome) -> bool:
    return outcome._replace(lanes_max=0) == expected._replace(lanes_max=0)


def execute(
    image: Image,
    workers: Workers | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    quantum: int = 64,
    policy: Scheduling | None = None,
    plan: Plan | None = None,
    overrides: Overrides = NO_OVERRIDES,
) -> Outcome:
    """Runs to the end; the header names no runner, so equal runs have equal bytes.

    A round takes a millisecond, so that clocks run out.
    """
    loaded = load(image)
    signer = builders.make_signer()
    scheduling = policy or Cooperative()
    header = HeaderFacts(
        image_id=loaded.id,
        seed=builders.SEED,
        quantum=quantum,
        policy=scheduling.text,
        limits=tuple(getattr(limits, field.name) for field in fields(Limits)),
        runner="any",
        replay=overrides.replay,
        seal=overrides.seal,
        entry=image.entry or 0,
        anchor_unix_ns=0,
    )
    recorder = Recorder(header, encode_image(image), signer, signer)
    machine = Machine(
        loaded,
        seed=builders.SEED,
        signer=signer,
        roster=signer,
        limits=limits,
        quantum=quantum,
        policy=scheduling,
        overrides=overrides,
        evidence=recorder,
        workers=workers,
    )
    if plan is not None:
        assert workers is not None
        machine._scheduler.lanes = LaneRunner(machine._context, workers, plan)
    machine.start()
    fragment = FragmentBuilder()
    ended = "by itself"
    now_ns = 0
    while True:
        now_ns = max(now_ns, machine.rounds * ROUND_NS)
        try:
            ran = machine.run_round(now_ns)
        except TrothError as error:
            ended = error.code
            break
        for event in machine.poll_events():
            fragment.add(event)
        if not ran:
            deadline_ns = machine.deadline_ns()
            if deadline_ns is None:
                break
            now_ns = max(now_ns, deadline_ns)
    recorder.finish(machine.rounds, machine.outcome().value)
    lanes_max = workers.lanes_max if isinstance(workers, CountedWorkers) else 1
    return Outcome(recorder.take_bytes(), fragment.digest(), machine.rounds, ended, lanes_max)
