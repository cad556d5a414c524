"""Constructs of the language that this version does not have, in every way they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from lark import Token

from troth.dsl.parser_report import quoted
from troth.dsl.parser_situation import Finding, Situation
from troth.dsl.parser_words import UNSUPPORTED

_Hint: TypeAlias = Callable[[Situation], Finding | None]


def later(construct: str, at: Token) -> Finding:
    return Finding(
        "parse.unsupported",
        f"this version does not have {construct}",
        at=at,
        expected="a construct of this version",
        found=quoted(at),
        fix="leave it out, or express it with the other constructs",
    )


def unsupported_head(s: Situation) -> Finding | None:
    """The word that begins the line begins a construct of a later version."""
    construct = UNSUPPORTED.get(s.head)
    if construct is None or s.token.type in ("EQUAL", "ARROW", "DOT"):
        return None
    following = s.tokens[1] if len(s.tokens) > 1 else s.head
    if s.head == "on" and following != "crash":
        return None
    return later(construct, s.head)


def _timed(s: Situation) -> Finding | None:
    word = _near(s, "within")
    if word is None:
        return None
    if s.declaration != "PROTOCOL" and s.head.type != "RECV":
        return None
    return Finding(
        "parse.within.place",
        "`within` stands in the head of a choice, or begins a block of a program",
        at=word,
        expected="`choice at ROLE within 5s:` in a protocol, `within s:` in a program",
        found=quoted(word),
        fix="only the role that chooses has a clock: put the choice where it chooses",
    )


def _lossy(s: Situation) -> Finding | None:
    word = _near(s, "lossy")
    if word is None or s.declaration != "PROTOCOL":
        return None
    return Finding(
        "parse.lossy.place",
        "`lossy` stands at the end of a message's line",
        at=word,
        expected="`A -> B: label(field: type) lossy`",
        found=quoted(word),
        fix="write it behind the fields of the message that may be lost",
    )


def _near(s: Situation, word: str) -> Token | None:
    """The token that says `word`: the rejected one, or the one before it."""
    if s.token == word:
        return s.token
    return s.before if s.before == word and s.token.type not in ("COLON", "ARROW") else None


LATER_HINTS: Final[tuple[_Hint, ...]] = (_timed, _lossy)
