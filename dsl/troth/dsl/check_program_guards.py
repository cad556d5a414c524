"""Guards: acquired before they are released, held alike on all paths, none left at the end."""

from __future__ import annotations

from troth.dsl.ast import AcquireStatement, Name, ReleaseStatement, Span
from troth.dsl.check_program_context import Context
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.scope import LoopFrame, Scope


def check_acquire(context: Context, scope: Scope, item: AcquireStatement) -> None:
    name = item.guard
    if not _known(context, name):
        return
    held = scope.guards.get(name.text)
    if held is not None:
        context.error(
            "check.guard.held",
            f"{name.text} is acquired again before it is released",
            name.span,
            expected=f"`release {name.text}` before",
            found=f"{name.text}, held since line {held.line}",
            fix="remove this, or release it first: a program would wait for itself",
            related=((held, f"{name.text} is acquired here"),),
        )
    scope.guards[name.text] = name.span


def check_release(context: Context, scope: Scope, item: ReleaseStatement) -> None:
    name = item.guard
    if not _known(context, name):
        return
    if name.text not in scope.guards:
        context.error(
            "check.guard.free",
            f"{name.text} is released, and this program does not hold it here",
            name.span,
            expected=f"`acquire {name.text}` before, on every path",
            found=_held_words(scope),
            fix=f"acquire it first, or remove `release {name.text}`",
        )
    scope.guards.pop(name.text, None)


def _known(context: Context, name: Name) -> bool:
    known = context.symbols.guards
    if name.text in known:
        return True
    if name.text not in context.missing:
        context.missing.add(name.text)
        context.error(
            "check.guard.unknown",
            f"there is no guard {name.text}",
            name.span,
            expected=one_of(known, "a guard that the file declares"),
            found=name.text,
            fix=did_you_mean(name.text, known)
            or f"declare it at the left margin: `guard {name.text}`",
        )
    return False


def _held_words(scope: Scope) -> str:
    names = ", ".join(scope.guards)
    return f"a program that holds {names}" if names else "a program that holds no guard"


# --- paths -------------------------------------------------------------------------------


def join_guards(
    context: Context, left: Scope | None, right: Scope | None, joined: Scope | None, span: Span
) -> None:
    """Reports guards that only one of two paths holds, and leaves them out of `joined`."""
    if left is None or right is None or joined is None:
        return
    for name, held in _differing(left, right):
        context.error(
            "check.guard.join",
            f"{name} is held on one path and not on another",
            span,
            expected=f"{name} held on every path that meets here, or on none",
            found="one path that holds it, and one that does not",
            fix=f"release {name} before the paths meet, or acquire it on both",
            related=((held, f"{name} is acquired here"),),
        )
    _settle(left, right, joined)


def join_head(context: Context, frame: LoopFrame, scope: Scope, span: Span) -> None:
    """Reports guards that are held on one of entry to a loop and the way back to its head."""
    for name, held in _differing(frame.head, scope):
        on_entry = name in frame.head.guards
        context.error(
            "check.guard.loop",
            f"{name} is {'no longer' if on_entry else 'still'} held when the loop goes round",
            span,
            expected=f"{name} {'held' if on_entry else 'free'}, as on entry of the loop",
            found=f"{name} {'free' if on_entry else 'held'}",
            fix=f"{'acquire' if on_entry else 'release'} {name} before the loop goes round",
            related=((held, f"{name} is acquired here"),) if held != span else (),
        )
    _settle(frame.head, scope, frame.head)


def _differing(left: Scope, right: Scope) -> list[tuple[str, Span]]:
    """Guards that one of two paths holds, and where it acquired them."""
    found = [
        (name, held)
        for one, other in ((left.guards, right), (right.guards, left))
        for name, held in one.items()
        if held is not None and name not in other.guards
    ]
    return sorted(found)


def _settle(left: Scope, right: Scope, joined: Scope) -> None:
    """What paths disagree on was reported: nothing more is said about it."""
    names = dict.fromkeys((*left.guards, *right.guards))
    both = {
        name: left.guards[name] if name in left.guards and name in right.guards else None
        for name in names
    }
    joined.guards = both


def check_released(context: Context, scope: Scope) -> None:
    """Nothing is held where the program ends."""
    for name, held in scope.guards.items():
        if held is not None:
            context.error(
                "check.guard.unreleased",
                f"{name} is still held when {context.program} ends",
                held,
                expected=f"`release {name}` before the end",
                found=f"the end of {context.program}",
                fix=f"add `release {name}` on every path to the end",
            )
