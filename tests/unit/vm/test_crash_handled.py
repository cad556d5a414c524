"""A crash that the protocol provides for: who goes on, what is not received, who believes it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pytest

from artifact_surgery import Record, Sample, collude, find, parse
from builders import make_signer
from crash_samples import DESK, MILLISECOND, SCRIPTS, crashing, farm, host, moments
from replay_samples import disturb, drive, record_run, require_reproduced
from second_verifier import judge
from troth import conformance
from troth.conformance.reference import Setup, run_both
from troth.conformance.reference.compare import Disturb
from troth.conformance.state_at import state_at
from troth.conformance.state_render import to_prose
from troth.dsl.compile import compile_source
from troth.vm.errors import Unusable
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Machine
from troth.vm.records import Kind
from troth.vm.trouble_kind import Trouble

ROUNDS: Final = {"ask": 9, "several": 14, "carried": 9, "guess": 10, "desk": 9}


def _recorded(
    name: str,
    after: int,
    what: Disturb,
    *,
    seal: Seal | None = None,
    replay: ReplayMode | None = None,
) -> Sample | None:
    """None where nobody plays the role any more."""
    try:
        return record_run(crashing(name), host((after, what)), seal=seal, replay=replay)
    except (Unusable, IndexError):
        return None


def _of(sample: Sample, kind: Kind) -> list[Record]:
    return [record for record in parse(sample.data) if record[0] == kind]


def _kinds(sample: Sample) -> Counter[Kind]:
    return Counter(Kind(record[0]) for record in parse(sample.data))


def _printed(sample: Sample) -> list[str]:
    return [record[2] for record in _of(sample, Kind.PRINT)]


def _statuses(sample: Sample) -> dict[int, tuple[int, str]]:
    return {record[1]: (record[2], record[4]) for record in _of(sample, Kind.STATUS)}


@pytest.mark.parametrize("seal", list(Seal))
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_crash_at_any_moment_ends_in_order_and_both_verifiers_agree(
    name: str, seal: Seal
) -> None:
    seen = Counter[Kind]()
    for after, what in moments(name, ROUNDS[name]):
        sample = _recorded(name, after, what, seal=seal)
        if sample is None:
            continue
        require_reproduced(sample)
        assert judge(sample.data, {}) == judge(sample.data, {})
        assert judge(sample.data, {}).word == "valid", (after, what, judge(sample.data, {}))
        assert all(status > 1 for status, _ in _statuses(sample).values()), "nothing is left open"
        seen += _kinds(sample)
    assert seen[Kind.DEPART] > 2
    assert seen[Kind.DETECT] > 2
    assert seen[Kind.UNDELIVERED] > 0


@pytest.mark.parametrize("seals_rounds", [False, True])
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_reference_says_the_same(name: str, seals_rounds: bool) -> None:
    image, keys = crashing(name), make_signer()
    setup = Setup(
        image=image,
        seed=bytes(32),
        signer=keys,
        roster=keys,
        limits=DEFAULT_LIMITS,
        seals_rounds=seals_rounds,
    )
    for after, what in moments(name, ROUNDS[name]):
        both = run_both(load(image), setup, acts={after: [what]}, round_ns=MILLISECOND)
        assert both.difference is None, (after, what, both.difference)


class _Backwards:
    """Executes lanes one after the other, the last first."""

    lanes = True

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        for job in reversed(jobs):
            job()

    def share(self, count: int, work: Callable[[Iterator[int]], None]) -> None:
        work(iter(range(count)))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_order_of_lanes_makes_no_difference(name: str) -> None:
    for after, what in list(moments(name, ROUNDS[name]))[::2]:
        one = _recorded(name, after, what)
        if one is not None:
            other = record_run(crashing(name), host((after, what)), workers=_Backwards())
            assert one.data == other.data


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_machine_goes_on_from_its_bytes_to_the_same_end(name: str) -> None:
    keys = make_signer()
    for after, what in list(moments(name, ROUNDS[name]))[::3]:
        machine = Machine(load(crashing(name)), seed=bytes(32), signer=keys, roster=keys)
        machine.start()
        while machine.rounds < after and machine.run_round(machine.rounds * MILLISECOND):
            pass
        try:
            disturb(machine, what)
        except (Unusable, IndexError):
            continue
        other = Machine(load(crashing(name)), seed=bytes(32), signer=keys, roster=keys)
        other.restore(machine.snapshot())
        assert other.snapshot() == machine.snapshot()
        for one in (machine, other):
            one.poll_events()
            assert drive(one, host(), 500)
        assert machine.poll_events() == other.poll_events()
        assert machine.snapshot() == other.snapshot()


@pytest.mark.parametrize("size", range(2, 9))
def test_families_of_every_size_do_without_some(size: int) -> None:
    """One before it has done anything, and one while its clock runs; the others are waited for."""
    image = compile_source(farm(size), "farm.troth")
    crashes = [(1 + 2 * n, Disturb(0, Trouble.CRASH, f"Worker[{n}]")) for n in (0, 1)]
    sample = record_run(image, host(*crashes))
    printed = _printed(sample)
    assert (len(_of(sample, Kind.DEPART)), len(_of(sample, Kind.DETECT))) == (2, 2)
    assert printed[:2] == ["lost", "lost"]
    assert printed.count("late") == (size - 2) // 2
    assert len(printed) == size
    assert _statuses(sample) == {0: (2, "")}
    require_reproduced(sample)
    assert judge(sample.data, {}).word == "valid"


# --- what becomes of whom --------------------------------------------------------------------


def test_the_one_who_waits_goes_on_and_the_session_closes() -> None:
    sample = _recorded("ask", 2, Disturb(0, Trouble.CRASH, "Oracle"))
    assert sample is not None
    assert _printed(sample) == ["the oracle is gone", "because"]
    assert _statuses(sample) == {0: (2, "")}
    assert [record[2] for record in _of(sample, Kind.FAULT)] == ["vm.fault.crash"]
    sent = len(_of(sample, Kind.SEND))
    received, undelivered = len(_of(sample, Kind.RECEIVE)), len(_of(sample, Kind.UNDELIVERED))
    assert sent == received + undelivered
    assert undelivered > 1, "the messages of who waited for space are sent, and listed"


def test_what_was_sent_before_the_crash_is_still_received() -> None:
    """Each item that the source has sent goes its way before anybody goes on without the source."""
    for after in range(2, ROUNDS["several"]):
        sample = _recorded("several", after, Disturb(0, Trouble.CRASH, "Source"))
        if sample is None or not _of(sample, Kind.DETECT):
            continue
        records = parse(sample.data)
        for detect in _of(sample, Kind.DETECT):
            place = records.index(detect)
            sent = {one[6:8] for one in records if one[0] == Kind.SEND and _edge(one) == detect[1:]}
            taken = {
                one[4:6]
                for one in records[:place]
                if one[0] == Kind.RECEIVE and one[1:4] == detect[1:]
            }
            assert sent == taken


def _edge(send: Record) -> Record:
    """Session, receiver and sender."""
    return send[1], send[3], send[2]


def test_who_waits_for_the_crashed_elsewhere_faults() -> None:
    """The asker is missed by nobody who could say so: its crash ends the session."""
    sample = _recorded("ask", 2, Disturb(0, Trouble.CRASH, "Asker"))
    assert sample is not None
    assert _statuses(sample) == {0: (4, "vm.fault.crash")}
    assert not _of(sample, Kind.DEPART)


def test_each_session_of_who_has_crashed_is_decided_by_itself() -> None:
    sample = _recorded("several", 3, Disturb(0, Trouble.CRASH, "Source"))
    assert sample is not None
    assert _statuses(sample) == {0: (2, ""), 1: (2, ""), 2: (4, "vm.fault.crash")}
    assert [record[1] for record in _of(sample, Kind.DEPART)] == [0, 1]
    assert sorted(set(_printed(sample))) == ["0", "1", "no more", "nothing"]


def test_the_sessions_of_a_bundle_go_on_together_or_not_at_all() -> None:
    ends = set()
    for after in range(1, ROUNDS["desk"]):
        sample = _recorded("desk", after, Disturb(0, Trouble.CRASH, "Host"))
        if sample is not None:
            (end,) = set(_statuses(sample).values())
            ends.add((len(_of(sample, Kind.DEPART)), *end, *_printed(sample)))
    assert (2, 2, "", "dark", "silent") in ends
    assert (2, 2, "", "dark", "7") in ends
    assert {end[0] for end in ends} == {2}


def test_a_bundle_ends_where_one_of_its_sessions_needs_the_role() -> None:
    """The viewer has gone on from the choice of the one, and not from that of the other."""
    script = DESK.replace(
        "    recv d.sound.Host:\n", "    yield\n    yield\n    recv d.sound.Host:\n"
    )
    script = script.replace(
        "    close d\n\nprogram viewer",
        "    yield\n    yield\n    yield\n    close d\n\nprogram viewer",
    )
    image = compile_source(script, "desk.troth")
    seen = set()
    for after in range(1, 12):
        try:
            sample = record_run(image, host((after, Disturb(1, Trouble.CRASH, "Host"))))
        except (Unusable, IndexError):
            continue
        require_reproduced(sample)
        assert judge(sample.data, {}).word == "valid"
        (end,) = set(_statuses(sample).values())
        seen.add((len(_of(sample, Kind.DEPART)), end))
    assert {(2, (2, "")), (0, (4, "vm.fault.crash"))} < seen


@pytest.mark.parametrize(("name", "role"), [("ask", "Asker"), ("desk", "Viewer")])
def test_nothing_of_the_kind_is_opened_between_machines(name: str, role: str) -> None:
    keys = make_signer()
    machine = Machine(
        load(crashing(name)), seed=bytes(32), signer=keys, roster=keys, home=frozenset({role})
    )
    machine.start()
    assert machine.run_round(0)
    (error,) = machine.report().faults
    assert error.code == "vm.fault.open"
    assert "says what follows a crash" in str(error)
    assert machine.poll_meetings() == []


def test_an_endpoint_that_was_on_its_way_to_the_crashed_is_lost() -> None:
    ends = set()
    for after in range(1, ROUNDS["carried"]):
        sample = _recorded("carried", after, Disturb(0, Trouble.CRASH, "Giver"))
        if sample is not None:
            ends.add((_statuses(sample)[0], _statuses(sample)[1], *_printed(sample)))
    assert ((2, ""), (3, "endpoint lost in transit"), "lost") in ends
    assert ((2, ""), (4, "vm.fault.crash"), "lost") in ends


def test_a_crash_is_not_seen_through_a_partition() -> None:
    crash, part = (
        Disturb(0, Trouble.CRASH, "Oracle"),
        Disturb(0, Trouble.PARTITION, "Oracle", "Asker"),
    )
    heal = Disturb(0, Trouble.HEAL, "Asker", "Oracle")
    sample = record_run(crashing("ask"), host((2, part), (3, crash), (6, heal)))
    records = parse(sample.data)
    assert find(records, Kind.DETECT) > find(records, Kind.TROUBLE, 2)
    assert _printed(sample) == ["the oracle is gone", "because"]
    require_reproduced(sample)
    assert judge(sample.data, {}).word == "valid"


def test_the_state_after_a_record_says_who_is_gone() -> None:
    sample = _recorded("ask", 2, Disturb(0, Trouble.CRASH, "Oracle"))
    assert sample is not None
    place = find(parse(sample.data), Kind.DETECT)
    found = state_at(io.BytesIO(sample.data), place, "a.replay")
    (session,) = found.sessions
    oracle, asker, _ = session.endpoints
    assert (oracle.crashed, oracle.in_message, oracle.noticed) == (True, False, True)
    assert not asker.crashed
    assert "Oracle: signed for by Oracle, gone: its program has crashed" in to_prose(found)


# --- who believes it -------------------------------------------------------------------------

Edit = Callable[[list[Record]], None]


def _without(kind: Kind, number: int = 0) -> Edit:
    def edit(records: list[Record]) -> None:
        del records[find(records, kind, number)]

    return edit


def _never_crashed(records: list[Record]) -> None:
    """The way on after a crash is taken, and nobody has crashed."""
    for kind in (Kind.TROUBLE, Kind.FAULT, Kind.DEPART):
        del records[find(records, kind)]


def _hidden(records: list[Record]) -> None:
    """The session ends with the crash, as one does that does not provide for it."""
    place = find(records, Kind.DEPART)
    session = records[place][1]
    end = find(records, Kind.END)
    del records[place:end]
    records.insert(place, (Kind.STATUS, session, 4, 0, "vm.fault.crash"))


def _too_early(records: list[Record]) -> None:
    """Before a message is received that the crashed role has sent."""
    detect = find(records, Kind.DETECT)
    record = records.pop(detect)
    receive = max(
        place
        for place in range(detect)
        if records[place][0] == Kind.RECEIVE and records[place][2:4] == record[2:4]
    )
    records.insert(receive, record)


def _by_another(records: list[Record]) -> None:
    place = find(records, Kind.DETECT)
    records[place] = (*records[place][:2], records[place][3], records[place][2])


def _departs_twice(records: list[Record]) -> None:
    place = find(records, Kind.DEPART)
    records.insert(place, records[place])


def _another_departs(records: list[Record]) -> None:
    place = find(records, Kind.DEPART)
    kind, session, role = records[place]
    records[place] = (kind, session, (role + 1) % 3)


def _departs_later(records: list[Record]) -> None:
    record = records.pop(find(records, Kind.DEPART))
    records.insert(find(records, Kind.DETECT), record)


def _listed_later(records: list[Record]) -> None:
    record = records.pop(find(records, Kind.UNDELIVERED))
    records.insert(find(records, Kind.DETECT), record)


def _acts_on(records: list[Record]) -> None:
    """Who has crashed takes a message all the same, or says that it is done."""
    depart = find(records, Kind.DEPART)
    receive = next(
        place
        for place in range(depart, -1, -1)
        if records[place][0] == Kind.RECEIVE and records[place][2] == records[depart][2]
    )
    records.insert(depart + 2, records.pop(receive))


EDITS: Final[list[tuple[str, int, str, Edit]]] = [
    ("ask", 3, "Oracle", _without(Kind.TROUBLE)),
    ("ask", 3, "Oracle", _without(Kind.FAULT)),
    ("ask", 3, "Oracle", _without(Kind.DEPART)),
    ("ask", 3, "Oracle", _without(Kind.DETECT)),
    ("ask", 3, "Oracle", _without(Kind.UNDELIVERED)),
    ("ask", 3, "Oracle", _without(Kind.UNDELIVERED, 1)),
    ("ask", 3, "Oracle", _never_crashed),
    ("ask", 3, "Oracle", _hidden),
    ("ask", 3, "Oracle", _by_another),
    ("ask", 3, "Oracle", _departs_twice),
    ("ask", 3, "Oracle", _another_departs),
    ("ask", 3, "Oracle", _departs_later),
    ("ask", 3, "Oracle", _listed_later),
    ("ask", 4, "Oracle", _acts_on),
    ("several", 3, "Source", _too_early),
    ("several", 3, "Source", _without(Kind.DEPART, 1)),
    ("several", 3, "Source", _hidden),
    ("desk", 4, "Host", _hidden),
    ("desk", 4, "Host", _without(Kind.DEPART)),
    ("desk", 4, "Host", _without(Kind.DEPART, 1)),
    ("desk", 4, "Host", _without(Kind.DETECT)),
]


@pytest.mark.parametrize(("name", "after", "role", "edit"), EDITS)
def test_all_parties_together_cannot_tell_another_story(
    name: str, after: int, role: str, edit: Edit
) -> None:
    sample = _recorded(name, after, Disturb(0, Trouble.CRASH, role))
    assert sample is not None
    records = parse(sample.data)
    edit(records)
    forged = collude(records, sample)
    verdict = conformance.verify(io.BytesIO(forged), trust=sample.trust)
    assert verdict.findings, edit
    assert verdict.findings[0].code.startswith(("protocol.", "structure.", "consumption."))
    assert judge(forged, {}).word == "invalid"
