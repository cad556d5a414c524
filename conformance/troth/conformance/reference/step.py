"""One instruction: from a world to the next."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from troth.conformance.reference.clocks import runs, start_clock
from troth.conformance.reference.compute import compute, has_type, shown, size
from troth.conformance.reference.crashes import clear
from troth.conformance.reference.endings import (
    cancel,
    close,
    fall,
    halt,
    hand_guard_on,
    roll_back,
)
from troth.conformance.reference.ownership import Defer, open_bundle, open_session, spawn, transfer
from troth.conformance.reference.receive import consume, receive
from troth.conformance.reference.send import Wait, post, send
from troth.conformance.reference.world import (
    Coroutine,
    Guard,
    HeldSend,
    Level,
    Trap,
    World,
    end_of,
    mine,
    program_of,
    say,
    with_coroutine,
    with_register,
)
from troth.vm import statements
from troth.vm.codec import encode_payload
from troth.vm.errors import TrothError
from troth.vm.events import Acquired, Invoked, Printed, Released
from troth.vm.instructions import (
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
    Operator,
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
from troth.vm.types import CRASH
from troth.vm.values import CoroutineHandle, Endpoint, RegisterValue


class Stop(Enum):
    """Why a coroutine does not go on with another instruction in this turn."""

    WAITS = "waits"
    YIELDED = "yielded"
    ENDED = "ended"
    DEFERRED = "deferred"


Outcome: TypeAlias = tuple[World, Stop | None]


def step(world: World, identity: bytes) -> Outcome:
    """Executes the next instruction of a coroutine, or lets it fault."""
    me = world.coroutines[identity]
    code = program_of(world, me).code
    try:
        if me.pc >= len(code):
            raise Trap("pc")
        world, following, stop = _execute(world, me, code[me.pc])
    except Wait as wait:
        return wait.world, Stop.WAITS
    except Defer:
        return world, Stop.DEFERRED
    except Trap as trap:
        return fall(world, me, trap), Stop.ENDED
    now = world.coroutines[identity]
    return with_coroutine(world, now._replace(pc=following, spent=now.spent + 1)), stop


def spend_too_much(world: World, identity: bytes) -> Outcome:
    """The coroutine has spent its budget."""
    return fall(world, world.coroutines[identity], Trap("credits")), Stop.ENDED


def _execute(
    world: World, me: Coroutine, instruction: Instruction
) -> tuple[World, int, Stop | None]:
    """The world after, the next instruction, and whether the turn is over."""
    if me.levels and not _can_be_undone(world, instruction):
        raise Trap("speculation")
    stop = None
    following = me.pc + 1
    match instruction:
        case Recv() | Branch():
            world, following = receive(world, me, instruction)
        case Jump(target=target):
            following = target
        case JumpIf(condition=condition, target=target):
            following = target if _condition(me.registers[condition]) else following
        case Abort():
            world, following = _abort(world, me)
        case Yield():
            stop = Stop.YIELDED
        case Halt():
            world, stop = halt(world, me), Stop.ENDED
        case _:
            world = _straight(world, me, instruction)
    return world, following, stop


def _straight(world: World, me: Coroutine, instruction: Instruction) -> World:
    """What goes on with the instruction after it."""
    match instruction:
        case Open():
            return open_session(world, me, instruction)
        case OpenBundle():
            return open_bundle(world, me, instruction)
        case Send() | Select():
            end = mine(world, me, instruction.endpoint)
            key = (end.session, end.role, instruction.peer)
            return clear(send(world, me, instruction), key)
        case Close():
            return close(world, me, instruction)
        case Cancel():
            return cancel(world, me, instruction)
        case Invoke():
            return _invoke(world, me, instruction)
        case Acquire(guard=guard):
            return _acquire(world, me, guard)
        case Release(guard=guard):
            return _release(world, me, guard)
        case Timer():
            return start_clock(world, me, instruction)
        case Fork(target=target):
            return _fork(world, me, target)
        case Join():
            return _join(world, me)
        case Transfer():
            return transfer(world, me, instruction)
        case Set():
            return _set(world, me, instruction)
        case Move():
            return _move(world, me, instruction)
        case Op():
            return _operate(world, me, instruction)
        case Spawn():
            return spawn(world, me, instruction)
    raise AssertionError(instruction)


# --- data ----------------------------------------------------------------------------------


def _condition(cell: RegisterValue) -> bool:
    if not isinstance(cell, bool):
        raise Trap("type")
    return cell


def _set(world: World, me: Coroutine, instruction: Set) -> World:
    if size(instruction.value) > world.setup.limits.value_bytes_max:
        raise Trap("limit")
    return with_register(world, me.id, instruction.target, instruction.value)


def _move(world: World, me: Coroutine, instruction: Move) -> World:
    cell = me.registers[instruction.source]
    if isinstance(cell, Endpoint):
        world = with_register(world, me.id, instruction.source, None)
    return with_register(world, me.id, instruction.target, cell)


def _operate(world: World, me: Coroutine, instruction: Op) -> World:
    cells = [me.registers[register] for register in instruction.arguments]
    if instruction.operator not in (Operator.PRINT, Operator.FAIL):
        value = compute(instruction, cells, world.setup.limits)
        return with_register(world, me.id, instruction.target, value)
    if isinstance(cells[0], Endpoint | CoroutineHandle):
        raise Trap("type")
    text = shown(cells[0])
    if size(text) > world.setup.limits.value_bytes_max:
        raise Trap("limit")
    if instruction.operator is Operator.FAIL:
        raise Trap("fail")
    return with_register(say(world, Printed(me.id, text)), me.id, instruction.target, None)


# --- effects -------------------------------------------------------------------------------


def _invoke(world: World, me: Coroutine, instruction: Invoke) -> World:
    """Executed twice: it asks, and when it is woken it takes the answer."""
    effect = world.setup.image.effects[instruction.effect]
    if me.answer is None:
        raise Wait(_ask(world, me, instruction))
    if me.answer.failed or not has_type(me.answer.value, effect.result):
        raise Trap("invoke")
    world = with_coroutine(world, me._replace(answer=None, effect=None))
    return with_register(world, me.id, instruction.target, me.answer.value)


def _ask(world: World, me: Coroutine, instruction: Invoke) -> World:
    effect = world.setup.image.effects[instruction.effect]
    cells = [me.registers[register] for register in instruction.arguments]
    if len(cells) != len(effect.parameters) or not all(
        has_type(cell, field.type) for cell, field in zip(cells, effect.parameters, strict=True)
    ):
        raise Trap("type")
    try:
        arguments = encode_payload(cells)
    except TrothError as error:
        raise Trap("type") from error
    if len(arguments) > world.setup.limits.message_bytes_max:
        raise Trap("limit")
    identity = statements.effect_id(me.id, me.invoked)
    world = with_coroutine(world, me._replace(invoked=me.invoked + 1, effect=identity))
    return say(world, Invoked(me.id, identity, instruction.effect, arguments))


# --- guards --------------------------------------------------------------------------------


def _acquire(world: World, me: Coroutine, index: int) -> World:
    guard = world.guards[index]
    if guard.holder is None:
        guard = guard._replace(holder=me.id)
        world = with_coroutine(world, me._replace(guards=(*me.guards, index)))
    elif guard.holder != me.id:
        waiting = guard._replace(waiting=(*guard.waiting, me.id))
        raise Wait(_with_guard(world, index, waiting))
    elif guard.handed:
        guard = guard._replace(handed=False)
    else:
        raise Trap("acquire")
    return say(_with_guard(world, index, guard), Acquired(me.id, index))


def _with_guard(world: World, index: int, guard: Guard) -> World:
    guards = list(world.guards)
    guards[index] = guard
    return world._replace(guards=tuple(guards))


def _release(world: World, me: Coroutine, index: int) -> World:
    if world.guards[index].holder != me.id:
        raise Trap("acquire")
    return say(hand_guard_on(world, index), Released(me.id, index))


# --- speculation ---------------------------------------------------------------------------


def _can_be_undone(world: World, instruction: Instruction) -> bool:
    match instruction:
        case Op(operator=operator):
            return operator is not Operator.PRINT
        case Invoke(effect=effect):
            return world.setup.image.effects[effect].revertible
        case Open() | OpenBundle() | Close() | Cancel() | Acquire() | Release():
            return False
        case Transfer() | Spawn() | Halt() | Timer():
            return False
        case Branch(cases=cases):
            return all(case.label != CRASH for case in cases)
    return True


def _fork(world: World, me: Coroutine, target: int) -> World:
    if len(me.levels) >= world.setup.limits.speculation_depth_max:
        raise Trap("limit")
    if runs(world, me) and me.clock is not None:
        raise Trap("speculation", me.clock.end)
    level = Level(target, me.registers, {})
    return with_coroutine(world, me._replace(levels=(*me.levels, level)))


def _abort(world: World, me: Coroutine) -> tuple[World, int]:
    if not me.levels:
        raise Trap("speculation")
    return roll_back(world, me.id), me.levels[-1].target


def _join(world: World, me: Coroutine) -> World:
    """Does what was held back, or makes it an act of the speculation around."""
    if not me.levels:
        raise Trap("speculation")
    *outer, level = me.levels
    if outer:
        *beyond, around = outer
        merged = around._replace(acts=around.acts + level.acts, ends={**level.ends, **around.ends})
        return with_coroutine(world, me._replace(levels=(*beyond, merged)))
    for act in level.acts:
        peer = end_of(world, Endpoint(act.edge[0], act.edge[2]))
        gone = isinstance(act, HeldSend) and peer.noticed and not peer.crashed
        if gone or not world.sessions[act.end.session].live:
            raise Trap("channel", act.end)
    world = with_coroutine(world, me._replace(levels=()))
    for act in level.acts:
        if isinstance(act, HeldSend):
            try:
                world = clear(post(world, act), act.edge)
            except Trap as trap:
                # It is the join that fails, whichever of its messages is the first to.
                raise Trap(trap.code.removeprefix("vm.fault.")) from trap
        else:
            world = consume(world, act.edge)
    return world
