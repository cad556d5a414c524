"""Protocols: from parse tree to syntax tree."""

from __future__ import annotations

from troth.dsl.ast import (
    Choice,
    ContinueRec,
    Do,
    EdgeDecl,
    Interaction,
    LoopAt,
    Message,
    Name,
    ProtocolDecl,
    Rec,
)
from troth.dsl.build_nodes import Node, name_of, names_of, trees
from troth.dsl.build_types import fields, settings
from troth.dsl.parser_report import Reporter, tree_span


def protocol(node: Node, reporter: Reporter) -> ProtocolDecl:
    name, roles, body = trees(node)
    steps = trees(body)
    edges = 0
    while edges < len(steps) and steps[edges].data == "edge":
        edges += 1
    _require_steps(body, steps[edges:], reporter)
    return ProtocolDecl(
        name_of(name),
        names_of(trees(roles)),
        tuple(_edge(step) for step in steps[:edges]),
        _interactions(steps[edges:], reporter),
        tree_span(node),
    )


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
    return EdgeDecl(name_of(sender), name_of(receiver), settings(chosen), tree_span(node))


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
            return LoopAt(name_of(parts[0]), _interactions(trees(parts[1]), reporter), span)
        case _:
            return Do(name_of(parts[0]), names_of(trees(parts[1])), span)


def _message(node: Node, reporter: Reporter) -> Message:
    sender, receivers, label, carried = trees(node)
    return Message(
        name_of(sender),
        tuple(_receiver(child) for child in trees(receivers)),
        name_of(label),
        fields(carried, reporter),
        tree_span(node),
    )


def _receiver(node: Node) -> Name:
    return Name("*", tree_span(node)) if node.data == "everyone" else name_of(node)


def _choice(node: Node, reporter: Reporter) -> Choice:
    parts = trees(node)
    heads, bodies = parts[0::2], parts[1::2]
    return Choice(
        name_of(trees(heads[0])[0]),
        tuple(_interactions(trees(body), reporter) for body in bodies),
        tree_span(node),
        tuple(tree_span(head) for head in heads),
    )
