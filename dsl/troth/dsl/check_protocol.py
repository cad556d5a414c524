"""What can be said about a protocol's declaration before anything is expanded.

Names, arities, payload types and edge settings. What is refused is noted by its span in
`ProtocolFacts.refused`, so that expansion leaves it alone and goes on with the rest: an unknown
role in one message must not hide, nor cause, an error elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.dsl.ast import (
    Choice,
    ContinueRec,
    Do,
    Interaction,
    LoopAt,
    Message,
    Name,
    ProtocolDecl,
    Rec,
    Span,
)
from troth.dsl.check_edges import EdgeSetting, check_edges
from troth.dsl.diag import Diagnostic
from troth.dsl.durations import nanoseconds
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.plural import count
from troth.dsl.report import Report
from troth.dsl.resolve_types import TypeScope, resolve_fields
from troth.vm.limits import DEFAULT_LIMITS, WITHIN_NS_MAX
from troth.vm.types import Field

EVERY_OTHER_ROLE: Final = "*"
NESTING_MAX: Final = 60
"""Levels of blocks and of `do` inside each other: expansion recurses over them."""


@dataclass(slots=True)
class ProtocolFacts:
    """What the checks found out about one declaration.

    `payloads` maps the span of each sound message to its fields; `refused` holds the spans of
    the interactions that must not be looked at again.
    """

    declaration: ProtocolDecl
    roles: tuple[str, ...]
    payloads: dict[Span, tuple[Field, ...]] = field(default_factory=dict)
    refused: set[Span] = field(default_factory=set)
    edges: tuple[EdgeSetting, ...] = ()
    sound: bool = True


def check_declaration(
    declaration: ProtocolDecl,
    protocols: Mapping[str, ProtocolDecl],
    scope: TypeScope,
    report: Report,
) -> ProtocolFacts:
    """Checks one declaration by itself; `protocols` are all those of the script by name."""
    roles = tuple(dict.fromkeys(role.text for role in declaration.roles))
    facts = ProtocolFacts(declaration, roles)
    _check_roles(declaration, report)
    _Checker(facts, protocols, scope, report).sequence(declaration.body, (), 1)
    facts.edges = check_edges(declaration.edges, roles, report)
    facts.sound = not report.failed
    return facts


def _check_roles(declaration: ProtocolDecl, report: Report) -> None:
    name = declaration.name.text
    first: dict[str, Span] = {}
    for role in declaration.roles:
        if role.text in first:
            report.add(
                Diagnostic(
                    code="protocol.role.duplicate",
                    message=f"the protocol {name} names the role {role.text} twice",
                    span=role.span,
                    related=((first[role.text], "the first is here"),),
                    fix="give each role its own name",
                )
            )
        first.setdefault(role.text, role.span)
    most = DEFAULT_LIMITS.roles_max
    if len(declaration.roles) < 2 or len(declaration.roles) > most:
        report.add(
            Diagnostic(
                code="protocol.roles.count",
                message=f"the protocol {name} has the wrong number of roles",
                span=declaration.name.span,
                expected=f"between 2 and {most} roles",
                found=str(len(declaration.roles)),
                fix="a protocol is a conversation: name everyone who takes part in it",
            )
        )


def unknown_role(role: Name, roles: tuple[str, ...], protocol: str) -> Diagnostic:
    return Diagnostic(
        code="protocol.role.unknown",
        message=f"the protocol {protocol} has no role {role.text}",
        span=role.span,
        expected=one_of(roles, f"roles of {protocol}: `protocol {protocol}(A, B):`"),
        found=role.text,
        fix=did_you_mean(role.text, roles) or f"add {role.text} to the roles of {protocol}",
    )


@dataclass(frozen=True, slots=True)
class _Checker:
    """Walks a body. `variables` are the `rec` names in scope, innermost last."""

    facts: ProtocolFacts
    protocols: Mapping[str, ProtocolDecl]
    scope: TypeScope
    report: Report

    def sequence(
        self, items: tuple[Interaction, ...], variables: tuple[str, ...], depth: int
    ) -> None:
        if depth > NESTING_MAX:
            self._refuse(items[0].span, too_deep(items[0].span))
            return
        for item in items:
            self._item(item, variables, depth)

    def _item(self, item: Interaction, variables: tuple[str, ...], depth: int) -> None:
        match item:
            case Message():
                self._message(item)
            case Choice():
                self._known_role(item.chooser, item.span)
                self._duration(item)
                self._crashed(item)
                for branch in item.branches:
                    self.sequence(branch, variables, depth + 1)
            case Rec():
                self.sequence(item.body, (*variables, item.variable.text), depth + 1)
            case ContinueRec():
                self._continue(item, variables)
            case LoopAt():
                self._known_role(item.chooser, item.span)
                self.sequence(item.body, variables, depth + 1)
            case Do():
                self._do(item)

    def _duration(self, item: Choice) -> None:
        if item.within is None:
            return
        within_ns = nanoseconds(item.within.text)
        if within_ns is None or not 0 < within_ns <= WITHIN_NS_MAX:
            self.report.add(
                Diagnostic(
                    code="protocol.choice.duration",
                    message="this is no time to choose in",
                    span=item.within.span,
                    expected="more than nothing, and at most a year: `5s`, `250ms`, `2h`",
                    found=item.within.text,
                    fix="write how long the role has",
                )
            )

    def _crashed(self, item: Choice) -> None:
        """Only the crash of who chooses can be noticed here: nobody else is waited for."""
        if item.crashed is None or item.crashed.text == item.chooser.text:
            return
        chooser = item.chooser.text
        self.report.add(
            Diagnostic(
                code="protocol.crash.role",
                message=f"a choice at {chooser} says what follows a crash of {chooser}",
                span=item.crashed.span,
                expected=f"`on crash {chooser}:`",
                found=item.crashed.text,
                fix=f"name {chooser}, or handle this crash where {item.crashed.text} chooses",
            )
        )

    def _refuse(self, span: Span, diagnostic: Diagnostic) -> None:
        self.facts.refused.add(span)
        self.report.add(diagnostic)

    def _known_role(self, role: Name, span: Span) -> bool:
        if role.text in self.facts.roles:
            return True
        protocol = self.facts.declaration.name.text
        self._refuse(span, unknown_role(role, self.facts.roles, protocol))
        return False

    def _message(self, item: Message) -> None:
        self._known_role(item.sender, item.span)
        self._receivers(item)
        payload = self.report.collect(
            lambda diagnostics: resolve_fields(item.fields, self.scope, diagnostics)
        )
        if payload is None:
            self.facts.refused.add(item.span)
            self.report.failed = True
        else:
            self.facts.payloads[item.span] = payload

    def _receivers(self, item: Message) -> None:
        if [receiver.text for receiver in item.receivers] == [EVERY_OTHER_ROLE]:
            return
        seen: set[str] = set()
        for receiver in item.receivers:
            if receiver.text == item.sender.text:
                self._refuse(item.span, _self_message(item, receiver))
            elif self._known_role(receiver, item.span) and receiver.text in seen:
                self._refuse(item.span, _twice(receiver))
            seen.add(receiver.text)

    def _continue(self, item: ContinueRec, variables: tuple[str, ...]) -> None:
        name = item.variable.text
        if name in variables:
            return
        names = tuple(dict.fromkeys(reversed(variables)))
        inside = f"one of the enclosing rec: {', '.join(names)}" if names else "an enclosing rec"
        diagnostic = Diagnostic(
            code="protocol.continue.unbound",
            message=f"`continue {name}` is not inside a `rec {name}`",
            span=item.variable.span,
            expected=inside,
            found=name,
            fix=did_you_mean(name, names) or f"put it inside the body of `rec {name}:`",
        )
        self._refuse(item.span, diagnostic)

    def _do(self, item: Do) -> None:
        name = item.protocol.text
        target = self.protocols.get(name)
        if target is None:
            self.facts.refused.add(item.span)
            if name in self.scope.broken:
                self.report.failed = True
            else:
                self.report.add(_unknown_protocol(item, tuple(self.protocols)))
            return
        if len(target.roles) != len(item.roles):
            self._refuse(item.span, _arity(item, target))
        seen: set[str] = set()
        for role in item.roles:
            if self._known_role(role, item.span) and role.text in seen:
                self._refuse(item.span, _role_twice(item, role))
            seen.add(role.text)


def too_deep(span: Span) -> Diagnostic:
    return Diagnostic(
        code="protocol.nesting",
        message="the protocol is nested too deeply here",
        span=span,
        expected=f"at most {NESTING_MAX} blocks and `do` inside each other",
        fix="move inner parts to a protocol of their own, or use `rec` instead of nesting",
    )


def _self_message(item: Message, receiver: Name) -> Diagnostic:
    return Diagnostic(
        code="protocol.message.self",
        message=f"{item.sender.text} sends {item.label.text} to itself",
        span=receiver.span,
        expected="a receiver that is another role",
        found=receiver.text,
        fix="remove the message, or name the role that should get it",
    )


def _twice(receiver: Name) -> Diagnostic:
    return Diagnostic(
        code="protocol.message.receiver_twice",
        message=f"{receiver.text} is named twice as a receiver of one message",
        span=receiver.span,
        fix="name each receiver once; write a second line to send a second message",
    )


def _unknown_protocol(item: Do, known: tuple[str, ...]) -> Diagnostic:
    name = item.protocol.text
    return Diagnostic(
        code="protocol.do.unknown",
        message=f"there is no protocol {name}",
        span=item.protocol.span,
        expected=one_of(known, "a protocol of this file"),
        found=name,
        fix=did_you_mean(name, known) or f"declare `protocol {name}(…):`",
    )


def _arity(item: Do, target: ProtocolDecl) -> Diagnostic:
    roles = ", ".join(role.text for role in target.roles)
    return Diagnostic(
        code="protocol.do.arity",
        message=f"`do {item.protocol.text}` has the wrong number of roles",
        span=item.span,
        expected=f"{count(len(target.roles), 'role')}, for {item.protocol.text}({roles})",
        found=count(len(item.roles), "role"),
        related=((target.name.span, "declared here"),),
        fix="name one role of this protocol for each role of the other, in its order",
    )


def _role_twice(item: Do, role: Name) -> Diagnostic:
    return Diagnostic(
        code="protocol.do.role_twice",
        message=f"{role.text} plays two roles of {item.protocol.text}",
        span=role.span,
        expected="a different role in each place",
        found=role.text,
        fix="a role can play only one part: name another role here",
    )
