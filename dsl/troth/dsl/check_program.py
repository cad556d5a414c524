"""The static check of programs: every statement once, with what is held at that point.

At every point the type of every endpoint is known. It has to agree where paths join and at the
head of every loop; types are automata whose states are numbered canonically, so comparing two
types equi-recursively is comparing two state numbers. A path that ends gives None.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

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
    Loop,
    OpenStatement,
    Pass,
    Print,
    ProgramDecl,
    RecvChoice,
    RecvStatement,
    ReleaseStatement,
    Rollback,
    Script,
    SendStatement,
    SpawnStatement,
    Speculate,
    Statement,
    While,
    Within,
    YieldStatement,
)
from troth.dsl.check_expression import call_type, expect, is_empty_list, type_of
from troth.dsl.check_program_context import Context, Facts
from troth.dsl.check_program_flow import (
    check_break,
    check_commit,
    check_continue,
    check_rollback,
    close_loop,
    is_always_true,
    join_paths,
    leave_loop,
    open_loop,
)
from troth.dsl.check_program_guards import check_acquire, check_release, check_released
from troth.dsl.check_program_open import check_open, check_spawn
from troth.dsl.check_program_speculate import check_revocable, report_undecided
from troth.dsl.check_program_symbols import Symbols, build_symbols
from troth.dsl.check_program_talk import (
    check_cancel,
    check_close,
    check_recv,
    check_send,
    open_cases,
)
from troth.dsl.check_program_within import check_made, check_no_clock, interrupt, start_clock
from troth.dsl.check_program_words import due
from troth.dsl.diag import Diagnostics
from troth.dsl.resolve_types import TypeScope
from troth.dsl.scope import BROKEN, Broken, Held, Scope, SpeculationFrame
from troth.vm.image import Protocol
from troth.vm.limits import DEFAULT_LIMITS, PROGRAMS_MAX
from troth.vm.types import EndpointType, Primitive, StateKind


@dataclass(frozen=True, slots=True)
class CheckedPrograms:
    """`facts` holds what the lowering needs of each program that was checked."""

    symbols: Symbols
    facts: Mapping[str, Facts]


def check_programs(
    script: Script,
    types: TypeScope,
    protocols: Mapping[str, Protocol],
    broken: Collection[str],
    diagnostics: Diagnostics,
) -> CheckedPrograms:
    """Checks all programs of a script against the local types of the endpoints they hold.

    `protocols` are those that passed their own check; a protocol of the script that is not
    among them was refused, and its endpoints are left alone.
    """
    symbols = build_symbols(script, types, protocols, broken, diagnostics)
    facts: dict[str, Facts] = {}
    for item in script.declarations:
        if isinstance(item, ProgramDecl) and item.name.text not in facts:
            facts[item.name.text] = check_program(item, symbols, diagnostics)
    return CheckedPrograms(symbols, facts)


def check_program(item: ProgramDecl, symbols: Symbols, diagnostics: Diagnostics) -> Facts:
    """Checks one program; gives what was learnt on the way.

    A second walk knows from the first what is in the lists that begin empty, so a list has one
    type everywhere, also where the text uses it before the statement that tells the type.
    """
    trial = Diagnostics(diagnostics.file, diagnostics.text)
    context = _walk(item, Context(symbols, trial, item.name.text))
    if context.open_lists:
        trial = Diagnostics(diagnostics.file, diagnostics.text)
        context = _walk(item, Context(symbols, trial, item.name.text, lists=context.open_lists))
    for diagnostic in trial.found:
        diagnostics.add(diagnostic)
    return context.facts


def _walk(item: ProgramDecl, context: Context) -> Context:
    symbols = context.symbols
    if len(symbols.programs) > PROGRAMS_MAX:
        _report_limit(context, item, "programs", len(symbols.programs), PROGRAMS_MAX)
        return context
    scope = Scope()
    signature = symbols.programs.get(item.name.text)
    for position, parameter in enumerate(item.parameters):
        if parameter.name.text in context.facts.variables:
            continue
        context.bind(scope, parameter.name, None if signature is None else signature[position].type)
    end = check_block(context, scope, item.body, 0)
    if end is not None:
        _check_finished(context, end)
        check_released(context, end)
    if len(context.facts.variables) > DEFAULT_LIMITS.registers_max // 2:
        most = DEFAULT_LIMITS.registers_max // 2
        _report_limit(context, item, "variables", len(context.facts.variables), most)
    return context


def _report_limit(context: Context, item: ProgramDecl, what: str, found: int, most: int) -> None:
    context.error(
        "check.limit.size",
        f"there are too many {what}",
        item.name.span,
        expected=f"at most {most} {what}",
        found=f"{found} {what}",
        fix="divide this into smaller parts",
    )


def _check_finished(context: Context, scope: Scope) -> None:
    for name, held in scope.endpoints.items():
        if not isinstance(held, Held):
            continue
        state = context.state_of(held)
        if state.kind is StateKind.END:
            message, fix = f"close {name} is missing", f"add `close {name}` at the end"
        else:
            message = f"{name} is not finished when {context.program} ends"
            fix = f'go on with what is expected, or leave early with `cancel {name} "reason"`'
        context.error(
            "check.endpoint.unfinished",
            message,
            held.touched,
            expected=due(name, state),
            found=f"the end of {context.program}",
            fix=fix,
        )


# --- statements --------------------------------------------------------------------------


def check_block(
    context: Context, scope: Scope, statements: tuple[Statement, ...], depth: int
) -> Scope | None:
    """Walks statements; gives the scope after them, or None when no path leads there."""
    if statements and not context.deeper(depth, statements[0].span):
        return None
    current: Scope | None = scope
    for statement in statements:
        if current is None:
            context.warn(
                "check.statement.unreachable",
                "no path leads to this statement",
                statement.span,
                "remove it, or move it before the statement that ends the path",
            )
            break
        current = _check_statement(context, current, statement, depth)
    return current


def _check_statement(context: Context, scope: Scope, item: Statement, depth: int) -> Scope | None:
    match item:
        case If():
            return _check_if(context, scope, item, depth)
        case While() | ForRange() | Loop():
            return _check_loop(context, scope, item, depth)
        case RecvChoice():
            return _check_cases(context, scope, item, depth)
        case Speculate():
            return _check_speculate(context, scope, item, depth)
        case Within():
            return _check_within(context, scope, item, depth)
        case Commit():
            check_commit(context, scope, item)
            return None
        case Rollback():
            check_rollback(context, item)
            return None
        case Break():
            check_break(context, scope, item)
            return None
        case ContinueLoop():
            check_continue(context, scope, item)
            return None
        case Fail():
            expect(
                context,
                scope,
                item.reason,
                Primitive.STR,
                code="check.type.reason",
                role="the reason of a fail",
            )
            return None
        case _:
            _check_simple(context, scope, item)
            return scope


def _check_simple(context: Context, scope: Scope, item: Statement) -> None:
    """A statement that goes on to the next one; changes the scope in place."""
    check_revocable(context, item)
    if _waits(item):
        interrupt(context, scope, item.span)
    match item:
        case SendStatement():
            check_send(context, scope, item)
        case RecvStatement():
            check_recv(context, scope, item)
        case Let():
            _check_let(context, scope, item)
        case Assign():
            _check_assign(context, scope, item)
        case CallStatement():
            call_type(context, scope, item.call)
        case Print():
            type_of(context, scope, item.value)
        case CloseStatement():
            check_close(context, scope, item)
        case CancelStatement():
            check_cancel(context, scope, item)
        case SpawnStatement():
            check_spawn(context, scope, item)
        case OpenStatement():
            check_open(context, scope, item)
        case AcquireStatement():
            check_acquire(context, scope, item)
        case ReleaseStatement():
            check_release(context, scope, item)
        case Pass() | YieldStatement():
            pass
        case _:
            raise AssertionError(f"{type(item).__name__} is not a simple statement")


def _waits(item: Statement) -> bool:
    """Whether a clock that runs out can interrupt the program here."""
    if isinstance(item, Let | Assign):
        return isinstance(item.value, CallEffect)
    return isinstance(item, RecvStatement | CallStatement | YieldStatement)


def _check_let(context: Context, scope: Scope, item: Let) -> None:
    name = item.name.text
    known = context.facts.variables.get(name)
    if known is None and context.lists is None and is_empty_list(item.value):
        context.open_list(scope, item.name)
        return
    if known is None and context.lists is not None:
        known = context.lists.get(name)
    kind = type_of(context, scope, item.value, known)
    if name in scope.values and context.facts.variables[name] is not None:
        context.error(
            "check.variable.redefined",
            f"{name} exists already",
            item.name.span,
            expected="a new name",
            found=f"a second `let {name}`",
            fix=f"assign it without let: `{name} = …`",
            related=((context.first_bound[name], "it is bound first here"),),
        )
        return
    context.bind(scope, item.name, kind)


def _check_assign(context: Context, scope: Scope, item: Assign) -> None:
    name = item.name
    known = context.facts.variables.get(name.text)
    if known is None and name.text in context.facts.variables and is_empty_list(item.value):
        kind = None  # what is in the list was asked where the variable was bound
    else:
        kind = type_of(context, scope, item.value, known)
    if name.text not in context.facts.variables:
        context.report_no_variable(scope, name)
        kind = None
    known = context.facts.variables.get(name.text)
    holding = scope.endpoints.get(name.text)
    if not isinstance(known, EndpointType) or (isinstance(holding, Held) and kind is not None):
        context.bind(scope, name, kind)
    elif kind is not None and not isinstance(holding, Broken):
        context.report_changed_type(name, known, kind)
        scope.endpoints[name.text] = BROKEN


# --- paths -------------------------------------------------------------------------------


def _check_if(context: Context, scope: Scope, item: If, depth: int) -> Scope | None:
    joined: Scope | None = None
    current = scope
    for condition, body in item.arms:
        _check_condition(context, current, condition, "an if")
        end = check_block(context, current.copy(), body, depth + 1)
        joined = join_paths(context, joined, end, item.span, "if")
    otherwise: Scope | None = current
    if item.otherwise is not None:
        otherwise = check_block(context, current, item.otherwise, depth + 1)
    return join_paths(context, joined, otherwise, item.span, "if")


def _check_condition(context: Context, scope: Scope, condition: Expression, statement: str) -> None:
    expect(
        context,
        scope,
        condition,
        Primitive.BOOL,
        code="check.type.condition",
        role=f"the condition of {statement}",
    )


def _check_cases(context: Context, scope: Scope, item: RecvChoice, depth: int) -> Scope | None:
    joined: Scope | None = None
    interrupt(context, scope, item.span)
    for opened in open_cases(context, scope, item):
        end = check_block(context, opened.scope, opened.case.body, depth + 1)
        if opened.offered:
            joined = join_paths(context, joined, end, item.span, "recv")
    return joined


def _check_speculate(context: Context, scope: Scope, item: Speculate, depth: int) -> Scope | None:
    """A commit goes on with what the block did, a rollback with the scope before it."""
    check_no_clock(context, scope, item.span)
    frame = SpeculationFrame(item.span, len(context.frames))
    context.speculations.append(frame)
    end = check_block(context, scope.copy(), item.body, depth + 1)
    context.speculations.pop()
    if end is not None:
        report_undecided(context, item.span)
        return join_paths(context, frame.exit, end, item.span, "speculate")
    rolled_back: Scope | None = scope
    if item.otherwise is not None:
        if not frame.rolled_back:
            context.warn(
                "check.statement.unreachable",
                "nothing rolls this speculation back, so no path leads here",
                item.otherwise[0].span,
                "remove the `else:`, or let a path end in `rollback`",
            )
        rolled_back = check_block(context, scope, item.otherwise, depth + 1)
    if not frame.rolled_back:
        return frame.exit
    return join_paths(context, frame.exit, rolled_back, item.span, "speculate")


def _check_within(context: Context, scope: Scope, item: Within, depth: int) -> Scope | None:
    """Goes on with what the block did, or with what the clock interrupted and `timeout:` did."""
    inner, frame = start_clock(context, scope, item)
    end = check_block(context, inner, item.body, depth + 1)
    check_made(context, frame, end, item.span)
    late = frame.late if frame is not None else scope.copy()
    if late is None:
        raise AssertionError("the clock can run out where it is started")
    if frame is None:
        late.endpoints[item.endpoint.text] = BROKEN
    late_end = check_block(context, late, item.otherwise, depth + 1)
    return join_paths(context, end, late_end, item.span, "within")


def _check_loop(
    context: Context, scope: Scope, item: While | ForRange | Loop, depth: int
) -> Scope | None:
    """The body starts and ends with the scope of the head; `while` and `for` leave from there."""
    if isinstance(item, ForRange):
        for bound in (item.start, item.stop):
            if bound is not None:
                expect(
                    context,
                    scope,
                    bound,
                    Primitive.INT,
                    code="check.type.range",
                    role="a bound of range()",
                )
    if isinstance(item, While):
        _check_condition(context, scope, item.condition, "a while")
    frame = open_loop(context, item, scope)
    inner = scope.copy()
    if isinstance(item, ForRange):
        context.bind(inner, item.variable, Primitive.INT)
    end = check_block(context, inner, item.body, depth + 1)
    close_loop(context, frame, end, item.span)
    endless = isinstance(item, Loop) or (isinstance(item, While) and is_always_true(item.condition))
    return leave_loop(context, frame, None if endless else scope)
