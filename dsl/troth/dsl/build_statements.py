"""Statements: from parse tree to syntax tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from troth.dsl.ast import (
    AcquireStatement,
    Assign,
    Break,
    CallStatement,
    CancelStatement,
    CloseStatement,
    Commit,
    ContinueLoop,
    Expression,
    Fail,
    ForEach,
    ForRange,
    If,
    Let,
    Literal,
    Loop,
    Name,
    OpenStatement,
    Pass,
    Print,
    RecvCase,
    RecvChoice,
    RecvStatement,
    ReleaseStatement,
    Rollback,
    SendStatement,
    Span,
    SpawnStatement,
    Speculate,
    Statement,
    While,
    Within,
    YieldStatement,
)
from troth.dsl.build_expressions import arguments, call, expression, value
from troth.dsl.build_nodes import Node, name_of, names_of, role_of, tokens, trees
from troth.dsl.build_types import settings
from troth.dsl.parser_report import Reporter, token_span, tree_span
from troth.vm.types import CRASH

_Builder: TypeAlias = Callable[[Node, list[Node], Reporter], Statement]


def statements(node: Node, reporter: Reporter) -> tuple[Statement, ...]:
    """Of a `statements` node."""
    return tuple(_BUILDERS[child.data](child, trees(child), reporter) for child in trees(node))


def _send(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    endpoint, (peer, label, given) = _endpoint(parts)
    sent = arguments(given, reporter)
    return SendStatement(endpoint, role_of(peer), name_of(label), sent, tree_span(node))


def _recv(node: Node, parts: list[Node], _reporter: Reporter) -> Statement:
    endpoint, (peer, label, names) = _endpoint(parts)
    targets = names_of(trees(names))
    return RecvStatement(endpoint, role_of(peer), name_of(label), targets, tree_span(node))


def _recv_choice(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    endpoint, (peer, *rest) = _endpoint(parts)
    cases = tuple(_case(part, reporter) for part in rest)
    return RecvChoice(endpoint, role_of(peer), cases, tree_span(node))


def _endpoint(parts: list[Node]) -> tuple[Name, list[Node]]:
    """`s`, or `d.video` of a bundle, as one name; and the parts behind it."""
    first, second, *rest = parts
    if second.data != "child":
        return role_of(first), [second, *rest]
    return _child_of(role_of(first), name_of(trees(second)[0])), rest


def _child_of(endpoint: Name, child: Name) -> Name:
    start, end = endpoint.span, child.span
    span = Span(start.line, start.column, end.end_line, end.end_column)
    return Name(f"{endpoint.text}.{child.text}", span)


def _close(node: Node, parts: list[Node], _reporter: Reporter) -> Statement:
    endpoint = role_of(parts[0])
    if len(parts) > 1:
        endpoint = _child_of(endpoint, name_of(parts[1]))
    return CloseStatement(endpoint, tree_span(node))


def _case(node: Node, reporter: Reporter) -> RecvCase:
    if node.data == "crash_case":
        head = Name(CRASH, token_span(tokens(node)[0]))
        return RecvCase(head, (), statements(trees(node)[0], reporter), tree_span(node))
    label, targets, body = trees(node)
    return RecvCase(
        name_of(label), names_of(trees(targets)), statements(body, reporter), tree_span(node)
    )


def _let(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    return Let(name_of(parts[0]), value(parts[1], reporter), tree_span(node))


def _assign(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    return Assign(name_of(parts[0]), value(parts[1], reporter), tree_span(node))


def _call_statement(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    return CallStatement(call(parts[0], reporter), tree_span(node))


def _if(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    arms = [(expression(parts[0], reporter), statements(parts[1], reporter))]
    otherwise = None
    for part in parts[2:]:
        inner = trees(part)
        if part.data == "elif":
            arms.append((expression(inner[0], reporter), statements(inner[1], reporter)))
        else:
            otherwise = statements(inner[0], reporter)
    return If(tuple(arms), otherwise, tree_span(node))


def _while(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    return While(expression(parts[0], reporter), statements(parts[1], reporter), tree_span(node))


def _for(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    variable, counted, body = parts
    start, stop = _range(counted, reporter)
    return ForRange(name_of(variable), start, stop, statements(body, reporter), tree_span(node))


def _range(node: Node, reporter: Reporter) -> tuple[Expression | None, Expression]:
    if node.data == "function" and name_of(trees(node)[0]).text == "range":
        given = arguments(trees(node)[1], reporter)
        if len(given) == 1:
            return None, given[0]
        if len(given) == 2:
            return given[0], given[1]
    reporter.error(
        "parse.for.range",
        "`for` counts through a `range`",
        tree_span(node),
        expected="`range(n)` or `range(a, b)`",
        found="an expression that is no range",
        fix="write `for i in range(len(items)):` and use `items[i]` to go through a list",
    )
    return None, Literal(None, tree_span(node))


def _loop(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    return Loop(_optional_name(parts[:-1]), statements(parts[-1], reporter), tree_span(node))


def _foreach(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    source, *family = trees(parts[1])
    return ForEach(
        name_of(parts[0]),
        name_of(source),
        _optional_name(family),
        statements(parts[2], reporter),
        tree_span(node),
    )


def _optional_name(parts: list[Node]) -> Name | None:
    return name_of(parts[0]) if parts else None


def _spawn(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    return SpawnStatement(name_of(parts[0]), arguments(parts[1], reporter), tree_span(node))


def _open(node: Node, parts: list[Node], _reporter: Reporter) -> Statement:
    chosen = settings(parts[2]) if len(parts) > 2 else ()
    return OpenStatement(name_of(parts[0]), names_of(trees(parts[1])), chosen, tree_span(node))


def _cancel(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    endpoint = name_of(parts[0])
    if len(parts) > 2:
        endpoint = _child_of(endpoint, name_of(parts[1]))
    return CancelStatement(endpoint, expression(parts[-1], reporter), tree_span(node))


def _speculate(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    otherwise = statements(trees(parts[1])[0], reporter) if len(parts) > 1 else None
    return Speculate(statements(parts[0], reporter), otherwise, tree_span(node))


def _within(node: Node, parts: list[Node], reporter: Reporter) -> Statement:
    endpoint, *rest = parts
    name = name_of(endpoint)
    if rest[0].data == "word":
        name = _child_of(name, name_of(rest.pop(0)))
    body, *late = rest
    otherwise = statements(trees(late[0])[0], reporter) if late else ()
    if not otherwise:
        reporter.error(
            "parse.timeout.missing",
            "a `within` block says what follows when the time is over",
            tree_span(endpoint),
            expected="a `timeout:` block behind it",
            found="no `timeout:`",
            fix="add `timeout:` with the late choice in it",
        )
    return Within(name, statements(body, reporter), otherwise, tree_span(node))


_BUILDERS: Final[dict[str, _Builder]] = {
    "send": _send,
    "recv": _recv,
    "recv_choice": _recv_choice,
    "let": _let,
    "assign": _assign,
    "call_statement": _call_statement,
    "if": _if,
    "while": _while,
    "for": _for,
    "loop": _loop,
    "break": lambda node, parts, _: Break(_optional_name(parts), tree_span(node)),
    "continue_loop": lambda node, parts, _: ContinueLoop(_optional_name(parts), tree_span(node)),
    "pass": lambda node, _parts, _: Pass(tree_span(node)),
    "print": lambda node, parts, report: Print(expression(parts[0], report), tree_span(node)),
    "yield": lambda node, _parts, _: YieldStatement(tree_span(node)),
    "fail": lambda node, parts, report: Fail(expression(parts[0], report), tree_span(node)),
    "close": _close,
    "cancel": _cancel,
    "spawn": _spawn,
    "open": _open,
    "acquire": lambda node, parts, _: AcquireStatement(name_of(parts[0]), tree_span(node)),
    "within": _within,
    "speculate": _speculate,
    "commit": lambda node, _parts, _: Commit(tree_span(node)),
    "rollback": lambda node, _parts, _: Rollback(tree_span(node)),
    "release": lambda node, parts, _: ReleaseStatement(name_of(parts[0]), tree_span(node)),
    "foreach": _foreach,
}
