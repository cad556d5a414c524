"""What each instruction does to what is known of the registers: one rule each, in one table.

A rule refuses the instruction, or changes the frame to what holds afterwards on the path that
goes on. Jumps and branches are followed in `loader_flow`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from troth.vm.image import irrevocable
from troth.vm.instructions import (
    HOLE,
    Abort,
    Acquire,
    Cancel,
    Close,
    Fork,
    Halt,
    Instruction,
    Invoke,
    Join,
    Jump,
    JumpIf,
    Move,
    Op,
    Open,
    OpenBundle,
    OpenOptions,
    Operator,
    Recv,
    Release,
    ReplayMode,
    Select,
    Send,
    Set,
    Spawn,
    Timer,
    Transfer,
    Yield,
)
from troth.vm.loader_cells import EndpointCell, HandleCell, has_holes
from troth.vm.loader_frame import Frame, RunningClock
from troth.vm.local_types import format_state
from troth.vm.operator_types import result_type
from troth.vm.types import IN_TIME, LATE, EndpointType, Primitive, StateKind, Transition
from troth.vm.value_types import is_small, type_of

Rule: TypeAlias = Callable[..., None]
"""Takes the frame and an instruction of the class that the table below gives it."""


def apply(frame: Frame, instruction: Instruction) -> None:
    """Changes the frame to what holds after the instruction.

    Raises:
        Invalid: `image.…`, with the program and the program counter.
    """
    if frame.path.forks:
        what = irrevocable(frame.view.image, instruction)
        if what is not None:
            frame.require_settled(what)
    _RULES[type(instruction)](frame, instruction)


# --- communication -------------------------------------------------------------------------


def transitions_of(
    frame: Frame, register: int, peer: str, kind: StateKind, *, single: bool
) -> tuple[EndpointCell, tuple[Transition, ...]]:
    """What an endpoint can do next, when that is what the instruction is for."""
    cell = frame.endpoint(register)
    tables = frame.view.protocols[cell.protocol]
    state = tables.states[cell.role][cell.state]
    if state.kind is not kind:
        _refuse_turn(frame, cell, "image.endpoint.turn", f"a {kind} here")
    if state.peer != peer:
        _refuse_turn(frame, cell, "image.endpoint.peer", f"the peer {state.peer}, not {peer}")
    if single != (len(state.transitions) == 1):
        wanted = "one label" if single else "several labels"
        _refuse_turn(frame, cell, "image.endpoint.choice", f"a state with {wanted}")
    return cell, state.transitions


def _refuse_turn(frame: Frame, cell: EndpointCell, code: str, expected: str) -> None:
    tables = frame.view.protocols[cell.protocol]
    local = tables.protocol.local_types[cell.role]
    frame.refuse(
        code,
        "The endpoint's local type does not allow this",
        expected,
        format_state(local, cell.state),
    )


def _transition(
    frame: Frame, cell: EndpointCell, transitions: tuple[Transition, ...], label: str
) -> Transition:
    for transition in transitions:
        if transition.label == label:
            return transition
    tables = frame.view.protocols[cell.protocol]
    return frame.refuse(
        "image.endpoint.label",
        f"The endpoint's local type does not offer {label} here",
        " or ".join(transition.label for transition in transitions),
        f"{label} at {format_state(tables.protocol.local_types[cell.role], cell.state)}",
    )


def _send(frame: Frame, instruction: Send | Select) -> None:
    register = instruction.endpoint
    cell, transitions = transitions_of(
        frame,
        register,
        instruction.peer,
        StateKind.SEND,
        single=isinstance(instruction, Send),
    )
    transition = _transition(frame, cell, transitions, instruction.label)
    if register in instruction.arguments:
        frame.refuse("image.endpoint.self", "An endpoint is sent over itself")
    frame.give(transition.fields, instruction.arguments)
    frame.cells[register] = after(cell, transition)
    _stop_clock(frame, register)


def _recv(frame: Frame, instruction: Recv) -> None:
    cell, transitions = transitions_of(
        frame, instruction.endpoint, instruction.peer, StateKind.RECV, single=True
    )
    transition = _transition(frame, cell, transitions, instruction.label)
    frame.cells[instruction.endpoint] = after(cell, transition)
    frame.receive(transition.fields, instruction.targets)


def after(cell: EndpointCell, transition: Transition) -> EndpointCell:
    """The endpoint once it has taken the transition."""
    return replace(cell, state=transition.next, fresh=False)


# --- sessions and ownership ----------------------------------------------------------------


def _open(frame: Frame, instruction: Open) -> None:
    tables = frame.view.protocols[instruction.protocol]
    roles = tables.protocol.roles
    frame.require_count("endpoints", len(roles), len(instruction.targets))
    _check_options(frame, instruction.protocol, instruction.options)
    known = frozenset(tables.edges)
    pairs = [(sender, receiver) for sender, receiver, _ in instruction.handlers]
    if not known.issuperset(pairs) or len(frozenset(pairs)) != len(pairs):
        frame.refuse(
            "image.open.handlers",
            "A handler is bound to no edge of the protocol, or two are bound to one",
            ", ".join(f"{sender} -> {receiver}" for sender, receiver in tables.edges),
        )
    for role, register in enumerate(instruction.targets):
        frame.write(register, EndpointCell(instruction.protocol, role, 0, True))


def _open_bundle(frame: Frame, instruction: OpenBundle) -> None:
    bundle = frame.view.image.bundles[instruction.bundle]
    ends = [
        (child.protocol, role) for child in bundle.children for role in range(len(child.players))
    ]
    frame.require_count("endpoints", len(ends), len(instruction.targets))
    for child in bundle.children:
        _check_options(frame, child.protocol, instruction.options)
    for (protocol, role), register in zip(ends, instruction.targets, strict=True):
        frame.write(register, EndpointCell(protocol, role, 0, True))


def _check_options(frame: Frame, protocol: int, options: OpenOptions) -> None:
    largest = frame.view.limits.buffer_capacity_max
    if options.capacity is not None and not 1 <= options.capacity <= largest:
        frame.refuse(
            "image.open.options",
            "The capacity is impossible",
            f"1 to buffer_capacity_max = {largest}",
            str(options.capacity),
        )
    if options.replay is not ReplayMode.SEQUENCE:
        return
    tables = frame.view.protocols[protocol]
    for edge, labels in tables.lossy.items():
        fixed = tables.edge_settings.get(edge)
        if fixed is None or fixed.replay is None:
            frame.refuse(
                "image.open.options",
                "An edge whose messages may be lost cannot keep a sequence",
                "replay = nullifier or off",
                f"{edge[0]} -> {edge[1]}: {', '.join(labels)} lossy",
            )


def _close(frame: Frame, instruction: Close) -> None:
    cell = frame.endpoint(instruction.endpoint)
    if not _is_finished(frame, cell):
        _refuse_turn(frame, cell, "image.endpoint.unfinished", "the end of the local type")
    frame.cells[instruction.endpoint] = None


def _is_finished(frame: Frame, cell: EndpointCell) -> bool:
    tables = frame.view.protocols[cell.protocol]
    return tables.states[cell.role][cell.state].kind is StateKind.END


def _cancel(frame: Frame, instruction: Cancel) -> None:
    frame.endpoint(instruction.endpoint)
    frame.require(instruction.reason, Primitive.STR)
    frame.cells[instruction.endpoint] = None
    _stop_clock(frame, instruction.endpoint)


def _spawn(frame: Frame, instruction: Spawn) -> None:
    parameters = frame.view.image.programs[instruction.program].parameters
    arguments = instruction.arguments
    frame.require_count("arguments", len(parameters), len(arguments))
    holes: list[int] = []
    for place, (field, register) in enumerate(zip(parameters, arguments, strict=True)):
        if register != HOLE:
            frame.give((field,), (register,))
        elif isinstance(field.type, EndpointType):
            holes.append(place)
        else:
            frame.refuse("image.spawn.hole", f"Parameter {field.name} takes a value, not a hole")
    frame.write(instruction.target, HandleCell(instruction.program, tuple(holes)))


def _transfer(frame: Frame, instruction: Transfer) -> None:
    handle = frame.handle(instruction.coroutine)
    if instruction.parameter not in handle.holes:
        frame.refuse(
            "image.transfer.parameter",
            "The child has no such open parameter",
            " or ".join(str(hole) for hole in handle.holes) or "none",
            str(instruction.parameter),
        )
    program = frame.view.image.programs[handle.program]
    kind = program.parameters[instruction.parameter].type
    assert isinstance(kind, EndpointType)
    frame.take_initial(instruction.endpoint, kind)
    left = tuple(hole for hole in handle.holes if hole != instruction.parameter)
    frame.cells[instruction.coroutine] = HandleCell(handle.program, left)


# --- guards --------------------------------------------------------------------------------


def _acquire(frame: Frame, instruction: Acquire) -> None:
    held = frame.path.held
    if instruction.guard in held:
        name = frame.view.image.guards[instruction.guard]
        frame.refuse("image.guard.held", f"The guard {name} is acquired, and is held already")
    frame.path = frame.path._replace(held=held | {instruction.guard})


def _release(frame: Frame, instruction: Release) -> None:
    held = frame.path.held
    if instruction.guard not in held:
        name = frame.view.image.guards[instruction.guard]
        frame.refuse(
            "image.guard.free",
            f"The guard {name} is released, and is not held",
            "a guard that was acquired before on every path",
            f"a program that holds {frame.names_of(held)}",
        )
    frame.path = frame.path._replace(held=held - {instruction.guard})


# --- speculation ---------------------------------------------------------------------------


def _fork(frame: Frame, _instruction: Fork) -> None:
    if frame.path.clock is not None:
        frame.refuse(
            "image.timer.speculation",
            "A speculation begins while the clock of a timed choice runs",
            "the choice made before",
        )
    frame.path = frame.path._replace(forks=frame.path.forks + 1)


def _join(frame: Frame, _instruction: Join | Abort) -> None:
    if frame.path.forks == 0:
        frame.refuse("image.speculation.none", "There is no speculation to end", "a fork before")
    frame.path = frame.path._replace(forks=frame.path.forks - 1)


# --- timed choices -------------------------------------------------------------------------


def _timer(frame: Frame, instruction: Timer) -> None:
    cell = frame.endpoint(instruction.endpoint)
    state = frame.view.protocols[cell.protocol].states[cell.role][cell.state]
    if state.kind is not StateKind.TIMED:
        _refuse_turn(frame, cell, "image.endpoint.turn", "a timed choice here")
    if frame.path.clock is not None:
        frame.refuse(
            "image.timer.second", "A second clock is started while the first runs", "one at a time"
        )
    frame.cells[instruction.endpoint] = replace(cell, state=state.after(IN_TIME), fresh=False)
    clock = RunningClock(instruction.endpoint, instruction.target, state.after(LATE))
    frame.path = frame.path._replace(clock=clock)


def _stop_clock(frame: Frame, register: int) -> None:
    """The endpoint in the register has made its choice, or is given up."""
    clock = frame.path.clock
    if clock is not None and clock.register == register:
        frame.path = frame.path._replace(clock=None)


# --- effects, data and control -------------------------------------------------------------


def _invoke(frame: Frame, instruction: Invoke) -> None:
    effect = frame.view.image.effects[instruction.effect]
    frame.give(effect.parameters, instruction.arguments)
    frame.write(instruction.target, effect.result)


def _set(frame: Frame, instruction: Set) -> None:
    kind = type_of(instruction.value)
    if kind is None:
        frame.refuse("image.constant", "The items of a constant list have no type in common")
    if not is_small(kind):
        frame.refuse("image.constant", "The type of a constant is too large")
    frame.write(instruction.target, kind)


def _move(frame: Frame, instruction: Move) -> None:
    cell = frame.cells[instruction.source]
    if not isinstance(cell, EndpointCell) and not has_holes(cell):
        if not isinstance(cell, HandleCell):
            frame.value(instruction.source)
        frame.write(instruction.target, cell)
        return
    if frame.path.clock is not None and frame.path.clock.register == instruction.source:
        frame.refuse("image.timer.moved", "An endpoint is moved while its clock runs")
    if instruction.target == instruction.source:
        frame.refuse("image.move.self", "An endpoint or handle is moved onto itself")
    frame.write(instruction.target, cell)
    frame.cells[instruction.source] = None


def _op(frame: Frame, instruction: Op) -> None:
    types = tuple([frame.value(register) for register in instruction.arguments])
    result = result_type(instruction.operator, types, instruction.names)
    if result is None:
        frame.refuse(
            "image.operator",
            f"The operator {instruction.operator} does not take these arguments",
            actual="(" + ", ".join(str(kind) for kind in types) + ")",
        )
    frame.write(instruction.target, result)


def _jump_if(frame: Frame, instruction: JumpIf) -> None:
    frame.require(instruction.condition, Primitive.BOOL)


def _halt(frame: Frame, _instruction: Halt) -> None:
    if frame.path.held:
        frame.refuse(
            "image.guard.unreleased",
            "The program ends and holds a guard",
            "every guard released",
            frame.names_of(frame.path.held),
        )
    for register, cell in enumerate(frame.cells):
        if isinstance(cell, EndpointCell) and not _is_finished(frame, cell):
            _refuse_turn(frame, cell, "image.endpoint.unfinished", "the end of the local type")
        if has_holes(cell):
            frame.refuse_holes(register, cell)


def _nothing(_frame: Frame, _instruction: Jump | Yield) -> None:
    """Changes no register."""


def fails(instruction: Instruction) -> bool:
    """Whether the instruction always faults, so that no path leads on from it."""
    return isinstance(instruction, Op) and instruction.operator is Operator.FAIL


_RULES: Final[dict[type, Rule]] = {
    Open: _open,
    OpenBundle: _open_bundle,
    Send: _send,
    Select: _send,
    Recv: _recv,
    Close: _close,
    Cancel: _cancel,
    Invoke: _invoke,
    Transfer: _transfer,
    Set: _set,
    Move: _move,
    Op: _op,
    Jump: _nothing,
    JumpIf: _jump_if,
    Spawn: _spawn,
    Yield: _nothing,
    Halt: _halt,
    Acquire: _acquire,
    Release: _release,
    Timer: _timer,
    Fork: _fork,
    Join: _join,
    Abort: _join,
}
