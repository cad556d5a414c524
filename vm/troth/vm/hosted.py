"""A coroutine without a program: what it does next comes from the host, one instruction at a time.

Each instruction is a step of the machine like any other, so what a host does is checked, signed,
recorded and undone as a program's instruction would be. Between two the coroutine is parked.
Only instructions that talk in sessions are taken: a host has everything else itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from troth.vm.coroutine import Blocked, Coroutine, CoroutineStatus
from troth.vm.errors import Fault, Unusable
from troth.vm.instructions import (
    Branch,
    Cancel,
    Close,
    Halt,
    Open,
    OpenBundle,
    Recv,
    Select,
    Send,
    Timer,
)
from troth.vm.session import Cell, EndpointState
from troth.vm.step_bundle import decode_open_bundle
from troth.vm.step_code import ProgramCode
from troth.vm.step_common import Step
from troth.vm.step_message import decode_send
from troth.vm.step_open import decode_open
from troth.vm.step_receive import decode_receive
from troth.vm.step_session import decode_cancel, decode_close
from troth.vm.step_spawn import halt
from troth.vm.step_timer import decode_timer
from troth.vm.turn import BLOCKED, Turn
from troth.vm.values import RegisterValue

Action: TypeAlias = (
    Open | OpenBundle | Send | Select | Recv | Branch | Close | Cancel | Timer | Halt
)

FIRST_PARK: Final = 1
"""Where an action goes on that has no branches; a case i of a branch goes on at 1 + i."""


class Wakes(Protocol):
    """What a player needs of the scheduler."""

    faults: list[Fault]

    def make_ready(self, coroutine: Coroutine) -> None: ...


class Prepared(NamedTuple):
    """An action as a step, and what it finds in registers; wherever it ends, the next follows."""

    step: Step
    values: Sequence[tuple[int, RegisterValue]] = ()


def _park(turn: Turn, coroutine: Coroutine) -> int:  # noqa: ARG001
    coroutine.blocked = Blocked.HOST
    coroutine.blocked_edge = None
    return BLOCKED


def hosted_code(name: str, registers: int) -> ProgramCode:
    """What a parked coroutine runs: nothing."""
    return ProgramCode(None, name, (), registers, (_park,), ())


class Player:
    """The host's hand on its coroutine, used between two rounds."""

    __slots__ = ("_scheduler", "coroutine")

    def __init__(self, coroutine: Coroutine, scheduler: Wakes) -> None:
        self.coroutine = coroutine
        self._scheduler = scheduler

    @property
    def parked(self) -> bool:
        """Whether the last action is done and another can be given."""
        return self.coroutine.blocked is Blocked.HOST

    @property
    def ended(self) -> bool:
        return self.coroutine.status is CoroutineStatus.ENDED

    @property
    def clock_runs(self) -> bool:
        """Whether the clock that was started last has not run out; it runs on behind its choice."""
        return self.coroutine.timer is not None

    @property
    def case(self) -> int:
        """Which case of a branch was taken; 0 for other actions that are done."""
        return max(0, self.coroutine.pc - FIRST_PARK)

    def cell(self, register: int) -> Cell:
        return self.coroutine.registers[register]

    def endpoint(self, register: int) -> EndpointState | None:
        """The endpoint in a register, as long as the coroutine may use it."""
        cell = self.coroutine.registers[register]
        if isinstance(cell, EndpointState) and cell.owner is self.coroutine:
            return cell
        return None

    def act(self, action: Action, values: Mapping[int, RegisterValue] | None = None) -> None:
        """Puts `values` into registers, and executes `action` from the next round on.

        Raises:
            Unusable: code `machine.act`, when the coroutine has ended or is still at something.
        """
        self._require_parked()
        _put(self.coroutine, (values or {}).items())
        parks = len(action.cases) if isinstance(action, Branch) else 1
        self._execute((decode(action), *[_park] * max(1, parks)))

    def act_in_turn(self, actions: Sequence[Prepared]) -> None:
        """Executes actions one after the other, as many in a round as there is nothing to wait for.

        Raises:
            Unusable: code `machine.act`, as `act`.
        """
        self._require_parked()
        steps = [_followed(action, number) for number, action in enumerate(actions, FIRST_PARK)]
        self._execute((*steps, _park))

    def _require_parked(self) -> None:
        if not self.parked or self.ended:
            raise Unusable(
                "machine.act",
                "this coroutine cannot do anything now",
                expected="a coroutine that is done with its last action",
                actual="one that has ended" if self.ended else "one that is still at it",
            )

    def _execute(self, steps: tuple[Step, ...]) -> None:
        coroutine = self.coroutine
        code = coroutine.code
        coroutine.code = ProgramCode(None, code.name, (), code.register_count, steps, ())
        coroutine.pc = 0
        self._scheduler.make_ready(coroutine)

    def withdraw(self) -> bool:
        """Takes back an action that waits for another party; False when there is none.

        It has changed nothing so far, and what it waited for stays where it is.
        """
        coroutine = self.coroutine
        edge = coroutine.blocked_edge
        if edge is None or coroutine.blocked not in (Blocked.RECEIVE, Blocked.SEND):
            return False
        if edge.waiting_receiver is coroutine:
            edge.waiting_receiver = None
        if edge.waiting_sender is coroutine:
            edge.waiting_sender = None
        coroutine.blocked, coroutine.blocked_edge = Blocked.HOST, None
        return True

    def fault(self) -> Fault | None:
        """What ended the coroutine, if a fault did."""
        mine = self.coroutine.id.hex()
        return next((f for f in self._scheduler.faults if f.place.coroutine == mine), None)


def _put(coroutine: Coroutine, values: Iterable[tuple[int, RegisterValue]]) -> None:
    registers = coroutine.registers
    for register, value in values:
        while len(registers) <= register:
            # More than the message has fields: for the machine to refuse.
            registers.append(None)
        registers[register] = value


def _followed(action: Prepared, following: int) -> Step:
    step, values = action

    def then(turn: Turn, coroutine: Coroutine) -> int:
        _put(coroutine, values)
        outcome = step(turn, coroutine)
        return following if outcome >= 0 else outcome

    return then


def decode(action: Action) -> Step:
    """The action as a step of a coroutine that is parked behind it."""
    match action:
        case Open():
            return decode_open(action, FIRST_PARK)
        case OpenBundle():
            return decode_open_bundle(action, FIRST_PARK)
        case Send() | Select():
            return decode_send(action, FIRST_PARK)
        case Recv() | Branch():
            return decode_receive(action, FIRST_PARK)
        case Close():
            return decode_close(action, FIRST_PARK)
        case Cancel():
            return decode_cancel(action, FIRST_PARK)
        case Timer():
            return decode_timer(action, FIRST_PARK)
        case Halt():
            return halt
