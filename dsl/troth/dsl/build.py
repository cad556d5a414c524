"""Declarations: from parse tree to syntax tree."""

from __future__ import annotations

from typing import Final

from troth.dsl.ast import Declaration, EffectDecl, GuardDecl, Name, ProgramDecl, Span, TypeDecl
from troth.dsl.build_nodes import Node, name_of, trees
from troth.dsl.build_protocols import bundle, protocol
from troth.dsl.build_statements import statements
from troth.dsl.build_types import fields, type_expression
from troth.dsl.parser_report import Reporter, tree_span

EXPRESSION_DEPTH_MAX: Final = 100
_MAIN_LENGTH: Final = len("main")
# Nodes at which the depth of an expression starts to be counted anew.
_CONTAINERS: Final = frozenset(
    {"declaration", "program", "main", "protocol", "bundle", "statements", "interactions", "case"}
)


def build_declaration(tree: Node, reporter: Reporter) -> Declaration | None:
    """The syntax tree of a declaration, or None after reporting what is wrong with it."""
    before = reporter.count
    if not _shallow(tree, reporter):
        return None
    declaration = _declaration(trees(tree)[0], reporter)
    return declaration if reporter.count == before else None


def _declaration(node: Node, reporter: Reporter) -> Declaration:
    span, parts = tree_span(node), trees(node)
    match node.data:
        case "protocol":
            return protocol(node, reporter)
        case "bundle":
            return bundle(node)
        case "effect":
            result = type_expression(parts[2], reporter)
            name, parameters = name_of(parts[0]), fields(parts[1], reporter)
            return EffectDecl(name, parameters, result, span, revertible=len(parts) > 3)
        case "type_decl":
            return TypeDecl(name_of(parts[0]), type_expression(parts[1], reporter), span)
        case "guard":
            return GuardDecl(name_of(parts[0]), span)
        case "program":
            body = statements(parts[2], reporter)
            return ProgramDecl(name_of(parts[0]), fields(parts[1], reporter), body, span)
        case _:
            place = Span(span.line, span.column, span.line, span.column + _MAIN_LENGTH)
            return ProgramDecl(Name("main", place), (), statements(parts[0], reporter), span)


def _shallow(tree: Node, reporter: Reporter) -> bool:
    """Whether no expression is so deep that a pass that recurses into it could run out of stack.

    Blocks and brackets are bounded before parsing; a long chain of operators is found here.
    """
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        depth = 0 if node.data in _CONTAINERS else depth + 1
        if depth > EXPRESSION_DEPTH_MAX:
            reporter.error(
                "parse.nesting",
                f"this expression combines more than {EXPRESSION_DEPTH_MAX} parts in a row",
                tree_span(node),
                expected=f"at most {EXPRESSION_DEPTH_MAX} operators in a row",
                fix="bind a part of it with `let` first",
            )
            return False
        stack.extend((child, depth) for child in trees(node))
    return True
