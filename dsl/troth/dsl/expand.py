"""Expansion of all sugar: multicast, `loop at`, `do`, and statements after any construct.

A body is built from its last statement to its first, each given the node that follows it. So what
follows a choice, a loop or a `do` continues every branch that ends, and is shared rather than
copied. A statement whose node nothing leads to is unreachable.

`do` puts the other protocol's body here, with its roles substituted. A `do` of a protocol that is
being expanded already, for the same roles, leads back to where that began if nothing is left to
do after it (a tail call); otherwise the protocol would need a memory of what is left, and is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from troth.dsl.ast import (
    Choice,
    ContinueRec,
    Do,
    ForEachRole,
    Interaction,
    LoopAt,
    Message,
    Rec,
    Span,
)
from troth.dsl.budget import NODES_MAX, Budget
from troth.dsl.check_edges import EdgeSetting
from troth.dsl.check_protocol import EVERY_OTHER_ROLE, NESTING_MAX, ProtocolFacts, too_deep
from troth.dsl.close_graph import close_graph
from troth.dsl.diag import Diagnostic
from troth.dsl.durations import nanoseconds
from troth.dsl.global_type import GlobalType
from troth.dsl.raw_graph import (
    RAW_NODES_MAX,
    RawChoice,
    RawEnd,
    RawGraph,
    RawMessage,
    RawNode,
    Refused,
    TooLarge,
)
from troth.dsl.report import Report

DONE = "done"
"""The label `loop at` adds for leaving the loop."""


@dataclass(frozen=True, slots=True)
class InheritedSetting:
    """An edge setting of a protocol used by `do`, for the roles that play it here.

    `distance` counts the `do` between it and the protocol expanded; `span` is the `do`.
    """

    distance: int
    setting: EdgeSetting
    span: Span


@dataclass(frozen=True, slots=True)
class Expansion:
    """`global_type` is None when something was refused."""

    global_type: GlobalType | None
    inherited: tuple[InheritedSetting, ...]


def expand(
    facts: ProtocolFacts,
    all_facts: Mapping[str, ProtocolFacts],
    report: Report,
    budget: Budget,
) -> Expansion:
    """Expands one protocol; a protocol missing from `all_facts` was refused already."""
    declaration = facts.declaration
    expander = _Expander(all_facts, report, RawGraph(budget))
    context = _Context(facts, {role: role for role in facts.roles}, {}, (), 1)
    graph = expander.graph
    try:
        end = graph.add(RawEnd())
        head, jump = graph.jump(f"protocol {declaration.name.text}", declaration.name.span)
        frame = _Frame(declaration.name.text, facts.roles, end, head)
        jump.target = expander.sequence(declaration.body, end, replace(context, frames=(frame,)))
        graph.start = head
        expander.report_unreachable()
        closed = close_graph(graph, declaration, report)
    except TooLarge:
        report.add(_too_large(facts))
        closed = None
    return Expansion(None if report.failed else closed, tuple(expander.inherited))


@dataclass(frozen=True, slots=True)
class _Frame:
    """A protocol being expanded: for which roles, what follows it, and where it begins."""

    protocol: str
    roles: tuple[str, ...]
    following: int
    head: int


@dataclass(frozen=True, slots=True)
class _Context:
    """Where in the sources we are. `roles` maps the names used here to those of the protocol
    expanded, `heads` each `rec` in scope to its node.
    """

    facts: ProtocolFacts
    roles: Mapping[str, str]
    heads: Mapping[str, int]
    frames: tuple[_Frame, ...]
    depth: int


@dataclass(slots=True)
class _Expander:
    all_facts: Mapping[str, ProtocolFacts]
    report: Report
    graph: RawGraph
    inherited: list[InheritedSetting] = field(default_factory=list)
    places: list[tuple[int, int, Span]] = field(default_factory=list)
    """(statement, the one after it, its span), for each pair in a row."""

    def sequence(self, items: tuple[Interaction, ...], following: int, context: _Context) -> int:
        node = following
        after: Interaction | None = None
        for item in reversed(items):
            head = self._item(item, node, context)
            if after is not None and len(context.frames) == 1:
                self.places.append((head, node, after.span))
            node, after = head, item
        return node

    def _item(self, item: Interaction, following: int, context: _Context) -> int:
        if item.span in context.facts.refused and isinstance(item, Message | ContinueRec | Do):
            self.report.failed = True
            return self.graph.add(Refused(following))
        match item:
            case Message():
                return self._message(item, following, context)
            case Choice():
                return self._choice(item, following, context)
            case Rec():
                return self._rec(item, following, context)
            case ContinueRec():
                head, jump = self.graph.jump(f"continue {item.variable.text}", item.span)
                jump.target = context.heads[item.variable.text]
                return head
            case LoopAt():
                return self._loop(item, following, context)
            case Do():
                return self._do(item, following, context)
            case ForEachRole():
                raise AssertionError("families are written out before")

    def _block(
        self, items: tuple[Interaction, ...], span: Span, following: int, context: _Context
    ) -> int:
        if context.depth >= NESTING_MAX:
            self.report.add(too_deep(span))
            return self.graph.add(Refused(following))
        return self.sequence(items, following, replace(context, depth=context.depth + 1))

    def _message(self, item: Message, following: int, context: _Context) -> int:
        receivers = [receiver.text for receiver in item.receivers]
        if receivers == [EVERY_OTHER_ROLE]:
            receivers = [role for role in context.facts.roles if role != item.sender.text]
        return self._multicast(
            RawMessage(
                context.roles[item.sender.text],
                "",
                item.label.text,
                context.facts.payloads[item.span],
                following,
                item.span,
                item.lossy,
            ),
            [context.roles[receiver] for receiver in receivers],
        )

    def _multicast(self, message: RawMessage, receivers: list[str]) -> int:
        node = message.next
        for receiver in reversed(receivers):
            node = self.graph.add(replace(message, receiver=receiver, next=node))
        return node

    def _choice(self, item: Choice, following: int, context: _Context) -> int:
        arms = tuple(
            self._block(branch, span, following, context)
            for branch, span in zip(item.branches, item.branch_spans, strict=True)
        )
        # A chooser that is not a role was reported: the branches are still built.
        chooser = context.roles.get(item.chooser.text, "")
        within_ns = 0 if item.within is None else nanoseconds(item.within.text) or 0
        return self.graph.add(
            RawChoice(
                chooser,
                arms,
                item.branch_spans,
                item.span,
                within_ns=within_ns,
                crash=item.crashed is not None,
            )
        )

    def _rec(self, item: Rec, following: int, context: _Context) -> int:
        name = item.variable.text
        head, jump = self.graph.jump(f"rec {name}", item.span)
        inner = replace(context, heads={**context.heads, name: head})
        jump.target = self._block(item.body, item.span, following, inner)
        return head

    def _loop(self, item: LoopAt, following: int, context: _Context) -> int:
        head, jump = self.graph.jump(f"loop at {item.chooser.text}", item.span)
        before = len(self.graph.nodes)
        body = self._block(item.body, item.span, head, context)
        chooser = context.roles.get(item.chooser.text, "")
        told = self._told(chooser, body, self.graph.nodes[before:], context)
        # An edge of `done` carries no data; whoever took part in the body hears that it is over.
        leave = self._multicast(RawMessage(chooser, "", DONE, (), following, item.span), told)
        jump.target = self.graph.add(
            RawChoice(chooser, (body, leave), (item.span, item.span), item.span, loop=True)
        )
        return head

    def _told(self, chooser: str, body: int, nodes: list[RawNode], context: _Context) -> list[str]:
        """Who hears `done`: first the receiver of the body's first message, because a choice is
        made by a message to one role, then the others that take part, in declared order.
        """
        messages = [node for node in nodes if isinstance(node, RawMessage)]
        taking_part = {role for node in messages for role in (node.sender, node.receiver)}
        declared = [context.roles[role] for role in context.facts.roles]
        first = self.graph.first_message(body)
        told = [] if first is None else [first.receiver]
        told += [role for role in declared if role in taking_part and role not in told]
        return [role for role in told if role != chooser]

    def _do(self, item: Do, following: int, context: _Context) -> int:
        roles = tuple(context.roles[role.text] for role in item.roles)
        name = item.protocol.text
        head, jump = self.graph.jump(f"do {name}", item.span)
        frame = next((f for f in context.frames if (f.protocol, f.roles) == (name, roles)), None)
        target = self.all_facts.get(name)
        if frame is not None and frame.following == following:
            jump.target = frame.head
        elif frame is not None:
            self.report.add(_not_tail(item))
            jump.target = self.graph.add(Refused(following))
        elif target is None or not target.sound:
            self.report.failed = True
            jump.target = self.graph.add(Refused(following))
        else:
            jump.target = self._body_of(item, target, roles, following, context, head)
        return head

    def _body_of(
        self,
        item: Do,
        target: ProtocolFacts,
        roles: tuple[str, ...],
        following: int,
        context: _Context,
        head: int,
    ) -> int:
        if context.depth >= NESTING_MAX:
            self.report.add(too_deep(item.span))
            return self.graph.add(Refused(following))
        names = dict(zip(target.roles, roles, strict=True))
        for setting in target.edges:
            here = replace(setting, sender=names[setting.sender], receiver=names[setting.receiver])
            self.inherited.append(InheritedSetting(len(context.frames), here, item.span))
        frame = _Frame(item.protocol.text, roles, following, head)
        inner = _Context(target, names, {}, (*context.frames, frame), context.depth + 1)
        return self.sequence(target.declaration.body, following, inner)

    def report_unreachable(self) -> None:
        reachable = self.graph.reachable()
        for before, after, span in self.places:
            if before in reachable and after not in reachable:
                self.report.add(
                    Diagnostic(
                        code="protocol.unreachable",
                        message="nothing ever gets here",
                        span=span,
                        expected="a way to get here from the statement before",
                        found="no branch of the statement before ends: each one continues a loop",
                        fix="remove this, or let a branch before it end without `continue`",
                    )
                )


def _not_tail(item: Do) -> Diagnostic:
    name = item.protocol.text
    return Diagnostic(
        code="protocol.do.recursion",
        message=f"`do {name}` recurses, and something is left to do after it",
        span=item.span,
        expected="a recursive `do` as the last statement of its branch",
        found=f"a `do {name}` for the same roles, followed by more",
        fix="make it the last statement, or write the repetition with `rec` or `loop at`",
    )


def _too_large(facts: ProtocolFacts) -> Diagnostic:
    name = facts.declaration.name.text
    return Diagnostic(
        code="protocol.too_large",
        message=f"the protocol {name} is too large once it is expanded",
        span=facts.declaration.name.span,
        expected=f"at most {RAW_NODES_MAX} steps, and {NODES_MAX} in all of the script",
        fix="repeat with `rec` or `loop at` instead of many `do`, or split the protocol",
    )
