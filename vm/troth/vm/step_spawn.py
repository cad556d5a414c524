"""`spawn`, `transfer` and `halt`: how coroutines begin, share endpoints, and end."""

from __future__ import annotations

from collections.abc import Sequence

from troth.vm import statements
from troth.vm.coroutine import Blocked, Coroutine, CoroutineStatus
from troth.vm.errors import Fault
from troth.vm.events import Halted, Spawned, Transferred
from troth.vm.faults import fault
from troth.vm.instructions import HOLE, Spawn, Transfer
from troth.vm.lifecycle import LIVE
from troth.vm.limits import Limits
from troth.vm.session import Cell, EndpointElsewhere, EndpointState
from troth.vm.step_code import ProgramCode
from troth.vm.step_common import Step, cell_name, not_usable
from troth.vm.step_delegate import require_type, used_before
from troth.vm.step_end import commit_close, prepare_close, release
from troth.vm.step_guard import still_held
from troth.vm.turn import DEFERRED, ENDED, Turn
from troth.vm.types import EndpointType, Field
from troth.vm.value_ops import type_matches
from troth.vm.values import CoroutineHandle


def decode_spawn(instruction: Spawn, following: int) -> Step:
    """The child starts in the next round, or once `transfer` has filled its holes."""

    def step(turn: Turn, coroutine: Coroutine) -> int:
        context = turn.context
        code = context.programs[instruction.program]
        require_registers(code, context.limits)
        if context.home is not None and _runs_elsewhere(coroutine, code, instruction):
            _leave_out(turn, coroutine, code, instruction)
            return following
        arguments = _arguments(coroutine, code, instruction)
        if turn.coroutines_left <= 0:
            if not turn.exact:
                return DEFERRED
            raise too_many_coroutines(context.limits)
        identity = statements.coroutine_id(context.seed, coroutine.id, coroutine.children)
        place = b""
        if context.home is not None:
            place = statements.place(coroutine.place, coroutine.children)
        child = Coroutine(identity, coroutine.id, code, place)
        coroutine.children += 1
        turn.spawn(child)
        turn.events.append(Spawned(identity, coroutine.id, code.index))
        for parameter, (register, value) in enumerate(
            zip(instruction.arguments, arguments, strict=True)
        ):
            if register == HOLE:
                child.holes.append(parameter)
                continue
            child.registers[parameter] = value
            if isinstance(value, EndpointState):
                coroutine.registers[register] = None
                _hand_over(turn, value, coroutine, child)
        coroutine.registers[instruction.target] = CoroutineHandle(identity)
        _start_when_complete(turn, child)
        return following

    return step


def _runs_elsewhere(coroutine: Coroutine, code: ProgramCode, instruction: Spawn) -> bool:
    """Whether the endpoints that are handed to a program are another machine's, all of them.

    Raises:
        Fault: `vm.fault.transfer`, when some are here and some are not.
    """
    registers = [r for r in instruction.arguments if r != HOLE]
    cells = [coroutine.registers[register] for register in registers]
    here = [cell for cell in cells if isinstance(cell, EndpointState)]
    elsewhere = [cell for cell in cells if isinstance(cell, EndpointElsewhere)]
    if elsewhere and here:
        raise _of_several_machines(code, elsewhere[0])
    return bool(elsewhere)


def _of_several_machines(code: ProgramCode, elsewhere: EndpointElsewhere) -> Fault:
    return fault(
        "vm.fault.transfer",
        f"the program {code.name} is given endpoints of several machines",
        expected="endpoints that one machine holds",
        actual=f"{elsewhere.protocol}.{elsewhere.role}, held by another machine",
        advice="Let one machine hold all roles that one program plays",
    )


def _leave_out(turn: Turn, coroutine: Coroutine, code: ProgramCode, instruction: Spawn) -> None:
    """The machine that holds the endpoints runs the program; here it ends as it begins."""
    identity = statements.coroutine_id(turn.context.seed, coroutine.id, coroutine.children)
    coroutine.children += 1
    for register in instruction.arguments:
        if register != HOLE and isinstance(coroutine.registers[register], EndpointElsewhere):
            coroutine.registers[register] = None
    coroutine.registers[instruction.target] = CoroutineHandle(identity)
    turn.events += (Spawned(identity, coroutine.id, code.index), Halted(identity))


def require_registers(code: ProgramCode, limits: Limits) -> None:
    """Checks the size of a register file.

    Raises:
        Fault: `vm.fault.limit`.
    """
    if code.register_count > limits.registers_max:
        raise fault(
            "vm.fault.limit",
            f"the program {code.name} has too many registers",
            expected=f"at most registers_max = {limits.registers_max} registers",
            actual=str(code.register_count),
        )


def too_many_coroutines(limits: Limits) -> Fault:
    return fault(
        "vm.fault.limit",
        "too many coroutines are running",
        expected=f"at most coroutines_max = {limits.coroutines_max} coroutines",
        actual="one more",
    )


def _arguments(coroutine: Coroutine, code: ProgramCode, instruction: Spawn) -> Sequence[Cell]:
    """The values of a spawn's arguments, checked against the program's parameters."""
    registers = instruction.arguments
    if len(registers) != len(code.parameters):
        raise fault(
            "vm.fault.type",
            f"the program {code.name} is spawned with the wrong number of arguments",
            expected=str(len(code.parameters)),
            actual=str(len(registers)),
        )
    values: list[Cell] = []
    for register, parameter in zip(registers, code.parameters, strict=True):
        if register == HOLE:
            if not isinstance(parameter.type, EndpointType):
                raise _wrong_argument(code, parameter, "a hole")
            values.append(None)
            continue
        value = coroutine.registers[register]
        if isinstance(parameter.type, EndpointType):
            _require_movable(value, coroutine, parameter)
            if any(value is other for other in values):
                raise _wrong_argument(code, parameter, "an endpoint that is given twice")
        elif isinstance(value, EndpointState | EndpointElsewhere) or not type_matches(
            value, parameter.type
        ):
            raise _wrong_argument(code, parameter, cell_name(value))
        values.append(value)
    return values


def _wrong_argument(code: ProgramCode, parameter: Field, actual: str) -> Fault:
    return fault(
        "vm.fault.type",
        f"the argument {parameter.name} of {code.name} does not have its declared type",
        expected=str(parameter.type),
        actual=actual,
    )


def _require_movable(cell: Cell, coroutine: Coroutine, parameter: Field) -> None:
    """Checks that a parameter can take the endpoint in `cell`.

    Raises:
        Fault: `vm.fault.register`, `.channel`, `.type` or `.transfer`.
    """
    if not isinstance(cell, EndpointState) or cell.owner is not coroutine:
        raise not_usable(cell, coroutine)
    require_type(cell, parameter.type)
    if cell.state.number != 0:
        raise used_before(cell)


def _hand_over(turn: Turn, endpoint: EndpointState, source: Coroutine, target: Coroutine) -> None:
    """Moves an endpoint between coroutines; its signer stays the same."""
    del source.owned[endpoint]
    target.owned[endpoint] = None
    endpoint.owner = target
    # A session that has ended has no more history; its new owner will learn that it is over.
    if endpoint.session.status in LIVE:
        turn.events.append(Transferred(endpoint.session.id, endpoint.role, source.id, target.id))


def _start_when_complete(turn: Turn, child: Coroutine) -> None:
    if child.holes:
        child.status = CoroutineStatus.BLOCKED
        child.blocked = Blocked.HOLES
    else:
        turn.woken.append(child)


def decode_transfer(instruction: Transfer, following: int) -> Step:
    """Fills one hole of a child that this coroutine has spawned."""

    def step(turn: Turn, coroutine: Coroutine) -> int:
        registers = coroutine.registers
        elsewhere = registers[instruction.endpoint]
        if isinstance(elsewhere, EndpointElsewhere):
            _follow_elsewhere(turn, coroutine, instruction, elsewhere)
            return following
        child = _child(turn, coroutine, registers[instruction.coroutine])
        if instruction.parameter not in child.holes:
            raise fault(
                "vm.fault.transfer",
                f"the program {child.code.name} does not wait for this parameter",
                expected=_holes(child),
                actual=f"parameter {instruction.parameter}",
            )
        parameter = child.code.parameters[instruction.parameter]
        endpoint = registers[instruction.endpoint]
        _require_movable(endpoint, coroutine, parameter)
        assert isinstance(endpoint, EndpointState), "it is movable"
        registers[instruction.endpoint] = None
        child.registers[instruction.parameter] = endpoint
        child.holes.remove(instruction.parameter)
        _hand_over(turn, endpoint, coroutine, child)
        _start_when_complete(turn, child)
        return following

    return step


def _follow_elsewhere(
    turn: Turn, coroutine: Coroutine, instruction: Transfer, endpoint: EndpointElsewhere
) -> None:
    """A program that is to have another machine's endpoint runs there, and ends here.

    Raises:
        Fault: `vm.fault.register` or `vm.fault.transfer`.
    """
    cell = coroutine.registers[instruction.coroutine]
    child = turn.find_coroutine(cell.id) if isinstance(cell, CoroutineHandle) else None
    # One that has all its parameters may run in another lane at this very moment.
    if child is not None and child.holes and child.status is not CoroutineStatus.ENDED:
        child = _child(turn, coroutine, cell)
        if child.owned:
            raise _of_several_machines(child.code, endpoint)
        turn.events.append(Halted(child.id))
        turn.leave_out(child)
    coroutine.registers[instruction.endpoint] = None


def _holes(child: Coroutine) -> str:
    names = ", ".join(child.code.parameters[hole].name for hole in child.holes)
    return f"one of {names}" if names else "no transfer: it has all its parameters"


def _child(turn: Turn, coroutine: Coroutine, cell: Cell) -> Coroutine:
    if not isinstance(cell, CoroutineHandle):
        raise fault(
            "vm.fault.register",
            "the register does not hold a coroutine",
            expected="what spawn returned",
            actual=cell_name(cell),
        )
    child = turn.find_coroutine(cell.id)
    if child is None or child.parent != coroutine.id:
        raise fault(
            "vm.fault.transfer",
            "the target of the transfer is not a running child of this coroutine",
            expected="a child that waits for an endpoint",
            actual="one that has ended" if child is None else "another coroutine's child",
        )
    return child


def halt(turn: Turn, coroutine: Coroutine) -> int:
    """Ends the coroutine. Endpoints at their end are closed first; others make it a fault.

    So does a guard that it still holds.
    """
    if coroutine.guards:
        raise still_held(coroutine.guards)
    owned = tuple(coroutine.owned)
    farewells = [
        prepare_close(turn, endpoint) for endpoint in owned if endpoint.session.status in LIVE
    ]
    for endpoint in owned:
        if endpoint.session.status not in LIVE:
            release(coroutine, endpoint)
    for farewell in farewells:
        commit_close(turn, coroutine, farewell)
    turn.events.append(Halted(coroutine.id))
    coroutine.status = CoroutineStatus.ENDED
    return ENDED
