"""What people write by mistake, and what to tell them: one row for each mistake.

A row looks at the situation in which the parser stopped and answers with a `Finding` if this is
its mistake. The rows are asked in order, the more particular ones first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from troth.dsl.parser_hints_head import HEAD_HINTS
from troth.dsl.parser_hints_place import PLACE_HINTS
from troth.dsl.parser_hints_value import VALUE_HINTS
from troth.dsl.parser_report import quoted
from troth.dsl.parser_situation import (
    ARITHMETIC,
    COMPARISONS,
    RESERVED,
    Finding,
    Situation,
    expected_words,
    found_words,
)

_Hint: TypeAlias = Callable[[Situation], Finding | None]
_OPENERS: Final = frozenset(
    {"PROTOCOL", "PROGRAM", "MAIN", "CHOICE", "OR", "REC", "LOOP", "IF", "ELIF", "ELSE", "WHILE"}
    | {"FOR", "FOREACH"}
)


def find(situation: Situation) -> Finding:
    """What to say about `situation`: the first mistake that fits, or the plain facts."""
    for hint in HINTS:
        finding = hint(situation)
        if finding is not None:
            return finding
    return Finding("parse.syntax", f"{found_words(situation.token)} cannot stand here")


def _compared_with_assign(s: Situation) -> Finding | None:
    if s.token.type != "ASSIGN" or "EQUAL" not in s.accepts:
        return None
    outer = s.tokens[s.place - 2].type if s.place >= 2 else ""
    if outer in ("LPAR", "COMMA"):
        return Finding(
            "parse.arguments.named",
            "arguments have no names",
            expected="the values, in the order declared",
            fix=f"leave out `{s.tokens[s.place - 1]} =`",
        )
    return Finding(
        "parse.equals",
        "`=` binds a variable and does not compare",
        expected="`==`",
        fix="write `==` to compare",
    )


def _assigned_with_equal(s: Situation) -> Finding | None:
    if s.token.type == "EQUAL" and "ASSIGN" in s.accepts:
        return Finding(
            "parse.equals",
            "`==` compares and does not bind a variable",
            expected="`=`",
            fix="write `=`",
        )
    return None


def _chained(s: Situation) -> Finding | None:
    if s.token.type in COMPARISONS and "PLUS" in s.accepts and not COMPARISONS & s.accepts:
        return Finding(
            "parse.comparison.chained",
            "comparisons do not chain",
            expected="one comparison",
            fix="write `a < b and b < c`, or put one of them in brackets",
        )
    return None


def _not_inside(s: Situation) -> Finding | None:
    if s.token.type == "NOT" and "STRING" in s.accepts:
        return Finding(
            "parse.syntax",
            "`not` binds more loosely than the operator before it",
            expected="a value",
            fix="put it in brackets: `(not x)`",
        )
    return None


def _reserved(s: Situation) -> Finding | None:
    if s.token.type in RESERVED and "NAME" in s.accepts:
        return Finding(
            "parse.reserved",
            f"{quoted(s.token)} is a reserved word and cannot be a name here",
            expected="a name",
            fix="choose another name; labels and fields may have this one",
        )
    return None


def _field_without_type(s: Situation) -> Finding | None:
    if s.token.type not in ("COMMA", "RPAR") or s.accepts != {"COLON"}:
        return None
    name = s.tokens[s.place - 1]
    return Finding(
        "parse.type.missing",
        f"{quoted(name)} has no type",
        expected="`:` and a type",
        fix=f"write `{name}: int` or another type",
    )


def _record_without_value(s: Situation) -> Finding | None:
    if s.token.type not in ("COMMA", "RBRACE") or s.accepts != {"COLON"}:
        return None
    name = s.tokens[s.place - 1]
    return Finding(
        "parse.syntax",
        f"the record field {quoted(name)} has no value",
        expected="`:` and a value (or a type, in a declaration)",
        fix=f"write `{name}: {name}`",
    )


def _names_only(s: Situation) -> Finding | None:
    """Inside the brackets of a recv or a case."""
    kinds = [token.type for token in s.tokens[: s.place]]
    if "LPAR" not in kinds or "STRING" in s.accepts or s.token.type == "_NEWLINE":
        return None
    if not ({"NAME", "COMMA"} & s.accepts and "RPAR" in s.accepts):
        return None
    received = s.head.type == "RECV" or (s.declaration != "PROTOCOL" and kinds.index("LPAR") == 1)
    if received and s.head.type not in ("PROGRAM", "EFFECT"):
        return Finding(
            "parse.recv.names",
            "a recv binds names, one for each field",
            expected="names, separated by commas",
            fix="write only the names, as in `recv s.Role quote(price)`; their types are known",
        )
    return None


def _peer_missing(s: Situation) -> Finding | None:
    if s.head.type not in ("SEND", "RECV") or s.place != 2 or s.accepts != {"DOT", "LSQB"}:
        return None
    word = s.head
    return Finding(
        "parse.peer.missing",
        f"`{word}` names the endpoint and the role at the other end",
        expected="`.` and a role",
        fix=f"write `{word} {s.tokens[1]}.Role label(…)`",
    )


def _send_call(s: Situation) -> Finding | None:
    """`send call f(3)`: the result of an effect, straight into a message."""
    if s.head.type != "SEND" or s.place != 2 or s.tokens[1].type != "CALL":
        return None
    name = s.token if s.token.type == "NAME" else "f"
    return Finding(
        "parse.call.place",
        "an effect is called in a line of its own",
        at=s.tokens[1],
        expected="an endpoint, `.` and a role",
        found="`call` inside a `send`",
        fix=f"bind it first, `let x = call {name}(…)`, then `send s.Role label(x)`",
    )


def _recv_end(s: Situation) -> Finding | None:
    if s.head.type == "RECV" and s.token.type == "_NEWLINE" and {"NAME", "COLON"} <= s.accepts:
        return Finding(
            "parse.recv.label",
            "the line does not say what is received",
            expected="a label with its names, or `:` and a case for each label",
            fix="write `recv s.Role label(x)`, or `recv s.Role:` and the cases in its block",
        )
    return None


def _parentheses(s: Situation) -> Finding | None:
    if s.accepts == {"LPAR"} and s.place:
        return Finding(
            "parse.parentheses",
            f"{quoted(s.tokens[s.place - 1])} needs round brackets",
            fix=f"write `{s.tokens[s.place - 1]}(…)`, or `()` if there is nothing in them",
        )
    return None


def _colon(s: Situation) -> Finding | None:
    if s.token.type != "_NEWLINE" or "COLON" not in s.accepts:
        return None
    case = s.tokens[s.place - 1].type == "RPAR"
    if s.head.type not in _OPENERS and not case:
        return None
    return Finding(
        "parse.colon.missing",
        "this line opens a block and needs a `:`",
        expected="`:`",
        fix="add `:` at the end",
    )


def _message_colon(s: Situation) -> Finding | None:
    if s.declaration == "PROTOCOL" and "COLON" in s.accepts and "COMMA" in s.accepts:
        kinds = [token.type for token in s.tokens[: s.place]]
        if "ARROW" in kinds and "COLON" not in kinds:
            return Finding(
                "parse.colon.missing",
                "between the receivers and the label stands a `:`",
                expected="`:`",
                fix="write `A -> B: label(…)`",
            )
    return None


def _block_on_line(s: Situation) -> Finding | None:
    if s.place and s.tokens[s.place - 1].type == "COLON" and s.accepts == {"_NEWLINE"}:
        return Finding(
            "parse.block.line",
            "a block begins on a line of its own",
            expected="the end of the line after `:`",
            fix="move it to the next line, indented by four blanks more",
        )
    return None


def _colon_extra(s: Situation) -> Finding | None:
    if s.token.type == "COLON" and "_NEWLINE" in s.accepts:
        return Finding("parse.colon.extra", "this line does not open a block", fix="remove the `:`")
    return None


def _let_type(s: Situation) -> Finding | None:
    if s.head.type == "LET" and s.token.type == "COLON" and s.accepts == {"ASSIGN"}:
        return Finding(
            "parse.let.type",
            "a variable is bound without a type",
            fix=f"write `let {s.tokens[1]} = value`; the first value fixes the type",
        )
    return None


def _strings(s: Situation) -> Finding | None:
    before = s.before
    if before is None or s.token.type not in ("STRING", "BYTES") or before.type != s.token.type:
        return None
    if s.token.start_pos == before.end_pos and len(before) == 2:
        return Finding(
            "parse.string.triple",
            "there are no strings with three quotes",
            expected="one quote at each end",
            fix="write `\\n` for a line break inside a string",
        )
    return Finding(
        "parse.syntax",
        "two strings stand side by side",
        expected="one string",
        fix="join them with `+`",
    )


def _print_many(s: Situation) -> Finding | None:
    if s.head.type == "PRINT" and s.token.type == "COMMA" and "_NEWLINE" in s.accepts:
        return Finding(
            "parse.print",
            "`print` writes one value",
            expected="the end of the line",
            fix='join the parts: `print "n = " + str(n)`',
        )
    return None


def _value_missing(s: Situation) -> Finding | None:
    if s.token.type == "_NEWLINE" and "STRING" in s.accepts:
        return Finding(
            "parse.value.missing",
            "the line ends where a value is expected",
            expected="a value",
            fix="write the value; in brackets an expression may go on in the next line",
        )
    return None


def _effect_result(s: Situation) -> Finding | None:
    if s.head.type == "EFFECT" and s.token.type == "_NEWLINE" and s.accepts == {"ARROW"}:
        return Finding(
            "parse.effect.result",
            "the effect does not say what it gives back",
            fix="add `-> unit` if it gives back nothing, else `->` and the type",
        )
    return None


def _program_result(s: Situation) -> Finding | None:
    if s.head.type == "PROGRAM" and s.token.type == "ARROW":
        return Finding(
            "parse.program.result",
            "a program gives back nothing",
            fix="remove the `->` and the type; send the result through an endpoint",
        )
    return None


def _main_brackets(s: Situation) -> Finding | None:
    if s.head.type == "MAIN" and s.place == 1 and s.token.type == "LPAR":
        return Finding("parse.main", "`main` takes nothing", fix="write `main:`")
    return None


def _trailing(s: Situation) -> Finding | None:
    if "_NEWLINE" in s.accepts and not s.accepts & ARITHMETIC and s.token.type != "_NEWLINE":
        return Finding(
            "parse.line.rest",
            f"the line goes on with {found_words(s.token)} where it could end",
            expected=expected_words(s),
            fix="write one statement on a line",
        )
    return None


HINTS: Final[tuple[_Hint, ...]] = (
    *PLACE_HINTS,
    *HEAD_HINTS,
    _send_call,
    *VALUE_HINTS,
    *(_compared_with_assign, _assigned_with_equal, _chained, _not_inside, _reserved),
    *(_field_without_type, _record_without_value, _names_only, _peer_missing, _recv_end),
    *(_parentheses, _colon, _message_colon, _block_on_line, _let_type, _strings, _print_many),
    *(_value_missing, _effect_result, _program_result, _main_brackets, _colon_extra, _trailing),
)
