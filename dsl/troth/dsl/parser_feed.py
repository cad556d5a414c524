"""Feeds the lines of one declaration to the LALR parser and goes on after an error.

After an error in a line the parser is put back to where the line began, and the line is left
out together with the block it opens and the `elif`, `else` or `or` that depend on it. So every
line with an error of its own is reported, and no error is the consequence of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lark import Token, Tree

from troth.dsl.layout import Line
from troth.dsl.parser_errors import report_indent, report_missing_block, report_situation
from troth.dsl.parser_machine import Machine
from troth.dsl.parser_report import Reporter
from troth.dsl.parser_situation import Situation, line_end
from troth.vm.errors import InternalError

_DEPENDENTS: Final = {
    "IF": frozenset({"ELIF", "ELSE"}),
    "ELIF": frozenset({"ELIF", "ELSE"}),
    "CHOICE": frozenset({"OR", "TIMEOUT", "ON_CRASH"}),
    "WITHIN": frozenset({"TIMEOUT"}),
}
# What stands for a block of which no line could be read: the row whose first word, which tells
# such blocks apart, the parser accepts there. A case may have any label, a statement may not.
_PLACEHOLDERS: Final = (
    (
        "NOT",
        ("NAME", "LPAR", "RPAR", "COLON", "_NEWLINE", "_INDENT", "PASS", "_NEWLINE", "_DEDENT"),
    ),
    ("IF", ("PASS", "_NEWLINE")),
    ("REC", ("CONTINUE", "NAME", "_NEWLINE")),
)


def parse_lines(lines: Sequence[Line], reporter: Reporter) -> Tree[Token] | None:
    """The parse tree of the declaration that `lines` are, or None after reporting why not."""
    return _Feeder(lines, reporter).run()


class _Feeder:
    def __init__(self, lines: Sequence[Line], reporter: Reporter) -> None:
        self._lines = lines
        self._reporter = reporter
        self._parser = Machine.start()
        self._depth = 0
        self._failed = False
        # The last line that was accepted, and the parser as it was before it.
        self._accepted: Line = lines[0]
        self._before_accepted = self._parser.fork()

    def run(self) -> Tree[Token] | None:
        if not self._take_line(self._lines[0]):
            return None
        index = 1
        while index < len(self._lines):
            index = self._step(index)
            if self._reporter.full:
                return None
        if self._wants_block():
            self._refuse_header(None)
        self._leave_blocks(0)
        if self._failed:
            return None
        tree = self._parser.finish()
        if tree is None:
            raise InternalError("the parser stopped without saying why")
        return tree

    def _step(self, index: int) -> int:
        """Reads line `index` and gives the index of the next one to read."""
        line = self._lines[index]
        if self._wants_block() and line.depth <= self._depth:
            self._refuse_header(line)
            if _depends(line, self._accepted):
                return self._skip(index)
        if line.depth > self._depth:
            if not self._wants_block():
                self._refuse_indent(line)
                return self._skip(index)
            self._feed("_INDENT", line.tokens[0])
            self._depth += 1
        self._leave_blocks(line.depth)
        return index + 1 if self._take_line(line) else self._skip(index)

    def _take_line(self, line: Line) -> bool:
        """Feeds a line; when it is rejected, reports it and undoes it."""
        start = self._parser.fork()
        if not line.broken:
            rejected = self._feed_tokens(line)
            if rejected is None:
                self._accepted, self._before_accepted = line, start
                return True
            self._report(line, rejected, start)
        self._failed = True
        self._parser = start
        return False

    def _feed_tokens(self, line: Line) -> int | None:
        """The number of the token that is rejected (the line's end counts), or None."""
        for index, token in enumerate((*line.tokens, line_end(line))):
            if not self._parser.feed(token):
                return index
        return None

    def _report(self, line: Line, index: int, start: Machine) -> None:
        # The rejected token may have reduced what stands before it: ask before that.
        parser = start.fork()
        for token in line.tokens[:index]:
            parser.feed(token)
        tokens = (*line.tokens, line_end(line))
        place = self._lines[0].tokens[0].type
        report_situation(Situation(tokens, index, parser.accepts(), place), self._reporter)

    def _skip(self, index: int) -> int:
        """The number of the first line after line `index` that does not depend on it."""
        skipped = self._lines[index]
        index += 1
        while index < len(self._lines):
            line = self._lines[index]
            if line.depth <= skipped.depth and not _depends(line, skipped):
                break
            index += 1
        return index

    def _leave_blocks(self, depth: int) -> None:
        while self._depth > depth:
            if not self._parser.may("_DEDENT"):
                self._feed_placeholder()
            self._feed("_DEDENT", line_end(self._accepted))
            self._depth -= 1

    def _feed_placeholder(self) -> None:
        """Fills a block of which every line was refused; its declaration is broken anyway."""
        rows = (row for marker, row in _PLACEHOLDERS if self._parser.may(marker))
        for kind in next(rows, ()):
            self._feed(kind, line_end(self._accepted))

    def _feed(self, kind: str, place: Token) -> None:
        self._parser.feed(Token.new_borrow_pos(kind, "", place))

    def _wants_block(self) -> bool:
        return self._parser.may("_INDENT")

    def _refuse_header(self, line: Line | None) -> None:
        """The line accepted last opens a block and `line` (None at the end) is not in it."""
        header = self._accepted
        self._failed = True
        self._parser = self._before_accepted
        report_missing_block(header, line, self._reporter)

    def _refuse_indent(self, line: Line) -> None:
        self._failed = True
        report_indent(line, self._accepted, self._reporter)


def _depends(line: Line, header: Line) -> bool:
    """Whether `line` begins a further branch (`else`, `or`, `timeout`, …) of `header`."""
    head, opener = line.tokens[0], header.tokens[0].type
    dependent = head.type in _DEPENDENTS.get(opener, frozenset())
    return line.depth == header.depth and dependent
