"""Protocols: from parse tree to syntax tree."""

from __future__ import annotations

from troth.dsl.ast import (
    BundleChildDecl,
    BundleDecl,
    Choice,
    ContinueRec,
    Do,
    EdgeDecl,
    ForEachRole,
    Interaction,
    LoopAt,
    Message,
    Name,
    ProtocolDecl,
    Rec,
)
from troth.dsl.build_nodes import Node, name_of, role_of, tokens, trees
from troth.dsl.build_types import fields, settings
from troth.dsl.parser_report import Reporter, token_span, tree_span


def protocol(node: Node, reporter: Reporter) -> ProtocolDecl:
    name, roles, body = trees(node)
    steps = trees(body)
    edges = 0
    while edges < len(steps) and steps[edges].data == "edge":
        edges += 1
    _require_steps(body, steps[edges:], reporter)
    return ProtocolDecl(
        name_of(name),
        tuple(name_of(trees(role)[0]) for role in trees(roles)),
        tuple(_edge(step) for step in steps[:edges]),
        _interactions(steps[edges:], reporter),
        tree_span(node),
        _sizes(trees(roles)),
    )


def bundle(node: Node) -> BundleDecl:
    name, roles, *children = trees(node)
    return BundleDecl(
        name_of(name),
        tuple(map(role_of, trees(roles))),
        tuple(_child(child) for child in children),
        tree_span(node),
    )


def _child(node: Node) -> BundleChildDecl:
    name, protocol, players = trees(node)
    roles = tuple(map(role_of, trees(players)))
    return BundleChildDecl(name_of(name), name_of(protocol), roles, tree_span(node))


def _sizes(roles: list[Node]) -> tuple[tuple[str, Name], ...]:
    """The families among the roles of a protocol's first line, with what their brackets say."""
    sizes: list[tuple[str, Name]] = []
    for role in roles:
        name, *size = trees(role)
        if size:
            inner = trees(size[0])
            token = tokens(inner[0])[0] if inner else tokens(size[0])[0]
            # Of a number that cannot be a size some digits are enough to say so.
            text = str(token)[:20] if token.type == "INT" else str(token)
            sizes.append((name_of(name).text, Name(text, token_span(token))))
    return tuple(sizes)


def _require_steps(body: Node, steps: list[Node], reporter: Reporter) -> None:
    if not steps:
        reporter.error(
            "parse.protocol.empty",
            "this protocol has settings but no message",
            tree_span(body),
            expected="a message such as `A -> B: label()`",
            found="`edge` lines only",
            fix="write the messages after the `edge` lines",
        )


def _edge(node: Node) -> EdgeDecl:
    sender, receiver, chosen = trees(node)
    return EdgeDecl(role_of(sender), role_of(receiver), settings(chosen), tree_span(node))


def _interactions(steps: list[Node], reporter: Reporter) -> tuple[Interaction, ...]:
    for step in steps:
        if step.data == "edge":
            reporter.error(
                "parse.edge.place",
                "an `edge` line stands before the first message of its protocol",
                tree_span(step),
                expected="a message or another step of the protocol",
                found="an `edge` line",
                fix="move it to the top of the protocol",
            )
    return tuple(_interaction(step, reporter) for step in steps if step.data != "edge")


def _interaction(node: Node, reporter: Reporter) -> Interaction:
    span, parts = tree_span(node), trees(node)
    match node.data:
        case "message":
            return _message(node, reporter)
        case "choice":
            return _choice(node, reporter)
        case "rec":
            return Rec(name_of(parts[0]), _interactions(trees(parts[1]), reporter), span)
        case "continue_rec":
            return ContinueRec(name_of(parts[0]), span)
        case "loop_at":
            return LoopAt(role_of(parts[0]), _interactions(trees(parts[1]), reporter), span)
        case "foreach_role":
            body = _interactions(trees(parts[2]), reporter)
            return ForEachRole(name_of(parts[0]), name_of(parts[1]), body, span)
        case _:
            return Do(name_of(parts[0]), tuple(map(role_of, trees(parts[1]))), span)


def _message(node: Node, reporter: Reporter) -> Message:
    sender, receivers, label, carried, *lossy = trees(node)
    return Message(
        role_of(sender),
        tuple(_receiver(child) for child in trees(receivers)),
        name_of(label),
        fields(carried, reporter),
        tree_span(node),
        lossy=bool(lossy),
    )


def _receiver(node: Node) -> Name:
    return Name("*", tree_span(node)) if node.data == "everyone" else role_of(node)


def _choice(node: Node, reporter: Reporter) -> Choice:
    parts = trees(node)
    heads, bodies = parts[0::2], parts[1::2]
    chooser, *within = trees(heads[0])
    crash = trees(heads[-1])[0] if heads[-1].data == "crash_head" else None
    has_timeout = any(head.data == "timeout_head" for head in heads)
    if bool(within) != has_timeout:
        _report_half_timed(heads, reporter)
    timed = Name(str(tokens(within[0])[0]), tree_span(within[0])) if within else None
    return Choice(
        role_of(chooser),
        tuple(_interactions(trees(body), reporter) for body in bodies),
        tree_span(node),
        tuple(tree_span(head) for head in heads),
        timed if has_timeout else None,
        None if crash is None else role_of(crash),
    )


def _report_half_timed(heads: list[Node], reporter: Reporter) -> None:
    has_timeout = any(head.data == "timeout_head" for head in heads)
    reporter.error(
        "parse.timeout.missing",
        "a choice with `timeout:` says how long its role has"
        if has_timeout
        else "a choice with `within` says what follows when the time is over",
        tree_span(heads[0]),
        expected="`choice at ROLE within 5s:`" if has_timeout else "a `timeout:` branch at its end",
        found="no `within`" if has_timeout else "no `timeout:`",
        fix="write both, or neither",
    )
