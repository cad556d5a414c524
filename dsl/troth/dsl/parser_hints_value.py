"""Values, types and settings as other languages write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from troth.dsl.parser_report import quoted
from troth.dsl.parser_situation import Finding, Situation

_Hint: TypeAlias = Callable[[Situation], Finding | None]
_STRING_PREFIXES: Final = {
    "f": 'join the parts: `"n = " + str(n)`',
    "r": "write `\\\\` for a backslash in a plain string",
    "u": "leave out the `u`: every string is Unicode text",
}


def _after_value(s: Situation) -> bool:
    """Whether a whole value stands before the rejected token."""
    return "PLUS" in s.accepts


def _list_type(s: Situation) -> Finding | None:
    if s.before != "list" or s.token.type not in ("LESS", "LPAR") or "LSQB" not in s.accepts:
        return None
    following = s.tokens[s.place + 1] if s.place + 1 < len(s.tokens) else s.token
    item = following if following.type == "NAME" else "int"
    return Finding(
        "parse.type",
        "the type of a list's items stands in square brackets",
        expected="`list[T]`",
        fix=f"write `list[{item}]`",
    )


def _string_prefix(s: Situation) -> Finding | None:
    before = s.before
    if before is None or s.token.type != "STRING" or s.token.start_pos != before.end_pos:
        return None
    fix = _STRING_PREFIXES.get(before.lower())
    if fix is None:
        return None
    return Finding(
        "parse.syntax",
        f"there are no strings that begin with {quoted(before)}",
        at=before,
        expected="a plain string",
        found=quoted(before),
        fix=fix,
    )


def _conditional(s: Situation) -> Finding | None:
    if s.token.type != "IF" or not _after_value(s):
        return None
    return Finding(
        "parse.syntax",
        "`if` is a statement and gives no value",
        expected="a value",
        fix="write `let x = b`, then `if condition:` and under it `x = a`",
    )


def _comprehension(s: Situation) -> Finding | None:
    if s.token.type != "FOR" or not _after_value(s):
        return None
    return Finding(
        "parse.syntax",
        "`for` is a statement and makes no list",
        expected="a value",
        fix="write `let items = []`, then `for i in range(n):` and under it `items = items + [i]`",
    )


def _slice(s: Situation) -> Finding | None:
    in_brackets = "RSQB" in s.accepts and "COMMA" not in s.accepts
    if s.token.type != "COLON" or not in_brackets:
        return None
    return Finding(
        "parse.syntax",
        "there are no slices",
        expected="one `int`",
        fix="take the items one by one: `for i in range(a, b):` and in it `x[i]`",
    )


def _lambda(s: Situation) -> Finding | None:
    if s.before != "lambda" or not _after_value(s):
        return None
    return Finding(
        "parse.syntax",
        "functions are not values, and scripts have none of their own",
        at=s.before,
        expected="a value",
        found="`lambda`",
        fix="write the expression where it is needed, or ask the host: `effect f(…) -> type`",
    )


def _negative_setting(s: Situation) -> Finding | None:
    if s.token.type != "MINUS" or "DURATION" not in s.accepts or s.place < 2:
        return None
    key = s.tokens[s.place - 2]
    usual = {"linger": "5s", "capacity": "64"}.get(key)
    return Finding(
        "parse.syntax",
        f"{quoted(key)} cannot be negative",
        expected="a setting's value",
        fix=f"write `{key} = {usual}`, or leave it out" if usual else "leave out the `-`",
    )


VALUE_HINTS: Final[tuple[_Hint, ...]] = (
    *(_list_type, _string_prefix, _conditional, _comprehension, _slice, _lambda),
    _negative_setting,
)
