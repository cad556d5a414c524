"""Every script in tests/broken gives exactly the diagnostics that its first lines declare.

The corpus is the one table of mistakes: these tests, the page docs/reference/diagnostics.md and
the list of codes are held against it. A line `# expect: LINE:COLUMN CODE` declares a diagnostic.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from troth.dsl.codes import CODES
from troth.dsl.codes_page import render
from troth.dsl.compile import check_source
from troth.dsl.diag import Severity

ROOT: Final = Path(__file__).resolve().parents[3]
CORPUS: Final = sorted((ROOT / "tests" / "broken").glob("*.troth"))
PAGE: Final = ROOT / "docs" / "reference" / "diagnostics.md"
CORPUS_MIN: Final = 28

HARD_TO_SHOW: Final = {
    "check.limit.name": "test_compile.py",
    "check.limit.nesting": "test_check_program.py",
    "check.limit.size": "test_compile.py",
    "parse.nesting": "the parser's tests",
    "parse.size": "the parser's tests",
    "parse.too_many": "the parser's tests",
    "parse.too_long": "the parser's tests",
    "project.too_large": "the projection's tests",
    "protocol.nesting": "the protocol checks' tests",
    "protocol.too_large": "the protocol checks' tests",
    "type.too_large": "the type checks' tests",
}
"""Limits need files too large to read; each is tested where it is held."""

_CODE: Final = re.compile(r"(parse|type|protocol|project|check)(\.\w+)+")
_EXPECT: Final = re.compile(r"# expect: (\d+):(\d+) ([a-z_.]+)")


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def _declared(text: str) -> list[tuple[int, int, str]]:
    matches = (_EXPECT.fullmatch(line.rstrip("\r")) for line in text.split("\n"))
    return [(int(m[1]), int(m[2]), m[3]) for m in matches if m is not None]


def test_there_are_enough() -> None:
    assert len(CORPUS) >= CORPUS_MIN


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_exactly_the_declared_diagnostics(path: Path) -> None:
    text = _read(path)
    diagnostics = check_source(text, path.name)
    found = [(item.span.line, item.span.column, item.code) for item in diagnostics.ordered()]
    assert found == _declared(text), diagnostics.render()
    assert found


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_newcomer_can_act(path: Path) -> None:
    diagnostics = check_source(_read(path), path.name)
    for item in diagnostics.found:
        # Where the grammar stops, what it expects is the fix.
        assert item.fix or (item.code.startswith("parse.") and item.expected), item
        assert item.message
        if item.severity is Severity.ERROR and item.code.startswith("check."):
            assert item.expected, item
            assert item.found, item


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_caret_is_under_characters(path: Path) -> None:
    text = _read(path)
    lines = text.split("\n")
    diagnostics = check_source(text, path.name)
    rendered = diagnostics.render()
    for item in diagnostics.found:
        line = lines[item.span.line - 1]
        assert 1 <= item.span.column <= len(line) + 1
        assert f"{path.name}:{item.span.line}:{item.span.column}: " in rendered


def test_every_code_is_shown_by_a_script() -> None:
    shown = {code for path in CORPUS for _, _, code in _declared(_read(path))}
    listed = {row.code for row in CODES}
    assert shown <= listed
    assert listed - shown - set(HARD_TO_SHOW) == set()


def test_every_code_that_a_pass_reports_is_listed() -> None:
    """Literal codes in the sources: a new one needs its row, a row without use goes."""
    listed = {row.code for row in CODES}
    literals: set[str] = set()
    for path in sorted((ROOT / "dsl" / "troth" / "dsl").glob("*.py")):
        if path.name.startswith(("codes", "code_rows", "shell_", "picture_")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.add(node.value)
    # `check.setting.` is put together with its last word.
    used = {
        code
        for code in literals
        if re.fullmatch(r"(parse|type|protocol|project|check)(\.\w+)+", code)
    }
    settings = {code for code in listed if code.startswith("check.setting.")}
    assert used - listed == set()
    assert listed - used - settings == set()


def test_codes_are_distinct() -> None:
    codes = [row.code for row in CODES]
    assert len(codes) == len(set(codes))


def test_the_page_is_up_to_date() -> None:
    """`python tests/unit/dsl/bless_diagnostics.py` writes it anew."""
    samples = {path.stem: _read(path) for path in CORPUS}
    assert PAGE.read_text(encoding="utf-8") == render(samples)
