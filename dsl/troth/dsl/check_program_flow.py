"""Where paths meet: joins, the heads of loops, `break` and `continue`."""

from __future__ import annotations

from troth.dsl.ast import (
    Break,
    Commit,
    ContinueLoop,
    Expression,
    ForRange,
    Literal,
    Loop,
    Name,
    Rollback,
    Span,
    While,
)
from troth.dsl.check_program_context import Context
from troth.dsl.check_program_guards import join_guards, join_head
from troth.dsl.check_program_speculate import check_stays, innermost
from troth.dsl.check_program_talk import report_used
from troth.dsl.check_program_words import due
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.scope import BROKEN, Conflict, Held, Holding, LoopFrame, Scope, join, settle


def is_always_true(condition: Expression) -> bool:
    """`while true:` is left by `break` only, as `loop:` is."""
    return isinstance(condition, Literal) and condition.value is True


def join_paths(
    context: Context, left: Scope | None, right: Scope | None, span: Span, what: str
) -> Scope | None:
    """The scope where two paths meet; reports endpoints whose types differ, at `span`."""
    joined, conflicts = join(left, right)
    _break_clocks(left, right, joined)
    for conflict in conflicts:
        name = conflict.name
        context.error(
            "check.endpoint.join",
            f"{name} has different types after the paths of this {what}",
            span,
            expected=f"the same type of {name} on every path",
            found=f"{_after(context, name, conflict.left)} on one path, "
            f"{_after(context, name, conflict.right)} on another",
            fix=_even_out(name, conflict),
            related=_touched(conflict),
        )
    join_guards(context, left, right, joined, span)
    return joined


def _break_clocks(left: Scope | None, right: Scope | None, joined: Scope | None) -> None:
    """A clock runs on one path only: a choice was made on the other, so the types differ too,
    or they are alike by chance, and are held to differ.
    """
    if left is None or right is None or joined is None or left.clock is right.clock:
        return
    for clock in (left.clock, right.clock):
        if clock is not None:
            joined.endpoints[clock.name] = BROKEN


# --- loops -------------------------------------------------------------------------------


def open_loop(context: Context, item: While | ForRange | Loop, scope: Scope) -> LoopFrame:
    name = item.name if isinstance(item, Loop) else None
    if name is not None and any(frame.name == name.text for frame in context.frames):
        context.error(
            "check.loop.duplicate",
            f"there is a loop {name.text} around this one",
            name.span,
            expected="another name for the inner loop",
            found=name.text,
            fix="rename one of the two",
        )
    frame = LoopFrame(None if name is None else name.text, item.span, scope.copy())
    context.frames.append(frame)
    return frame


def close_loop(context: Context, frame: LoopFrame, end: Scope | None, span: Span) -> None:
    """Ends the body of the innermost loop: `end` is the scope that goes round."""
    if end is not None:
        _go_round(context, frame, end, span)
    popped = context.frames.pop()
    if popped is not frame:
        raise AssertionError("loops are closed from the inside out")
    for origin in sorted(frame.worn):
        if origin in frame.demands:
            name, where = frame.demands[origin]
            report_used(context, name, where, ((frame.span, "an earlier round may have used it"),))
            for outer in context.frames:
                outer.demands.pop(origin, None)
    # A head that is reached with a used endpoint makes the heads around it doubtful too.
    for outer in context.frames:
        outer.worn |= frame.worn


def leave_loop(context: Context, frame: LoopFrame, at_head: Scope | None) -> Scope | None:
    """The scope after a loop; `at_head` is that of a head which may leave, else None."""
    settle(at_head, frame)
    settle(frame.exit, frame)
    if at_head is None:
        return frame.exit
    return join_paths(context, at_head, frame.exit, frame.exit_span or frame.span, "loop")


def check_break(context: Context, scope: Scope, item: Break) -> None:
    frame = _target(context, item.name, item.span, "break")
    if frame is None:
        return
    check_not_left(context, scope, context.frames.index(frame), item.span, "break")
    frame.exit = join_paths(context, frame.exit, scope, item.span, "loop")
    frame.exit_span = frame.exit_span or item.span


def check_continue(context: Context, scope: Scope, item: ContinueLoop) -> None:
    frame = _target(context, item.name, item.span, "continue")
    if frame is not None:
        check_not_left(context, scope, context.frames.index(frame), item.span, "continue")
        _go_round(context, frame, scope, item.span)


def check_commit(context: Context, scope: Scope, item: Commit) -> None:
    frame = innermost(context, item.span, "commit")
    if frame is not None:
        frame.exit = join_paths(context, frame.exit, scope, item.span, "speculate")


def check_rollback(context: Context, item: Rollback) -> None:
    frame = innermost(context, item.span, "rollback")
    if frame is not None:
        frame.rolled_back = True


def check_not_left(context: Context, scope: Scope, loop: int, span: Span, verb: str) -> None:
    """`break` and `continue` stay in the block until the choice is made."""
    frame = scope.clock
    if frame is None or loop >= frame.loops:
        return
    scope.clock = None
    scope.endpoints[frame.name] = BROKEN
    context.error(
        "check.within.left",
        f"{verb} would leave the block before the choice of {frame.name} is made",
        span,
        expected=f"a message of {frame.name} before",
        found=f"{verb} of a loop around it",
        fix=f"send the choice first, and `{verb}` after it",
        related=((frame.span, "the clock is started here"),),
    )


def _target(context: Context, name: Name | None, span: Span, verb: str) -> LoopFrame | None:
    if not context.frames:
        context.error(
            "check.loop.outside",
            f"{verb} is outside of a loop",
            span,
            expected=f"{verb} in the body of a loop",
            found=f"{verb} where there is no loop",
            fix="remove it, or put a `loop:` around it",
        )
        return None
    if name is None:
        check_stays(context, len(context.frames) - 1, span, verb)
        return context.frames[-1]
    for place in reversed(range(len(context.frames))):
        if context.frames[place].name == name.text:
            check_stays(context, place, span, verb)
            return context.frames[place]
    known = tuple(frame.name for frame in context.frames if frame.name is not None)
    context.error(
        "check.loop.unknown",
        f"there is no loop {name.text} around this {verb}",
        name.span,
        expected=one_of(known, "the name of a loop around it"),
        found=name.text,
        fix=did_you_mean(name.text, known) or f"name the loop: `loop {name.text}:`",
    )
    return None


def _go_round(context: Context, frame: LoopFrame, scope: Scope, span: Span) -> None:
    """A way back to the head of a loop: it must hold what was held on entry."""
    joined, conflicts = join(frame.head, scope)
    join_head(context, frame, scope, span)
    for conflict in conflicts:
        if conflict.name in frame.broken:
            continue
        frame.broken.add(conflict.name)
        _report_round(context, conflict, frame, span)
    if joined is None:
        raise AssertionError("the head of a loop that is walked has a scope")
    for name, holding in joined.endpoints.items():
        at_head = frame.head.endpoints.get(name)
        if holding is BROKEN and at_head is not BROKEN:
            frame.broken.add(name)
        elif isinstance(at_head, Held) and at_head.fresh and not _is_fresh(holding):
            frame.worn.add(at_head.origin)


def _is_fresh(holding: Holding) -> bool:
    return isinstance(holding, Held) and holding.fresh


def _report_round(context: Context, conflict: Conflict, frame: LoopFrame, span: Span) -> None:
    name = conflict.name
    related = tuple(item for item in _touched(conflict) if item[0] != span)
    if span != frame.span:
        related = ((frame.span, "the loop starts here"), *related)
    context.error(
        "check.endpoint.loop",
        f"{name} has another type when the loop goes round",
        span,
        expected=f"{_after(context, name, conflict.left)}, as on entry of the loop",
        found=_after(context, name, conflict.right),
        fix=_fix_round(name, conflict),
        related=related,
    )


def _fix_round(name: str, conflict: Conflict) -> str:
    if not isinstance(conflict.left, Held):
        return f"finish {name} before the loop goes round: close it, cancel it or hand it on"
    if not isinstance(conflict.right, Held):
        return f"leave the loop with `break` once {name} is done with"
    return (
        "bring it back to where the round began, leave the loop with `break`, "
        "or let the protocol repeat with `rec`"
    )


# --- words -------------------------------------------------------------------------------


def _after(context: Context, name: str, holding: Holding | None) -> str:
    if isinstance(holding, Held):
        return f"`{due(name, context.state_of(holding))}` is next"
    return f"{name} is not held"


def _even_out(name: str, conflict: Conflict) -> str:
    if isinstance(conflict.left, Held) and isinstance(conflict.right, Held):
        return f"bring {name} to the same point of its protocol on every path"
    return f"close, cancel or hand on {name} on every path, or on none"


def _touched(conflict: Conflict) -> tuple[tuple[Span, str], ...]:
    spans: list[tuple[Span, str]] = []
    for holding in (conflict.left, conflict.right):
        if isinstance(holding, Held):
            spans.append((holding.touched, f"{conflict.name} was last used here"))
        elif holding is not None and holding is not BROKEN:
            span = getattr(holding, "span", None)
            if isinstance(span, Span):
                spans.append((span, f"{conflict.name} is given up here"))
    return tuple(dict.fromkeys(spans))
