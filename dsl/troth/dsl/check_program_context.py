"""What the check of one program carries from statement to statement, and how it reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.dsl.ast import Name, Span
from troth.dsl.check_program_symbols import MAIN, Symbols
from troth.dsl.check_program_words import a_or_an
from troth.dsl.diag import Diagnostic, Diagnostics, Severity
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.scope import BROKEN, Broken, Gone, Held, LoopFrame, Scope, SpeculationFrame
from troth.vm.instructions import OpenOptions
from troth.vm.types import EndpointType, ListType, State, ValueType
from troth.vm.value_types import EMPTY_LIST, has_endpoint

NESTING_MAX: Final = 100
"""Blocks within blocks, and expressions within expressions: both are walked recursively."""


@dataclass(slots=True)
class Facts:
    """What the check learns and the lowering needs; statements are named by their span.

    `left_out` are the endings of a bundle's sessions of which the program has no endpoint.

    `choices` holds the sends and receives at a state with several labels; `variables` are the
    program's variables, parameters first, in the order of their first binding.
    """

    choices: set[Span] = field(default_factory=set)
    variables: dict[str, ValueType | None] = field(default_factory=dict)
    options: dict[Span, OpenOptions] = field(default_factory=dict)
    left_out: set[Span] = field(default_factory=set)


@dataclass(slots=True)
class Context:
    """`first_bound` is where each variable was bound first, which fixed its type.

    `missing` are names that were used and never bound: they are reported once each, and no
    later message may offer them as if they existed.

    A program in which `let items = []` binds a variable is walked twice. In the first walk
    `lists` is None and `open_lists` collects these variables with the list type that a later
    statement gives them. In the second walk `lists` is what the first one collected.
    """

    symbols: Symbols
    diagnostics: Diagnostics
    program: str
    facts: Facts = field(default_factory=Facts)
    first_bound: dict[str, Span] = field(default_factory=dict)
    frames: list[LoopFrame] = field(default_factory=list)
    speculations: list[SpeculationFrame] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    lists: Mapping[str, ValueType | None] | None = None
    open_lists: dict[str, ValueType | None] = field(default_factory=dict)
    origins: int = 0
    too_deep: bool = False

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        expected: str | None = None,
        found: str | None = None,
        fix: str | None = None,
        related: tuple[tuple[Span, str], ...] = (),
    ) -> None:
        self._report(Severity.ERROR, code, message, span, expected, found, fix, related)

    def warn(self, code: str, message: str, span: Span, fix: str) -> None:
        self._report(Severity.WARNING, code, message, span, None, None, fix, ())

    def _report(
        self,
        severity: Severity,
        code: str,
        message: str,
        span: Span,
        expected: str | None,
        found: str | None,
        fix: str | None,
        related: tuple[tuple[Span, str], ...],
    ) -> None:
        self.diagnostics.add(
            Diagnostic(
                code=code,
                message=message,
                span=span,
                severity=severity,
                expected=expected,
                found=found,
                fix=fix,
                related=related,
            )
        )

    def deeper(self, depth: int, span: Span) -> bool:
        """Whether nesting may go on at `depth`; reports once per program when it may not."""
        if depth <= NESTING_MAX:
            return True
        if not self.too_deep:
            self.too_deep = True
            self.error(
                "check.limit.nesting",
                "this is nested too deeply",
                span,
                expected=f"at most {NESTING_MAX} levels",
                fix="name an inner part with `let`, or move statements to a program of their own",
            )
        return False

    # --- endpoints -----------------------------------------------------------------------

    def hold(self, scope: Scope, name: Name, kind: EndpointType) -> None:
        """Binds `name` to a fresh endpoint."""
        if self.symbols.local_type(kind) is None:
            scope.endpoints[name.text] = BROKEN
            return
        self.origins += 1
        scope.endpoints[name.text] = Held(kind, 0, True, self.origins, name.span)

    def state_of(self, held: Held) -> State:
        local_type = self.symbols.local_type(held.type)
        if local_type is None:
            raise AssertionError(f"{held.type} is held although its protocol was refused")
        return local_type.states[held.state]

    def endpoint(self, scope: Scope, name: Name) -> Held | None:
        """The endpoint that a statement names, or None after an error (now or earlier)."""
        holding = scope.endpoints.get(name.text)
        if isinstance(holding, Held):
            return holding
        if isinstance(holding, Gone):
            self._report_gone(name, holding)
        elif holding is None:
            self._report_no_endpoint(scope, name)
        scope.endpoints[name.text] = BROKEN
        return None

    def _report_gone(self, name: Name, gone: Gone) -> None:
        moved = gone.how.startswith(("sent", "handed"))
        self.error(
            "check.endpoint.moved" if moved else "check.endpoint.closed",
            f"{name.text} cannot be used any more: it was {gone.how}",
            name.span,
            expected="an endpoint that this program still holds",
            found=f"{name.text}, which was {gone.how} at line {gone.span.line}",
            fix="use it before that statement" if moved else "remove this or close it later",
            related=((gone.span, f"{name.text} was {gone.how} here"),),
        )

    def _report_no_endpoint(self, scope: Scope, name: Name) -> None:
        text = name.text
        if text in self.facts.variables:
            kind = self.facts.variables[text]
            if isinstance(kind, EndpointType):
                self._report_unassigned(name)
            elif kind is not None:
                self.error(
                    "check.endpoint.not_endpoint",
                    f"{text} is not an endpoint",
                    name.span,
                    expected="an endpoint",
                    found=f"{text}, which is {a_or_an(kind)}",
                    fix="name one of the endpoints here: "
                    + (", ".join(self._existing(scope.endpoints)) or "this program holds none"),
                )
            return
        known = self._existing(scope.endpoints)
        self.missing.add(text)
        self.error(
            "check.endpoint.unknown",
            f"there is no endpoint {text}",
            name.span,
            expected=one_of(known, "an endpoint that this program holds"),
            found=text,
            fix=did_you_mean(text, known) or self._where_endpoints_come_from(text),
        )

    def _where_endpoints_come_from(self, name: str) -> str:
        if self.program == MAIN:
            return f"open a session first: `open Protocol as {name}, …`"
        return f"add a parameter such as `{name}: Protocol.Role` to {self.program}"

    def _report_unassigned(self, name: Name) -> None:
        self.error(
            "check.variable.unassigned",
            f"{name.text} may have no value here",
            name.span,
            expected=f"{name.text} bound on every path that leads here",
            found="a path on which it is not",
            fix=f"bind {name.text} on every path before this line",
            related=((self.first_bound[name.text], "it is bound here"),),
        )

    # --- variables -----------------------------------------------------------------------

    def read(self, scope: Scope, name: Name) -> ValueType | None:
        """The type of a variable that is read as a value, or None after an error."""
        text = name.text
        if text in scope.values:
            if not scope.values[text] and self.facts.variables[text] is not None:
                self._report_unassigned(name)
                scope.values[text] = True
            return self.facts.variables[text]
        if text in scope.endpoints:
            if not isinstance(scope.endpoints[text], Broken):
                self._report_endpoint_as_value(name)
            return None
        if text in self.facts.variables:
            if self.facts.variables[text] is not None:
                self._report_unassigned(name)
        else:
            self.report_no_variable(scope, name)
            self.facts.variables[text] = None
            self.first_bound[text] = name.span
        scope.values[text] = True
        return None

    def _report_endpoint_as_value(self, name: Name) -> None:
        self.error(
            "check.endpoint.as_value",
            f"{name.text} is an endpoint, not a value",
            name.span,
            expected="a value",
            found=f"the endpoint {name.text}",
            fix="an endpoint can only be used in send, recv, close and cancel, "
            "or be handed on by a send or a spawn",
        )

    def report_no_variable(self, scope: Scope, name: Name) -> None:
        known = self._existing(scope.values)
        self.missing.add(name.text)
        self.error(
            "check.variable.unknown",
            f"there is no variable {name.text}",
            name.span,
            expected=one_of(known, "a variable bound before"),
            found=name.text,
            fix=did_you_mean(name.text, known) or f"bind it first: `let {name.text} = …`",
        )

    def bind(self, scope: Scope, name: Name, kind: ValueType | None) -> None:
        """Binds or assigns a variable; the first binding fixed its type.

        `kind` is None where an earlier error hides the type.
        """
        text = name.text
        if isinstance(scope.endpoints.get(text), Held):
            self._report_overwritten(name, scope)
            return
        known = self.facts.variables.get(text)
        if text not in self.facts.variables:
            self.facts.variables[text] = known = kind
            self.first_bound[text] = name.span
        elif self.settle_list(text, kind) or kind == EMPTY_LIST:
            pass
        elif known is not None and kind is not None and known != kind:
            self.report_changed_type(name, known, kind)
            if isinstance(known, EndpointType) or isinstance(kind, EndpointType):
                scope.endpoints[text] = BROKEN
            return
        if isinstance(known, EndpointType):
            if kind is None:
                scope.endpoints[text] = BROKEN
            else:
                self.hold(scope, name, known)
        elif isinstance(kind, EndpointType):
            scope.endpoints[text] = BROKEN
        else:
            scope.values[text] = True

    # --- lists that begin empty ----------------------------------------------------------

    def open_list(self, scope: Scope, name: Name) -> None:
        """Binds a variable to `[]`; what is in the list is to be found out."""
        self.open_lists.setdefault(name.text, None)
        self.bind(scope, name, EMPTY_LIST)

    def settle_list(self, name: str, kind: ValueType | None) -> bool:
        """Whether `kind` is the first that tells what is in a list that began empty."""
        if self.facts.variables.get(name) != EMPTY_LIST or not isinstance(kind, ListType):
            return False
        if has_endpoint(kind):  # a list of nothing, too
            return False
        self.facts.variables[name] = self.open_lists[name] = kind
        return True

    # --- words ---------------------------------------------------------------------------

    def _report_overwritten(self, name: Name, scope: Scope) -> None:
        held = scope.endpoints[name.text]
        related = ((held.touched, "it was last used here"),) if isinstance(held, Held) else ()
        scope.endpoints[name.text] = BROKEN
        self.error(
            "check.endpoint.overwritten",
            f"this would overwrite the endpoint {name.text}, which is not finished",
            name.span,
            expected=f"{name.text} closed, cancelled or handed on before",
            found=f"{name.text} still held",
            fix="use another name here",
            related=related,
        )

    def report_changed_type(self, name: Name, known: ValueType, kind: ValueType) -> None:
        self.error(
            "check.variable.type",
            f"{name.text} is {a_or_an(known)} and cannot become {a_or_an(kind)}",
            name.span,
            expected=str(known),
            found=str(kind),
            fix="use a variable with another name",
            related=((self.first_bound[name.text], "the type is fixed here"),),
        )

    def _existing(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in self.missing)
