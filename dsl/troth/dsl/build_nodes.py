"""What all tree builders share: names, spans and children of a parse tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from lark import Token, Tree

from troth.dsl.ast import Name
from troth.dsl.parser_report import token_span, tree_span

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


def role_of(node: Node) -> Name:
    """The name that a `role` or `peer` node is: `Worker`, `Worker[0]`, `Worker[*]`."""
    parts = trees(node)
    name = name_of(parts[0])
    if len(parts) == 1:
        return name
    return Name(f"{name.text}[{_member(parts[1])}]", tree_span(node))


def _member(node: Node) -> str:
    """What stands in the brackets of a `member` node; numbers in their plain form."""
    inner = trees(node)
    text = name_of(inner[0]).text if inner else str(tokens(node)[0])
    # A number too long to be an index stays as it is written: it names no role.
    return str(number(text)) if text[0].isdigit() and len(text) < 12 else text


def number(text: str) -> int:
    """The value of an INT token."""
    return int(text, 0) if text[1:2] in ("x", "X", "o", "O", "b", "B") else int(text)


def walk(node: Node) -> Iterator[Node]:
    """`node` and all nodes in it, from the first to the last, without recursion."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(trees(current)))
