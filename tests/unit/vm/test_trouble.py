"""Crash, partition, heal, corruption after signing and timeout, as inputs of a run."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import Record, Sample, collude, find, parse
from builders import make_signer
from replay_samples import disturb, drive, judged, record_run, require_reproduced
from resume_samples import done_by_programs, resume_in_memory
from second_verifier import judge
from troth import conformance
from troth.conformance.reference import Setup, run_both
from troth.conformance.reference.compare import Disturb
from troth.dsl.compile import compile_source
from troth.vm.errors import Unusable
from troth.vm.events import Event, Faulted, StatusChanged, Troubled
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState
from troth.vm.records import Kind
from troth.vm.trouble_kind import Trouble
from troth.vm.trouble_schedule import Planned, TroubleSchedule
from troth.vm.turn import EffectRequest
from troth.vm.values import RegisterValue
from trouble_samples import MILLISECOND, TROUBLES, host, recorded, relay

EXAMPLES: Final = Path(__file__).resolve().parents[3] / "docs" / "examples"


def _of(sample: Sample, kind: Kind) -> list[Record]:
    return [record for record in parse(sample.data) if record[0] == kind]


def _faults(sample: Sample) -> list[str]:
    return [record[2] for record in _of(sample, Kind.FAULT)]


def _printed(sample: Sample) -> list[str]:
    return [record[2] for record in _of(sample, Kind.PRINT)]


def _statuses(sample: Sample) -> dict[int, tuple[int, str]]:
    """The last status of each session, and why."""
    return {record[1]: (record[2], record[4]) for record in _of(sample, Kind.STATUS)}


@pytest.mark.parametrize("seal", list(Seal))
@pytest.mark.parametrize("name", TROUBLES)
def test_every_trouble_is_on_record_and_can_be_run_again(name: str, seal: Seal) -> None:
    sample = recorded(name, seal=seal)
    assert len(_of(sample, Kind.TROUBLE)) == len(TROUBLES[name])
    require_reproduced(sample)
    assert judge(sample.data, {}).word == "valid"


@pytest.mark.parametrize("mode", list(ReplayMode))
def test_a_crash_takes_what_its_coroutine_holds_and_nothing_else(mode: ReplayMode) -> None:
    """Its guard too; who waits for it is woken and faults, other sessions run on."""
    sample = recorded("crash", replay=mode)
    assert _faults(sample)[0] == "vm.fault.crash"
    assert set(_faults(sample)[1:]) <= {"vm.fault.channel"}
    assert _statuses(sample) == {0: (4, "vm.fault.crash"), 1: (2, "")}
    assert _printed(sample)[-2:] == ["to the right", "to the left"]
    require_reproduced(sample)


def test_who_crashes_waits_for_no_effect_and_keeps_nobody_waiting_for_a_guard() -> None:
    sample = record_run(relay(), host("crash", delay=50))
    asked, answered = _of(sample, Kind.INVOKE), _of(sample, Kind.COMPLETE)
    assert len(asked) == 1 + len(answered), "the answer that nobody waits for is not recorded"
    assert _statuses(sample)[1] == (2, "")
    require_reproduced(sample)


def test_a_partition_loses_nothing_and_heals() -> None:
    sample, whole = recorded("healed"), record_run(relay(), host("crash"))
    assert sorted(_printed(sample)) == sorted(
        ["0", "10", "20", "30", "to the right", "to the left"]
    )
    assert _statuses(sample) == {0: (2, ""), 1: (2, "")}
    assert _statuses(sample) != _statuses(whole)
    parted, healed = find_all(sample, Kind.TROUBLE)
    between = parse(sample.data)[parted:healed]
    taken = {record[2:4] for record in between if record[0] == Kind.RECEIVE and record[1] == 0}
    assert taken.isdisjoint({(1, 2), (2, 1)})
    assert (1, 2) in {
        record[2:4] for record in parse(sample.data)[healed:] if record[0] == Kind.RECEIVE
    }


def find_all(sample: Sample, kind: Kind) -> list[int]:
    return [place for place, record in enumerate(parse(sample.data)) if record[0] == kind]


def test_what_is_parted_may_heal_so_it_is_not_stuck_and_says_who_waits() -> None:
    machine = _machine()
    assert drive(machine, host("parted"), 500)
    states = [machine.state]
    said = machine.report().describe()
    assert "Relay.Middle waits for done or item from Source (Source and Middle are parted)" in said
    machine.heal(_session(machine), "Source", "Middle")
    assert drive(machine, replace(host("parted"), troubles=()), 500)
    states.append(machine.state)
    assert states == [MachineState.WAITING, MachineState.FINISHED]


def test_a_corrupted_message_is_caught_by_its_signature() -> None:
    """What is on record about it is for who runs it again: the receiver needs none of that."""
    machine = _machine()
    machine.run_round(0)
    session, events = _session(machine), list[Event]()
    while not any(isinstance(event, Troubled) for event in events):
        assert machine.run_round(0)
        with suppress(Unusable):
            machine.corrupt(session, "Source", "Middle")
        events += machine.poll_events()
    for edge in machine._scheduler.sessions.live[session].edges:
        edge.trouble = None
    while machine.run_round(0):
        for request in machine.poll_effects():
            machine.complete(request.effect_id, 1)
    events += machine.poll_events()
    assert any(isinstance(e, Faulted) and e.code == "vm.fault.verification" for e in events)


def test_an_endpoint_in_a_message_that_is_refused_is_lost() -> None:
    """Its own session ends too, and says why."""
    script = (EXAMPLES / "delegation.troth").read_text()
    later = script.replace("    recv h.D", "    yield\n    yield\n    recv h.D")
    assert later != script
    image, signer = compile_source(later, "later.troth"), make_signer()
    machine = Machine(load(image), seed=bytes(32), signer=signer, roster=signer)
    machine.start()
    events: list[Event] = []
    plan = TroubleSchedule([Planned(1, Trouble.CORRUPT, "Dispatcher", "Worker", session=1)])
    while machine.run_round(0):
        found = machine.poll_events()
        plan.watch(found)
        plan.come(machine, 0)
        events += found + machine.poll_events()
    assert plan.left == []
    ends = {e.detail for e in events if isinstance(e, StatusChanged) and e.detail}
    assert ends == {"endpoint lost in transit", "vm.fault.verification"}
    (told,) = [e.message for e in machine.report().faults if e.code == "vm.fault.channel"]
    assert told == "the session Job is over: cancelled: endpoint lost in transit"


def test_who_is_timed_out_does_nothing_until_then_and_goes_on() -> None:
    sample = recorded("timeout")
    assert _statuses(sample) == {0: (2, ""), 1: (2, "")}
    records = parse(sample.data)
    place = find(records, Kind.TROUBLE)
    now_ns, acted = 0, []
    for record in records[place:]:
        if record[0] == Kind.TIME:
            now_ns = record[1]
        if record[0] in (Kind.SEND, Kind.RECEIVE) and record[1:3] == (0, 1):
            acted.append(now_ns)
    assert min(acted) == 40 * MILLISECOND
    assert _printed(sample)[-1] == "30"


# --- what cannot happen ----------------------------------------------------------------------


def _machine() -> Machine:
    keys = make_signer()
    machine = Machine(load(relay()), seed=bytes(32), signer=keys, roster=keys)
    machine.start()
    return machine


def _session(machine: Machine) -> bytes:
    return next(iter(machine._scheduler.sessions.live))


REFUSED: Final = {
    "nobody": (Disturb(0, Trouble.CRASH, "Nobody"), "trouble.role"),
    "no edge": (Disturb(0, Trouble.PARTITION, "Source", "Sink"), "trouble.edge"),
    "no way back": (Disturb(0, Trouble.CORRUPT, "Middle", "Source"), "trouble.edge"),
    "whole": (Disturb(0, Trouble.HEAL, "Source", "Middle"), "trouble.whole"),
    "nothing in flight": (Disturb(0, Trouble.CORRUPT, "Sink", "Middle"), "trouble.nothing"),
    "no time": (Disturb(0, Trouble.TIMEOUT, "Sink", "", 0), "trouble.time"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_happen_changes_nothing(name: str) -> None:
    machine = _machine()
    machine.run_round(0)
    machine.poll_events()
    before = machine.snapshot()
    what, code = REFUSED[name]
    with pytest.raises(Unusable) as caught:
        disturb(machine, what)
    assert caught.value.code == code
    assert machine.snapshot() == before
    assert machine.poll_events() == []


def test_nothing_happens_twice() -> None:
    machine = _machine()
    machine.run_round(0)
    session = _session(machine)
    while not machine._scheduler.sessions.live[session].edges[2].buffer.messages:
        assert machine.run_round(0)
    twice: list[tuple[Callable[[], None], str]] = [
        (lambda: machine.partition(session, "Source", "Middle"), "trouble.parted"),
        (lambda: machine.corrupt(session, "Source", "Middle"), "trouble.corrupt"),
        (lambda: machine.time_out(session, "Sink", 5), "trouble.time"),
    ]
    for act, code in twice:
        act()
        with pytest.raises(Unusable) as caught:
            act()
        assert caught.value.code == code


# --- who believes it -------------------------------------------------------------------------

Edit = Callable[[list[Record]], None]


def _without_trouble(records: list[Record]) -> None:
    del records[find(records, Kind.TROUBLE)]


def _without_fault(records: list[Record]) -> None:
    del records[find(records, Kind.FAULT)]


def _of_another_role(records: list[Record]) -> None:
    place = find(records, Kind.TROUBLE)
    records[place] = (*records[place][:3], (records[place][3] + 1) % 3, *records[place][4:])


def _later(records: list[Record]) -> None:
    """The session has ended by then."""
    records.insert(find(records, Kind.STATUS) + 1, records.pop(find(records, Kind.TROUBLE)))


def _earlier(records: list[Record]) -> None:
    """Something passes that could not any more."""
    trouble = records.pop(find(records, Kind.TROUBLE))
    records.insert(find(records, Kind.SEND), trouble)


def _twice(records: list[Record]) -> None:
    place = find(records, Kind.TROUBLE)
    records.insert(place, records[place])


def _until_later(records: list[Record]) -> None:
    place = find(records, Kind.TROUBLE)
    *before, until_ns, number = records[place]
    records[place] = (*before, until_ns + 40 * MILLISECOND, number)


EDITS: Final[list[tuple[str, Edit]]] = [
    ("crash", _without_trouble),
    ("crash", _without_fault),
    ("crash", _of_another_role),
    ("crash", _later),
    ("crash", _twice),
    ("healed", _without_trouble),
    ("healed", _of_another_role),
    ("healed", _twice),
    ("parted", _earlier),
    ("timeout", _until_later),
    ("timeout", _twice),
]


@pytest.mark.parametrize(("name", "edit"), EDITS)
def test_all_parties_together_cannot_tell_another_story(name: str, edit: Edit) -> None:
    sample = recorded(name)
    records = parse(sample.data)
    edit(records)
    forged = collude(records, sample)
    verdict = conformance.verify(io.BytesIO(forged), trust=sample.trust)
    assert verdict.findings, edit
    assert verdict.findings[0].code.startswith(("protocol.", "structure."))
    assert judge(forged, {}).word == "invalid"


def test_a_corrupted_message_cannot_have_been_received() -> None:
    sample = recorded("timeout")
    records = parse(sample.data)
    place = find(records, Kind.TROUBLE)
    sends = [i for i in range(place) if records[i][0] == Kind.SEND and records[i][1:4] == (0, 0, 1)]
    _, session, _, _, _, _, number = records[place]
    records[sends[-1] + 1 : sends[-1] + 1] = [
        (Kind.TROUBLE, session, int(Trouble.CORRUPT), 0, 1, None, number)
    ]
    forged = collude(records, sample)
    verdict = conformance.verify(io.BytesIO(forged), trust=sample.trust)
    assert verdict.findings[0].code == "protocol.trouble"
    assert judge(forged, {}).word == "invalid"


def test_level_5_finds_trouble_that_did_not_come_like_this() -> None:
    """No rule is broken: it is said to have come a round earlier."""
    sample = recorded("healed")
    records = parse(sample.data)
    heal = find_all(sample, Kind.TROUBLE)[1]
    records[heal] = (*records[heal][:6], records[heal][6] - 1)
    forged = Sample(collude(records, sample), sample.keys)
    verdict = judged(forged)
    assert [finding.code for finding in verdict.findings] == ["replay.divergence"]
    assert judge(forged.data, {}).word == "valid"


# --- the same everywhere ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["crash", "healed", "timeout-and-crash"])
def test_a_stopped_run_goes_on_to_the_same_end(name: str) -> None:
    sample = recorded(name)
    whole = done_by_programs(sample.data)
    last = find_all(sample, Kind.TROUBLE)[-1]
    after = len(sample.data) - 900
    assert len(parse(sample.data[:after] + sample.data[after:])) > last
    for size in (after, after - 301, after - 602):
        resumed = resume_in_memory(sample, size, seal_every=4096)
        seen = sum(record[0] == Kind.TROUBLE for record in parse(resumed.file.written))
        left = TROUBLES[name][seen:]
        again = resumed.go_on(replace(host(name), troubles=left), 3000)
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


@pytest.mark.parametrize("name", TROUBLES)
def test_the_order_of_lanes_makes_no_difference(name: str) -> None:
    one = recorded(name)
    other = record_run(relay(), host(name), workers=_Backwards())
    assert one.data == other.data


@pytest.mark.parametrize("seals_rounds", [False, True])
@pytest.mark.parametrize("name", TROUBLES)
def test_the_reference_says_the_same(name: str, seals_rounds: bool) -> None:
    image = relay()
    keys = make_signer()
    setup = Setup(
        image=image,
        seed=bytes(32),
        signer=keys,
        roster=keys,
        limits=DEFAULT_LIMITS,
        seals_rounds=seals_rounds,
    )

    def effects(request: EffectRequest) -> RegisterValue:
        (n,) = request.arguments
        assert isinstance(n, int)
        return 10 * n

    acts = {after: [what] for after, what in TROUBLES[name]}
    both = run_both(load(image), setup, effects=effects, acts=acts, round_ns=MILLISECOND)
    assert both.difference is None
    told = sum(isinstance(event, Troubled) for event in both.events)
    assert told == len(acts)


@pytest.mark.parametrize("name", ["healed", "corrupt", "timeout"])
def test_a_machine_keeps_its_trouble_as_bytes(name: str) -> None:
    """A snapshot behind the first trouble, and a machine made of it that goes on."""
    keys = make_signer()
    machine = Machine(load(relay()), seed=bytes(32), signer=keys, roster=keys)
    machine.start()
    after, what = TROUBLES[name][0]
    left = replace(host(name), troubles=TROUBLES[name][1:])
    while machine.rounds < after:
        assert machine.run_round(machine.rounds * MILLISECOND)
    disturb(machine, what)
    other = Machine(load(relay()), seed=bytes(32), signer=keys, roster=keys)
    other.restore(machine.snapshot())
    assert other.snapshot() == machine.snapshot()
    for one in (machine, other):
        assert drive(one, left, 2000)
    assert machine.poll_events()[-20:] == other.poll_events()[-20:]
    assert machine.snapshot() == other.snapshot()
