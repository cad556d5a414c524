"""Turns a program's instructions into steps, once, before anything runs.

Operands are checked here: an instruction that names a register, program, protocol, effect or
jump target that does not exist becomes a trap. The loader refuses such images already; this is
the second line, and it costs nothing while running.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from troth.vm.coroutine import Coroutine
from troth.vm.faults import fault
from troth.vm.image import Image, Program, irrevocable
from troth.vm.instructions import (
    HOLE,
    Abort,
    Acquire,
    Branch,
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
    Recv,
    Release,
    Select,
    Send,
    Set,
    Spawn,
    Timer,
    Transfer,
    Yield,
)
from troth.vm.step_bundle import decode_open_bundle
from troth.vm.step_code import ProgramCode
from troth.vm.step_common import Step
from troth.vm.step_data import (
    decode_jump,
    decode_jump_if,
    decode_move,
    decode_op,
    decode_set,
    yield_now,
)
from troth.vm.step_guard import decode_acquire, decode_release
from troth.vm.step_hold import not_while_speculating
from troth.vm.step_invoke import decode_invoke
from troth.vm.step_message import decode_send
from troth.vm.step_open import decode_open
from troth.vm.step_receive import decode_receive
from troth.vm.step_session import decode_cancel, decode_close
from troth.vm.step_spawn import decode_spawn, decode_transfer, halt
from troth.vm.step_speculate import abort, decode_fork, decode_join
from troth.vm.step_timer import decode_timer
from troth.vm.turn import Turn


def decode_image(image: Image) -> tuple[ProgramCode, ...]:
    """The steps of every program of an image."""
    return tuple(
        _decode_program(image, index, program) for index, program in enumerate(image.programs)
    )


def _decode_program(image: Image, index: int, program: Program) -> ProgramCode:
    steps = [
        _decode_checked(image, program, instruction, pc + 1)
        for pc, instruction in enumerate(program.code)
    ]
    if any(isinstance(instruction, Fork) for instruction in program.code):
        steps = [
            step if what is None else not_while_speculating(step, what)
            for step, what in zip(steps, _irrevocable(image, program), strict=True)
        ]
    steps.append(_trap("vm.fault.pc", "the program runs off its end"))
    return ProgramCode(
        index,
        program.name,
        program.parameters,
        program.register_count,
        tuple(steps),
        program.lines,
        _guards(program),
        _pauses(program),
    )


def _guards(program: Program) -> tuple[int, ...]:
    """The guards that a program names, each once."""
    named = (i.guard for i in program.code if isinstance(i, Acquire | Release))
    return tuple(dict.fromkeys(named))


def _pauses(program: Program) -> frozenset[int]:
    """Where a clock may interrupt the program although it is ready."""
    if not any(isinstance(instruction, Timer) for instruction in program.code):
        return frozenset()
    return frozenset(pc + 1 for pc, i in enumerate(program.code) if isinstance(i, Yield))


def _irrevocable(image: Image, program: Program) -> Iterator[str | None]:
    """What each instruction does that nobody could take back; one that traps does nothing."""
    for instruction in program.code:
        known = all(0 <= index < count for index, count, _ in _references(image, instruction))
        yield irrevocable(image, instruction) if known else None


def _decode_checked(
    image: Image, program: Program, instruction: Instruction, following: int
) -> Step:
    for register in _registers(instruction):
        if not 0 <= register < program.register_count:
            return _trap("vm.fault.register", f"there is no register {register}")
    for target in _targets(instruction):
        if not 0 <= target < len(program.code):
            return _trap("vm.fault.pc", f"there is no instruction {target} to jump to")
    for index, count, what in _references(image, instruction):
        if not 0 <= index < count:
            return _trap("vm.fault.pc", f"there is no {what} {index}")
    return _decode(instruction, following)


def _trap(code: str, message: str) -> Step:
    def step(turn: Turn, coroutine: Coroutine) -> int:  # noqa: ARG001
        raise fault(code, message)

    return step


def _decode(instruction: Instruction, following: int) -> Step:
    match instruction:
        case Send() | Select():
            return decode_send(instruction, following)
        case Recv() | Branch():
            return decode_receive(instruction, following)
        case Open():
            return decode_open(instruction, following)
        case OpenBundle():
            return decode_open_bundle(instruction, following)
        case Close():
            return decode_close(instruction, following)
        case Cancel():
            return decode_cancel(instruction, following)
        case Invoke():
            return decode_invoke(instruction, following)
        case Acquire():
            return decode_acquire(instruction, following)
        case Release():
            return decode_release(instruction, following)
        case Fork():
            return decode_fork(instruction, following)
        case Join():
            return decode_join(following)
        case Abort():
            return abort
        case Timer():
            return decode_timer(instruction, following)
        case Transfer():
            return decode_transfer(instruction, following)
        case Set():
            return decode_set(instruction, following)
        case Move():
            return decode_move(instruction, following)
        case Op():
            return decode_op(instruction, following)
        case Jump():
            return decode_jump(instruction)
        case JumpIf():
            return decode_jump_if(instruction, following)
        case Spawn():
            return decode_spawn(instruction, following)
        case Yield():
            return yield_now
        case Halt():
            return halt


def _registers(instruction: Instruction) -> Iterator[int]:
    """Every register that an instruction names."""
    match instruction:
        case Open(targets=targets) | OpenBundle(targets=targets):
            yield from targets
        case (
            Send(endpoint=endpoint, arguments=arguments)
            | Select(endpoint=endpoint, arguments=arguments)
        ):
            yield endpoint
            yield from arguments
        case Recv(endpoint=endpoint, targets=targets):
            yield endpoint
            yield from targets
        case Branch(endpoint=endpoint, cases=cases):
            yield endpoint
            for case in cases:
                yield from case.targets
        case Close(endpoint=endpoint) | Timer(endpoint=endpoint):
            yield endpoint
        case Cancel(endpoint=endpoint, reason=reason):
            yield from (endpoint, reason)
        case Invoke(arguments=arguments, target=target):
            yield from (*arguments, target)
        case Transfer(endpoint=endpoint, coroutine=coroutine):
            yield from (endpoint, coroutine)
        case Set(target=target):
            yield target
        case Move(target=target, source=source):
            yield from (target, source)
        case Op(target=target, arguments=arguments):
            yield from (*arguments, target)
        case JumpIf(condition=condition):
            yield condition
        case Spawn(target=target, arguments=arguments):
            yield target
            yield from (register for register in arguments if register != HOLE)
        case Jump() | Yield() | Halt() | Acquire() | Release() | Fork() | Join() | Abort():
            return


def _targets(instruction: Instruction) -> Sequence[int]:
    match instruction:
        case (
            Jump(target=target) | JumpIf(target=target) | Fork(target=target) | Timer(target=target)
        ):
            return (target,)
        case Branch(cases=cases):
            return tuple(case.target for case in cases)
        case _:
            return ()


def _references(image: Image, instruction: Instruction) -> Sequence[tuple[int, int, str]]:
    match instruction:
        case Open(protocol=protocol):
            return ((protocol, len(image.protocols), "protocol"),)
        case OpenBundle(bundle=bundle):
            return ((bundle, len(image.bundles), "bundle"),)
        case Invoke(effect=effect):
            return ((effect, len(image.effects), "effect"),)
        case Spawn(program=program):
            return ((program, len(image.programs), "program"),)
        case Acquire(guard=guard) | Release(guard=guard):
            return ((guard, len(image.guards), "guard"),)
        case _:
            return ()
