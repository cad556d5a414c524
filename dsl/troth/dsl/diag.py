"""Diagnostics: what is wrong in a script, where, what was expected, and what to do.

A pass over a script never raises for a user's mistake: it adds a `Diagnostic` to the
`Diagnostics` it was given and goes on, so that all errors of a file are reported in one run.
A pass that cannot go on with one declaration marks it broken and later passes leave it alone,
so that no second error is caused by the first. The codes are listed in `codes`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from troth.dsl.ast import Span

_EXCERPT_MAX: Final = 160


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """`code` is stable and dotted, such as `check.label.unknown`.

    `related` are further places with a few words each ("the type is fixed here"), `notes` are
    lines that no single place is about.
    """

    code: str
    message: str
    span: Span
    severity: Severity = Severity.ERROR
    expected: str | None = None
    found: str | None = None
    fix: str | None = None
    related: tuple[tuple[Span, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Diagnostics:
    """Collects the diagnostics of one script."""

    file: str
    text: str
    found: list[Diagnostic] = field(default_factory=list)
    places: set[tuple[str, Span]] = field(default_factory=set)
    """The code and the place, whatever the copy, of all that was found."""

    def add(self, diagnostic: Diagnostic) -> None:
        """A mistake in what is written once for all members of a family is reported once."""
        place = (diagnostic.code, replace(diagnostic.span, copy=0))
        if diagnostic.span.copy and place in self.places:
            return
        self.places.add(place)
        if diagnostic not in self.found:
            self.found.append(diagnostic)

    @property
    def has_errors(self) -> bool:
        return any(item.severity is Severity.ERROR for item in self.found)

    def ordered(self) -> list[Diagnostic]:
        """All diagnostics by place in the file."""
        return sorted(self.found, key=lambda item: (item.span, item.code))

    def render(self) -> str:
        """The text a terminal shows; every diagnostic starts with `file:line:column:`."""
        lines = self.text.split("\n")
        return "\n".join(_render(item, self.file, lines) for item in self.ordered())


def _render(item: Diagnostic, file: str, lines: list[str]) -> str:
    head = (
        f"{file}:{item.span.line}:{item.span.column}: {item.severity}[{item.code}]: {item.message}"
    )
    out = [head, *_excerpt(item.span, lines)]
    if item.expected is not None:
        out.append(f"  expected: {item.expected}")
    if item.found is not None:
        out.append(f"  found:    {item.found}")
    for span, words in item.related:
        out.append(f"  {file}:{span.line}:{span.column}: {words}")
    out += [f"  {note}" for note in item.notes]
    if item.fix is not None:
        out.append(f"  fix:      {item.fix}")
    return "\n".join(out)


def _excerpt(span: Span, lines: list[str]) -> list[str]:
    if not 1 <= span.line <= len(lines):
        return []
    whole = lines[span.line - 1]
    # Of a line that is too long for a terminal, only the part around the caret is shown.
    start = 0 if len(whole) <= _EXCERPT_MAX else max(0, span.column - 1 - _EXCERPT_MAX // 2)
    shown = whole[start : start + _EXCERPT_MAX]
    # Control characters of a hostile script must not reach the terminal.
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    column = span.column - start
    end = span.end_column - start if span.end_line == span.line else len(line) + 1
    before = _columns(line[: column - 1])
    width = max(1, _columns(line[column - 1 : end - 1]))
    number = str(span.line)
    return [
        f"  {number} | {line}",
        f"  {' ' * len(number)} | {' ' * before}{'^' * width}",
    ]


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes: a caret stands under what it means."""
    return sum(_character_columns(character) for character in text)


def _character_columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
