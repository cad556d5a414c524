"""Checked programs to the program image.

Runs only on scripts without errors. The statement forms of the language meet the instruction
set here: whether a send selects and a receive branches depends on the state of the endpoint,
which the check recorded. Code that no path reaches is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from troth.dsl.ast import (
    AcquireStatement,
    Assign,
    Break,
    CallEffect,
    CallStatement,
    CancelStatement,
    CloseStatement,
    Commit,
    ContinueLoop,
    Expression,
    Fail,
    ForRange,
    If,
    Let,
    Literal,
    Loop,
    Name,
    OpenStatement,
    Pass,
    Print,
    ProgramDecl,
    RecvChoice,
    RecvStatement,
    ReleaseStatement,
    Rollback,
    SendStatement,
    SpawnStatement,
    Speculate,
    Statement,
    While,
    Within,
    YieldStatement,
)
from troth.dsl.check_program_context import Facts
from troth.dsl.check_program_flow import is_always_true
from troth.dsl.check_program_symbols import Symbols
from troth.dsl.lower_code import Code
from troth.dsl.lower_expression import (
    declare_type,
    has_empty_list,
    jump_unless,
    lower_into,
    lower_operand,
)
from troth.vm.image import Program
from troth.vm.instructions import (
    HOLE,
    Abort,
    Acquire,
    Branch,
    Cancel,
    Case,
    Close,
    Fork,
    Halt,
    Invoke,
    Join,
    Move,
    Open,
    OpenBundle,
    Operator,
    Recv,
    Release,
    Select,
    Send,
    Spawn,
    Timer,
    Transfer,
    Yield,
)
from troth.vm.types import EndpointType, Field


@dataclass(frozen=True, slots=True)
class Indexes:
    """Where the image has what a program names."""

    protocols: Mapping[str, int]
    effects: Mapping[str, int]
    programs: Mapping[str, int]
    guards: Mapping[str, int]
    bundles: Mapping[str, int]


@dataclass(slots=True)
class _Loop:
    """`again` is where `continue` goes, `end` where `break` goes."""

    name: str | None
    again: int
    end: int
    is_left: bool = False
    is_continued: bool = False


@dataclass(slots=True)
class _Speculation:
    """`undone` is where `rollback` goes, `end` where `commit` goes."""

    undone: int
    end: int
    is_committed: bool = False
    is_rolled_back: bool = False


@dataclass(slots=True)
class _Lowering:
    code: Code
    facts: Facts
    symbols: Symbols
    indexes: Indexes
    loops: list[_Loop] = field(default_factory=list)
    speculations: list[_Speculation] = field(default_factory=list)

    def register(self, name: Name) -> int:
        return self.code.registers[name.text]


def lower_program(
    item: ProgramDecl,
    parameters: tuple[Field, ...],
    facts: Facts,
    symbols: Symbols,
    indexes: Indexes,
) -> Program:
    """One program of a script without errors."""
    registers = {name: register for register, name in enumerate(facts.variables)}
    code = Code(registers)
    lowering = _Lowering(code, facts, symbols, indexes)
    if _lower_block(lowering, item.body):
        code.line = item.body[-1].span.line if item.body else item.span.line
        code.emit(Halt())
    return Program(
        name=item.name.text,
        parameters=parameters,
        register_count=code.register_count,
        code=code.finish(),
        lines=tuple(code.lines),
    )


def _lower_block(lowering: _Lowering, statements: tuple[Statement, ...]) -> bool:
    """Whether a path leads on after the statements."""
    for statement in statements:
        lowering.code.line = statement.span.line
        mark = lowering.code.mark()
        goes_on = _lower_statement(lowering, statement)
        lowering.code.release(mark)
        if not goes_on:
            return False
    return True


def _lower_statement(lowering: _Lowering, item: Statement) -> bool:
    match item:
        case If():
            return _lower_if(lowering, item)
        case While():
            return _lower_while(lowering, item)
        case ForRange():
            return _lower_for(lowering, item)
        case Loop():
            return _lower_loop(lowering, item)
        case RecvChoice():
            return _lower_cases(lowering, item)
        case Speculate():
            return _lower_speculate(lowering, item)
        case Within():
            return _lower_within(lowering, item)
        case Commit():
            speculation = lowering.speculations[-1]
            speculation.is_committed = True
            lowering.code.emit(Join())
            lowering.code.jump(speculation.end)
            return False
        case Rollback():
            lowering.speculations[-1].is_rolled_back = True
            lowering.code.emit(Abort())
            return False
        case Break():
            loop = _find_loop(lowering, item.name)
            loop.is_left = True
            lowering.code.jump(loop.end)
            return False
        case ContinueLoop():
            loop = _find_loop(lowering, item.name)
            loop.is_continued = True
            lowering.code.jump(loop.again)
            return False
        case Fail():
            _lower_effectful(lowering.code, Operator.FAIL, item.reason)
            return False
        case _:
            _lower_simple(lowering, item)
            return True


def _lower_simple(lowering: _Lowering, item: Statement) -> None:
    code = lowering.code
    match item:
        case SendStatement():
            _lower_send(lowering, item)
        case RecvStatement():
            targets = tuple(lowering.register(name) for name in item.targets)
            endpoint = lowering.register(item.endpoint)
            code.emit(Recv(endpoint, item.peer.text, item.label.text, targets))
        case Let() | Assign():
            target = lowering.register(item.name)
            if isinstance(item.value, CallEffect):
                _lower_call(lowering, item.value, target)
            else:
                lower_into(code, item.value, target)
                kind = lowering.facts.variables[item.name.text]
                if kind is not None and has_empty_list(item.value):
                    declare_type(code, target, kind)
        case CallStatement():
            _lower_call(lowering, item.call, None)
        case Print():
            _lower_effectful(code, Operator.PRINT, item.value)
        case CloseStatement() | CancelStatement() if item.span in lowering.facts.left_out:
            pass
        case CloseStatement():
            code.emit(Close(lowering.register(item.endpoint)))
        case CancelStatement():
            reason = lower_operand(code, item.reason)
            code.emit(Cancel(lowering.register(item.endpoint), reason))
        case SpawnStatement():
            _lower_spawn(lowering, item)
        case OpenStatement():
            targets = tuple(lowering.register(name) for name in item.targets)
            options = lowering.facts.options[item.span]
            if item.bundle is None:
                protocol = lowering.indexes.protocols[item.protocol.text]
                code.emit(Open(protocol, targets, options))
            else:
                bundle = lowering.indexes.bundles[item.protocol.text]
                code.emit(OpenBundle(bundle, targets, options))
        case AcquireStatement():
            code.emit(Acquire(lowering.indexes.guards[item.guard.text]))
        case ReleaseStatement():
            code.emit(Release(lowering.indexes.guards[item.guard.text]))
        case YieldStatement():
            code.emit(Yield())
        case Pass():
            pass
        case _:
            raise AssertionError(f"{type(item).__name__} is not a simple statement")


def _lower_effectful(code: Code, operator: Operator, value: Expression) -> None:
    """PRINT and FAIL are operators whose result nobody reads."""
    register = lower_operand(code, value)
    code.operate(operator, code.temporary(), register)


def _lower_send(lowering: _Lowering, item: SendStatement) -> None:
    arguments = tuple(lower_operand(lowering.code, argument) for argument in item.arguments)
    instruction = Select if item.span in lowering.facts.choices else Send
    endpoint = lowering.register(item.endpoint)
    lowering.code.emit(instruction(endpoint, item.peer.text, item.label.text, arguments))


def _lower_call(lowering: _Lowering, call: CallEffect, target: int | None) -> None:
    arguments = tuple(lower_operand(lowering.code, argument) for argument in call.arguments)
    effect = lowering.indexes.effects[call.effect.text]
    written = lowering.code.temporary() if target is None else target
    lowering.code.emit(Invoke(effect, arguments, written))


def _lower_spawn(lowering: _Lowering, item: SpawnStatement) -> None:
    """Values are copied into the child; each endpoint fills its parameter by a transfer."""
    code = lowering.code
    parameters = lowering.symbols.programs[item.program.text] or ()
    registers = [lower_operand(code, argument) for argument in item.arguments]
    endpoints = [isinstance(parameter.type, EndpointType) for parameter in parameters]
    arguments = tuple(
        HOLE if endpoint else register
        for register, endpoint in zip(registers, endpoints, strict=True)
    )
    handle = code.temporary()
    code.emit(Spawn(handle, lowering.indexes.programs[item.program.text], arguments))
    for parameter, register in enumerate(registers):
        if endpoints[parameter]:
            code.emit(Transfer(register, handle, parameter))


# --- paths -------------------------------------------------------------------------------


def _lower_if(lowering: _Lowering, item: If) -> bool:
    code = lowering.code
    end = code.label()
    is_last_arm_open = item.otherwise is not None
    goes_on = False
    for position, (condition, body) in enumerate(item.arms):
        otherwise = code.label()
        code.line = condition.span.line
        jump_unless(code, condition, otherwise)
        if _lower_block(lowering, body):
            goes_on = True
            if is_last_arm_open or position + 1 < len(item.arms):
                code.jump(end)
        code.place(otherwise)
    if item.otherwise is None or _lower_block(lowering, item.otherwise):
        goes_on = True
    code.place(end)
    return goes_on


def _lower_cases(lowering: _Lowering, item: RecvChoice) -> bool:
    code = lowering.code
    endpoint = lowering.register(item.endpoint)
    bound = [(case, tuple(lowering.register(name) for name in case.targets)) for case in item.cases]
    starts = [code.label() for _ in bound]
    if item.span in lowering.facts.choices:
        cases = [
            Case(case.label.text, targets, start)
            for (case, targets), start in zip(bound, starts, strict=True)
        ]
        ordered = tuple(sorted(cases, key=lambda case: case.label))
        code.emit(Branch(endpoint, item.peer.text, ordered))
    else:
        ((case, targets),) = bound
        code.emit(Recv(endpoint, item.peer.text, case.label.text, targets))
    end = code.label()
    goes_on = False
    for position, (case, _) in enumerate(bound):
        code.place(starts[position])
        if _lower_block(lowering, case.body):
            goes_on = True
            if position + 1 < len(bound):
                code.jump(end)
    code.place(end)
    return goes_on


def _find_loop(lowering: _Lowering, name: Name | None) -> _Loop:
    if name is None:
        return lowering.loops[-1]
    return next(loop for loop in reversed(lowering.loops) if loop.name == name.text)


def _lower_body(lowering: _Lowering, loop: _Loop, body: tuple[Statement, ...]) -> bool:
    lowering.loops.append(loop)
    goes_on = _lower_block(lowering, body)
    lowering.loops.pop()
    return goes_on


def _lower_loop(lowering: _Lowering, item: Loop) -> bool:
    code = lowering.code
    loop = _Loop(None if item.name is None else item.name.text, code.label(), code.label())
    code.place(loop.again)
    if _lower_body(lowering, loop, item.body):
        code.jump(loop.again)
    code.place(loop.end)
    return loop.is_left


def _lower_while(lowering: _Lowering, item: While) -> bool:
    code = lowering.code
    endless = is_always_true(item.condition)
    loop = _Loop(None, code.label(), code.label())
    code.place(loop.again)
    if not endless:
        jump_unless(code, item.condition, loop.end)
    if _lower_body(lowering, loop, item.body):
        code.jump(loop.again)
    code.place(loop.end)
    return loop.is_left or not endless


def _lower_speculate(lowering: _Lowering, item: Speculate) -> bool:
    code = lowering.code
    frame = _Speculation(code.label(), code.label())
    code.emit(Fork(frame.undone))
    lowering.speculations.append(frame)
    _lower_block(lowering, item.body)
    lowering.speculations.pop()
    code.place(frame.undone)
    if frame.is_rolled_back:
        goes_on = item.otherwise is None or _lower_block(lowering, item.otherwise)
    else:
        # A fork names where an abort would go on, also where no path leads to one.
        _lower_effectful(code, Operator.FAIL, Literal("nothing rolls this back", item.span))
        goes_on = False
    code.place(frame.end)
    return frame.is_committed or goes_on


def _lower_within(lowering: _Lowering, item: Within) -> bool:
    code = lowering.code
    late, end = code.label(), code.label()
    code.emit(Timer(lowering.register(item.endpoint), late))
    in_time = _lower_block(lowering, item.body)
    if in_time:
        code.jump(end)
    code.place(late)
    too_late = _lower_block(lowering, item.otherwise)
    code.place(end)
    return in_time or too_late


def _lower_for(lowering: _Lowering, item: ForRange) -> bool:
    """A hidden counter runs, so that assigning the variable does not change the rounds.

    It is raised only when it is below the end, so it cannot overflow.
    """
    code = lowering.code
    counter, end, done = code.temporary(), code.temporary(), code.temporary()
    step = code.temporary()
    if item.start is None:
        code.constant(counter, 0)
    else:
        lower_into(code, item.start, counter)
    lower_into(code, item.stop, end)
    code.constant(step, 1)
    head = code.label()
    loop = _Loop(None, code.label(), code.label())
    code.place(head)
    code.operate(Operator.GE, done, counter, end)
    code.jump_if(done, loop.end)
    code.emit(Move(lowering.register(item.variable), counter))
    goes_on = _lower_body(lowering, loop, item.body)
    code.line = item.span.line
    if goes_on or loop.is_continued:
        code.place(loop.again)
        code.operate(Operator.ADD, counter, counter, step)
        code.jump(head)
    code.place(loop.end)
    return True
