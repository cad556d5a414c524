"""A deep, comparable picture of a machine's whole mutable state, and a machine that takes one.

`watched` makes a machine in which every executed instruction is checked: one that faults, or
puts itself off, must leave every reachable object as it was; one that blocks may only note
what it waits for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import Final
from unittest.mock import patch

from troth.vm import machine as machine_module
from troth.vm.coroutine import Coroutine
from troth.vm.errors import TrothError
from troth.vm.image import Image
from troth.vm.snapshot_table import LEFT_OUT
from troth.vm.step_code import ProgramCode
from troth.vm.step_common import Step
from troth.vm.step_decode import decode_image
from troth.vm.step_tables import StateTable
from troth.vm.turn import BLOCKED, DEFERRED, Context, Turn

WAITING: Final = frozenset(
    {"blocked", "blocked_edge", "blocked_guard", "waiting", "waiting_receiver", "waiting_sender"}
    | {"status"}
)
"""What an instruction that blocks may change."""


MEMOS: Final = frozenset({"_found", *(slot for slots in LEFT_OUT.values() for slot in slots)})
"""What is only remembered so as not to be found out again; no outcome depends on it."""


class Picture:
    """Turns an object graph into tuples; an object met again is named by its first number."""

    def __init__(self, without: frozenset[str] = frozenset()) -> None:
        self.without = without
        self.numbers: dict[int, int] = {}
        self.alive: list[object] = []

    def of(self, item: object) -> object:
        if isinstance(item, (Enum, Context, ProgramCode, StateTable)):
            return (type(item).__name__, str(item) if isinstance(item, Enum) else "")
        if isinstance(item, dict):
            return tuple((self.of(key), self.of(value)) for key, value in item.items())
        if type(item) is tuple and not any(self._has_state(part) for part in item):
            # A value. It may share its parts a thousand times over, so it is never walked.
            return item
        if isinstance(item, (list, tuple, deque)):
            return (type(item).__name__, tuple(self.of(part) for part in item))
        if not self._has_state(item):
            return item
        return self._object(item)

    @staticmethod
    def _has_state(item: object) -> bool:
        kind = type(item)
        frozen = getattr(kind, "__dataclass_params__", None)
        return (
            kind.__module__.startswith("troth.")
            and hasattr(kind, "__slots__")
            and not isinstance(item, TrothError)
            and not (frozen is not None and frozen.frozen)
        )

    def _object(self, item: object) -> object:
        if id(item) in self.numbers:
            return ("seen", self.numbers[id(item)])
        self.numbers[id(item)] = len(self.numbers)
        self.alive.append(item)
        slots = [slot for kind in type(item).__mro__ for slot in getattr(kind, "__slots__", ())]
        return (
            type(item).__name__,
            tuple(
                (slot, self.of(getattr(item, slot)))
                for slot in slots
                if slot not in self.without | MEMOS and slot != "context" and hasattr(item, slot)
            ),
        )


ASKING: Final = ("Invoke", "Open")
"""Who blocks because it has asked the host: for an effect, or for other machines."""


class Watch:
    """Collects which fault codes were seen, per instruction type."""

    def __init__(self) -> None:
        self.roots: list[object] = []
        self.faulted: list[tuple[str, str]] = []
        self.deferred = 0
        self.blocked = 0

    def picture(self, *more: object, without: frozenset[str] = frozenset()) -> object:
        return Picture(without).of((*self.roots, *more))

    def wrap(self, name: str, step: Step) -> Step:
        def watched_step(turn: Turn, coroutine: Coroutine) -> int:
            before = self.picture(turn, coroutine)
            resting = self.picture(turn, coroutine, without=WAITING)
            try:
                outcome = step(turn, coroutine)
            except TrothError as error:
                assert self.picture(turn, coroutine) == before, f"{name} changed something"
                self.faulted.append((name, error.code))
                raise
            if outcome == DEFERRED:
                assert self.picture(turn, coroutine) == before, f"{name} changed something"
                self.deferred += 1
            elif outcome == BLOCKED and name not in ASKING:
                after = self.picture(turn, coroutine, without=WAITING)
                assert after == resting, f"{name} blocked and changed something"
                self.blocked += 1
            return outcome

        return watched_step

    def decode(self, image: Image) -> tuple[ProgramCode, ...]:
        return tuple(
            replace(
                code,
                steps=tuple(
                    self.wrap(_name(image, code.index or 0, pc), step)
                    for pc, step in enumerate(code.steps)
                ),
            )
            for code in decode_image(image)
        )


def _name(image: Image, program: int, pc: int) -> str:
    code = image.programs[program].code
    return type(code[pc]).__name__ if pc < len(code) else "end of program"


@contextmanager
def watched() -> Iterator[Watch]:
    """Machines made inside check each of their instructions.

    Give the machine to `Watch.roots` before it runs.
    """
    watch = Watch()
    with patch.object(machine_module, "decode_image", watch.decode):
        yield watch
