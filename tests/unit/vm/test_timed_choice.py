"""Timed choices while they run: who is interrupted where, what is recorded, and who believes it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final

import pytest

from artifact_surgery import Record, Sample, collude, find, parse
from builders import make_signer
from replay_samples import Host, judged, record_run, require_reproduced
from resume_samples import done_by_programs, resume_in_memory
from second_verifier import judge
from spread_machines import Courier, Party, run_spread
from timed_scripts import LOOPS, WAITS_FOR_ANOTHER, WAITS_FOR_EFFECT, WHILE_DRAINING, YIELDS
from troth import conformance, dsl
from troth.conformance.reference import Setup, run_both
from troth.vm.errors import Invalid
from troth.vm.events import Event, TimerExpired
from troth.vm.image import Image
from troth.vm.image_codec import decode_image, encode_image
from troth.vm.instructions import Fork, Instruction, Jump, ReplayMode, Seal, Timer
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Machine
from troth.vm.records import Kind
from troth.vm.turn import EffectRequest
from troth.vm.types import StateKind
from troth.vm.values import RegisterValue

MILLISECOND: Final = 1_000_000


def _image(script: str, **words: int) -> Image:
    for word, value in words.items():
        script = script.replace(word, str(value))
    return dsl.compile_source(script, "timed.troth")


def _agree(n: int) -> bool:
    return n > 0


def _each_round_a_millisecond(rounds: int) -> int:
    return rounds * MILLISECOND


def _host(delay: int = 0, *, agrees: bool = True) -> Host:
    return Host(
        effects={"decide": lambda n: agrees and n > 0, "next": lambda n: 0 if n > 8 else n},
        delay=delay,
        now_ns=_each_round_a_millisecond,
    )


def _kinds(sample: Sample) -> list[Kind]:
    return [record[0] for record in parse(sample.data)]


def _printed(sample: Sample) -> list[str]:
    return [record[2] for record in parse(sample.data) if record[0] == Kind.PRINT]


SEALS: Final = [Seal.MESSAGE, Seal.ROUND]


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("mode", list(ReplayMode))
@pytest.mark.parametrize(("delay", "said"), [(0, "yes 7"), (30, "late")])
def test_an_effect_is_waited_for_until_the_clock_runs_out(
    delay: int, said: str, seal: Seal, mode: ReplayMode
) -> None:
    sample = record_run(_image(WAITS_FOR_EFFECT), _host(delay), seal=seal, replay=mode)
    assert _printed(sample) == [said]
    kinds = _kinds(sample)
    assert kinds.count(Kind.TIMER) == 1
    # What comes too late is dropped: the record does not have it.
    assert (Kind.EXPIRE in kinds, Kind.COMPLETE in kinds) == (delay > 0, delay == 0)
    require_reproduced(sample)
    assert judge(sample.data, {}).word == "valid"


@pytest.mark.parametrize(("delay", "said"), [(0, "yes 7"), (30, "late")])
def test_a_clock_can_start_when_somebody_has_closed(delay: int, said: str) -> None:
    sample = record_run(_image(WHILE_DRAINING), _host(delay))
    kinds = _kinds(sample)
    assert kinds.index(Kind.NOTICE) < kinds.index(Kind.TIMER)
    assert _printed(sample) == [said]
    require_reproduced(sample)


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize(("patience", "said"), [(2, ["no"]), (30, ["true", "late"])])
def test_a_program_that_yields_is_interrupted(patience: int, said: list[str], seal: Seal) -> None:
    sample = record_run(_image(YIELDS, PATIENCE=patience), _host(), seal=seal)
    assert _printed(sample) == said
    require_reproduced(sample)


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize(("naps", "said"), [(0, ["yes 8"]), (20, ["late", "8"])])
def test_a_wait_in_another_session_is_interrupted(naps: int, said: list[str], seal: Seal) -> None:
    """The other endpoint is where it was: it can be waited for again."""
    sample = record_run(_image(WAITS_FOR_ANOTHER, NAPS=naps), _host(), seal=seal)
    assert _printed(sample) == said
    require_reproduced(sample)
    assert judge(sample.data, {}).word == "valid"


@pytest.mark.parametrize("delay", [0, 2, 5, 9])
def test_each_round_of_a_loop_has_a_clock_of_its_own(delay: int) -> None:
    sample = record_run(_image(LOOPS), _host(delay))
    kinds = _kinds(sample)
    items, idle = map(int, _printed(sample))
    assert kinds.count(Kind.TIMER) == items + idle + 1
    assert kinds.count(Kind.EXPIRE) == idle
    assert (idle > 0) == (delay > 1)
    require_reproduced(sample)
    assert judge(sample.data, {}).word == "valid"


def test_for_every_length_of_the_wait_one_of_the_two_comes_first() -> None:
    said = {}
    for naps in range(0, 10, 2):
        sample = record_run(_image(WAITS_FOR_ANOTHER, NAPS=naps), _host())
        printed = _printed(sample)
        said[naps] = "late" if "late" in printed else printed[0]
        require_reproduced(sample)
    assert sorted(set(said.values())) == ["late", "yes 8"], said


@pytest.mark.parametrize("script", [YIELDS, WAITS_FOR_ANOTHER, WAITS_FOR_EFFECT])
def test_a_choice_without_a_clock_has_none_to_start(script: str) -> None:
    late = "    timeout:\n        Host"
    plain = script.replace(" within 5ms", "").replace(late, late.replace("timeout", "or"))
    found = dsl.check_source(plain.replace("PATIENCE", "3").replace("NAPS", "0"), "plain.troth")
    assert "check.within.state" in [item.code for item in found.found]


@pytest.mark.parametrize("end_after", range(1, 5))
def test_nobody_waits_for_ever_when_the_session_ends_with_its_clock(end_after: int) -> None:
    """The time of the session, that of the choice and the effect may be over in one round."""
    script = WAITS_FOR_EFFECT.replace("as v, h", "as v, h with linger = 5ms")
    image = dsl.compile_source(script, "timed.troth")
    for delay in range(12):
        host = _host(delay)
        host.end_after = (end_after,)
        sample = record_run(image, host)
        kinds = _kinds(sample)
        assert kinds.count(Kind.HALT) + kinds.count(Kind.FAULT) == 4, delay
        require_reproduced(sample)
        assert judge(sample.data, {}).word == "valid"


# --- who believes it -------------------------------------------------------------------------

Edit = Callable[[list[Record]], None]


def _too_soon(records: list[Record]) -> None:
    """The clock is said to have been started later."""
    place = find(records, Kind.TIMER)
    kind, session, role, now_ns, number = records[place]
    records[place] = (kind, session, role, now_ns + 3 * MILLISECOND, number)


def _never_started(records: list[Record]) -> None:
    del records[find(records, Kind.TIMER)]


def _never_expired(records: list[Record]) -> None:
    del records[find(records, Kind.EXPIRE)]


def _expired_twice(records: list[Record]) -> None:
    place = find(records, Kind.EXPIRE)
    records.insert(place, records[place])


def _of_the_other_role(records: list[Record]) -> None:
    place = find(records, Kind.EXPIRE)
    kind, session, role, coroutine = records[place]
    records[place] = (kind, session, 1 - role, coroutine)


def _of_another_coroutine(records: list[Record]) -> None:
    place = find(records, Kind.EXPIRE)
    *said, coroutine = records[place]
    records[place] = (*said, coroutine + 1 if coroutine == 1 else 1)


def _after_the_choice(records: list[Record]) -> None:
    place = find(records, Kind.EXPIRE)
    records[place], records[place + 1] = records[place + 1], records[place]


EDITS: Final[dict[str, Edit]] = {
    "too soon": _too_soon,
    "never started": _never_started,
    "never expired": _never_expired,
    "expired twice": _expired_twice,
    "of the other role": _of_the_other_role,
    "of another coroutine": _of_another_coroutine,
    "after the choice": _after_the_choice,
}


@pytest.mark.parametrize("edit", EDITS)
def test_all_parties_together_cannot_tell_another_story(edit: str) -> None:
    sample = record_run(_image(WAITS_FOR_EFFECT), _host(30))
    records = parse(sample.data)
    EDITS[edit](records)
    forged = collude(records, sample)
    verdict = conformance.verify(io.BytesIO(forged), trust=sample.trust)
    assert verdict.findings, edit
    assert verdict.findings[0].code.startswith(("protocol.", "structure."))
    assert judge(forged, {}).word == "invalid"


def test_level_5_knows_when_a_clock_was_started() -> None:
    """A little earlier breaks no rule of the type, but it is not what the program would do."""
    sample = record_run(_image(LOOPS), _host(5))
    records = parse(sample.data)
    place = find(records, Kind.EXPIRE)
    del records[place]
    forged = Sample(collude(records, sample), sample.keys)
    assert judged(forged).findings


# --- the same everywhere ---------------------------------------------------------------------


def test_a_stopped_run_goes_on_to_the_same_end() -> None:
    sample = record_run(_image(WAITS_FOR_EFFECT), _host(30))
    whole = done_by_programs(sample.data)
    sizes = range(sample.data.index(b"timed.troth") + 200, len(sample.data) - 400, 97)
    for size in sizes:
        resumed = resume_in_memory(sample, size, seal_every=4096)
        again = resumed.go_on(Host(effects={"decide": _agree}, delay=0), 2000)
        done = done_by_programs(again.data)
        assert done[:5] == whole[:5]
        verdict = conformance.verify(
            io.BytesIO(again.data), trust=sample.trust, replay=conformance.Budget()
        )
        assert verdict.findings == (), (size, verdict.findings[0])


class _Backwards:
    """Executes lanes one after the other, the last first."""

    lanes = True

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        for job in reversed(jobs):
            job()

    def share(self, count: int, work: Callable[[Iterator[int]], None]) -> None:
        work(iter(range(count)))


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("script", [YIELDS, WAITS_FOR_ANOTHER, WAITS_FOR_EFFECT, LOOPS])
def test_every_runner_makes_the_same_bytes(script: str, seal: Seal) -> None:
    image = _image(script, PATIENCE=30, NAPS=20)
    one = record_run(image, _host(6), seal=seal)
    other = record_run(image, _host(6), seal=seal, workers=_Backwards())
    assert Kind.EXPIRE in _kinds(one)
    assert one.data == other.data


@pytest.mark.parametrize("round_ns", [0, 1, 3, 30])
@pytest.mark.parametrize("script", [YIELDS, WAITS_FOR_ANOTHER, WAITS_FOR_EFFECT, LOOPS])
def test_the_reference_says_the_same(script: str, round_ns: int) -> None:
    image = _image(script, PATIENCE=9, NAPS=12)
    keys = make_signer()
    # A loop whose clock always runs out first has no end of its own.
    limits = replace(DEFAULT_LIMITS, rounds_max=1_000)
    setup = Setup(image=image, seed=bytes(32), signer=keys, roster=keys, limits=limits)

    def effects(request: EffectRequest) -> RegisterValue:
        (n,) = request.arguments
        assert isinstance(n, int)
        return n == 7 if request.name == "decide" else n % 9

    both = run_both(load(image), setup, effects=effects, round_ns=round_ns * MILLISECOND)
    assert both.difference is None
    assert both.events


@pytest.mark.parametrize("script", [YIELDS, LOOPS])
def test_a_machine_keeps_its_clocks_as_bytes(script: str) -> None:
    """A snapshot at every round, and a machine made of it that goes on."""
    image = _image(script, PATIENCE=30)
    keys = make_signer()

    def fresh() -> Machine:
        return Machine(load(image), seed=bytes(32), signer=keys, roster=keys)

    said: list[list[Event]] = []
    for swaps in (False, True):
        machine = fresh()
        machine.start()
        events: list[Event] = []
        while machine.run_round(machine.rounds * MILLISECOND):
            events += machine.poll_events()
            for request in machine.poll_effects():
                if machine.rounds % 3:
                    machine.complete(request.effect_id, machine.rounds % 20)
            if swaps:
                taken = machine.snapshot()
                machine = fresh()
                machine.restore(taken)
                assert machine.snapshot() == taken
        said.append(events)
    assert said[0] == said[1]
    assert any(isinstance(event, TimerExpired) for event in said[0])


@pytest.mark.parametrize("seal", SEALS)
def test_the_chooser_alone_has_the_clock_when_roles_are_apart(seal: Seal) -> None:
    image = _image(WAITS_FOR_EFFECT)
    parties, _ = run_spread(image, [["Viewer"], ["Host"]], seal=seal, effects={"decide": _agree})
    viewer, host = parties
    assert viewer.printed == ["yes 7"]
    kinds = [[record[0] for record in parse(party.data)] for party in (viewer, host)]
    assert (kinds[0].count(Kind.TIMER), kinds[1].count(Kind.TIMER)) == (0, 1)
    assert viewer.verdict().findings == host.verdict().findings == ()


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("seed", range(6))
def test_a_late_choice_reaches_another_machine_as_the_message_that_it_is(
    seal: Seal, seed: int
) -> None:
    """The answer comes when the time is over; whoever is elsewhere hears of no clock."""
    parties: list[Party] = []

    def decide(number: int) -> bool:
        parties[1].now_ns += 10 * MILLISECOND
        return _agree(number)

    image = _image(WAITS_FOR_EFFECT)
    parties += [Party(image, ["Viewer"], bytes([1]) * 32, seal=seal)]
    parties += [Party(image, ["Host"], bytes([2]) * 32, seal=seal, effects={"decide": decide})]
    Courier(parties, Random(seed), shuffle=0.4, repeat=0.3).run()
    for party in parties:
        party.finish()
        assert party.verdict().findings == ()
        assert judge(party.data, {}).word == "valid"
    viewer, host = parties
    assert viewer.printed == ["late"]
    kinds = [Counter(record[0] for record in parse(party.data)) for party in (viewer, host)]
    clocks = [(of[Kind.TIMER], of[Kind.EXPIRE]) for of in kinds]
    assert clocks == [(0, 0), (1, 1)]
    assert viewer.machine.report().ok
    assert host.machine.report().ok


# --- images ----------------------------------------------------------------------------------


Change = Callable[[Sequence[Instruction]], Iterable[Instruction]]


def _programs(image: Image, change: Change) -> Image:
    """The image with another host."""
    programs = list(image.programs)
    (place,) = (number for number, program in enumerate(programs) if program.name == "host")
    programs[place] = replace(programs[place], code=tuple(change(programs[place].code)), lines=())
    return replace(image, programs=tuple(programs))


def _without_clock(code: Sequence[Instruction]) -> Iterable[Instruction]:
    return [Jump(pc + 1) if isinstance(i, Timer) else i for pc, i in enumerate(code)]


def test_the_loader_refuses_a_clock_that_is_not_started() -> None:
    image = _image(WAITS_FOR_EFFECT)
    broken = _programs(
        image, lambda code: [Jump(p + 1) if isinstance(i, Timer) else i for p, i in enumerate(code)]
    )
    with pytest.raises(Invalid) as refused:
        load(broken)
    assert refused.value.code == "image.endpoint.turn"


def test_the_loader_refuses_a_second_clock_and_a_speculation() -> None:
    image = _image(YIELDS, PATIENCE=3)
    place = next(
        p
        for program in image.programs
        if program.name == "host"
        for p, i in enumerate(program.code)
        if isinstance(i, Timer)
    )
    timer = next(i for program in image.programs for i in program.code if isinstance(i, Timer))

    def twice(code: Sequence[Instruction]) -> Iterable[Instruction]:
        return [timer if p == place + 1 else i for p, i in enumerate(code)]

    def speculate(code: Sequence[Instruction]) -> Iterable[Instruction]:
        return [Fork(place + 2) if p == place + 1 else i for p, i in enumerate(code)]

    for change, code in ((twice, "image.endpoint.turn"), (speculate, "image.timer.speculation")):
        with pytest.raises(Invalid) as refused:
            load(_programs(image, change))
        assert refused.value.code == code


def test_an_image_keeps_its_clocks() -> None:
    image = _image(LOOPS)
    again = decode_image(encode_image(image))
    assert again == image
    (timed,) = [
        state
        for local in again.protocols[0].local_types
        for state in local.states
        if state.kind is StateKind.TIMED
    ]
    assert timed.within_ns == 3 * MILLISECOND
