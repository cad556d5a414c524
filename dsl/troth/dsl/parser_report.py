"""Reporting syntax errors: one place that shapes them and bounds their number."""

from __future__ import annotations

import unicodedata
from typing import Final

from lark import Token, Tree

from troth.dsl.ast import Span
from troth.dsl.diag import Diagnostic, Diagnostics

SYNTAX_ERRORS_MAX: Final = 100
_QUOTED_MAX: Final = 40


class Reporter:
    """Adds syntax errors to `diagnostics`, at most `SYNTAX_ERRORS_MAX` of one file."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self._diagnostics = diagnostics
        self._count = 0

    @property
    def count(self) -> int:
        """How many errors were reported so far; it grows with every error."""
        return self._count

    @property
    def full(self) -> bool:
        """Whether further errors are dropped, so that looking for them is of no use."""
        return self._count > SYNTAX_ERRORS_MAX

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        expected: str | None = None,
        found: str | None = None,
        fix: str | None = None,
    ) -> None:
        self._count += 1
        if self._count <= SYNTAX_ERRORS_MAX:
            self._diagnostics.add(
                Diagnostic(
                    code=code, message=message, span=span, expected=expected, found=found, fix=fix
                )
            )
        elif self._count == SYNTAX_ERRORS_MAX + 1:
            self._diagnostics.add(
                Diagnostic(
                    code="parse.too_many",
                    message=f"more than {SYNTAX_ERRORS_MAX} syntax errors; the rest is not shown",
                    span=span,
                    fix="correct the errors shown and check again",
                )
            )


def token_span(token: Token) -> Span:
    """Where a token is. Tokens that come from `layout` always have their place."""
    line, column = token.line or 1, token.column or 1
    return Span(line, column, token.end_line or line, token.end_column or column)


def tree_span(tree: Tree[Token]) -> Span:
    """Where a node is, its own brackets and keywords included."""
    meta = tree.meta
    return Span(meta.line, meta.column, meta.end_line, meta.end_column)


def quoted(text: str) -> str:
    """`text` in back quotes, shortened and without anything that a terminal would act on."""
    short = text if len(text) <= _QUOTED_MAX else text[: _QUOTED_MAX - 1] + "…"
    return "`" + "".join(c if c.isprintable() else describe_character(c) for c in short) + "`"


def describe_character(character: str) -> str:
    """A character by number and name, such as `U+00A0 (NO-BREAK SPACE)`."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")
