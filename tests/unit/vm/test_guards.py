"""Guards: exclusive, first come first served, given back by a fault, and reported when stuck."""

from __future__ import annotations

from dataclasses import replace

import builders as b
from troth.vm.events import Acquired, Event, Faulted, Halted, Released
from troth.vm.image import Image
from troth.vm.instructions import Acquire, Instruction, Operator, Release
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState, Outcome


def guarded(*workers: list[Instruction], guards: tuple[str, ...] = ("door", "window")) -> Image:
    """A main that spawns each of the workers once, in order."""
    programs = [b.program(f"w{number}", list(code)) for number, code in enumerate(workers)]
    spawns = [b.spawn(0, number + 1) for number in range(len(workers))]
    return b.image([], [b.program("main", [*spawns, b.HALT]), *programs], guards=guards)


def holders(events: list[Event]) -> list[bytes]:
    """Who acquired the first guard, in order; nobody may do so while another holds it."""
    order: list[bytes] = []
    held: bytes | None = None
    for event in events:
        if isinstance(event, Acquired) and event.guard == 0:
            assert held is None
            held = event.coroutine
            order.append(event.coroutine)
        elif isinstance(event, Released | Faulted) and event.coroutine == held:
            held = None
    return order


INSIDE = [Acquire(0), *b.naps(3), Release(0)]


def test_one_at_a_time_and_first_come_first_served() -> None:
    built = guarded(*[[*INSIDE, *INSIDE, b.HALT]] * 4)
    load(built)
    machine = b.make_machine(built)
    events = b.run(machine)
    order = holders(events)
    assert len(order) == 8
    assert order[:4] == order[4:]
    assert len(set(order)) == 4
    assert machine.outcome() is Outcome.OK


def test_nobody_gets_in_between_a_release_and_the_first_who_waits() -> None:
    """The second worker waits; the first releases and acquires again in the same turn."""
    greedy = [Acquire(0), b.YIELD, b.YIELD, Release(0), Acquire(0), Release(0), b.HALT]
    patient = [Acquire(0), b.YIELD, Release(0), b.HALT]
    order = holders(b.run(b.make_machine(guarded(greedy, patient))))
    assert order == [order[0], order[1], order[0]]
    assert order[0] != order[1]


def test_guards_are_independent() -> None:
    both = [Acquire(0), Acquire(1), b.YIELD, Release(0), Release(1), b.HALT]
    other = [Acquire(1), b.YIELD, Release(1), b.HALT]
    assert b.make_machine(guarded(both, other)).outcome() is Outcome.RUNNING
    machine = b.make_machine(guarded(both, other))
    b.run(machine)
    assert machine.outcome() is Outcome.OK


def test_a_faulting_holder_gives_its_guards_to_those_who_wait() -> None:
    falls = [Acquire(0), Acquire(1), b.YIELD, b.YIELD, b.set_(1, "down"), b.fail(1)]
    waits = [b.YIELD, Acquire(0), Release(0), b.HALT]
    also = [b.YIELD, Acquire(1), Release(1), b.HALT]
    events = b.run(b.make_machine(guarded(falls, waits, also)))
    assert b.faults(events) == ["vm.fault.fail"]
    assert len(b.of_type(events, Halted)) == 3
    assert len(holders(events)) == 2


def test_a_waiter_whose_budget_is_spent_hands_the_guard_on() -> None:
    """It was given the guard while it waited, and faults before it goes on."""
    first: list[Instruction] = [Acquire(0), *b.naps(4), Release(0), b.HALT]
    spent = [*[b.set_(1, 1) for _ in range(8)], Acquire(0), Release(0), b.HALT]
    third = [b.YIELD, Acquire(0), Release(0), b.HALT]
    limits = replace(DEFAULT_LIMITS, instructions_max=8)
    events = b.run(b.make_machine(guarded(first, spent, third), limits=limits))
    assert b.faults(events) == ["vm.fault.credits"]
    assert len(holders(events)) == 2


def test_the_budget_at_the_limit_and_one_past_it() -> None:
    """Only instructions that make progress are charged: waiting for a guard is free."""
    waits: list[Instruction] = [Acquire(0), Release(0), b.HALT]
    for budget, expected in ((8, []), (7, ["vm.fault.credits"])):
        limits = replace(DEFAULT_LIMITS, instructions_max=budget)
        holder: list[Instruction] = [Acquire(0), *b.naps(5), Release(0), b.HALT]
        events = b.run(b.make_machine(guarded(holder, waits), limits=limits))
        assert b.faults(events) == expected, budget


def refusal(machine: Machine) -> list[tuple[str, str]]:
    b.run(machine)
    return [(error.code, error.message) for error in machine.report().faults]


def test_what_is_refused_at_run_time() -> None:
    """The loader refuses these already; the machine does not rely on it."""
    code = "vm.fault.acquire"
    assert refusal(b.make_machine(guarded([Release(0)]))) == [
        (code, "the guard door is released by a coroutine that does not hold it")
    ]
    assert refusal(b.make_machine(guarded([Acquire(0), Acquire(0)]))) == [
        (code, "the guard door is acquired twice")
    ]
    assert refusal(b.make_machine(guarded([Acquire(0), b.HALT]))) == [
        (code, "the program ends while it holds door")
    ]
    thief = [b.YIELD, Release(0)]
    holder = [Acquire(0), *b.naps(9), Release(0), b.HALT]
    assert refusal(b.make_machine(guarded(holder, thief))) == [
        (code, "the guard door is released by a coroutine that does not hold it")
    ]


def test_a_deadlock_says_who_waits_for_whom() -> None:
    one = [Acquire(0), b.YIELD, Acquire(1), Release(1), Release(0), b.HALT]
    other = [Acquire(1), b.YIELD, Acquire(0), Release(0), Release(1), b.HALT]
    machine = b.make_machine(guarded(one, other))
    b.run(machine)
    assert machine.state is MachineState.STUCK
    text = machine.report().describe()
    assert "w0: waits for the guard window, held by w1; holds the guard door" in text
    assert "w1: waits for the guard door, held by w0; holds the guard window" in text


def test_every_quantum_gives_the_guard_in_an_order_without_overlap() -> None:
    work = [Acquire(0), b.set_(1, 1), b.op(Operator.ADD, 1, 1, 1), b.YIELD, Release(0), b.HALT]
    for quantum in (1, 2, 3, 64):
        machine = b.make_machine(guarded(*[work] * 5), quantum=quantum)
        order = holders(b.run(machine))
        assert len(set(order)) == 5
        assert machine.outcome() is Outcome.OK
