"""What a program holds at one point of its text: variables and endpoints.

The checker walks every statement once with a `Scope`. A path that ends (`break`, `fail`, …)
has no scope; where paths meet, their scopes are joined. Endpoints are linear: each is held,
gone (closed, cancelled, sent or handed over), or broken, which means that an error was already
reported for it and nothing more will be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from troth.dsl.ast import Span
from troth.vm.types import EndpointType


@dataclass(frozen=True, slots=True)
class Held:
    """A live endpoint in state `state` of its protocol's automaton for its role.

    `fresh` says that nothing was sent or received on it yet. `origin` numbers the binding:
    a variable that is bound again holds another endpoint. `touched` is where it was last used.
    """

    type: EndpointType
    state: int
    fresh: bool
    origin: int
    touched: Span


@dataclass(frozen=True, slots=True)
class Gone:
    """An endpoint that the program has no more; `how` completes "it was …"."""

    type: EndpointType
    how: str
    span: Span


@dataclass(frozen=True, slots=True)
class Broken:
    """An endpoint with a reported error: every further use is silent."""


BROKEN = Broken()
Holding: TypeAlias = Held | Gone | Broken


@dataclass(slots=True)
class Scope:
    """`values` maps a bound variable to whether it is bound on every path to here.

    `guards` are those that are held, and where they were acquired; None when the paths to here
    did not agree on it, which was reported. `clock` runs until the choice is made.
    """

    values: dict[str, bool] = field(default_factory=dict)
    endpoints: dict[str, Holding] = field(default_factory=dict)
    guards: dict[str, Span | None] = field(default_factory=dict)
    clock: ClockFrame | None = None

    def copy(self) -> Scope:
        return Scope(dict(self.values), dict(self.endpoints), dict(self.guards), self.clock)


@dataclass(frozen=True, slots=True)
class Conflict:
    """An endpoint whose type differs between two paths; None where it is not bound."""

    name: str
    left: Holding | None
    right: Holding | None


def join(left: Scope | None, right: Scope | None) -> tuple[Scope | None, list[Conflict]]:
    """The scope where two paths meet. A conflicting endpoint is broken in the result."""
    if left is None or right is None:
        return (right if left is None else left), []
    conflicts: list[Conflict] = []
    joined = Scope(clock=left.clock if left.clock is right.clock else None)
    for name in _names(left.values, right.values):
        joined.values[name] = left.values.get(name, False) and right.values.get(name, False)
    for name in _names(left.endpoints, right.endpoints):
        one, other = left.endpoints.get(name), right.endpoints.get(name)
        holding = join_holding(one, other)
        if holding is None:
            conflicts.append(Conflict(name, one, other))
            holding = BROKEN
        joined.endpoints[name] = holding
    return joined, conflicts


def join_holding(left: Holding | None, right: Holding | None) -> Holding | None:
    """What an endpoint variable holds after two paths, or None when they do not agree."""
    if isinstance(left, Broken) or isinstance(right, Broken):
        return BROKEN
    if isinstance(left, Held) and isinstance(right, Held):
        if left.type != right.type or left.state != right.state:
            return None
        # The older binding is kept: what depends on it being fresh must be found.
        older = left if left.origin <= right.origin else right
        return replace(older, fresh=left.fresh and right.fresh)
    if isinstance(left, Held) or isinstance(right, Held):
        return None
    return right if left is None else left


def _names(left: Mapping[str, object], right: Mapping[str, object]) -> list[str]:
    return list(dict.fromkeys([*left, *right]))


@dataclass(slots=True)
class LoopFrame:
    """An enclosing loop while its body is walked.

    `head` is the scope on entry: every way back to the head must agree with it. The body may
    only use an endpoint as fresh when no way back has used it, and the ways back are known
    late: `demands` remembers by origin where freshness was relied on, `worn` which origins
    came back used.
    """

    name: str | None
    span: Span
    head: Scope
    exit: Scope | None = None
    exit_span: Span | None = None
    demands: dict[int, tuple[str, Span]] = field(default_factory=dict)
    worn: set[int] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def fresh_at_head(self, name: str, origin: int) -> bool:
        held = self.head.endpoints.get(name)
        return isinstance(held, Held) and held.fresh and held.origin == origin


@dataclass(slots=True)
class SpeculationFrame:
    """An enclosing `speculate` while its body is walked.

    `loops` is how many loops are around it, `exit` the scope of its commits so far, and
    `rolled_back` says whether a path rolls it back.
    """

    span: Span
    loops: int
    exit: Scope | None = None
    rolled_back: bool = False


@dataclass(slots=True)
class ClockFrame:
    """A timed choice of the endpoint `name` while its clock runs.

    `late_state` is where the endpoint is when the clock has run out, `late` what is held then,
    `loops` how many loops are around it.
    """

    name: str
    span: Span
    late_state: int
    loops: int
    late: Scope | None = None


def settle(scope: Scope | None, frame: LoopFrame) -> None:
    """Applies to a scope after a loop what was only known at the loop's end."""
    if scope is None:
        return
    for name, holding in scope.endpoints.items():
        if name in frame.broken:
            scope.endpoints[name] = BROKEN
        elif isinstance(holding, Held) and holding.origin in frame.worn:
            scope.endpoints[name] = replace(holding, fresh=False)
