"""Words that have one place in the language, written in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from lark import Token

from troth.dsl.parser_report import quoted
from troth.dsl.parser_situation import Finding, Situation

_Hint: TypeAlias = Callable[[Situation], Finding | None]


def crash_head(s: Situation) -> Finding | None:
    """A line begins with `on crash` where no choice can be continued."""
    if s.head.type != "ON_CRASH" or s.place:
        return None
    in_protocol = s.declaration == "PROTOCOL" and not s.at_declaration
    return Finding(
        "parse.crash.place",
        "`on crash` is a branch, and nothing is here that it could be a branch of",
        at=s.head,
        expected="`on crash ROLE:` behind the branches of a `choice at ROLE:`"
        if in_protocol
        else "`on crash:` among the cases of a `recv s.Role:`",
        found=quoted(s.head),
        fix="indent it like the branches, as the last of them"
        if in_protocol
        else "put it under `recv s.Role:`, indented like the cases",
    )


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


PLACE_HINTS: Final[tuple[_Hint, ...]] = (_timed, _lossy)
