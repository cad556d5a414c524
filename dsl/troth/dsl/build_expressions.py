"""Expressions: from parse tree to syntax tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from troth.dsl import build_literals
from troth.dsl.ast import (
    Binary,
    Builtin,
    CallEffect,
    Expression,
    FieldOf,
    Index,
    ListLiteral,
    Literal,
    Name,
    RecordLiteral,
    Unary,
    Variable,
)
from troth.dsl.build_nodes import Node, name_of, tokens, trees
from troth.dsl.parser_report import Reporter, quoted, tree_span

BUILTINS: Final = ("str", "len")
_CAPITAL: Final = {"True": "true", "False": "false", "None": "()"}


def value(node: Node, reporter: Reporter) -> Expression:
    """An expression where `call` may stand: the whole right side of `let` or an assignment."""
    return call(node, reporter) if node.data == "call" else expression(node, reporter)


def call(node: Node, reporter: Reporter) -> CallEffect:
    effect, passed = trees(node)
    return CallEffect(name_of(effect), arguments(passed, reporter), tree_span(node))


def arguments(node: Node, reporter: Reporter) -> tuple[Expression, ...]:
    """Of an `arguments` node."""
    return tuple(expression(child, reporter) for child in trees(node))


def expression(node: Node, reporter: Reporter) -> Expression:
    span, parts = tree_span(node), trees(node)
    match node.data:
        case "binary":
            left, right = (expression(part, reporter) for part in parts)
            return Binary(str(tokens(node)[0]), left, right, span)
        case "not_":
            return Unary("not", expression(parts[0], reporter), span)
        case "negative":
            return Unary("-", expression(parts[0], reporter), span)
        case "index":
            place = expression(trees(parts[1])[0], reporter)
            return Index(expression(parts[0], reporter), place, span)
        case "field_of":
            return FieldOf(expression(parts[0], reporter), name_of(parts[1]), span)
        case "list_literal":
            return ListLiteral(tuple(expression(part, reporter) for part in parts), span)
        case "record_literal":
            return RecordLiteral(_entries(parts, reporter), span)
        case "function":
            return _function(node, reporter)
        case "call":
            _refuse_call(node, reporter)
            return call(node, reporter)
        case "variable":
            return _variable(node, reporter)
        case "unit":
            return Literal(None, span)
        case _:
            return _literal(node, reporter)


def _entries(parts: Sequence[Node], reporter: Reporter) -> tuple[tuple[Name, Expression], ...]:
    pairs = (trees(part) for part in parts)
    return tuple((name_of(key), expression(content, reporter)) for key, content in pairs)


def _literal(node: Node, reporter: Reporter) -> Literal:
    token = tokens(node)[0]
    content: None | bool | int | float | str | bytes
    match token.type:
        case "TRUE" | "FALSE":
            content = token.type == "TRUE"
        case "INT":
            content = build_literals.integer(token, reporter)
        case "FLOAT":
            content = build_literals.floating(token, reporter)
        case "STRING":
            content = build_literals.string(token, reporter)
        case _:
            content = build_literals.byte_string(token, reporter)
    return Literal(content, tree_span(node))


def _variable(node: Node, reporter: Reporter) -> Variable:
    name = name_of(trees(node)[0])
    if name.text in _CAPITAL:
        reporter.error(
            "parse.literal",
            f"there is no {quoted(name.text)} in Troth",
            name.span,
            expected="`true`, `false` or `()`",
            found=quoted(name.text),
            fix=f"write `{_CAPITAL[name.text]}`",
        )
    return Variable(name, tree_span(node))


def _function(node: Node, reporter: Reporter) -> Expression:
    function_node, passed = trees(node)
    function = name_of(function_node)
    given = arguments(passed, reporter)
    span = tree_span(node)
    if function.text not in BUILTINS:
        reporter.error(
            "parse.function.unknown",
            f"there is no function {quoted(function.text)}",
            function.span,
            expected="`str(x)` or `len(x)`",
            found=quoted(function.text),
            fix=f"an effect is called as `let x = call {function.text}(…)`, "
            f"a program is started as `spawn {function.text}(…)`",
        )
        return Literal(None, span)
    if len(given) != 1:
        reporter.error(
            "parse.function.arguments",
            f"`{function.text}` takes one argument",
            tree_span(passed),
            expected="1 argument",
            found=f"{len(given)} arguments",
            fix=f"write `{function.text}(x)`",
        )
        return Literal(None, span)
    return Builtin(function, given[0], span)


def _refuse_call(node: Node, reporter: Reporter) -> None:
    reporter.error(
        "parse.call.place",
        "an effect is called in a line of its own",
        tree_span(node),
        expected="`let x = call f(…)`, `x = call f(…)` or `call f(…)`",
        found="`call` inside an expression",
        fix=f"bind it first, `let x = call {name_of(trees(node)[0]).text}(…)`, and use x here",
    )
