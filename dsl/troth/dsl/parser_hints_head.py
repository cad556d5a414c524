"""Mistakes in the word that begins a line: misspelt, of another language, in the wrong place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from troth.dsl.names import did_you_mean
from troth.dsl.parser_hints_place import crash_head
from troth.dsl.parser_report import quoted
from troth.dsl.parser_situation import Finding, Situation
from troth.dsl.parser_words import (
    DECLARATION_WORDS,
    FOREIGN_DECLARATIONS,
    FOREIGN_INTERACTIONS,
    FOREIGN_STATEMENTS,
    INTERACTION_WORDS,
    ONLY_PROGRAMS,
    ONLY_PROTOCOLS,
    STATEMENT_WORDS,
)

_Hint: TypeAlias = Callable[[Situation], Finding | None]


def _declaration(s: Situation) -> Finding | None:
    """The first word of a line at the left margin begins no declaration."""
    if s.place or not s.at_declaration:
        return None
    word = str(s.head)
    if word in STATEMENT_WORDS or (s.tokens[1:2] and s.tokens[1].type in ("ASSIGN", "DOT")):
        return Finding(
            "parse.declaration.statement",
            "a statement stands in a program or in `main:`",
            fix="indent it under `main:` or under a `program`",
        )
    if word in INTERACTION_WORDS or (s.tokens[1:2] and s.tokens[1].type == "ARROW"):
        return Finding(
            "parse.declaration.statement",
            "a step of a protocol stands in a protocol",
            fix="indent it under `protocol P(A, B):`",
        )
    return crash_head(s) or Finding(
        "parse.declaration.unknown",
        f"{quoted(word)} begins no declaration",
        fix=FOREIGN_DECLARATIONS.get(word)
        or did_you_mean(word, DECLARATION_WORDS)
        or "indent it under the declaration that it belongs to",
    )


def _else_if(s: Situation) -> Finding | None:
    if s.head.type == "ELSE" and s.place == 1 and s.token.type == "IF":
        return Finding("parse.else.if", "`else if` is one word", fix="write `elif condition:`")
    return None


def _unmatched(s: Situation) -> Finding | None:
    """`elif`, `else` or `or` where nothing is that it could continue."""
    if s.place or s.head.type not in ("ELIF", "ELSE", "OR"):
        return None
    opener = {"OR": "choice at"}.get(s.head.type, "if")
    protocol_word = s.head.type == "OR"
    if protocol_word != (s.declaration == "PROTOCOL"):
        return None
    return Finding(
        "parse.else.unmatched",
        f"`{s.head}` does not continue `{opener}`",
        fix=f"indent it like the `{opener}` that it belongs to, directly after its block",
    )


def _statement(s: Situation) -> Finding | None:
    """The first word of a line in a program begins no statement, or reads like a variable."""
    if not s.in_program or not ((s.accepts == {"ASSIGN"} and s.place == 1) or s.at_statement):
        return None
    word = str(s.head)
    finding = crash_head(s)
    if finding is not None:
        return finding
    if s.token.type == "ARROW" or (word in ONLY_PROTOCOLS and word not in FOREIGN_STATEMENTS):
        return Finding(
            "parse.statement.protocol",
            "this is a step of a protocol, and here is a program",
            at=s.head,
            expected="a statement",
            fix="write `send s.Role label(…)` or `recv s.Role label(…)`",
        )
    if s.head.type != "NAME" or (s.token.type in ("EQUAL", "COLON") and s.place):
        return None
    return _unknown_statement(s, word)


def _unknown_statement(s: Situation, word: str) -> Finding:
    fix = FOREIGN_STATEMENTS.get(word)
    if fix is None and len(word) > 2:  # shorter ones are close to everything
        fix = did_you_mean(word, STATEMENT_WORDS)
    if fix is None and s.token.type == "DOT":
        fix = f"write `send {word}.Role label(…)` or `recv {word}.Role label(…)`"
    if fix is None and s.token.type == "LPAR":
        fix = f"write `spawn {word}(…)` for a program, `call {word}(…)` for an effect"
    return Finding(
        "parse.statement.unknown",
        f"{quoted(word)} begins no statement",
        at=s.head,
        expected="a statement, or `=` to assign a variable",
        found=quoted(word),
        fix=fix or "begin the line with a statement such as `send`, `recv`, `let` or `if`",
    )


def _loop_in_protocol(s: Situation) -> Finding | None:
    if s.in_program or s.place != 1 or "AT" not in s.accepts or s.declaration != "PROTOCOL":
        return None
    return Finding(
        "parse.chooser.missing",
        f"`{s.head}` does not say which role chooses",
        expected="`at` and a role",
        fix=f"write `{s.head} at Role:`"
        + ("; `rec X:` repeats without a choice" if s.head.type == "LOOP" else ""),
    )


def _loop_at_in_program(s: Situation) -> Finding | None:
    if s.in_program and s.head.type == "LOOP" and s.place == 2 and s.tokens[1].type == "AT":
        return Finding(
            "parse.statement.protocol",
            "`loop at` is a step of a protocol, and here is a program",
            at=s.head,
            expected="a statement",
            fix="write `loop:` or `loop name:`",
        )
    return None


def _interaction(s: Situation) -> Finding | None:
    """The first word of a line in a protocol begins no step, or reads like a role."""
    if s.declaration != "PROTOCOL" or not (
        (s.accepts == {"ARROW", "LSQB"} and s.place == 1) or s.at_interaction
    ):
        return None
    word = str(s.head)
    finding = crash_head(s)
    if finding is not None:
        return finding
    fix = FOREIGN_INTERACTIONS.get(word)
    if fix is None and word in ONLY_PROGRAMS:
        return Finding(
            "parse.step.program",
            f"`{word}` is a statement of programs, and here is a protocol",
            at=s.head,
            expected="a message or another step of the protocol",
            fix="a message of a protocol is written `A -> B: label(…)`",
        )
    return Finding(
        "parse.step.unknown",
        f"{quoted(word)} begins no step of a protocol",
        at=s.head,
        expected="`A -> B: label(…)`, `choice at`, `rec`, `continue`, `loop at` or `do`",
        found=quoted(word),
        fix=fix or did_you_mean(word, INTERACTION_WORDS) or "write `->` after the sender",
    )


HEAD_HINTS: Final[tuple[_Hint, ...]] = (
    *(_declaration, _else_if, _unmatched, _loop_at_in_program, _statement),
    *(_loop_in_protocol, _interaction),
)
