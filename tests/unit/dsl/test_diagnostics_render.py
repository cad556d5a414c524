"""Every syntax mistake of the table is told at its place, in words, with a way out."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from troth.dsl.ast import Span
from troth.dsl.codes import CODES
from troth.dsl.diag import Diagnostic, Diagnostics
from troth.dsl.names import did_you_mean, suggest
from troth.dsl.parser import parse
from unit.dsl.syntax_examples import EXAMPLES, Example

_SOURCES: Final = Path(__file__).resolve().parents[3] / "dsl" / "troth" / "dsl"
# These need scripts too long for a table; `test_parser` has them.
_LARGE: Final = {"parse.size", "parse.too_many", "parse.nesting"}


def _diagnose(text: str) -> Diagnostics:
    diagnostics = Diagnostics("x.troth", text)
    parse(text, "x.troth", diagnostics)
    return diagnostics


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.code}-{example.text}")
def test_each_mistake_is_told_once_at_its_place(example: Example) -> None:
    diagnostics = _diagnose(example.text)
    found = diagnostics.ordered()
    assert [(item.code, item.span.line, item.span.column) for item in found] == [
        (example.code, example.line, example.column)
    ]
    item = found[0]
    assert example.advice in (item.fix or "")
    assert item.expected
    assert item.found
    assert diagnostics.render().startswith(f"x.troth:{example.line}:{example.column}: error[")


def test_every_code_has_an_example_and_every_example_a_code() -> None:
    listed = {row.code for row in CODES if row.code.startswith("parse.")}
    shown = {example.code for example in EXAMPLES}
    assert shown | _LARGE == listed
    assert not shown & _LARGE


def test_codes_are_listed_once_and_in_full() -> None:
    codes = [row.code for row in CODES]
    assert len(set(codes)) == len(codes)
    for row in CODES:
        assert row.title
        assert row.cause.endswith(".")
        assert row.fix.endswith(".")


def test_codes_in_the_parser_are_listed() -> None:
    listed = {row.code for row in CODES}
    used = set()
    for pattern in ("parser*.py", "build*.py", "layout*.py"):
        for path in _SOURCES.glob(pattern):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    used |= {node.value} if node.value.startswith("parse.") else set()
    assert used == {code for code in listed if code.startswith("parse.")}


def test_the_whole_text_of_a_diagnostic() -> None:
    assert _diagnose("main:\n    prnt x\n").render() == (
        "x.troth:2:5: error[parse.statement.unknown]: `prnt` begins no statement\n"
        "  2 |     prnt x\n"
        "    |     ^^^^\n"
        "  expected: a statement, or `=` to assign a variable\n"
        "  found:    `prnt`\n"
        "  fix:      did you mean `print`?"
    )


def test_control_characters_do_not_reach_the_terminal() -> None:
    rendered = _diagnose('main:\n    print "\x1b[2J" +\n    pas\x07s\n').render()
    assert "\x1b" not in rendered
    assert "\x07" not in rendered


def test_a_long_line_is_shown_around_the_caret() -> None:
    rendered = _diagnose("main:\n    print " + "1 + " * 5_000 + "?" + " + 1" * 5_000).render()
    assert len(rendered) < 1_000
    row, caret = rendered.split("\n")[1:3]
    assert row[caret.index("^")] == "?"


def test_related_places_are_shown() -> None:
    diagnostics = Diagnostics("x.troth", "a\nb\n")
    related = ((Span(1, 1, 1, 2), "the type is fixed here"),)
    diagnostics.add(Diagnostic(code="c", message="m", span=Span(2, 1, 2, 2), related=related))
    assert "  x.troth:1:1: the type is fixed here" in diagnostics.render().split("\n")


@pytest.mark.parametrize(
    ("name", "best"),
    [("prnt", "print"), ("PRINT", "print"), ("xyz", None), ("print", None), ("p" * 100, None)],
)
def test_suggestions(name: str, best: str | None) -> None:
    assert suggest(name, ["spawn", "print", "open"]) == best
    assert did_you_mean(name, {"open", "print"}) == (best and f"did you mean `{best}`?")


def test_suggestions_do_not_compare_with_very_many_names() -> None:
    assert suggest("prnt", (f"print{number}" for number in range(10_000))) is None
