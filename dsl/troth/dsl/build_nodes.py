"""What all tree builders share: names, spans and children of a parse tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from lark import Token, Tree

from troth.dsl.ast import Name
from troth.dsl.parser_report import token_span

Node: TypeAlias = Tree[Token]


def trees(node: Node) -> list[Node]:
    """The children of `node` that are nodes."""
    return [child for child in node.children if isinstance(child, Tree)]


def tokens(node: Node) -> list[Token]:
    """The children of `node` that are tokens."""
    return [child for child in node.children if isinstance(child, Token)]


def name_of(node: Node) -> Name:
    """The name that an `ident` or `word` node is."""
    token = tokens(node)[0]
    return Name(str(token), token_span(token))


def names_of(nodes: Iterable[Node]) -> tuple[Name, ...]:
    return tuple(name_of(node) for node in nodes)


def walk(node: Node) -> Iterator[Node]:
    """`node` and all nodes in it, from the first to the last, without recursion."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(trees(current)))
