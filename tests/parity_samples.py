"""Runs one image on different runners in memory and gives all that can be compared of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Final, NamedTuple

import builders
from parity_population import Member, answer
from troth.conformance.reference import Setup, run_both
from troth.conformance.reference.compare import (
    Both,
    CancelSession,
    EndSession,
    Failed,
    HostAct,
)
from troth.vm.coroutine import Coroutine
from troth.vm.errors import TrothError, Unusable
from troth.vm.events import Opened, Troubled
from troth.vm.fragment import FragmentBuilder
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.lanes import Lane, plan_lanes
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.run_lanes import LaneRunner, Workers
from troth.vm.scheduling import Cooperative, Scheduling
from troth.vm.settings import NO_OVERRIDES, Overrides
from troth.vm.substitutes import NO_SUBSTITUTES, Substitutes

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


class CountedPlan:
    """Plans lanes as ever, and remembers how many there were and how often all were one."""

    def __init__(self) -> None:
        self.lanes_max = 1
        self.whole = 0

    def __call__(self, batch: Sequence[Coroutine]) -> list[Lane]:
        lanes = plan_lanes(batch)
        self.lanes_max = max(self.lanes_max, len(lanes))
        self.whole += len(lanes) == 1 and len(batch) >= CROWD
        return lanes


class Backwards:
    """Executes lanes on one thread, the last first: what depends on lanes shows every time."""

    lanes = True

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        for job in reversed(jobs):
            job()

    def share(self, count: int, work: Callable[[Iterator[int]], None]) -> None:
        for place in reversed(range(count)):
            work(iter([place]))


ROUND_NS: Final = 1_000_000
CROWD: Final = 4
"""So many turns are worth being executed in more than one lane."""


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
    """Runs an image to the end; equal runs have equal bytes, whatever the runner.

    A round takes a millisecond, so that clocks run out.
    """
    member = Member(
        load(image),
        encode_image(image),
        limits=limits,
        quantum=quantum,
        policy=policy or Cooperative(),
        acts={},
        round_ns=ROUND_NS,
    )
    return run(member, workers, plan=plan, overrides=overrides)


def run(
    member: Member,
    workers: Workers | None = None,
    *,
    plan: Plan | None = None,
    overrides: Overrides = NO_OVERRIDES,
) -> Outcome:
    """Runs a machine to the end, with what its host does and answers.

    The header names no runner, so equal runs have equal bytes.
    """
    recorder, machine = _machine(member, workers, overrides)
    if plan is not None:
        assert workers is not None
        machine._scheduler.lanes = LaneRunner(machine._context, workers, plan)
    machine.start()
    fragment = FragmentBuilder()
    ended = "by itself"
    sessions: list[bytes] = []
    now_ns = 0
    while True:
        for act in member.acts.get(machine.rounds, ()):
            _act(machine, act, sessions, now_ns)
        try:
            ran = machine.run_round(now_ns)
        except TrothError as error:
            ended = error.code
            break
        for event in machine.poll_events():
            fragment.add(event)
            if isinstance(event, Opened):
                sessions.append(event.session)
        asked = _answer(machine)
        now_ns += member.round_ns
        if ran or asked:
            continue
        deadline_ns = machine.deadline_ns()
        if machine.state is not MachineState.WAITING or deadline_ns is None:
            break
        now_ns = max(now_ns, deadline_ns)
    recorder.finish(machine.rounds, machine.outcome().value)
    return Outcome(recorder.take_bytes(), fragment.digest(), machine.rounds, ended)


def _machine(
    member: Member, workers: Workers | None, overrides: Overrides
) -> tuple[Recorder, Machine]:
    signer = builders.make_signer()
    header = HeaderFacts(
        image_id=member.loaded.id,
        seed=builders.SEED,
        quantum=member.quantum,
        policy=member.policy.text,
        limits=tuple(getattr(member.limits, field.name) for field in fields(Limits)),
        runner="any",
        replay=overrides.replay,
        seal=overrides.seal,
        entry=member.image.entry or 0,
        anchor_unix_ns=0,
    )
    recorder = Recorder(header, member.data, signer, signer)
    machine = Machine(
        member.loaded,
        seed=builders.SEED,
        signer=signer,
        roster=signer,
        limits=member.limits,
        quantum=member.quantum,
        policy=member.policy,
        overrides=overrides,
        evidence=recorder,
        workers=workers,
    )
    return recorder, machine


def _act(machine: Machine, act: HostAct, sessions: list[bytes], now_ns: int) -> None:
    """What cannot be done any more is not done: the session has ended, or never was."""
    if act.session >= len(sessions):
        return
    try:
        if isinstance(act, CancelSession):
            machine.cancel_session(sessions[act.session], act.reason)
        elif isinstance(act, EndSession):
            machine.end_session(sessions[act.session], now_ns)
        else:
            trouble = Troubled(sessions[act.session], *act[1:], machine.rounds)
            machine.apply_trouble(trouble)
    except Unusable as error:
        if not error.code.startswith(("session.unknown", "trouble.")):
            raise


def _answer(machine: Machine) -> bool:
    requests = machine.poll_effects()
    for request in requests:
        value = answer(request)
        if isinstance(value, Failed):
            machine.complete_failed(request.effect_id, value.reason)
        else:
            machine.complete(request.effect_id, value)
    return bool(requests)


def run_beside_reference(member: Member, substitutes: Substitutes = NO_SUBSTITUTES) -> Both:
    """Runs the machine and the reference, with the same host."""
    keys = builders.make_signer()
    setup = Setup(
        image=member.image,
        seed=builders.SEED,
        signer=keys,
        roster=keys,
        limits=member.limits,
        quantum=member.quantum,
        policy=member.policy.text,
        seals_rounds=True,
    )
    return run_both(
        member.loaded,
        setup,
        effects=answer,
        acts=member.acts,
        round_ns=member.round_ns,
        substitutes=substitutes,
    )
