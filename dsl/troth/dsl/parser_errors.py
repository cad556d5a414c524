"""A line the grammar does not accept, in words: what was expected, what was found."""

from __future__ import annotations

from typing import Final, NamedTuple

from lark import Token

from troth.dsl.layout import Line
from troth.dsl.parser_report import Reporter, quoted, token_span

RESERVED: Final = frozenset({"AND", "OR", "NOT", "TRUE", "FALSE", "IF", "ELIF", "ELSE"})
_SIGNS: Final = {
    "ARROW": "->",
    "COLON": ":",
    "COMMA": ",",
    "DOT": ".",
    "ASSIGN": "=",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "LBRACE": "{",
    "RBRACE": "}",
    "STAR": "*",
    "AT": "at",
    "AS": "as",
    "WITH": "with",
    "IN": "in",
}
_ARITHMETIC: Final = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "SLASHES", "AND", "OR"})
_COMPARISON: Final = frozenset(
    {"EQUAL", "UNEQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"}
)
# Terminals that are accepted together and what they are called together, the largest first.
_GROUPS: Final = (
    (frozenset({"IF", "SEND", "NAME"}), "a statement"),
    (frozenset({"CHOICE", "REC", "NAME"}), "a message or another step of the protocol"),
    (
        frozenset({"PROTOCOL", "PROGRAM"}),
        "`protocol`, `program`, `effect`, `type` or `main:`",
    ),
    (frozenset({"STRING", "LPAR", "NAME"}), "a value"),
    (frozenset({"DURATION", "INT"}), "a setting's value"),
    (frozenset({"NAME", "LBRACE"}), "a type"),
    (frozenset({"NAME"}), "a name"),
)


class Situation(NamedTuple):
    """The parser in front of a token it does not accept.

    `tokens` are those of the line with its end, `place` is the number of the rejected one,
    `accepts` are the terminals that could stand there, `declaration` is the terminal the
    declaration begins with.
    """

    tokens: tuple[Token, ...]
    place: int
    accepts: frozenset[str]
    declaration: str

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    @property
    def before(self) -> Token | None:
        return self.tokens[self.place - 1] if self.place else None

    @property
    def head(self) -> Token:
        return self.tokens[0]


def line_end(line: Line) -> Token:
    """The token after the last one of `line`, without width."""
    last = line.tokens[-1]
    return Token(
        "_NEWLINE",
        "",
        start_pos=last.end_pos,
        line=last.end_line,
        column=last.end_column,
        end_line=last.end_line,
        end_column=last.end_column,
        end_pos=last.end_pos,
    )


def report_situation(situation: Situation, reporter: Reporter) -> None:
    reporter.error(
        "parse.syntax",
        f"{found_words(situation.token)} cannot stand here",
        token_span(situation.token),
        expected=expected_words(situation.accepts),
        found=found_words(situation.token),
    )


def found_words(token: Token) -> str:
    """What a token is called in a message."""
    if token.type == "_NEWLINE":
        return "the end of the line"
    if token.type in RESERVED:
        return f"the reserved word {quoted(token)}"
    return quoted(token)


def expected_words(accepts: frozenset[str]) -> str:
    """What a set of terminals is called in a message."""
    left = set(accepts)
    words = []
    for group, name in _GROUPS:
        if group <= left:
            words.append(name)
            left -= {kind for kind in left if kind == "NAME" or kind not in _SIGNS}
            left -= {"LPAR", "LSQB", "LBRACE", "MINUS"} if "STRING" in group else set()
            left -= {"LBRACE"} if "LBRACE" in group else set()
            left -= {"AT", "AS", "WITH", "IN"}
            break
    if len(left & _ARITHMETIC) > 1:
        words.append("an operator")
        left -= _ARITHMETIC | _COMPARISON
    words.extend(f"`{_SIGNS[kind]}`" for kind in sorted(left) if kind in _SIGNS)
    words.extend(
        f"`{kind.lower()}`" for kind in sorted(left) if kind.isalpha() and kind not in _SIGNS
    )
    if "_NEWLINE" in accepts:
        words.append("the end of the line")
    return _join(words) if words else "nothing more"


def _join(words: list[str]) -> str:
    if len(words) == 1:
        return words[0]
    return ", ".join(words[:-1]) + " or " + words[-1]


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
        expected=f"{previous.levels[-1]} blanks",
        found=f"{line.levels[-1]} blanks",
        fix="indent it like the line before; only a line that ends with `:` opens a block",
    )


def report_indent_at_top(line: Line, reporter: Reporter) -> None:
    reporter.error(
        "parse.indent.unexpected",
        "a declaration starts at the left margin",
        token_span(line.tokens[0]),
        expected="0 blanks",
        found=f"{line.levels[-1]} blanks",
        fix="remove the blanks before it",
    )
