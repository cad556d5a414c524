"""Speculation: what may stand in a `speculate` block, and that every path through it is decided."""

from __future__ import annotations

from typing import Final

from troth.dsl.ast import (
    AcquireStatement,
    CancelStatement,
    CloseStatement,
    OpenStatement,
    Print,
    ReleaseStatement,
    Span,
    SpawnStatement,
    Statement,
)
from troth.dsl.check_program_context import Context
from troth.dsl.scope import SpeculationFrame
from troth.vm.types import CRASH, EndpointType, Transition

_IRREVOCABLE: Final[dict[type, str]] = {
    AcquireStatement: "acquire",
    ReleaseStatement: "release",
    CloseStatement: "close",
    CancelStatement: "cancel",
    OpenStatement: "open",
    SpawnStatement: "spawn",
    Print: "print",
}


def check_revocable(context: Context, item: Statement) -> None:
    """Refuses a statement that nobody could take back."""
    what = _IRREVOCABLE.get(type(item))
    if what is not None and context.speculations:
        refuse(context, item.span, f"`{what}`")


def check_revocable_message(context: Context, span: Span, transition: Transition) -> None:
    """Refuses a message that carries an endpoint, and what follows a crash."""
    if context.speculations and transition.label == CRASH:
        refuse(context, span, "going on after a crash")
    elif context.speculations and any(isinstance(x.type, EndpointType) for x in transition.fields):
        refuse(context, span, f"{transition.label}, which hands over an endpoint,")


def refuse(context: Context, span: Span, what: str) -> None:
    context.error(
        "check.speculation.refused",
        f"{what} cannot be taken back, so it cannot stand in a speculation",
        span,
        expected="messages without endpoints, variables, control, commit or rollback",
        found=what.rstrip(","),
        fix="do it before `speculate:` or after it",
        related=((context.speculations[-1].span, "the speculation begins here"),),
    )


def innermost(context: Context, span: Span, verb: str) -> SpeculationFrame | None:
    """The speculation that a `commit` or `rollback` ends; reports one that has none around it."""
    if context.speculations:
        return context.speculations[-1]
    context.error(
        "check.speculation.outside",
        f"{verb} is outside of a speculation",
        span,
        expected=f"{verb} in a `speculate:` block",
        found=f"{verb} where nothing is speculative",
        fix="remove it, or put a `speculate:` around what it is for",
    )
    return None


def check_stays(context: Context, loop: int, span: Span, verb: str) -> None:
    """`break` and `continue` stay in the innermost speculation; `loop` numbers their target."""
    if not context.speculations or loop >= context.speculations[-1].loops:
        return
    context.error(
        "check.speculation.left",
        f"{verb} would leave a speculation that is not decided",
        span,
        expected="commit or rollback before the speculation is left",
        found=f"{verb} of a loop around it",
        fix=f"end the speculation first, and `{verb}` after it",
        related=((context.speculations[-1].span, "the speculation begins here"),),
    )


def report_undecided(context: Context, span: Span) -> None:
    context.error(
        "check.speculation.open",
        "a path through this speculation neither commits nor rolls back",
        span,
        expected="commit or rollback at the end of every path",
        found="a path to the end of the block",
        fix="add `commit` or `rollback` as its last line",
    )
