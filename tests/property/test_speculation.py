"""Speculation on generated programs: what is taken back, what stays, and what a join means.

The number of programs tried is printed (`pytest -s`, or `-rP`). With `TROTH_LONG=1` in the
environment there are twenty times as many.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Final
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, given, settings

import builders as b
from machine_snapshot import Picture
from speculation_programs import Block, Case, cases, meaning, without
from troth.conformance import Budget, verify
from troth.vm import machine as machine_module
from troth.vm.coroutine import Coroutine
from troth.vm.events import Event, Received, Sent
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.instructions import Abort, Fork, Instruction, Join, Operator, Seal
from troth.vm.keys import TrustFile
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.machine import Machine, Outcome
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.session import EndpointState
from troth.vm.step_code import ProgramCode
from troth.vm.step_common import Step
from troth.vm.step_decode import decode_image
from troth.vm.turn import Turn

LONG: Final = os.environ.get("TROTH_LONG") == "1"
EXAMPLES: Final = 3_000 if LONG else 150
VERIFIED: Final = 600 if LONG else 30
PROFILE: Final = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def record(image: Image) -> tuple[list[Event], bytes, TrustFile, Machine]:
    """Runs a program to its end and records it."""
    loaded = load(image)
    signer = b.make_signer()
    header = HeaderFacts(
        image_id=loaded.id,
        seed=b.SEED,
        quantum=64,
        policy="cooperative",
        limits=tuple(getattr(DEFAULT_LIMITS, field.name) for field in fields(Limits)),
        runner="cooperative",
        replay=None,
        seal=None,
        entry=0,
        anchor_unix_ns=0,
    )
    recorder = Recorder(header, encode_image(image), signer, signer)
    machine = Machine(loaded, seed=b.SEED, signer=signer, roster=signer, evidence=recorder)
    machine.start()
    events = b.run(machine)
    recorder.finish(machine.rounds, "ok" if machine.outcome() is Outcome.OK else "failed")
    keys = TrustFile(tuple(b.KEY_SOURCE.make(role).verifier for role in ("A", "B")))
    return events, recorder.take_bytes(), keys, machine


# --- what an abort gives back ----------------------------------------------------------------


class Own:
    """What is the speculator's own, and what is in its buffers, at one moment."""

    def __init__(self, coroutine: Coroutine) -> None:
        picture = Picture(without=frozenset({"session", "outgoing", "incoming", "owner"}))
        self.registers = list(coroutine.registers)
        self.guards, self.owned = coroutine.guards, tuple(coroutine.owned)
        self.counters = (coroutine.children, coroutine.opened, coroutine.invoked)
        ends = [end for end in self.owned if isinstance(end, EndpointState)]
        self.types = [(end.state, end.fresh, end.signer, end.custody, end.noticed) for end in ends]
        incoming = [edge for end in ends for edge in end.incoming.values()]
        outgoing = [edge for end in ends for edge in end.outgoing.values()]
        self.taken = [
            (edge.consumed, edge.discarded, picture.of(edge.consumption)) for edge in incoming
        ]
        self.sent = [edge.sent for edge in outgoing]
        self.waiting_in = [tuple(edge.buffer.messages) for edge in incoming]
        self.waiting_out = [tuple(edge.buffer.messages) for edge in outgoing]

    def require_restored(self, before: Own) -> None:
        """All that is its own is as before; buffers differ only by what others did."""
        assert self.registers == before.registers
        assert [type(x) for x in self.registers] == [type(x) for x in before.registers]
        for name in ("guards", "owned", "counters", "types", "taken", "sent"):
            assert getattr(self, name) == getattr(before, name), name
        for now, then in zip(self.waiting_in, before.waiting_in, strict=True):
            assert now[: len(then)] == then, "others add at the end, and nobody else takes"
        for now, then in zip(self.waiting_out, before.waiting_out, strict=True):
            assert now == then[len(then) - len(now) :], "others take, and nobody else adds"


class Watch:
    """Takes a picture at every fork, compares at every abort, and sees that nothing gets out."""

    def __init__(self) -> None:
        self.forks: dict[int, list[Own]] = {}
        self.compared = 0
        self.silent = 0

    def decode(self, image: Image) -> tuple[ProgramCode, ...]:
        return tuple(
            replace(
                code,
                steps=tuple(
                    self._wrap(step, instruction)
                    for step, instruction in zip(
                        code.steps, [*image.programs[code.index or 0].code, None], strict=True
                    )
                ),
            )
            for code in decode_image(image)
        )

    def _wrap(self, step: Step, instruction: Instruction | None) -> Step:
        def watched(turn: Turn, coroutine: Coroutine) -> int:
            levels = self.forks.setdefault(id(coroutine), [])
            if isinstance(instruction, Fork):
                levels.append(Own(coroutine))
            speculating = coroutine.speculation is not None
            before = len(turn.events), len(turn.woken)
            outcome = step(turn, coroutine)
            if speculating and coroutine.speculation is not None:
                assert (len(turn.events), len(turn.woken)) == before, "nobody sees or feels it"
                self.silent += 1
            if isinstance(instruction, Abort):
                Own(coroutine).require_restored(levels.pop())
                self.compared += 1
            elif isinstance(instruction, Join):
                levels.pop()
            return outcome

        return watched


@contextmanager
def watched() -> Iterator[Watch]:
    watch = Watch()
    with patch.object(machine_module, "decode_image", watch.decode):
        yield watch


NOTHING: Final = 5
"""A register whose endpoint was handed to a child: it holds nothing."""

TOTALS: Final = {"programs": 0, "aborts": 0, "steps": 0}


@PROFILE
@given(case=cases())
def test_abort_gives_back_exactly_what_is_its_own(case: Case) -> None:
    with watched() as watch:
        _, _, _, machine = record(case.image([Block(case.body, False)], counted=False))
    assert machine.outcome() is Outcome.OK
    assert watch.compared >= 1
    TOTALS["programs"] += 1
    TOTALS["aborts"] += watch.compared
    TOTALS["steps"] += watch.silent


def test_the_numbers_are_told() -> None:
    """Runs after the one before it, and tells what that one tried."""
    print(f"speculation: {TOTALS}")


@PROFILE
@given(case=cases())
def test_a_run_with_an_aborted_speculation_means_what_it_means_without(case: Case) -> None:
    tried, _, _, _ = record(case.image([Block(case.body, False)], counted=False))
    plain, _, _, _ = record(case.image([], counted=False))
    assert meaning(tried) == meaning(plain)


@PROFILE
@given(case=cases())
def test_a_join_means_what_the_same_acts_mean_without_speculation(case: Case) -> None:
    joined, _, _, machine = record(case.image([Block(case.body, True)], counted=True))
    plain, _, _, _ = record(case.image(without(case.body), counted=True))
    assert machine.outcome() is Outcome.OK
    assert meaning(joined) == meaning(plain)
    acts = [event for event in joined if isinstance(event, Sent | Received)]
    assert len(acts) == 4 * 8


@settings(PROFILE, max_examples=VERIFIED)
@given(case=cases())
def test_what_is_recorded_verifies_at_every_level(case: Case) -> None:
    for joins in (True, False):
        image = case.image([Block(case.body, joins)], counted=joins)
        _, data, trust, _ = record(image)
        verdict = verify(io.BytesIO(data), trust=trust, replay=Budget())
        assert verdict.exit_code == 0, verdict.findings


class Seen(Watch):
    """Takes one picture, at the first fork."""

    def __init__(self) -> None:
        super().__init__()
        self.first: tuple[Own, Coroutine] | None = None

    def _wrap(self, step: Step, instruction: Instruction | None) -> Step:
        def seeing(turn: Turn, coroutine: Coroutine) -> int:
            if isinstance(instruction, Fork) and self.first is None:
                self.first = Own(coroutine), coroutine
            return step(turn, coroutine)

        return seeing


@PROFILE
@given(case=cases())
def test_a_fault_gives_back_what_is_its_own_first(case: Case) -> None:
    """In the place of the join, something fails."""
    built = replace(case, seal=Seal.MESSAGE).image([Block(case.body, True)], counted=True)
    code = list(built.programs[0].code)
    fork = next(item for item in code if isinstance(item, Fork))
    code[fork.target - 2 : fork.target - 1] = [b.op(Operator.DIV, 7, NOTHING, NOTHING)]
    faulty = replace(built.programs[0], code=tuple(code))
    seen = Seen()
    with patch.object(machine_module, "decode_image", seen.decode):
        machine = b.make_machine(replace(built, programs=(faulty, *built.programs[1:])))
    events = b.run(machine)
    assert seen.first is not None
    before, coroutine = seen.first
    assert "vm.fault.type" in b.faults(events)
    assert coroutine.registers == before.registers
    assert coroutine.speculation is None
    assert [(end.state, end.fresh) for end in before.owned] == [x[:2] for x in before.types]
