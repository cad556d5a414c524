"""How sessions end: drained, lingering, cancelled, faulted; and what that does to everyone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

import builders as b
from troth.vm import events as ev
from troth.vm import signatures, statements
from troth.vm.errors import Unusable
from troth.vm.events import Status
from troth.vm.image import Image, Protocol
from troth.vm.instructions import Branch, Cancel, Case, Instruction, Policy
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.machine import Machine, MachineState, Outcome
from troth.vm.types import Mu, Var

BURST: Final = b.protocol(
    "Burst",
    {
        "A": Mu("x", b.sends("B", ("item", [b.INT], Var("x")), ("last", [], b.END))),
        "B": Mu("x", b.receives("A", ("item", [b.INT], Var("x")), ("last", [], b.END))),
    },
)
ONE: Final = b.protocol(
    "One",
    {
        "A": b.sends("B", ("m", [b.INT], b.END)),
        "B": b.receives("A", ("m", [b.INT], b.END)),
    },
)
# A sends one message more than B's type takes: only linger can end such a session.
SURPLUS: Final = b.protocol(
    "Surplus",
    {
        "A": b.sends("B", ("m", [b.INT], b.sends("B", ("m", [b.INT], b.END)))),
        "B": b.receives("A", ("m", [b.INT], b.END)),
    },
)
# B waits for one message more than A's type sends.
SHORTFALL: Final = b.protocol(
    "Shortfall",
    {
        "A": b.sends("B", ("m", [b.INT], b.END)),
        "B": b.receives("A", ("m", [b.INT], b.receives("A", ("m", [b.INT], b.END)))),
    },
)
NUMBER: Final = b.set_(1, 5)


def consume(naps: int) -> list[Instruction]:
    cases = (Case("item", (1,), naps + 1), Case("last", (), naps + 3))
    return [*b.naps(naps), Branch(0, "A", cases), b.print_(1), b.jump(naps), b.HALT]


def test_a_close_with_messages_in_flight_loses_none() -> None:
    items: list[Instruction] = []
    for number in range(5):
        items += [b.set_(1, number), b.select(0, "B", "item", 1)]
    sender = [*items, b.select(0, "B", "last"), b.close(0), b.HALT]
    machine = b.make_machine(b.duo(BURST, sender, consume(50)))
    machine.run_round(0)
    machine.run_round(0)
    early = machine.poll_events()
    assert b.statuses(early) == [Status.DRAINING]
    assert b.of_type(early, ev.Received) == []
    events = b.run(machine)
    assert b.printed(events) == ["0", "1", "2", "3", "4"]
    assert b.of_type(events, ev.Undelivered) == []
    assert b.statuses(events) == [Status.CLOSED]
    assert machine.outcome() is Outcome.OK


def test_notices_and_receipts_account_for_every_message() -> None:
    sender = [NUMBER, b.send(0, "B", "m", 1), b.close(0), b.HALT]
    receiver = [b.recv(0, "A", "m", 1), b.close(0), b.HALT]
    events = b.run(b.make_machine(b.duo(ONE, sender, receiver)))
    notices = [event for event in events if isinstance(event, ev.Noticed)]
    assert [(event.role, event.finals) for event in notices] == [("A", (("B", 0, 1),)), ("B", ())]
    (receipt,) = [event for event in events if isinstance(event, ev.Receipted)]
    (received,) = [event for event in events if isinstance(event, ev.Received)]
    assert (receipt.role, receipt.sender, receipt.consumed, receipt.discarded) == ("B", "A", 1, 0)
    assert receipt.reliable == 1
    assert receipt.root == received.root
    for notice in notices:
        said = statements.notice_statement(notice.session, notice.role, notice.finals)
        assert signatures.verify(notice.signer, said, notice.signature)
    said = statements.receipt_statement(receipt.session, "B", "A", 0, 1, 1, 0, receipt.root)
    assert signatures.verify(receipt.signer, said, receipt.signature)


def test_halt_closes_what_is_at_its_end_with_the_same_events() -> None:
    sender = [NUMBER, b.send(0, "B", "m", 1)]
    receiver = [b.recv(0, "A", "m", 1)]
    closing = b.duo(ONE, [*sender, b.close(0), b.HALT], [*receiver, b.close(0), b.HALT])
    halting = b.duo(ONE, [*sender, b.HALT], [*receiver, b.HALT])
    assert b.run(b.make_machine(closing)) == b.run(b.make_machine(halting))


def test_closing_twice_is_a_no_op() -> None:
    sender = [NUMBER, b.send(0, "B", "m", 1), b.close(0), b.close(0), b.HALT]
    machine = b.make_machine(b.duo(ONE, sender, [b.recv(0, "A", "m", 1), b.HALT]))
    events = b.run(machine)
    assert machine.outcome() is Outcome.OK
    assert len(b.of_type(events, ev.Noticed)) == 2


def test_a_closed_endpoint_cannot_be_used() -> None:
    sender = [NUMBER, b.send(0, "B", "m", 1), b.close(0), b.send(0, "B", "m", 1)]
    events = b.run(b.make_machine(b.duo(ONE, sender, [b.recv(0, "A", "m", 1), b.HALT])))
    assert b.faults(events) == ["vm.fault.channel"]


# --- nobody hangs --------------------------------------------------------------------------

LATE_SENDER: Final[list[Instruction]] = [
    *b.naps(3),
    NUMBER,
    b.send(0, "B", "m", 1),
    b.close(0),
    b.HALT,
]


@pytest.mark.parametrize("naps", [0, 9])
def test_a_receive_whose_sender_has_closed_faults(naps: int) -> None:
    """Whether it was blocked already when the sender closed, or comes later."""
    receiver = [*b.naps(naps), b.recv(0, "A", "m", 1), b.print_(1), b.recv(0, "A", "m", 1)]
    machine = b.make_machine(b.duo(SHORTFALL, LATE_SENDER, receiver))
    events = b.run(machine)
    assert b.printed(events) == ["5"]
    assert b.faults(events) == ["vm.fault.channel"]
    assert "has closed" in machine.report().faults[0].message
    assert machine.state is MachineState.FINISHED


def test_a_send_to_a_role_that_has_closed_faults() -> None:
    sender = [NUMBER, b.send(0, "B", "m", 1), *b.naps(5), b.send(0, "B", "m", 1)]
    receiver = [b.recv(0, "A", "m", 1), b.close(0), b.HALT]
    events = b.run(b.make_machine(b.duo(SURPLUS, sender, receiver)))
    assert b.faults(events) == ["vm.fault.channel"]
    assert len(b.of_type(events, ev.Sent)) == 1


def test_a_blocked_sender_learns_that_its_receiver_has_closed() -> None:
    three = b.sends("B", ("m", [b.INT], b.sends("B", ("m", [b.INT], b.END))))
    greedy = b.protocol(
        "Greedy",
        {
            "A": b.sends("B", ("m", [b.INT], three)),
            "B": b.receives("A", ("m", [b.INT], b.END)),
        },
    )
    sender = [NUMBER, *[b.send(0, "B", "m", 1)] * 3]
    receiver = [*b.naps(4), b.recv(0, "A", "m", 1), *b.naps(4), b.close(0), b.HALT]
    events = b.run(b.make_machine(b.duo(greedy, sender, receiver, capacity=1)))
    assert b.faults(events) == ["vm.fault.channel"]
    assert len(b.of_type(events, ev.Undelivered)) == 1


# --- linger --------------------------------------------------------------------------------


def surplus(linger_ns: int) -> Image:
    sender = [NUMBER, *[b.send(0, "B", "m", 1)] * 2, b.close(0), b.HALT]
    receiver = [b.recv(0, "A", "m", 1), b.close(0), b.HALT]
    return b.duo(SURPLUS, sender, receiver, linger_ns=linger_ns)


def run_until_idle(machine: Machine, now_ns: int) -> list[ev.Event]:
    while machine.run_round(now_ns):
        pass
    return machine.poll_events()


def test_what_nobody_takes_is_listed_when_the_linger_time_is_over() -> None:
    machine = b.make_machine(surplus(1000))
    before = run_until_idle(machine, 50)
    assert b.statuses(before) == [Status.DRAINING]
    assert (machine.state, machine.deadline_ns()) == (MachineState.WAITING, 1050)
    assert not machine.run_round(1049)
    assert machine.run_round(1050)
    after = machine.poll_events()
    session = next(event.session for event in before if isinstance(event, ev.Opened))
    assert after == [
        ev.TimeSet(1050, machine.rounds),
        ev.Undelivered(session, "A", "B", 0, 1),
        ev.StatusChanged(session, Status.CLOSED, 1, "linger time is over"),
    ]
    assert machine.state is MachineState.FINISHED


def test_the_time_is_recorded_only_where_it_matters() -> None:
    machine = b.make_machine(surplus(1000))
    events = run_until_idle(machine, 50)
    assert [event.now_ns for event in events if isinstance(event, ev.TimeSet)] == [50]
    at_home = b.make_machine(b.duo(ONE, [NUMBER, b.send(0, "B", "m", 1), b.HALT], LATE_SENDER[:0]))
    assert b.of_type(run_until_idle(at_home, 50), ev.TimeSet) == []


def test_time_never_goes_back() -> None:
    machine = b.make_machine(surplus(1000))
    run_until_idle(machine, 500)
    assert not machine.run_round(10)
    assert machine.deadline_ns() == 1500


def test_no_linger_closes_in_the_next_round() -> None:
    machine = b.make_machine(surplus(0))
    events = b.run(machine)
    assert b.statuses(events) == [Status.DRAINING, Status.CLOSED]
    assert len(b.of_type(events, ev.Undelivered)) == 1


# --- cancel --------------------------------------------------------------------------------


def cancelling(naps: int, reason: str = "enough") -> list[Instruction]:
    return [*b.naps(naps), b.set_(3, reason), Cancel(0, 3), b.HALT]


@pytest.mark.parametrize("naps", [0, 6])
def test_a_cancel_reaches_everyone_and_says_who_and_why(naps: int) -> None:
    machine = b.make_machine(b.duo(ONE, cancelling(naps), [b.recv(0, "A", "m", 1)]))
    events = b.run(machine)
    (cancelled,) = [event for event in events if isinstance(event, ev.Cancelled)]
    assert (cancelled.role, cancelled.reason) == ("A", "enough")
    said = statements.cancel_statement(cancelled.session, "A", "enough")
    assert signatures.verify(cancelled.signer, said, cancelled.signature)
    assert b.statuses(events) == [Status.CANCELLED]
    assert b.faults(events) == ["vm.fault.channel"]
    assert "cancelled by A: enough" in machine.report().faults[0].message


def test_a_cancel_lists_what_is_in_flight_by_name() -> None:
    sender = [NUMBER, *[b.select(0, "B", "item", 1)] * 3, *cancelling(0)]
    events = b.run(b.make_machine(b.duo(BURST, sender, consume(9))))
    assert [event.sequence for event in events if isinstance(event, ev.Undelivered)] == [0, 1, 2]
    kinds = [type(event) for event in events]
    assert kinds.index(ev.Cancelled) < kinds.index(ev.Undelivered)
    assert kinds.index(ev.Undelivered) < kinds.index(ev.StatusChanged)


def test_a_cancel_wakes_a_blocked_sender() -> None:
    sender = [NUMBER, *[b.select(0, "B", "item", 1)] * 3]
    events = b.run(b.make_machine(b.duo(BURST, sender, cancelling(5), capacity=2)))
    assert b.faults(events) == ["vm.fault.channel"]
    assert b.statuses(events) == [Status.CANCELLED]


def test_a_cancel_while_draining_never_becomes_a_close() -> None:
    sender = [NUMBER, b.send(0, "B", "m", 1), b.close(0), b.HALT]
    events = b.run(b.make_machine(b.duo(ONE, sender, cancelling(5))))
    assert b.statuses(events) == [Status.DRAINING, Status.CANCELLED]


def test_whoever_is_done_closes_a_cancelled_session_in_peace() -> None:
    sender = [NUMBER, b.send(0, "B", "m", 1), *b.naps(9), b.close(0), b.HALT]
    machine = b.make_machine(b.duo(ONE, sender, cancelling(0)))
    events = b.run(machine)
    assert b.faults(events) == []
    assert b.of_type(events, ev.Noticed) == []
    assert machine.outcome() is Outcome.FAILED


def test_cancelling_what_is_cancelled_changes_nothing() -> None:
    events = b.run(b.make_machine(b.duo(ONE, cancelling(0), cancelling(5, "too late"))))
    assert len(b.of_type(events, ev.Cancelled)) == 1
    assert b.faults(events) == []


@pytest.mark.parametrize(("spare", "code"), [(0, []), (1, ["vm.fault.limit"])])
def test_a_reason_is_as_long_as_a_message_may_be(spare: int, code: list[str]) -> None:
    """A text of 200 characters takes two bytes more."""
    limits = replace(DEFAULT_LIMITS, message_bytes_max=202 - spare)
    machine = b.make_machine(b.duo(ONE, cancelling(0, "r" * 200), [b.HALT]), limits=limits)
    assert b.faults(b.run(machine))[: len(code) or 1] == code


def test_the_host_can_cancel() -> None:
    machine = b.make_machine(b.duo(ONE, b.naps(99), [b.recv(0, "A", "m", 1)]))
    machine.run_round(0)
    (opened,) = [event for event in machine.poll_events() if isinstance(event, ev.Opened)]
    machine.cancel_session(opened.session, "shutting down")
    (cancelled, _) = machine.poll_events()
    assert cancelled == ev.Cancelled(opened.session, "", "shutting down", 1, b"", b"")
    with pytest.raises(Unusable, match=r"session\.unknown"):
        machine.cancel_session(opened.session, "again")
    events = b.run(machine)
    assert "cancelled by the host: shutting down" in machine.report().faults[0].message
    assert b.faults(events)[0] == "vm.fault.channel"


# --- faults --------------------------------------------------------------------------------


def test_one_bad_coroutine_stops_neither_the_machine_nor_other_sessions() -> None:
    main: Sequence[Instruction] = [
        b.open_(0, 0, 1),
        b.open_(0, 2, 3),
        b.spawn(4, 1, 0),
        b.spawn(4, 2, 1),
        b.spawn(4, 3, 2),
        b.spawn(4, 2, 3),
        b.HALT,
    ]
    bad = [b.set_(1, "I give up"), b.fail(1)]
    good = [*b.naps(5), NUMBER, b.send(0, "B", "m", 1), b.HALT]
    receiver = [b.recv(0, "A", "m", 1), b.print_(1), b.HALT]
    a, c = b.endpoint("One", "A"), b.endpoint("One", "B")
    machine = b.make_machine(
        b.image(
            [ONE],
            [
                b.program("main", main),
                b.program("bad", bad, a),
                b.program("receiver", receiver, c),
                b.program("good", good, a),
            ],
        )
    )
    events = b.run(machine)
    assert b.faults(events) == ["vm.fault.fail", "vm.fault.channel"]
    assert b.printed(events) == ["5"]
    assert b.statuses(events) == [Status.FAULTED, Status.DRAINING, Status.CLOSED]
    (faulted,) = [e for e in events if isinstance(e, ev.Faulted) and e.code == "vm.fault.fail"]
    assert (faulted.message, faulted.program, faulted.pc) == ("I give up", "bad", 1)
    assert machine.outcome() is Outcome.FAILED
    assert machine.report().sessions_closed == 1


def test_a_fault_spreads_through_the_sessions_that_a_coroutine_owns() -> None:
    """A fails One; B waits in One and also owns the B side of Two, where C waits."""
    two = b.protocol("Two", {"B": b.sends("C", ("m", [b.INT], b.END)), "C": RECEIVES_FROM_B})
    main: Sequence[Instruction] = [
        b.open_(0, 0, 1),
        b.open_(1, 2, 3),
        b.spawn(4, 1, 0),
        b.spawn(4, 2, 1, 2),
        b.spawn(4, 3, 3),
        b.HALT,
    ]
    machine = b.make_machine(
        b.image(
            [ONE, two],
            [
                b.program("main", main),
                b.program("a", [*b.naps(3), b.set_(1, "no"), b.fail(1)], b.endpoint("One", "A")),
                b.program(
                    "b",
                    [b.recv(0, "A", "m", 2), b.send(1, "C", "m", 2), b.HALT],
                    b.endpoint("One", "B"),
                    b.endpoint("Two", "B"),
                ),
                b.program("c", [b.recv(0, "B", "m", 1), b.HALT], b.endpoint("Two", "C")),
            ],
        )
    )
    events = b.run(machine)
    assert b.faults(events) == ["vm.fault.fail", "vm.fault.channel", "vm.fault.channel"]
    assert b.statuses(events) == [Status.FAULTED, Status.FAULTED]
    details = [event.detail for event in events if isinstance(event, ev.StatusChanged)]
    assert details == ["vm.fault.fail", "vm.fault.channel"]
    assert "faulted by A with vm.fault.fail" in machine.report().faults[1].message


RECEIVES_FROM_B: Final = b.receives("B", ("m", [b.INT], b.END))


def test_memory_of_ended_sessions_is_given_back() -> None:
    sender = [NUMBER, b.send(0, "B", "m", 1), b.HALT]
    machine = b.make_machine(b.duo(ONE, sender, [b.recv(0, "A", "m", 1), b.HALT]))
    machine.run_round(0)
    (session,) = machine._scheduler.sessions.live.values()
    b.run(machine)
    assert machine._scheduler.sessions.live == {}
    assert session.edges == ()
    assert all(not end.outgoing and not end.incoming for end in session.endpoints.values())


# --- reports -------------------------------------------------------------------------------


def cycle() -> tuple[Protocol, Protocol]:
    there = b.protocol("There", {"A": b.sends("B", ("m", [b.INT], b.END)), "B": RECEIVES_FROM_A})
    back = b.protocol("Back", {"A": b.receives("B", ("n", [b.INT], b.END)), "B": SENDS_TO_A})
    return there, back


RECEIVES_FROM_A: Final = b.receives("A", ("m", [b.INT], b.END))
SENDS_TO_A: Final = b.sends("A", ("n", [b.INT], b.END))


def test_a_stuck_machine_says_who_waits_for_whom() -> None:
    """Each side first waits for the other, in two sessions."""
    there, back = cycle()
    main: Sequence[Instruction] = [
        b.open_(0, 0, 1),
        b.open_(1, 2, 3),
        b.spawn(4, 1, 0, 2),
        b.spawn(4, 2, 1, 3),
        b.HALT,
    ]
    one = [b.recv(1, "B", "n", 2), b.send(0, "B", "m", 2), b.HALT]
    two = [b.recv(0, "A", "m", 2), b.send(1, "A", "n", 2), b.HALT]
    a, c = [b.endpoint(p.name, "A") for p in (there, back)], "B"
    machine = b.make_machine(
        b.image(
            [there, back],
            [
                b.program("main", main),
                b.program("one", one, *a),
                b.program("two", two, *(b.endpoint(p.name, c) for p in (there, back))),
            ],
        )
    )
    b.run(machine)
    assert machine.state is MachineState.STUCK
    assert machine.outcome() is Outcome.STUCK
    report = machine.report()
    assert not report.ok
    first, second = report.coroutines
    assert (first.program, first.protocol, first.role, first.peer) == ("one", "Back", "A", "B")
    assert first.labels == ("n",)
    assert first.waits_for == (
        "Back.A waits for n from B; B is held by two, where it should send A n(f0: int)"
    )
    assert second.waits_for.startswith("There.B waits for m from A; A is held by one")
    text = report.describe()
    assert "one: Back.A waits for n from B" in text
    assert text.count("is active") == 2


def test_a_blocked_sender_is_reported_with_its_full_buffer() -> None:
    sender = [NUMBER, *[b.select(0, "B", "item", 1)] * 3]
    receiver = [*b.naps(2), b.jump(0)]
    machine = b.make_machine(b.duo(BURST, sender, receiver, capacity=2, policy=Policy.BLOCK))
    for _ in range(4):
        machine.run_round(0)
    report = machine.report()
    assert any("waits for space for item or last to B" in c.waits_for for c in report.coroutines)
    (session,) = report.sessions
    assert session.waiting == (("A -> B", 2),)
    assert session.status is Status.ACTIVE
