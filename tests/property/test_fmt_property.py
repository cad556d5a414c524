"""Formatting keeps the meaning and every comment, and formatting twice changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Final, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troth.dsl.ast import Span
from troth.dsl.diag import Diagnostics
from troth.dsl.fmt import format_source
from troth.dsl.parser import parse
from troth.dsl.parser_machine import scan

Lines: TypeAlias = list[str]

_SLOW: Final = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

# --- random scripts ------------------------------------------------------------------------

_NAMES = st.sampled_from(
    ("a", "b_2", "total", "close", "print", "type", "call", "loop", "at", "a_rather_long_name")
)
_WORDS = st.one_of(_NAMES, st.sampled_from(("or", "not", "if", "true")))
_ATOMS = st.one_of(
    _NAMES,
    st.sampled_from(("1", "1_000", "0x1F", "2.5", "1e3", "true", "false", "()", "[]", "{}")),
    st.sampled_from(('"text"', "'text'", "'a \"quoted\" text'", "'it\\'s'", "b'bytes'", '"# no"')),
)


def _text(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(
        "".join
    )


def _listed(items: st.SearchStrategy[str], opening: str, closing: str) -> st.SearchStrategy[str]:
    comma = st.sampled_from((",", ", ", " ,"))
    return st.tuples(st.lists(items, max_size=4), comma, st.booleans()).map(
        lambda drawn: (
            opening + drawn[1].join(drawn[0]) + ("," if drawn[2] and drawn[0] else "") + closing
        )
    )


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(("+", " + ", "-", " - ", "*", "/", "//", " and ", " or "))
    bracketed = inner.map(lambda text: f"({text})")
    return st.one_of(
        st.tuples(inner, operators, inner).map("".join),
        _text("(", bracketed, st.sampled_from(("<", "==", " >= ", "!=")), bracketed, ")"),
        st.tuples(st.sampled_from(("-", "- ", "str ", "len")), bracketed).map("".join),
        inner.map(lambda text: f"(not {text})"),
        bracketed,
        _listed(inner, "[", "]"),
        _listed(st.tuples(_WORDS, st.just(":"), inner).map("".join), "{", "}"),
        st.tuples(_NAMES, st.just("["), inner, st.just("]")).map("".join),
        st.tuples(_NAMES, st.just(" . "), _WORDS).map("".join),
    )


_EXPRESSIONS = st.recursive(_ATOMS, _compound, max_leaves=8)
_TYPES = st.recursive(
    st.sampled_from(("int", "str", "Job.Server", "Point")),
    lambda inner: st.one_of(
        inner.map(lambda text: f"list [{text}]"),
        _listed(st.tuples(_WORDS, st.just(" :"), inner).map("".join), "{", "}"),
    ),
    max_leaves=4,
)
_FIELDS = _listed(st.tuples(_WORDS, st.just(":"), _TYPES).map("".join), "(", ")")
_ARGUMENTS = _listed(_EXPRESSIONS, "(", ")")
_TARGETS = _listed(_NAMES, "(", ")")


_SIMPLE = st.one_of(
    _text("send s.", _WORDS, " ", _WORDS, _ARGUMENTS),
    _text("recv s . ", _WORDS, " ", _WORDS, " ", _TARGETS),
    _text("let ", _NAMES, "=", _EXPRESSIONS),
    _text(_NAMES, " =call ", _NAMES, _ARGUMENTS),
    _text("print ", _EXPRESSIONS),
    _text("cancel ", _NAMES, " ", _EXPRESSIONS),
    _text("spawn ", _NAMES, " ", _ARGUMENTS),
    st.sampled_from(("pass", "yield", "break", "continue outer", "close s")),
    st.just("open P as a , b with replay=off,buffer = resize {8},linger=5s"),
)


def _joined(parts: Iterable[Lines]) -> Lines:
    return [line for part in parts for line in part]


def _indented(head: str, body: Lines) -> Lines:
    return [head, *("    " + line for line in body)]


def _blocks(inner: st.SearchStrategy[Lines]) -> st.SearchStrategy[Lines]:
    body = st.lists(inner, min_size=1, max_size=3).map(_joined)
    heads = st.one_of(
        _text("if ", _EXPRESSIONS, " :"),
        _text("while ", _EXPRESSIONS, ":"),
        _text("for i in range", _EXPRESSIONS.map(lambda text: f"({text})"), ":"),
        st.sampled_from(("loop:", "loop outer :")),
    )
    cases = st.lists(st.tuples(_text(_WORDS, _TARGETS, ":"), body), min_size=1, max_size=3)
    return st.one_of(
        st.tuples(heads, body).map(lambda drawn: _indented(*drawn)),
        st.tuples(body, body).map(
            lambda drawn: _indented("if x:", drawn[0]) + _indented("else:", drawn[1])
        ),
        cases.map(
            lambda drawn: _indented("recv s.A:", _joined(_indented(*case) for case in drawn))
        ),
    )


_STATEMENTS = st.recursive(_SIMPLE.map(lambda line: [line]), _blocks, max_leaves=6)
_STEPS = st.recursive(
    _text("A->", st.sampled_from(("B", "B,C", "*")), ":", _WORDS, _FIELDS).map(lambda line: [line]),
    lambda inner: st.one_of(
        inner.map(lambda body: _indented("rec X:", [*body, "continue X"])),
        st.tuples(inner, inner).map(
            lambda drawn: _indented("choice  at A:", drawn[0]) + _indented("or :", drawn[1])
        ),
    ),
    max_leaves=5,
)
_DECLARATIONS = st.one_of(
    _text("effect ", _NAMES, " ", _FIELDS, "->", _TYPES).map(lambda line: [line]),
    _text("type ", _NAMES, "=", _TYPES).map(lambda line: [line]),
    st.tuples(_text("program ", _NAMES, _FIELDS, ":"), _STATEMENTS).map(lambda d: _indented(*d)),
    st.tuples(_text("protocol ", _NAMES, "(A,B , C):"), _STEPS).map(lambda d: _indented(*d)),
    _STATEMENTS.map(lambda body: _indented("main :", body)),
)


@st.composite
def scripts(draw: st.DrawFn) -> str:
    """A script with comments, blank lines and line breaks wherever they may stand."""
    lines: Lines = _joined(draw(st.lists(_DECLARATIONS, max_size=4)))
    number = 0
    out: Lines = []
    for line in lines:
        for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
            number += 1
            indentation = " " * draw(st.sampled_from((0, 2, 4, 8, 30)))
            out.append(draw(st.sampled_from(("", "", f"{indentation}# own {number}"))))
        number += 1
        ending = draw(st.sampled_from(("", "", " ", f"# behind {number}", f"  # behind {number} ")))
        out.append(_spread(draw, line, number) + ending)
    return "\n".join(out)


def _spread(draw: st.DrawFn, line: str, number: int) -> str:
    """`line` with breaks and comments after some of its tokens inside brackets."""
    if not draw(st.sampled_from((False, False, True))):
        return line
    indentation = len(line) - len(line.lstrip())
    pieces, depth, position = [], 0, 0
    for count, token in enumerate(scan(line)):
        end = token.end_pos or 0
        pieces.append(line[position:end])
        position = end
        depth += (token in ("(", "[", "{")) - (token in (")", "]", "}"))
        if depth and draw(st.sampled_from((True, False, False, False))):
            comment = draw(st.sampled_from(("", "", f"# in {number}.{count}")))
            own = draw(st.sampled_from(("", "", "\n# within")))
            pieces.append(f" {comment}{own}\n" + " " * (indentation + 1 + count % 9))
    return "".join([*pieces, line[position:]])


# --- what must hold ------------------------------------------------------------------------


def bare(node: object) -> object:
    """A syntax tree without places."""
    if isinstance(node, Span):
        return None
    if isinstance(node, tuple):
        # Where the branches of a choice are is a place, too.
        return tuple(bare(item) for item in node)
    if is_dataclass(node) and not isinstance(node, type):
        inner = (bare(getattr(node, field.name)) for field in fields(node))
        return (type(node).__name__, *inner)
    return (type(node).__name__, node)


def _tree(text: str) -> object:
    diagnostics = Diagnostics("x.troth", text)
    parsed = parse(text, "x.troth", diagnostics)
    assert diagnostics.render() == ""
    return bare(parsed.script.declarations)


def _comments(text: str) -> list[str]:
    return [token.rstrip() for token in scan(text) if token.type == "COMMENT"]


@_SLOW
@given(scripts())
def test_formatting_keeps_meaning_and_comments(text: str) -> None:
    formatted = format_source(text, "x.troth")
    assert _tree(formatted) == _tree(text)
    assert _comments(formatted) == _comments(text)
    assert format_source(formatted, "x.troth") == formatted


@_SLOW
@given(scripts())
def test_the_format_is_what_it_says(text: str) -> None:
    formatted = format_source(text, "x.troth")
    assert "\n\n\n" not in formatted
    assert formatted == "" or formatted.endswith("\n")
    assert not formatted.startswith("\n")
    for line in formatted.split("\n"):
        assert line == line.rstrip()
        assert re.match(r"(    )*(\S|$)", line)


@_SLOW
@given(scripts())
def test_the_format_does_not_depend_on_blanks(text: str) -> None:
    """Wider indentation and blanks at the ends of lines are the same script."""
    wider = "\n".join(_wider(line) for line in text.split("\n"))
    assert format_source(wider, "x.troth") == format_source(text, "x.troth")


def _wider(line: str) -> str:
    stripped = line.lstrip(" ")
    return "  " * (len(line) - len(stripped)) + stripped + "  "
