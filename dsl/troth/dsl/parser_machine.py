"""The LALR parser of the language, token by token.

A thin typed shell around lark's interactive parser: it scans, it can be asked what it accepts,
and it can be forked, so that a line that turns out wrong can be taken back.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Protocol, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedToken


class _Interactive(Protocol):
    """The part of lark's `InteractiveParser` that is used here."""

    def feed_token(self, token: Token) -> Tree[Token] | None: ...
    def copy(self, deepcopy_values: bool) -> _Interactive: ...
    def accepts(self) -> set[str]: ...
    def choices(self) -> dict[str, object]: ...


class _Scanner(Protocol):
    def lex(self, parser_state: None) -> Iterator[Token]: ...


@cache
def grammar() -> Lark:
    """The language's parser tables, built once in a process."""
    text = resources.files("troth.dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        text,
        parser="lalr",
        lexer="basic",
        start=["declaration", "outside"],
        maybe_placeholders=False,
        propagate_positions=True,
    )


def scan(text: str) -> Iterator[Token]:
    """The tokens of `text` in order, comments and line breaks included. Never fails."""
    thread = grammar().parse_interactive(text, start="outside").lexer_thread
    # The basic lexer does not ask the parser what it expects.
    return cast(_Scanner, thread).lex(None)


class Machine:
    """A parser of one declaration that has read some tokens."""

    def __init__(self, interactive: _Interactive) -> None:
        self._interactive = interactive

    @classmethod
    def start(cls) -> Machine:
        return cls(cast(_Interactive, grammar().parse_interactive("", start="declaration")))

    def feed(self, token: Token) -> bool:
        """Reads a token; False when the grammar does not allow it (then this parser is spent)."""
        try:
            self._interactive.feed_token(token)
        except UnexpectedToken:
            return False
        return True

    def finish(self) -> Tree[Token] | None:
        """The parse tree of all that was read, None when it is not complete."""
        try:
            return self._interactive.feed_token(Token("$END", ""))
        except UnexpectedToken:
            return None

    def fork(self) -> Machine:
        """An independent parser in the same state."""
        return Machine(self._interactive.copy(deepcopy_values=False))

    def may(self, kind: str) -> bool:
        """Whether the parser tables have an entry for `kind` in this state."""
        return kind in self._interactive.choices()

    def accepts(self) -> frozenset[str]:
        """The kinds of token that can stand next."""
        return frozenset(self._interactive.accepts())
