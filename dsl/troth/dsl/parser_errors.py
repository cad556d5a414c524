"""Reporting a line that the grammar does not accept, and a block that is not there."""

from __future__ import annotations

from troth.dsl.layout import Line
from troth.dsl.parser_hints import find
from troth.dsl.parser_report import Reporter, token_span
from troth.dsl.parser_situation import Situation, expected_words, found_words, line_end
from troth.dsl.plural import count


def report_situation(situation: Situation, reporter: Reporter) -> None:
    finding = find(situation)
    reporter.error(
        finding.code,
        finding.message,
        token_span(finding.at or situation.token),
        expected=finding.expected or expected_words(situation),
        found=finding.found or found_words(situation.token),
        fix=finding.fix,
    )


def report_missing_block(header: Line, line: Line | None, reporter: Reporter) -> None:
    """`line`, None at the end of the declaration, should have been in the block of `header`."""
    at = line_end(header) if line is None else line.tokens[0]
    reporter.error(
        "parse.block.missing",
        f"line {header.tokens[0].line} opens a block with `:` and nothing is in it",
        token_span(at),
        expected="at least one line, indented by four blanks more",
        found="the end of the declaration" if line is None else "a line that is not indented more",
        fix="indent what belongs to the block; a program's empty block is `pass`",
    )


def report_indent(line: Line, previous: Line, reporter: Reporter) -> None:
    reporter.error(
        "parse.indent.unexpected",
        "this line is indented more than the block it is in",
        token_span(line.tokens[0]),
        expected=count(previous.levels[-1], "blank"),
        found=count(line.levels[-1], "blank"),
        fix="indent it like the line before; only a line that ends with `:` opens a block",
    )


def report_indent_at_top(line: Line, reporter: Reporter) -> None:
    reporter.error(
        "parse.indent.unexpected",
        "a declaration starts at the left margin",
        token_span(line.tokens[0]),
        expected=count(0, "blank"),
        found=count(line.levels[-1], "blank"),
        fix="remove the blanks before it",
    )
