"""Machine-wide guards: who holds one, and who waits for it.

A guard is exclusive. Whoever waits is served first come first served: a release hands the guard
to the first waiter before that one runs again, so nobody can get in between. All of this is the
state of one lane: programs that name the same guard run in queue order, so who gets it does not
depend on the runner.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from troth.vm.coroutine import Coroutine
    from troth.vm.turn import Turn


class Guard:
    """One guard of an image.

    Attributes:
        index: its place in the image's list of guards.
        holder: the coroutine that has it, None when it is free.
        handed: the holder has got it from a release and has yet to go on with its `acquire`.
        waiting: the coroutines blocked on it, in the order in which they came.
    """

    __slots__ = ("handed", "holder", "index", "name", "waiting")

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name
        self.holder: Coroutine | None = None
        self.handed = False
        self.waiting: deque[Coroutine] = deque()


def make_guards(names: tuple[str, ...]) -> tuple[Guard, ...]:
    """The guards of one machine, all free."""
    return tuple(Guard(index, name) for index, name in enumerate(names))


def give(guard: Guard, coroutine: Coroutine) -> None:
    """The coroutine holds the guard from now on."""
    guard.holder = coroutine
    coroutine.guards += (guard,)


def give_back(turn: Turn, guard: Guard) -> None:
    """The holder has it no longer; the first waiter, if any, has it and is woken."""
    holder = guard.holder
    assert holder is not None, "only a holder gives a guard back"
    holder.guards = tuple(held for held in holder.guards if held is not guard)
    guard.holder = None
    guard.handed = False
    if guard.waiting:
        following = guard.waiting.popleft()
        give(guard, following)
        guard.handed = True
        turn.woken.append(following)
