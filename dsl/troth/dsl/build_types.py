"""Types, fields, roles and settings: from parse tree to syntax tree."""

from __future__ import annotations

from troth.dsl.ast import (
    EndpointOf,
    FieldDecl,
    ListOf,
    Name,
    NamedType,
    RecordOf,
    Setting,
    TypeExpr,
)
from troth.dsl.build_nodes import Node, name_of, role_of, tokens, trees
from troth.dsl.parser_report import Reporter, quoted, token_span, tree_span


def fields(node: Node, reporter: Reporter) -> tuple[FieldDecl, ...]:
    """Of a `parameters` or `record_type` node."""
    return tuple(_field(child, reporter) for child in trees(node))


def _field(node: Node, reporter: Reporter) -> FieldDecl:
    name, type_node = trees(node)
    return FieldDecl(name_of(name), type_expression(type_node, reporter), tree_span(node))


def type_expression(node: Node, reporter: Reporter) -> TypeExpr:
    span = tree_span(node)
    parts = trees(node)
    match node.data:
        case "named_type":
            return NamedType(name_of(parts[0]), span)
        case "list_type":
            _require_list(name_of(parts[0]), reporter)
            return ListOf(type_expression(trees(parts[1])[0], reporter), span)
        case "record_type":
            return RecordOf(fields(node, reporter), span)
        case _:
            return EndpointOf(name_of(parts[0]), role_of(parts[1]), span)


def _require_list(name: Name, reporter: Reporter) -> None:
    if name.text != "list":
        reporter.error(
            "parse.type",
            f"{quoted(name.text)} takes no type in square brackets",
            name.span,
            expected="`list[T]`",
            found=quoted(name.text),
            fix="write `list`, or leave out the square brackets",
        )


def settings(node: Node) -> tuple[Setting, ...]:
    """Of a `settings` node."""
    return tuple(_setting(child) for child in trees(node))


def _setting(node: Node) -> Setting:
    key, value = trees(node)
    return Setting(name_of(key), _setting_value(value), tree_span(node))


def _setting_value(node: Node) -> Name:
    """The value as text, without the blanks it may have been written with."""
    parts = trees(node)
    if not parts:
        token = tokens(node)[0]
        return Name(str(token), token_span(token))
    text = name_of(parts[0]).text
    if len(parts) > 1:
        text += "{" + tokens(parts[1])[0] + "}"
    return Name(text, tree_span(node))
