"""`acquire` and `release`: one coroutine at a time between them."""

from __future__ import annotations

from troth.vm.coroutine import Blocked, Coroutine
from troth.vm.errors import Fault
from troth.vm.events import Acquired, Released
from troth.vm.faults import fault
from troth.vm.guards import Guard, give, give_back
from troth.vm.instructions import Acquire, Release
from troth.vm.step_common import Step
from troth.vm.turn import BLOCKED, Turn


def decode_acquire(instruction: Acquire, following: int) -> Step:
    """Takes the guard, or waits in line until a release hands it over."""
    index = instruction.guard

    def step(turn: Turn, coroutine: Coroutine) -> int:
        guard = turn.context.guards[index]
        if guard.holder is None:
            give(guard, coroutine)
        elif guard.holder is not coroutine:
            guard.waiting.append(coroutine)
            coroutine.blocked = Blocked.GUARD
            coroutine.blocked_guard = guard
            return BLOCKED
        elif guard.handed:
            guard.handed = False
        else:
            raise fault(
                "vm.fault.acquire",
                f"the guard {guard.name} is acquired twice",
                expected="a guard that the coroutine does not hold",
                actual=f"{guard.name}, which it holds already",
            )
        turn.events.append(Acquired(coroutine.id, index))
        return following

    return step


def decode_release(instruction: Release, following: int) -> Step:
    """Gives the guard back. Only its holder can: that is checked, not believed."""
    index = instruction.guard

    def step(turn: Turn, coroutine: Coroutine) -> int:
        guard = turn.context.guards[index]
        if guard.holder is not coroutine:
            raise fault(
                "vm.fault.acquire",
                f"the guard {guard.name} is released by a coroutine that does not hold it",
                expected=f"{guard.name}, acquired before",
                actual="nobody holds it" if guard.holder is None else "another coroutine holds it",
            )
        give_back(turn, guard)
        turn.events.append(Released(coroutine.id, index))
        return following

    return step


def still_held(guards: tuple[Guard, ...]) -> Fault:
    """Why a coroutine that holds guards cannot halt."""
    names = ", ".join(guard.name for guard in guards)
    return fault(
        "vm.fault.acquire",
        f"the program ends while it holds {names}",
        expected="every guard released",
        actual=f"{names} held",
    )
