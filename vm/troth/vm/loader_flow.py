"""Follows every path of a program and knows, for every instruction, what each register holds.

The code is cut where jumps land. What is known at a cut only ever loses detail: a type becomes
wider or a register unset, an endpoint counts as used. So the walk ends; that it ends soon is
seen to by a budget, because the code may have been made to be slow.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from troth.vm.errors import LimitExceeded, Place
from troth.vm.image import Program, irrevocable
from troth.vm.instructions import (
    Abort,
    Branch,
    Fork,
    Halt,
    Invoke,
    Jump,
    JumpIf,
    Recv,
    Timer,
    Yield,
)
from troth.vm.loader_cells import Cell, Clash, EndpointCell, join_cells
from troth.vm.loader_frame import FIRST_PATH, Frame, ImageView, Path, RunningClock
from troth.vm.loader_steps import after, apply, fails, transitions_of
from troth.vm.types import StateKind

WORK_MAX: Final = 4_000_000
"""Instructions looked at, and registers joined, in one image."""

CELLS_MAX: Final = 8_000_000
"""Registers remembered for one program: its registers times its cuts."""


@dataclass(slots=True)
class Budget:
    """What is left of `WORK_MAX` for the programs of one image."""

    left: int = WORK_MAX

    def charge(self, work: int, program: Program) -> None:
        self.left -= work
        if self.left < 0:
            _refuse_work(program, f"at most {WORK_MAX} steps of checking")


@dataclass(slots=True)
class _Walk:
    view: ImageView
    program: Program
    budget: Budget
    known: dict[int, list[Cell]] = field(default_factory=dict)
    paths: dict[int, Path] = field(default_factory=dict)
    queue: deque[int] = field(default_factory=deque)
    waiting: set[int] = field(default_factory=set)

    def arrive(self, frame: Frame, target: int) -> None:
        """A path reaches a cut with these registers."""
        self.budget.charge(1 + len(frame.cells) // 8, self.program)
        self._arrive_by(frame, target)
        before = self.known.get(target)
        if before is None:
            joined = list(frame.cells)
        else:
            result = join_cells(before, frame.cells)
            if isinstance(result, Clash):
                self._refuse_clash(result, target)
            assert isinstance(result, list)
            if result == before:
                return
            joined = result
        self.known[target] = joined
        if target not in self.waiting:
            self.waiting.add(target)
            self.queue.append(target)

    def _arrive_by(self, frame: Frame, target: int) -> None:
        path = self.paths.setdefault(target, frame.path)
        if path.held != frame.path.held:
            Frame(self.view, self.program, [], target).refuse(
                "image.guard.join",
                "Two paths meet here and do not hold the same guards",
                frame.names_of(path.held),
                frame.names_of(frame.path.held),
            )
        if path.clock != frame.path.clock:
            Frame(self.view, self.program, [], target).refuse(
                "image.timer.join",
                "Two paths meet here, and a clock runs on one of them only",
                _clock(path),
                _clock(frame.path),
            )
        if path.forks != frame.path.forks:
            Frame(self.view, self.program, [], target).refuse(
                "image.speculation.join",
                "Two paths meet here and are not in the same number of speculations",
                str(path.forks),
                str(frame.path.forks),
            )

    def _refuse_clash(self, clash: Clash, target: int) -> None:
        frame = Frame(self.view, self.program, [], target)
        endpoint = isinstance(clash.first, EndpointCell) or isinstance(clash.second, EndpointCell)
        frame.refuse(
            "image.endpoint.join" if endpoint else "image.spawn.unfilled",
            f"Two paths meet here and disagree on register {clash.register}",
            self.view.describe(clash.first),
            self.view.describe(clash.second),
        )


def check_program(view: ImageView, program: Program, budget: Budget) -> None:
    """Follows every path; jump targets and registers must be in range.

    Raises:
        Invalid: `image.…`, with the program and the program counter.
        LimitExceeded: `image.flow`, for a program that takes too long to check.
    """
    cuts = _cuts(program)
    if len(cuts) * program.register_count > CELLS_MAX:
        _refuse_work(program, f"at most {CELLS_MAX} registers at all jump targets together")
    walk = _Walk(view, program, budget)
    cells: list[Cell] = [view.cell_of(parameter.type) for parameter in program.parameters]
    cells += [None] * (program.register_count - len(cells))
    walk.arrive(Frame(view, program, cells, 0, FIRST_PATH), 0)
    while walk.queue:
        start = walk.queue.popleft()
        walk.waiting.discard(start)
        _follow(walk, _frame(walk, start), cuts)


def _frame(walk: _Walk, start: int) -> Frame:
    return Frame(walk.view, walk.program, list(walk.known[start]), start, walk.paths[start])


def _follow(walk: _Walk, frame: Frame, cuts: frozenset[int]) -> None:
    """From one cut to the next, or to the end of the path."""
    code = walk.program.code
    while True:
        walk.budget.charge(1, walk.program)
        instruction = code[frame.pc]
        if frame.path.clock is not None and isinstance(instruction, _INTERRUPTED):
            _interrupt(walk, frame, frame.path.clock)
        if isinstance(instruction, Branch):
            _follow_cases(walk, frame, instruction)
            return
        if isinstance(instruction, Fork):
            # After an abort everything is as it is before the fork.
            walk.arrive(frame, instruction.target)
        apply(frame, instruction)
        if isinstance(instruction, Timer):
            assert frame.path.clock is not None, "it has been started"
            _interrupt(walk, frame, frame.path.clock)
        if isinstance(instruction, Jump | JumpIf):
            walk.arrive(frame, instruction.target)
        if isinstance(instruction, Jump | Halt | Abort) or fails(instruction):
            return
        frame.pc += 1
        if frame.pc in cuts:
            walk.arrive(frame, frame.pc)
            return


_INTERRUPTED: Final = (Recv, Branch, Invoke, Yield)
"""Where a clock that runs out can end what the program does. A yield changes no register, so
it is the same before and behind it."""


def _interrupt(walk: _Walk, frame: Frame, clock: RunningClock) -> None:
    """The clock runs out here: the endpoint is late, and all else as it is."""
    late = Frame(frame.view, frame.program, list(frame.cells), frame.pc, frame.path)
    cell = late.endpoint(clock.register)
    late.cells[clock.register] = replace(cell, state=clock.late)
    late.path = late.path._replace(clock=None)
    walk.arrive(late, clock.target)


def _clock(path: Path) -> str:
    return "no clock runs" if path.clock is None else f"the clock of register {path.clock.register}"


def _follow_cases(walk: _Walk, frame: Frame, instruction: Branch) -> None:
    cell, transitions = transitions_of(
        frame, instruction.endpoint, instruction.peer, StateKind.RECV, single=False
    )
    offered = [transition.label for transition in transitions]
    handled = [case.label for case in instruction.cases]
    if any(one >= other for one, other in pairwise(handled)):
        frame.refuse("image.branch.order", "The cases of a branch do not ascend by label")
    if offered != handled:
        frame.refuse(
            "image.branch.cases",
            "The cases of a branch are not those that the local type offers",
            " and ".join(offered),
            " and ".join(handled) or "none",
        )
    what = irrevocable(frame.view.image, instruction)
    if what is not None:
        frame.require_settled(what)
    for case, transition in zip(instruction.cases, transitions, strict=True):
        walk.budget.charge(1 + len(frame.cells) // 8, walk.program)
        taken = Frame(frame.view, frame.program, list(frame.cells), frame.pc, frame.path)
        taken.cells[instruction.endpoint] = after(cell, transition)
        taken.receive(transition.fields, case.targets)
        walk.arrive(taken, case.target)


def _cuts(program: Program) -> frozenset[int]:
    """Where a path can arrive other than from the instruction before."""
    cuts = {0}
    for instruction in program.code:
        if isinstance(instruction, Jump | JumpIf | Fork | Timer):
            cuts.add(instruction.target)
        elif isinstance(instruction, Branch):
            cuts.update(case.target for case in instruction.cases)
    return frozenset(cuts)


def _refuse_work(program: Program, expected: str) -> None:
    raise LimitExceeded(
        "image.flow",
        "A program takes too long to check",
        place=Place(program=program.name),
        expected=expected,
        advice="Split the program into smaller ones",
    )
