"""The parser in front of a token it does not accept, and the words for what it sees."""

from __future__ import annotations

from typing import Final, NamedTuple

from lark import Token

from troth.dsl.layout import Line
from troth.dsl.parser_report import quoted

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
ARITHMETIC: Final = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "SLASHES", "PERCENT", "AND", "OR"})
COMPARISONS: Final = frozenset(
    {"EQUAL", "UNEQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"}
)
_NAMES_ARE_NOISE: Final = frozenset({"AT", "AS", "WITH", "IN", "STAR"})
"""Words that may also be names: not worth telling where a name can stand."""


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

    @property
    def in_program(self) -> bool:
        return self.declaration in ("PROGRAM", "MAIN") and not self.at_declaration

    @property
    def at_declaration(self) -> bool:
        return {"PROTOCOL", "PROGRAM"} <= self.accepts and "NAME" not in self.accepts

    @property
    def at_statement(self) -> bool:
        return {"IF", "SEND"} <= self.accepts and not self.at_word

    @property
    def at_interaction(self) -> bool:
        return (
            self.declaration == "PROTOCOL" and {"CHOICE", "REC"} <= self.accepts and not self.place
        )

    @property
    def at_word(self) -> bool:
        """Where any word may stand, reserved ones too: a label, a role, a field."""
        return {"IF", "NOT"} <= self.accepts


class Finding(NamedTuple):
    """What to say: `at` is where, the rejected token unless given; `expected` and `found` are
    told from the situation unless given."""

    code: str
    message: str
    at: Token | None = None
    expected: str | None = None
    found: str | None = None
    fix: str | None = None


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


def found_words(token: Token) -> str:
    """What a token is called in a message."""
    if token.type == "_NEWLINE":
        return "the end of the line"
    if token.type in RESERVED:
        return f"the reserved word {quoted(token)}"
    return quoted(token)


def expected_words(situation: Situation) -> str:
    """What could stand at the place of the rejected token, in words."""
    accepts = situation.accepts
    words = []
    left = {kind for kind in accepts if kind in _SIGNS}
    kind = _what(situation)
    if kind is not None:
        words.append(kind)
        left -= _NAMES_ARE_NOISE
    if "STRING" in accepts or kind == "a type":
        left -= {"LPAR", "LSQB", "LBRACE"}
    if len(accepts & ARITHMETIC) > 1:
        words.append("an operator")
        left -= {"STAR", "LPAR", "LSQB", "DOT"}
    words.extend(f"`{_SIGNS[sign]}`" for sign in sorted(left))
    if "_NEWLINE" in accepts:
        words.append("the end of the line")
    return _join(words) if words else "nothing more"


def _what(situation: Situation) -> str | None:
    """What a set of terminals that are accepted together is called."""
    accepts = situation.accepts
    if situation.at_declaration:
        return "`protocol`, `bundle`, `program`, `effect`, `type`, `guard` or `main:`"
    if situation.at_interaction:
        return "a message or another step of the protocol"
    if situation.at_statement:
        return "a statement"
    if "STRING" in accepts:
        return "a value"
    if "DURATION" in accepts:
        return "a setting's value"
    if "NAME" in accepts:
        return "a type" if "LBRACE" in accepts else "a name"
    return None


def _join(words: list[str]) -> str:
    if len(words) == 1:
        return words[0]
    return ", ".join(words[:-1]) + " or " + words[-1]
