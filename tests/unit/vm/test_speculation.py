"""Speculation at its edges: what is refused, what waits, what a peer sees, and how it fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

import builders as b
from troth.vm.errors import Unusable
from troth.vm.events import Cancelled, Event, Invoked, Received, Sent, Status, Undelivered
from troth.vm.host_signer import HostSigner
from troth.vm.image import EdgeSettings, Effect
from troth.vm.instructions import (
    Abort,
    Branch,
    Cancel,
    Case,
    Fork,
    Instruction,
    Invoke,
    Join,
    Policy,
    ReplayMode,
)
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState, Outcome
from troth.vm.types import Mu, Term, Var

SPECULATION = "vm.fault.speculation"


def chain(length: int) -> dict[str, Term]:
    """A sends so many ints to B, then B one to A."""
    a: Term = b.receives("B", ("back", [b.INT], b.END))
    other: Term = b.sends("A", ("back", [b.INT], b.END))
    for _ in range(length):
        a, other = b.sends("B", ("n", [b.INT], a)), b.receives("A", ("n", [b.INT], other))
    return {"A": a, "B": other}


TWO = b.protocol("Two", chain(2))
GROWING = EdgeSettings(sender="A", receiver="B", capacity=1, policy=Policy.RESIZE, resize_max=2)
THREE = b.protocol("Three", chain(3), GROWING)
GIVE = b.send(0, "B", "n", 1)
TAKE = b.recv(0, "A", "n", 2)
ONE = b.set_(1, 1)


def faults(machine: Machine) -> list[tuple[str, str]]:
    return [(error.code, error.message) for error in machine.report().faults]


def of(events: list[Event], kind: type[Event]) -> int:
    return len(b.of_type(events, kind))


# --- what others see -------------------------------------------------------------------------


def test_nothing_is_visible_before_the_join() -> None:
    a = [ONE, Fork(9), GIVE, GIVE, *b.naps(3), Join(), b.recv(0, "B", "back", 1), b.HALT, b.fail(1)]
    other = [TAKE, TAKE, b.send(0, "A", "back", 2), b.HALT]
    machine = b.make_machine(b.duo(TWO, a, other))
    seen: list[int] = []
    for _ in range(20):
        machine.run_round(0)
        seen.append(of(machine.poll_events(), Sent))
    assert seen[:6] == [0, 0, 0, 0, 2, 1], "both at once, when the speculator joins"
    assert machine.outcome() is Outcome.OK


def test_a_sender_that_waits_for_space_is_woken_by_the_join() -> None:
    """What was read keeps its place until then."""
    a = [ONE, GIVE, GIVE, b.recv(0, "B", "back", 1), b.HALT]
    other = [Fork(8), TAKE, *b.naps(4), Join(), b.jump(10), ONE, b.fail(1)]
    other += [TAKE, b.send(0, "A", "back", 2), b.HALT]
    machine = b.make_machine(b.duo(TWO, a, other, capacity=1))
    kinds: list[type[Event]] = []
    for _ in range(30):
        machine.run_round(0)
        kinds += [type(e) for e in machine.poll_events() if isinstance(e, Sent | Received)]
    assert kinds[:4] == [Sent, Received, Sent, Received]
    assert machine.outcome() is Outcome.OK


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("instruction", [Join(), Abort()])
def test_there_has_to_be_a_speculation(instruction: Instruction) -> None:
    machine = b.make_machine(b.image([], [b.program("main", [instruction, b.HALT])]))
    b.run(machine)
    assert [code for code, _ in faults(machine)] == [SPECULATION]


def test_depth_at_the_limit_and_one_past_it() -> None:
    for depth, expected in ((3, []), (4, ["vm.fault.limit"])):
        code = [*[Fork(0)] * depth, *[Join()] * depth, b.HALT]
        limits = replace(DEFAULT_LIMITS, speculation_depth_max=3)
        machine = b.make_machine(b.image([], [b.program("main", code)]), limits=limits)
        b.run(machine)
        assert [code for code, _ in faults(machine)] == expected


def test_the_budget_is_spent_by_speculative_work_too() -> None:
    for budget, expected in ((5, []), (4, ["vm.fault.credits"])):
        code = [Fork(3), b.set_(1, 1), Abort(), b.set_(1, 2), b.HALT]
        limits = replace(DEFAULT_LIMITS, instructions_max=budget)
        machine = b.make_machine(b.image([], [b.program("main", code)]), limits=limits)
        b.run(machine)
        assert [code for code, _ in faults(machine)] == expected


def test_more_than_the_buffer_takes_at_the_join_is_refused_at_once() -> None:
    a = [ONE, Fork(0), GIVE, GIVE, Join(), b.HALT]
    events = b.run(machine := b.make_machine(b.duo(TWO, a, [TAKE, TAKE], capacity=1)))
    assert faults(machine)[0] == (
        SPECULATION,
        "more is sent on A -> B than its buffer can take at the commit",
    )
    assert of(events, Sent) == 0


def test_a_full_buffer_is_waited_for_or_refused_as_its_policy_says() -> None:
    a = [ONE, GIVE, Fork(0), GIVE, Join(), b.recv(0, "B", "back", 1), b.HALT]
    other = [*b.naps(4), TAKE, TAKE, b.send(0, "A", "back", 2), b.HALT]
    machine = b.make_machine(b.duo(TWO, a, other, capacity=1))
    b.run(machine)
    assert machine.outcome() is Outcome.OK
    machine = b.make_machine(b.duo(TWO, a, other, capacity=1, policy=Policy.ERROR))
    b.run(machine)
    assert faults(machine)[0][0] == "vm.fault.buffer"


def test_a_buffer_that_grows_makes_room_at_the_join() -> None:
    a = [ONE, Fork(0), GIVE, GIVE, Join(), b.recv(0, "B", "back", 1), b.HALT]
    other = [TAKE, TAKE, b.send(0, "A", "back", 2), b.HALT]
    machine = b.make_machine(b.duo(TWO, a, other, capacity=1, policy=Policy.RESIZE))
    b.run(machine)
    assert machine.outcome() is Outcome.OK


def test_nobody_waits_for_what_cannot_come_before_the_join() -> None:
    main = [b.open_(0, 0, 3), ONE, Fork(0), GIVE, b.recv(3, "A", "n", 2)]
    machine = b.make_machine(b.image([TWO], [b.program("main", main)]))
    b.run(machine)
    assert faults(machine)[0] == (
        SPECULATION,
        "the next message of A -> B is held back by this speculation itself",
    )
    a = [ONE, GIVE, GIVE]
    machine = b.make_machine(b.duo(TWO, a, [Fork(0), TAKE, TAKE], capacity=1))
    b.run(machine)
    full = (
        SPECULATION,
        "the buffer of edge A -> B has no place for another message before the commit",
    )
    assert faults(machine)[0] == full
    # One that grows has a place for one more than it began with, and not for a third.
    for taken, refused in ((2, False), (3, True)):
        a = [ONE, GIVE, *b.naps(5), GIVE, *b.naps(5), GIVE, b.HALT]
        taking = [Fork(0), *[TAKE] * taken, Join(), b.HALT]
        b.run(machine := b.make_machine(b.duo(THREE, a, taking)))
        assert (full in faults(machine)) == refused


# --- how it fails ----------------------------------------------------------------------------


def test_a_session_that_ends_meanwhile_ends_the_speculation() -> None:
    """What the speculator had read counts as never received: it is listed as undelivered."""
    a = [ONE, GIVE, GIVE, *b.naps(3), b.set_(2, "enough"), Cancel(0, 2), b.HALT]
    for rest in ([b.send(0, "A", "back", 2)], [Join()]):
        other = [b.YIELD, b.YIELD, Fork(0), TAKE, TAKE, *b.naps(6), *rest, b.HALT]
        events = b.run(machine := b.make_machine(b.duo(TWO, a, other)))
        assert [code for code, _ in faults(machine)] == ["vm.fault.channel"]
        assert (of(events, Sent), of(events, Received), of(events, Undelivered)) == (2, 0, 2)
        assert of(events, Cancelled) == 1
        assert b.statuses(events) == [Status.CANCELLED]


def test_a_rollback_after_the_session_ended_gives_back_the_rest() -> None:
    a = [ONE, GIVE, GIVE, *b.naps(3), b.set_(2, "enough"), Cancel(0, 2), b.HALT]
    other = [b.YIELD, b.YIELD, b.set_(3, "kept"), Fork(13), TAKE, b.set_(3, "lost"), *b.naps(6)]
    other += [Abort(), b.print_(3), TAKE]
    events = b.run(b.make_machine(b.duo(TWO, a, other)))
    assert b.printed(events) == ["kept"]
    assert b.faults(events) == ["vm.fault.channel"]


class Deaf(HostSigner):
    """Signs so many statements and no more."""

    left = 1

    def sign(self, principal: bytes, statement: bytes) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise Unusable("key.missing", "the key is gone")
        return super().sign(principal, statement)


def test_a_key_that_is_missing_at_the_join_lets_nothing_out() -> None:
    """The first of two messages could be signed; neither is sent."""
    a = [ONE, Fork(0), GIVE, GIVE, Join(), b.HALT]
    machine = b.make_machine(b.duo(TWO, a, [TAKE, TAKE]), signer=Deaf({}, b.KEY_SOURCE))
    events = b.run(machine)
    assert "vm.fault.key" in b.faults(events)
    assert of(events, Sent) == 0


def forged(place: int, **changes: object) -> tuple[Machine, list[Event]]:
    """Both messages are in the buffer; one of them is changed before the speculation reads it."""
    a = [ONE, GIVE, GIVE, b.recv(0, "B", "back", 1), b.HALT]
    other = [*b.naps(4), Fork(0), TAKE, TAKE, Join(), b.HALT]
    machine = b.make_machine(b.duo(TWO, a, other))
    events: list[Event] = []
    for _ in range(3):
        machine.run_round(0)
        events += machine.poll_events()
    (session,) = machine._scheduler.sessions.live.values()
    (edge,) = [edge for edge in session.edges if edge.sender.role == "A"]
    messages = edge.buffer.messages
    messages[place] = messages[place]._replace(**changes)  # type: ignore[arg-type]
    events += b.run(machine)
    return machine, events


def test_a_forged_message_at_the_head_is_rejected() -> None:
    machine, events = forged(0, salt=bytes(16))
    assert faults(machine)[0][0] == "vm.fault.verification"
    assert len([e for e in events if type(e).__name__ == "Rejected"]) == 1
    assert of(events, Undelivered) == 1


def test_a_forged_message_behind_others_is_never_received() -> None:
    machine, events = forged(1, salt=bytes(16))
    assert faults(machine)[0][0] == "vm.fault.verification"
    assert of(events, Received) == 0
    assert of(events, Undelivered) == 2


def test_a_message_read_twice_is_a_replay_within_the_speculation_too() -> None:
    stream = {
        "A": Mu("x", b.sends("B", ("n", [b.INT], Var("x")), ("stop", [], b.END))),
        "B": Mu("x", b.receives("A", ("n", [b.INT], Var("x")), ("stop", [], b.END))),
    }
    many = b.protocol("Many", stream)
    take = [Branch(0, "A", (Case("n", (2,), 5), Case("stop", (), 5)))]
    take += [Branch(0, "A", (Case("n", (2,), 6), Case("stop", (), 6)))]
    for mode in (ReplayMode.SEQUENCE, ReplayMode.NULLIFIER):
        a = [ONE, b.select(0, "B", "n", 1), *b.naps(20), b.HALT]
        other = [*b.naps(3), Fork(0), *take, Join(), b.HALT]
        machine = b.make_machine(b.duo(many, a, other, replay=mode))
        for _ in range(3):
            machine.run_round(0)
        (session,) = machine._scheduler.sessions.live.values()
        (edge,) = [edge for edge in session.edges if edge.sender.role == "A"]
        edge.buffer.messages.append(edge.buffer.messages[0])
        b.run(machine)
        assert faults(machine)[0][0] == "vm.fault.replay.duplicate"


def test_a_deadlock_of_speculators_is_reported_and_not_hidden() -> None:
    """Each waits for what the other holds back."""
    both = b.protocol(
        "Both",
        {
            "A": b.sends("B", ("a", [b.INT], b.receives("B", ("b", [b.INT], b.END)))),
            "B": b.receives("A", ("a", [b.INT], b.sends("A", ("b", [b.INT], b.END)))),
        },
    )
    a = [ONE, Fork(0), b.send(0, "B", "a", 1), b.recv(0, "B", "b", 1), Join(), b.HALT]
    other = [b.recv(0, "A", "a", 1), b.send(0, "A", "b", 1), b.HALT]
    machine = b.make_machine(b.duo(both, a, other))
    b.run(machine)
    assert machine.state is MachineState.STUCK
    assert "Both.A speculates and waits for b from B" in machine.report().describe()


JOB = b.protocol(
    "Job",
    {
        "Client": b.sends("Server", ("ask", [], b.END)),
        "Server": b.receives("Client", ("ask", [], b.END)),
    },
)
HIRE = b.protocol(
    "Hire",
    {
        "Boss": b.sends("Worker", ("take", [b.endpoint("Job", "Client")], b.END)),
        "Worker": b.receives("Boss", ("take", [b.endpoint("Job", "Client")], b.END)),
    },
)


@pytest.mark.parametrize("levels", [1, 2])
def test_an_endpoint_is_as_fresh_after_a_rollback_as_it_was_before(levels: int) -> None:
    """It can still be handed on: what was done with it has not been done."""
    forks: list[Instruction] = [Fork(2 * levels + 1 - level) for level in range(levels)]
    undone = [*forks, b.send(1, "Server", "ask"), *[Abort()] * levels]
    boss = [*undone, b.send(0, "Worker", "take", 1), b.HALT]
    worker = [b.recv(0, "Boss", "take", 1), b.send(1, "Server", "ask"), b.HALT]
    server = [b.recv(0, "Client", "ask"), b.HALT]
    main = [b.open_(0, 0, 1), b.open_(1, 2, 3), b.spawn(4, 1, 2, 0)]
    main += [b.spawn(4, 2, 3), b.spawn(4, 3, 1), b.HALT]
    programs = [
        b.program("main", main),
        b.program("boss", boss, b.endpoint("Hire", "Boss"), b.endpoint("Job", "Client")),
        b.program("worker", worker, b.endpoint("Hire", "Worker")),
        b.program("server", server, b.endpoint("Job", "Server")),
    ]
    machine = b.make_machine(b.image([JOB, HIRE], programs))
    events = b.run(machine)
    assert b.faults(events) == []
    assert [event.label for event in events if isinstance(event, Sent)] == ["take", "ask"]
    assert of(events, Received) == 2


def test_inner_levels_join_into_the_outer_one() -> None:
    code: list[Instruction] = [
        *[b.set_(1, 0), Fork(8), b.set_(1, 1)],
        *[Fork(6), b.set_(1, 2), Join()],
        *[Abort(), b.HALT, b.print_(1), b.HALT],
    ]
    events = b.run(b.make_machine(b.image([], [b.program("main", code)])))
    assert b.printed(events) == ["0"]


def test_what_an_inner_level_has_done_becomes_visible_with_the_outer_one() -> None:
    a = [ONE, Fork(9), GIVE, Fork(9), GIVE, Join(), *b.naps(2), Join()]
    a += [b.recv(0, "B", "back", 1), b.print_(1), b.HALT]
    other = [Fork(7), TAKE, Fork(7), TAKE, Join(), Join(), b.send(0, "A", "back", 2), b.HALT]
    machine = b.make_machine(b.duo(TWO, a, other))
    events = b.run(machine)
    assert (of(events, Sent), of(events, Received)) == (3, 3)
    assert b.printed(events) == ["1"]
    assert machine.outcome() is Outcome.OK


def test_a_revertible_effect_is_asked_at_once_and_anew_after_a_rollback() -> None:
    """Its answers stay in the record; what they were written to is given back."""
    ask = Effect("ask", (), b.INT, revertible=True)
    code: list[Instruction] = [
        *[b.set_(1, 0), Fork(4), Invoke(0, (), 1), Abort()],
        *[b.print_(1), Invoke(0, (), 1), b.print_(1), b.HALT],
    ]
    image = b.image([], [b.program("main", code)], [ask])
    load(image)
    answers = iter((5, 6))
    events = b.run(b.make_machine(image), {"ask": lambda: next(answers)})
    assert b.printed(events) == ["0", "6"]
    asked = [event.effect_id for event in events if isinstance(event, Invoked)]
    assert len(asked) == len(set(asked)) == 2


def test_an_effect_that_fails_while_speculating_is_a_fault_after_an_abort() -> None:
    ask = Effect("ask", (), b.INT, revertible=True)
    code: list[Instruction] = [b.set_(1, 0), Fork(4), b.set_(1, 1), Invoke(0, (), 1), b.HALT]
    machine = b.make_machine(b.image([], [b.program("main", code)], [ask]))
    coroutine = next(iter(machine._scheduler.coroutines.values()))
    events = b.run(machine, {"ask": lambda: "no int"})
    assert b.faults(events) == ["vm.fault.invoke"]
    assert coroutine.registers[1] == 0
    assert coroutine.speculation is None
