"""What an effect's function says about itself: `@effect` above it.

    @vm.effect(timeout_seconds=5, concurrent=True)
    def price_of(name: str) -> int: ...

The function stays what it is and can be called as before; its traits are an attribute of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast, overload

from troth.vm.errors import Unusable

ATTRIBUTE: Final = "__troth_effect__"
"""The attribute of a function that holds its traits."""

TIMEOUT_SECONDS_MAX: Final = 10 * 365 * 24 * 3600

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectTraits:
    """
    Attributes:
        name: the effect that the function provides; None for the function's own name.
        timeout_seconds: how long its program waits for it; None for as long as it takes.
        concurrent: its calls may overlap with others; None when being asynchronous decides.
        cancellable: nobody wants its result once all sessions of its program have broken off.
    """

    name: str | None = None
    timeout_seconds: float | None = None
    concurrent: bool | None = None
    cancellable: bool = False


NO_TRAITS: Final = EffectTraits()


@overload
def effect(function: Function, /) -> Function: ...


@overload
def effect(
    *,
    name: str | None = None,
    timeout_seconds: float | None = None,
    concurrent: bool | None = None,
    cancellable: bool = False,
) -> Callable[[Function], Function]: ...


def effect(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    timeout_seconds: float | None = None,
    concurrent: bool | None = None,
    cancellable: bool = False,
) -> Function | Callable[[Function], Function]:
    """Says how a run may call the function below: `@effect` or `@effect(…)`.

    Without `concurrent` an `async def` may overlap with other effects and an ordinary function
    may not: such functions are called one at a time, in the order in which they are asked for.

    Raises:
        Unusable: code `effect.traits`, when an option cannot be used.
    """
    traits = EffectTraits(
        name=_checked_name(name),
        timeout_seconds=_checked_timeout(timeout_seconds),
        concurrent=_checked_flag("concurrent", concurrent, (True, False, None)),
        cancellable=bool(_checked_flag("cancellable", cancellable, (True, False))),
    )
    if function is not None:
        return _mark(function, traits)
    return lambda found: _mark(found, traits)


def traits_of(function: object) -> EffectTraits:
    """What the function says about itself; the defaults when it says nothing."""
    found: Any = getattr(function, ATTRIBUTE, None)
    return found if isinstance(found, EffectTraits) else NO_TRAITS


def _mark(function: Function, traits: EffectTraits) -> Function:
    if not callable(function):
        raise _unusable("effect is not above a function", "a function", function)
    try:
        setattr(function, ATTRIBUTE, traits)
    except (AttributeError, TypeError):
        # A builtin, or a method of one object.
        raise _unusable(
            "this function cannot be marked as an effect", "a function of your own", function
        ) from None
    return function


def _checked_name(name: object) -> str | None:
    if name is None or (isinstance(name, str) and name.isidentifier()):
        return name
    raise _unusable("an effect cannot have this name", "a name", name)


def _checked_timeout(seconds: object) -> float | None:
    if seconds is None:
        return None
    if type(seconds) in (int, float) and 0 < cast(float, seconds) <= TIMEOUT_SECONDS_MAX:
        return float(cast(float, seconds))
    raise _unusable(
        "an effect cannot have this timeout",
        f"seconds, more than 0 and at most {TIMEOUT_SECONDS_MAX}",
        seconds,
    )


def _checked_flag(what: str, value: object, allowed: tuple[bool | None, ...]) -> bool | None:
    for word in allowed:
        if value is word:
            return word
    raise _unusable(f"an effect cannot be {what} like this", "True or False", value)


def _unusable(message: str, expected: str, value: object) -> Unusable:
    shown = ascii(value)[:40] if isinstance(value, str | float | bool) else type(value).__name__
    return Unusable("effect.traits", message, expected=expected, actual=shown)
