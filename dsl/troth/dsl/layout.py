"""From text to logical lines: tokens, indentation depth, comments.

A line break inside brackets does not end a line. The lines that continue a bracket are indented
more than the line that opens it (a line that starts with a closing bracket may be level with
it); so a forgotten bracket is found where it was forgotten and does not swallow what follows.
Lines that hold an error are reported here and marked `broken`; the parser steps over them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lark import Token

from troth.dsl.ast import Span
from troth.dsl.layout_errors import check_token, report_bracket, report_indentation, report_tab
from troth.dsl.parser_machine import scan
from troth.dsl.parser_report import Reporter

BRACKET_DEPTH_MAX: Final = 32
BLOCK_DEPTH_MAX: Final = 40
_TAB_COLUMNS: Final = 4
_CLOSER_OF: Final = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_CLOSERS: Final = frozenset(_CLOSER_OF.values())
_TAB: Final = re.compile("\t")


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line.

    `depth` counts the blocks around it, `levels` are the indentation columns (from 0) of these
    blocks, the outermost first and its own last. `tokens` are what the parser reads; `raw` also
    has the comments that stand behind or between them.
    """

    depth: int
    levels: tuple[int, ...]
    tokens: tuple[Token, ...]
    raw: tuple[Token, ...]
    broken: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """`comments` are those that have a line of their own outside brackets."""

    lines: tuple[Line, ...]
    comments: tuple[Token, ...]


def read_layout(text: str, reporter: Reporter) -> Layout:
    """The logical lines of `text`; what cannot be a line is reported and marked broken."""
    reader = _Reader(text, reporter)
    for token in scan(text):
        reader.take(token)
    return reader.finish()


class _Reader:
    """Collects tokens into lines."""

    def __init__(self, text: str, reporter: Reporter) -> None:
        self._text = text
        self._reporter = reporter
        self._lines: list[Line] = []
        self._comments: list[Token] = []
        self._raw: list[Token] = []
        self._brackets: list[Token] = []
        self._levels: list[int] = [0]
        self._broken = False
        self._tab_reported = False
        self._too_deep = False
        self._lost = False
        self._fresh = True  # nothing but blanks since the last line break

    def take(self, token: Token) -> None:
        if token.type == "LINE_BREAK":
            if not self._brackets:
                self._end_line()
            self._fresh = True
            return
        if token.type == "COMMENT":
            check_token(token, self._reporter, silent=False)
            (self._raw if self._raw else self._comments).append(token)
            return
        if self._fresh:
            self._first_of_physical_line(token)
        self._fresh = False
        if not check_token(token, self._reporter, silent=self._broken):
            self._broken = True
        self._raw.append(token)
        self._track_bracket(token)

    def finish(self) -> Layout:
        if self._brackets:
            self._refuse_bracket("unclosed", self._brackets[-1])
        self._end_line()
        return Layout(tuple(self._lines), tuple(self._comments))

    def _first_of_physical_line(self, token: Token) -> None:
        indentation = self._indentation(token)
        if self._brackets:
            level = self._levels[-1]
            closing = token.type in _CLOSERS and indentation >= level
            if indentation > level or closing:
                return
            self._refuse_bracket("unclosed", self._brackets[-1])
            self._end_line()
        self._open_line(token, indentation)

    def _indentation(self, token: Token) -> int:
        """The column (from 0) at which `token` starts, tabs counted as blanks."""
        start = token.start_pos or 0
        blank = self._text[start - (token.column or 1) + 1 : start]
        tab = _TAB.search(blank)
        if tab is not None and not self._tab_reported:
            self._tab_reported = True
            report_tab(self._reporter, token.line or 1, tab.start() + 1)
        return len(blank.expandtabs(_TAB_COLUMNS))

    def _open_line(self, token: Token, indentation: int) -> None:
        popped = False
        while self._levels[-1] > indentation:
            self._levels.pop()
            popped = True
        if self._levels[-1] == indentation:
            return
        if popped:
            report_indentation(self._reporter, token, self._levels, indentation)
            self._broken = True
        if len(self._levels) > BLOCK_DEPTH_MAX:
            self._broken |= self._too_deep  # the lines further in are part of the same error
            self._report_nesting(token, "blocks", BLOCK_DEPTH_MAX)
            self._too_deep = True
        if len(self._levels) <= BLOCK_DEPTH_MAX + 1:
            self._levels.append(indentation)

    def _track_bracket(self, token: Token) -> None:
        if self._lost:
            return
        if token.type == "UNCLOSED":
            # The rest of the line, closing brackets too, is inside the string.
            self._lose_brackets()
        elif token.type in _CLOSER_OF:
            self._brackets.append(token)
            if len(self._brackets) > BRACKET_DEPTH_MAX:
                self._report_nesting(token, "brackets", BRACKET_DEPTH_MAX)
                self._lose_brackets()
        elif token.type in _CLOSERS:
            if not self._brackets:
                self._refuse_bracket("unopened", token)
            elif _CLOSER_OF[self._brackets[-1].type] != token.type:
                self._refuse_bracket("mismatched", token)
            else:
                self._brackets.pop()

    def _refuse_bracket(self, kind: str, token: Token) -> None:
        if not self._broken:
            opener = self._brackets[-1] if self._brackets else None
            report_bracket(self._reporter, kind, token, opener)
        self._broken = True
        self._lose_brackets()

    def _lose_brackets(self) -> None:
        """From here to the end of the physical line, brackets are not believed."""
        self._brackets.clear()
        self._lost = True

    def _report_nesting(self, token: Token, what: str, limit: int) -> None:
        if not self._broken:
            span = Span(token.line or 1, token.column or 1, token.line or 1, token.end_column or 1)
            self._reporter.error(
                "parse.nesting",
                f"{what} are nested more than {limit} deep",
                span,
                expected=f"at most {limit} levels",
                fix="give the inner part a name of its own",
            )
        self._broken = True

    def _end_line(self) -> None:
        tokens = tuple(token for token in self._raw if token.type != "COMMENT")
        if tokens:
            levels = tuple(self._levels)
            line = Line(
                len(levels) - 1, levels, _with_heads(tokens), tuple(self._raw), self._broken
            )
            self._lines.append(line)
        self._raw.clear()
        self._brackets.clear()
        self._broken = self._lost = False


def _with_heads(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """A line that says `timeout:` and no more begins the late branch; else it is a name.

    Two names in a row begin no other line, so `on crash` is a branch wherever it begins one.
    """
    if len(tokens) > 2 and tokens[0] == "on" and tokens[1] == "crash":
        return Token.new_borrow_pos("ON_CRASH", "on crash", tokens[0]), *tokens[2:]
    head = tokens[0] if len(tokens) == 2 else None
    if head is None or head != "timeout" or tokens[1].type != "COLON":
        return tokens
    return Token.new_borrow_pos("TIMEOUT", head.value, head), tokens[1]
