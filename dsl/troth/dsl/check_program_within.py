"""Timed choices in programs: `within s:` starts the clock, and every path makes the choice.

While the clock runs, the program can be interrupted wherever it waits or yields. So the `timeout:`
block begins with what is held at all of these places, and in the late choice.
"""

from __future__ import annotations

from dataclasses import replace

from troth.dsl.ast import Span, Within
from troth.dsl.check_program_context import Context
from troth.dsl.check_program_flow import join_paths
from troth.dsl.check_program_words import due
from troth.dsl.scope import BROKEN, ClockFrame, Held, Scope
from troth.vm.types import IN_TIME, LATE, StateKind


def start_clock(context: Context, scope: Scope, item: Within) -> tuple[Scope, ClockFrame | None]:
    """The scope in which the block begins, with its clock; None for it after an error."""
    inner = scope.copy()
    held = context.endpoint(inner, item.endpoint)
    if held is None:
        return inner, None
    state = context.state_of(held)
    if state.kind is not StateKind.TIMED:
        context.error(
            "check.within.state",
            f"{item.endpoint.text} is not at a timed choice here",
            item.endpoint.span,
            expected=due(item.endpoint.text, state),
            found=f"within {item.endpoint.text}",
            fix="remove `within`, or write `choice at ROLE within 5s:` in the protocol",
        )
        inner.endpoints[item.endpoint.text] = BROKEN
        return inner, None
    _check_alone(context, scope, item)
    frame = ClockFrame(
        item.endpoint.text, item.endpoint.span, state.after(LATE), len(context.frames)
    )
    inner.endpoints[frame.name] = replace(
        held, state=state.after(IN_TIME), fresh=False, touched=item.endpoint.span
    )
    inner.clock = frame
    interrupt(context, inner, item.span)
    return inner, frame


def _check_alone(context: Context, scope: Scope, item: Within) -> None:
    around = None
    if scope.clock is not None:
        around, what = scope.clock.span, "another timed choice that is not made yet"
    elif context.speculations:
        around, what = context.speculations[-1].span, "a speculation"
    if around is not None:
        context.error(
            "check.within.nested",
            f"a clock cannot be started within {what}",
            item.endpoint.span,
            expected="one timed choice at a time, and none in a speculation",
            found=f"within {item.endpoint.text}",
            fix="do it before or after the other",
            related=((around, "the other begins here"),),
        )


def interrupt(context: Context, scope: Scope, span: Span) -> None:
    """The clock may run out here, before the statement does anything."""
    frame = scope.clock
    if frame is None:
        return
    late = scope.copy()
    late.clock = None
    held = late.endpoints.get(frame.name)
    if isinstance(held, Held):
        late.endpoints[frame.name] = replace(held, state=frame.late_state)
    frame.late = join_paths(context, frame.late, late, span, "timeout")


def check_made(context: Context, frame: ClockFrame | None, end: Scope | None, span: Span) -> None:
    """Reports a path to the end of the block on which the choice is not made."""
    if end is None or frame is None or end.clock is not frame:
        return
    end.clock = None
    holding = end.endpoints.get(frame.name)
    if holding is BROKEN:
        return
    end.endpoints[frame.name] = BROKEN
    context.error(
        "check.within.open",
        f"a path through this block does not make the choice of {frame.name}",
        frame.span,
        expected=f"a message of {frame.name} on every path",
        found="a path to the end of the block",
        fix=f"send the choice there, or leave with `cancel {frame.name}`",
        related=((span, "the block begins here"),) if span != frame.span else (),
    )


def check_no_clock(context: Context, scope: Scope, span: Span) -> None:
    """Reports a speculation that begins while a clock runs."""
    frame = scope.clock
    if frame is None:
        return
    scope.clock = None
    context.error(
        "check.within.nested",
        "a speculation cannot begin while a clock runs",
        span,
        expected=f"a message of {frame.name} before",
        found="speculate",
        fix="make the choice first, or speculate before `within`",
        related=((frame.span, "the clock is started here"),),
    )
