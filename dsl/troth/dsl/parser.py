"""Reading a script: from text to its syntax tree, with every syntax error reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lark import Token, Tree

from troth.dsl.ast import Declaration, Script, Span
from troth.dsl.build import build_declaration
from troth.dsl.diag import Diagnostics
from troth.dsl.layout import Layout, Line, read_layout
from troth.dsl.parser_errors import report_indent_at_top
from troth.dsl.parser_feed import parse_lines
from troth.dsl.parser_report import Reporter

SOURCE_BYTES_MAX: Final = 1 << 20
DECLARATION_HEADS: Final = frozenset({"PROTOCOL", "PROGRAM", "EFFECT", "TYPE"})


@dataclass(frozen=True, slots=True)
class Parsed:
    """What could be read of a script.

    `script` holds the declarations without syntax errors, `broken` the names of the others:
    a reference to one of these is no error of its own.
    """

    script: Script
    broken: frozenset[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One declaration as it was read; `tree` and `declaration` are None if it has errors."""

    lines: tuple[Line, ...]
    tree: Tree[Token] | None
    declaration: Declaration | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole script as it was read: the form in which it is formatted."""

    layout: Layout
    parts: tuple[Part, ...]


def parse(text: str, name: str, diagnostics: Diagnostics) -> Parsed:
    """Reads a script; `name` is its base name. Never raises for anything in `text`.

    Syntax errors go to `diagnostics`, all that there are, at most `SYNTAX_ERRORS_MAX`.
    """
    parts = read(text, diagnostics).parts
    declarations = tuple(part.declaration for part in parts if part.declaration is not None)
    broken = frozenset(
        name for part in parts if part.declaration is None for name in _declared_name(part.lines[0])
    )
    return Parsed(Script(name, text, declarations), broken)


def read(text: str, diagnostics: Diagnostics) -> Reading:
    """Like `parse`, with lines, comments and parse trees."""
    reporter = Reporter(diagnostics)
    if not _fits(text, reporter):
        return Reading(Layout((), ()), ())
    layout = read_layout(text, reporter)
    return Reading(layout, tuple(_read_part(lines, reporter) for lines in _groups(layout.lines)))


def _read_part(lines: tuple[Line, ...], reporter: Reporter) -> Part:
    if reporter.full:
        return Part(lines, None, None)
    if lines[0].depth > 0:
        report_indent_at_top(lines[0], reporter)
        return Part(lines, None, None)
    tree = parse_lines(lines, reporter)
    return Part(lines, tree, None if tree is None else build_declaration(tree, reporter))


def _fits(text: str, reporter: Reporter) -> bool:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > SOURCE_BYTES_MAX:
        reporter.error(
            "parse.size",
            "the script is too large",
            Span(1, 1, 1, 1),
            expected=f"at most {SOURCE_BYTES_MAX} bytes",
            found=f"{size} bytes",
            fix="split it into several scripts",
        )
    return size <= SOURCE_BYTES_MAX


def _groups(lines: tuple[Line, ...]) -> Iterator[tuple[Line, ...]]:
    """The lines of each declaration: one at the left margin and what is indented under it."""
    group: list[Line] = []
    for line in lines:
        if line.depth == 0 and group:
            yield tuple(group)
            group = []
        group.append(line)
    if group:
        yield tuple(group)


def _declared_name(line: Line) -> Iterator[str]:
    """The name that a declaration with errors would have had, as far as it can be told."""
    head: Token = line.tokens[0]
    if head.type == "MAIN":
        yield "main"
    elif len(line.tokens) > 1 and line.tokens[1].isidentifier():
        yield str(line.tokens[1])
