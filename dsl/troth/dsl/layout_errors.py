"""Errors of single tokens, brackets and indentation."""

from __future__ import annotations

import re
from typing import Final

from lark import Token

from troth.dsl.ast import Span
from troth.dsl.parser_report import Reporter, describe_character, quoted, token_span
from troth.dsl.plural import count

# Control characters, and characters that reorder the text a reader sees.
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_FRACTION_OF_TIME: Final = re.compile(r"[0-9]+\.[0-9]+(?:ns|us|ms|s|m|h)", re.ASCII)
_STRAIGHT: Final = {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "«": '"', "»": '"'}
_LOOKALIKE: Final = {
    "→": "->",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "*",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
}
_OPERATOR_FIX: Final = {
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    ";": "write one statement on a line",
    ":=": "write `let name = value` on a line of its own",
    "=>": "write `->`",
    "**": "multiply: `x * x`, or in a loop",
    "?": "write `if condition:` and `else:`, each on a line of its own",
    "\\": "put the expression in brackets to continue it on the next line",
}


def check_token(token: Token, reporter: Reporter, *, silent: bool) -> bool:
    """Whether `token` can be part of a line; if not and not `silent`, reports why."""
    kind = token.type
    if kind in ("STRING", "BYTES", "COMMENT", "UNCLOSED"):
        hidden = _HIDDEN.search(token)
        if hidden is not None:
            if not silent:
                _report_hidden(token, hidden.start(), reporter)
            return False
    report = _REPORTS.get(kind)
    if report is not None and not silent:
        report(token, reporter)
    return report is None


def _report_hidden(token: Token, offset: int, reporter: Reporter) -> None:
    character = token[offset]
    line, column = token.line or 1, (token.column or 1) + offset
    reporter.error(
        "parse.character",
        f"the character {describe_character(character)} may not stand in a script as it is",
        Span(line, column, line, column + 1),
        expected="visible characters",
        found=describe_character(character),
        fix="remove it" if token.type == "COMMENT" else f"write it as `{_escape(character)}`",
    )


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _report_unclosed(token: Token, reporter: Reporter) -> None:
    quote = '"' if '"' in token[:2] else "'"
    reporter.error(
        "parse.string.unclosed",
        "this string does not end on its line",
        token_span(token),
        expected=f"a closing {quote}",
        found="the end of the line",
        fix=f"close it with {quote}; write `\\n` for a line break inside a string",
    )


def _report_number(token: Token, reporter: Reporter) -> None:
    reporter.error(
        "parse.number",
        f"{quoted(token)} is not a number",
        token_span(token),
        expected="digits such as `42`, `1_000`, `0x1f` or `2.5`",
        found=quoted(token),
        fix=_number_fix(token),
    )


def _number_fix(token: Token) -> str:
    if _FRACTION_OF_TIME.fullmatch(token):
        return "write a whole number with a smaller unit, such as `1500ms`"
    return "a name cannot start with a digit" if token[-1].isalpha() else "correct the digits"


def _report_operator(token: Token, reporter: Reporter) -> None:
    reporter.error(
        "parse.operator",
        f"there is no {quoted(token)} in Troth",
        token_span(token),
        expected="one of `+ - * / // % == != < <= > >= and or not`",
        found=quoted(token),
        fix=_OPERATOR_FIX.get(token, "use one of these operators"),
    )


def _report_augmented(token: Token, reporter: Reporter) -> None:
    reporter.error(
        "parse.operator",
        f"there is no {quoted(token)} in Troth",
        token_span(token),
        expected="`=`",
        found=quoted(token),
        fix=f"write `x = x {token[:-1]} …`",
    )


def _report_unknown(token: Token, reporter: Reporter) -> None:
    character = str(token)
    if character in _STRAIGHT:
        fix = f"write the straight quote {_STRAIGHT[character]}"
    elif character in _LOOKALIKE:
        fix = f"write `{_LOOKALIKE[character]}`"
    elif character == "\ufeff":
        fix = "save the file as UTF-8 without a byte order mark"
    elif character.isspace():
        fix = "write an ordinary blank"
    elif character.isalnum():
        fix = "names are made of ASCII letters, digits and `_`; other text goes into strings"
    else:
        fix = "remove it"
    reporter.error(
        "parse.character",
        f"the character {describe_character(character)} has no meaning here",
        token_span(token),
        expected="names, numbers, strings, operators or brackets",
        found=describe_character(character),
        fix=fix,
    )


_REPORTS: Final = {
    "UNCLOSED": _report_unclosed,
    "BAD_NUMBER": _report_number,
    "OPERATOR": _report_operator,
    "POWER": _report_operator,
    "AUGMENTED": _report_augmented,
    "UNKNOWN": _report_unknown,
}


def report_tab(reporter: Reporter, line: int, column: int) -> None:
    reporter.error(
        "parse.tab",
        "a tab is used to indent",
        Span(line, column, line, column + 1),
        expected="blanks",
        found="a tab",
        fix="indent with four blanks per level, in this line and in all that follow",
    )


def report_indentation(
    reporter: Reporter, token: Token, outer: list[int], indentation: int
) -> None:
    """`token` is less indented than its block and more than the block around it."""
    reporter.error(
        "parse.indent.inconsistent",
        "this line is not level with any block above it",
        token_span(token),
        expected=f"{count(outer[-1], 'blank')} to continue the outer block",
        found=count(indentation, "blank"),
        fix="give all lines of a block the same indentation",
    )


_BRACKET: Final = {
    "(": ")",
    "[": "]",
    "{": "}",
}


def report_bracket(reporter: Reporter, kind: str, token: Token, opener: Token | None) -> None:
    """`kind` is `unclosed` (at the opener), `unopened` or `mismatched` (at the closer)."""
    if kind == "unclosed":
        reporter.error(
            "parse.bracket.unclosed",
            f"this `{token}` is never closed",
            token_span(token),
            expected=f"`{_BRACKET[token]}`",
            found="lines that do not continue it",
            fix=f"close it with `{_BRACKET[token]}`; "
            "lines that continue it are indented more than the line it is in",
        )
    elif opener is None:
        reporter.error(
            "parse.bracket.unopened",
            f"this `{token}` closes nothing",
            token_span(token),
            expected="an opening bracket before it",
            found=f"`{token}`",
            fix="remove it, or write the bracket it should close",
        )
    else:
        reporter.error(
            "parse.bracket.mismatched",
            f"`{token}` does not close `{opener}`",
            token_span(token),
            expected=f"`{_BRACKET[opener]}` for the `{opener}` in line {opener.line}",
            found=f"`{token}`",
            fix=f"write `{_BRACKET[opener]}`",
        )
