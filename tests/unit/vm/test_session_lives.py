"""Every way in which a session ends, met in every situation that a role can be in.

One session, Talk, has a role A in one of the `SITUATIONS`, a role C that has given notice or has
not, and is ended in one of the `ENDINGS`. Next to it a bystander has a session of its own. Each
run is recorded and has to verify at every level, which accounts for each message.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest

import builders as b
from artifact_surgery import Record, Sample, collude, parse, raw_records
from replay_samples import Host, judged, level_5, record_run, require_reproduced, surplus
from resume_samples import resume_in_memory
from troth.vm import events as ev
from troth.vm.errors import Unusable
from troth.vm.events import Status
from troth.vm.image import Effect, Image
from troth.vm.instructions import Branch, Cancel, Case, Fork, Instruction, Invoke, Join
from troth.vm.machine import Machine, MachineState, Outcome
from troth.vm.records import Kind
from troth.vm.scheduler import STALE_TIMERS_MAX
from troth.vm.step_common import LOST_IN_TRANSIT
from troth.vm.step_end import LINGER_OVER
from troth.vm.types import Mu, Var

ACK: Final = b.receives("B", ("ack", [], b.END))
THEN_HI: Final = b.sends("A", ("ack", [], b.receives("C", ("hi", [], b.END))))
TALK: Final = b.protocol(
    "Talk",
    {
        "A": Mu("x", b.sends("B", ("item", [b.INT], Var("x")), ("last", [], ACK))),
        "B": Mu("x", b.receives("A", ("item", [b.INT], Var("x")), ("last", [], THEN_HI))),
        "C": b.sends("B", ("hi", [], b.END)),
    },
)
ONE: Final = b.protocol(
    "One",
    {"X": b.sends("Y", ("m", [b.INT], b.END)), "Y": b.receives("X", ("m", [b.INT], b.END))},
)
CARRY: Final = b.protocol(
    "Carry",
    {
        "X": b.sends("Y", ("take", [b.endpoint("Talk", "A")], b.END)),
        "Y": b.receives("X", ("take", [b.endpoint("Talk", "A")], b.END)),
    },
)
NUMBER: Final = b.set_(1, 5)
ITEM: Final = b.select(0, "B", "item", 1)
LAST: Final = b.select(0, "B", "last")
TAKEN: Final[list[Instruction]] = [b.select(1, "B", "last"), b.set_(6, "sent"), b.fail(6)]
SLOW: Final = Effect("slow", (), b.INT)

TOO_LATE: Final[list[Instruction]] = [b.set_(6, "still there"), b.fail(6)]
"""Where no program comes: by then its session is over, and so is the program."""

SITUATIONS: Final[dict[str, list[Instruction]]] = {
    "blocked sending": [NUMBER, ITEM, ITEM, ITEM, ITEM, *TOO_LATE],
    "blocked receiving": [LAST, b.recv(0, "B", "ack"), *TOO_LATE],
    "speculating": [NUMBER, Fork(18), ITEM, *b.naps(14), Join(), *TOO_LATE],
    "at work": [*b.naps(14), NUMBER, ITEM, *TOO_LATE],
    "asking for an effect": [Invoke(0, (), 1), ITEM, *TOO_LATE],
    "in transit": [*b.naps(14), b.recv(0, "X", "take", 1), b.close(0), *TAKEN],
}


class Ending(NamedTuple):
    """`by_b` is what B does after a while, `host` what the host does; `status` comes of it."""

    status: Status
    detail: str
    by_b: list[Instruction]
    host: Host


WAITS: Final[list[Instruction]] = [*b.naps(60), *TOO_LATE]
EFFECTS: Final = {"slow": lambda: 7}
CANCELS: Final[list[Instruction]] = [*b.naps(3), b.set_(3, "enough"), Cancel(0, 3), b.HALT]
FAILS: Final[list[Instruction]] = [*b.naps(3), b.set_(3, "broken"), b.fail(3)]


def _host(**options: tuple[int, ...]) -> Host:
    return Host(effects=EFFECTS, delay=12, now_ns=lambda rounds: 10 * rounds, **options)  # type: ignore[arg-type]


ENDINGS: Final[dict[str, Ending]] = {
    "a role cancels": Ending(Status.CANCELLED, "enough", CANCELS, _host()),
    "a role faults": Ending(Status.FAULTED, "vm.fault.fail", FAILS, _host()),
    "the host cancels": Ending(
        Status.CANCELLED, "the host is tired", WAITS, _host(cancel_after=(6,))
    ),
    "the host asks for the end": Ending(Status.CLOSED, LINGER_OVER, WAITS, _host(end_after=(5,))),
    "a role cancels after the host asks": Ending(
        Status.CANCELLED, "enough", CANCELS, _host(end_after=(3,))
    ),
    "a role faults after the host asks": Ending(
        Status.FAULTED, "vm.fault.fail", FAILS, _host(end_after=(3, 4))
    ),
}


def _image(situation: str, by_b: list[Instruction], *, noticed: bool) -> Image:
    in_transit = situation == "in transit"
    # Several instructions a round would make it a matter of luck who comes first.
    main: list[Instruction] = [b.open_(0, 0, 1, 2, capacity=2, linger_ns=80), b.open_(1, 3, 4)]
    if in_transit:
        main += [b.open_(2, 5, 6), b.send(5, "Y", "take", 0), b.close(5), b.spawn(7, 1, 6)]
    else:
        main += [b.spawn(7, 1, 0)]
    main += [b.spawn(7, 2, 1), b.spawn(7, 3, 2), b.spawn(7, 4, 3), b.spawn(7, 5, 4), b.HALT]
    hi = [b.send(0, "B", "hi"), b.close(0), b.HALT]
    return b.image(
        [TALK, ONE, CARRY],
        [
            b.program("main", main),
            b.program(
                "a",
                SITUATIONS[situation],
                b.endpoint("Carry", "Y") if in_transit else b.endpoint("Talk", "A"),
            ),
            b.program("b", by_b, b.endpoint("Talk", "B")),
            b.program("c", hi if noticed else [*b.naps(60), *hi], b.endpoint("Talk", "C")),
            b.program(
                "x", [*b.naps(20), NUMBER, b.send(0, "Y", "m", 1), b.HALT], b.endpoint("One", "X")
            ),
            b.program("y", [b.recv(0, "X", "m", 1), b.HALT], b.endpoint("One", "Y")),
        ],
        [SLOW],
    )


def _records(sample: Sample, kind: Kind, session: int) -> list[Record]:
    return [items for items in parse(sample.data) if items[0] == kind and items[1] == session]


@pytest.mark.parametrize("noticed", [False, True], ids=["active", "draining"])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_ending_in_every_situation(situation: str, ending: str, noticed: bool) -> None:
    end = ENDINGS[ending]
    sample = record_run(_image(situation, end.by_b, noticed=noticed), end.host, quantum=2)
    require_reproduced(sample)
    rows = [(Status(items[2]), items[3], items[4]) for items in _records(sample, Kind.STATUS, 0)]
    finals = [row for row in rows if row[0] is not Status.DRAINING]
    detail = end.detail
    if end.status is Status.CLOSED:
        detail += "; no notice of A, B" if noticed else "; no notice of A, B, C"
    assert finals == [(end.status, int(end.status is Status.CLOSED), detail)]
    drained = noticed or bool(_records(sample, Kind.ASK_END, 0))
    assert [row[0] for row in rows].count(Status.DRAINING) == drained
    others = [Status(items[2]) for items in _records(sample, Kind.STATUS, 1)]
    assert others == [Status.DRAINING, Status.CLOSED], "a bystander's session is its own"
    faults = [(items[4], items[2]) for items in parse(sample.data) if items[0] == Kind.FAULT]
    assert ("a", "vm.fault.channel") in faults, "whoever is in the session is told"
    assert "vm.fault.fail" not in [code for program, code in faults if program != "b"]


# --- asking for the end --------------------------------------------------------------------


def _opened(machine: Machine) -> bytes:
    (opened,) = b.of_type(machine.poll_events(), ev.Opened)
    assert isinstance(opened, ev.Opened)
    return opened.session


def _half_an_hour(sender_naps: int, **options: object) -> Machine:
    sender = [*b.naps(sender_naps), NUMBER, b.send(0, "Y", "m", 1), b.close(0), b.HALT]
    receiver = [b.recv(0, "X", "m", 1), b.close(0), b.HALT]
    main: list[Instruction] = [b.open_(0, 0, 1, **options), b.spawn(2, 1, 0), b.spawn(3, 2, 1)]
    built = b.image(
        [ONE],
        [
            b.program("main", [*main, b.HALT]),
            b.program("x", sender, b.endpoint("One", "X")),
            b.program("y", receiver, b.endpoint("One", "Y")),
        ],
    )
    machine = b.make_machine(built)
    machine.run_round(0)
    return machine


def test_whoever_is_done_in_time_closes_as_ever() -> None:
    machine = _half_an_hour(5, linger_ns=100)
    session = _opened(machine)
    assert machine.end_session(session, 40) == 140
    events = machine.poll_events()
    assert events == [
        ev.EndAsked(session, 40, 1),
        ev.StatusChanged(session, Status.DRAINING, 0, ""),
    ]
    while machine.run_round(50):
        pass
    events = machine.poll_events()
    assert [e for e in events if isinstance(e, ev.StatusChanged)] == [
        ev.StatusChanged(session, Status.CLOSED, 1, "")
    ]
    assert machine.state is MachineState.FINISHED
    assert machine.deadline_ns() is None


def test_asking_twice_neither_moves_the_deadline_nor_is_recorded() -> None:
    machine = _half_an_hour(5, linger_ns=100)
    session = _opened(machine)
    assert machine.end_session(session, 40) == 140
    machine.poll_events()
    assert machine.end_session(session, 90) == 140
    assert machine.poll_events() == []


def test_only_a_session_that_goes_on_can_be_asked() -> None:
    machine = _half_an_hour(0)
    session = _opened(machine)
    b.run(machine)
    with pytest.raises(Unusable, match=r"session\.unknown"):
        machine.end_session(session, 0)


def test_the_last_notice_does_not_start_the_clock_again() -> None:
    machine = b.make_machine(surplus(1000))
    machine.run_round(0)
    session = _opened(machine)
    assert machine.end_session(session, 100) == 1100
    while machine.run_round(600):
        pass
    assert machine.deadline_ns() == 1100
    assert machine.run_round(1100)
    ends = [e for e in machine.poll_events() if isinstance(e, ev.StatusChanged)]
    assert ends[-1] == ev.StatusChanged(session, Status.CLOSED, 1, LINGER_OVER)


def test_a_stuck_session_is_ended_and_whoever_waits_is_told() -> None:
    """Y waits for X, which is held by a program that waits for Y elsewhere."""
    back = b.protocol(
        "Back",
        {"X": b.receives("Y", ("n", [b.INT], b.END)), "Y": b.sends("X", ("n", [b.INT], b.END))},
    )
    main: list[Instruction] = [b.open_(0, 0, 1, linger_ns=7), b.open_(1, 2, 3)]
    main += [b.spawn(4, 1, 0, 2), b.spawn(4, 2, 1, 3), b.HALT]
    waits_back = [b.recv(1, "Y", "n", 2), b.send(0, "Y", "m", 2), b.HALT]
    waits = [b.recv(0, "X", "m", 2), b.send(1, "X", "n", 2), b.HALT]
    machine = b.make_machine(
        b.image(
            [ONE, back],
            [
                b.program("main", main),
                b.program("x", waits_back, b.endpoint("One", "X"), b.endpoint("Back", "X")),
                b.program("y", waits, b.endpoint("One", "Y"), b.endpoint("Back", "Y")),
            ],
        )
    )
    events = b.run(machine)
    assert machine.outcome() is Outcome.STUCK
    first = next(event.session for event in events if isinstance(event, ev.Opened))
    assert machine.end_session(first, 0) == 7
    assert machine.deadline_ns() == 7
    events = b.run(machine)
    assert b.faults(events) == ["vm.fault.channel"] * 2
    assert machine.state is MachineState.FINISHED
    details = [e.detail for e in events if isinstance(e, ev.StatusChanged) and e.detail]
    assert details[0] == "linger time is over; no notice of X, Y"


def test_an_endpoint_in_a_message_that_nobody_takes_in_time_is_lost() -> None:
    """The session that carries it ends by its clock; the one it belongs to is cancelled."""
    main: list[Instruction] = [b.open_(0, 0, 1, 2), b.open_(2, 5, 6, linger_ns=0)]
    main += [b.send(5, "Y", "take", 0), b.close(5), b.spawn(7, 1, 6), b.spawn(7, 2, 1, 2), b.HALT]
    built = b.image(
        [TALK, ONE, CARRY],
        [
            b.program("main", main),
            b.program("y", [*b.naps(30), b.HALT], b.endpoint("Carry", "Y")),
            b.program(
                "rest",
                [Branch(0, "A", (Case("item", (2,), 1), Case("last", (), 1))), b.HALT],
                b.endpoint("Talk", "B"),
                b.endpoint("Talk", "C"),
            ),
        ],
    )
    machine = b.make_machine(built)
    machine.run_round(0)
    opened = [e.session for e in machine.poll_events() if isinstance(e, ev.Opened)]
    machine.end_session(opened[1], 0)
    machine.run_round(0)
    events = machine.poll_events()
    ends = [
        (e.session, e.status, e.detail)
        for e in events
        if isinstance(e, ev.StatusChanged) and e.status is not Status.DRAINING
    ]
    assert ends == [
        (opened[1], Status.CLOSED, "linger time is over; no notice of Y"),
        (opened[0], Status.CANCELLED, LOST_IN_TRANSIT),
    ]
    assert [e.sequence for e in events if isinstance(e, ev.Undelivered)] == [0]


def test_clocks_that_were_not_needed_are_forgotten() -> None:
    """A machine that asks each of its sessions to end keeps none of their clocks."""
    loop: list[Instruction] = [
        b.open_(0, 3, 4, linger_ns=1 << 50),
        b.open_(0, 0, 1, linger_ns=1 << 60),
        *b.naps(1),
        b.set_(2, 5),
        b.send(0, "Y", "m", 2),
        b.recv(1, "X", "m", 2),
        b.close(0),
        b.close(1),
        b.jump(1),
    ]
    machine = b.make_machine(b.image([ONE], [b.program("main", loop)]))
    for _ in range(400):
        machine.run_round(0)
        for session in tuple(machine._scheduler.sessions.live):
            machine.end_session(session, 0)
        machine.poll_events()
    assert machine._scheduler.sessions.ended[Status.CLOSED] > 300
    assert len(machine._scheduler.timers) <= STALE_TIMERS_MAX + 1


def test_a_turn_that_is_over_holds_nothing() -> None:
    """Neither sessions whose clock has started nor anything else grows with the machine's life."""
    image = _image("blocked sending", [*b.naps(3), Cancel(0, 6)], noticed=True)
    asked = b.make_machine(image)
    for machine, end_after in ((asked, 4), (b.make_machine(image), 0)):
        for number in range(12):
            machine.run_round(number)
            if number + 1 == end_after:
                for session in tuple(machine._scheduler.sessions.live):
                    machine.end_session(session, number)
            turn = machine._scheduler.turn
            held = {name: getattr(turn, name) for name in turn.__slots__ if name != "context"}
            kept = {
                name for name, value in held.items() if isinstance(value, list | dict) and value
            }
            assert not kept
    assert ev.EndAsked in {type(event) for event in asked.poll_events()}


# --- evidence ------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(1, 8))
@pytest.mark.parametrize("linger_ns", [0, 5, 1000])
def test_an_asked_end_replays_and_resumes_wherever_it_comes(after: int, linger_ns: int) -> None:
    host = Host(now_ns=lambda rounds: 3 * rounds, end_after=(after,))
    sample = record_run(surplus(linger_ns, naps=4), host, quantum=1)
    require_reproduced(sample)
    records = raw_records(sample.data)
    (over,) = [record.offset for record in records if record.items[0] == Kind.END]
    for size in range(over * 3 // 4, over, 37):
        resumed = resume_in_memory(sample, size, seal_every=4096).go_on(host, 1000)
        again = Sample(resumed.data, sample.keys)
        verdict = judged(again)
        assert verdict.findings == (), verdict.findings[0]
        assert level_5(verdict).ok


def _changed(sample: Sample, kind: Kind, change: object) -> Sample:
    records = parse(sample.data)
    place = max(n for n, items in enumerate(records) if items[0] == kind and items[1] == 0)
    if change is None:
        del records[place]
    else:
        records[place] = change(records[place])  # type: ignore[operator]
    return Sample(collude(records, sample), sample.keys)


LIES: Final = {
    "nobody asked": (Kind.ASK_END, None),
    "asked later": (Kind.ASK_END, lambda items: (*items[:2], items[2] + 30, items[3])),
    "a role less was silent": (
        Kind.STATUS,
        lambda items: (*items[:4], "linger time is over; no notice of A, B"),
    ),
    "nobody was silent": (Kind.STATUS, lambda items: (*items[:4], LINGER_OVER)),
    "nothing was the matter": (Kind.STATUS, lambda items: (*items[:4], "")),
}


@pytest.mark.parametrize("lie", LIES)
def test_the_verifier_finds_every_lie_about_an_asked_end(lie: str) -> None:
    end = ENDINGS["the host asks for the end"]
    sample = record_run(_image("at work", end.by_b, noticed=False), end.host, quantum=2)
    verdict = judged(_changed(sample, *LIES[lie]))
    code = "structure.round" if lie == "asked later" else "protocol.close"
    assert code in {finding.code for finding in verdict.findings}


# --- closing where it is not allowed -------------------------------------------------------


def test_a_close_while_speculating_is_refused_and_is_a_fault_of_its_sessions() -> None:
    """Even where the role's protocol is over: a notice cannot be taken back."""
    closes = [NUMBER, b.send(0, "B", "m", 1), Fork(4), b.close(0), b.HALT]
    one = b.protocol(
        "One",
        {"A": b.sends("B", ("m", [b.INT], b.END)), "B": b.receives("A", ("m", [b.INT], b.END))},
    )
    machine = b.make_machine(b.duo(one, closes, [*b.naps(9), b.recv(0, "A", "m", 1), b.HALT]))
    events = b.run(machine)
    assert b.faults(events) == ["vm.fault.speculation", "vm.fault.channel"]
    assert b.statuses(events) == [Status.FAULTED]
    assert len(b.of_type(events, ev.Undelivered)) == 1
    assert b.of_type(events, ev.Noticed) == []


def test_a_notice_while_the_other_side_is_blocked_wakes_it() -> None:
    """B waits for space that A, which has closed, will never make, and the other way round."""
    two = b.protocol(
        "Two",
        {
            "A": b.sends("B", ("m", [b.INT], b.END)),
            "B": b.receives(
                "A", ("m", [b.INT], b.sends("A", ("n", [], b.sends("A", ("n", [], b.END)))))
            ),
        },
    )
    first = [NUMBER, b.send(0, "B", "m", 1), *b.naps(8), b.close(0), b.HALT]
    second = [b.recv(0, "A", "m", 1), b.send(0, "A", "n"), b.send(0, "A", "n"), b.HALT]
    machine = b.make_machine(b.duo(two, first, second, capacity=1))
    events = b.run(machine)
    assert b.faults(events) == ["vm.fault.channel"]
    assert b.statuses(events) == [Status.DRAINING, Status.FAULTED]
    assert [e.sequence for e in events if isinstance(e, ev.Undelivered)] == [0]
