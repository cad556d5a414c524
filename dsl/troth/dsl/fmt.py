"""The one format of a script: four blanks per block, one blank line between declarations.

Formatting moves tokens and never changes them, except that a string without quotes or escapes
in it gets double quotes and a comma before a closing bracket is left out; so the meaning stays.
Every comment stays with the token or line it stands at. Formatting twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from lark import Token

from troth.dsl.compile import ScriptErrors
from troth.dsl.diag import Diagnostics
from troth.dsl.fmt_line import format_line, marks_of
from troth.dsl.layout import Layout, Line
from troth.dsl.parser import read

INDENT: Final = "    "


class _Item(NamedTuple):
    """A logical line or a comment of its own. `first` and `last` number its physical lines."""

    depth: int
    first: int
    last: int
    rows: tuple[str, ...]
    comment: bool


def format_source(text: str, name: str) -> str:
    """The formatted text of a script; `ScriptErrors` with all its errors if it has any.

    Only the syntax has to be right: a script that fails a later check is formatted, too.
    """
    diagnostics = Diagnostics(name, text)
    reading = read(text, diagnostics)
    if diagnostics.has_errors:
        raise ScriptErrors(diagnostics)
    marks = marks_of(part.tree for part in reading.parts if part.tree is not None)
    code = [_code(line, format_line(line, marks)) for line in reading.layout.lines]
    items = sorted([*code, *_comments(reading.layout)], key=lambda item: item.first)
    return "".join(f"{row}\n" for row in _rows(items))


def _code(line: Line, rows: tuple[str, ...]) -> _Item:
    last = line.raw[-1]
    return _Item(line.depth, line.raw[0].line or 0, last.end_line or 0, rows, False)


def _comments(layout: Layout) -> Iterator[_Item]:
    """The comments outside lines, each at the depth of the block it belongs to."""
    index = 0
    for comment in layout.comments:
        place = comment.line or 0
        while index < len(layout.lines) and (layout.lines[index].tokens[0].line or 0) < place:
            index += 1
        before = layout.lines[index - 1] if index else None
        after = layout.lines[index] if index < len(layout.lines) else None
        depth = _comment_depth(comment, before, after)
        yield _Item(depth, place, place, (comment.rstrip(),), True)


def _comment_depth(comment: Token, before: Line | None, after: Line | None) -> int:
    """A comment between two lines belongs to the innermost block that its column is inside of."""
    lowest = after.depth if after is not None else 0
    if before is None:
        return lowest
    column = (comment.column or 1) - 1
    inside = [depth for depth, level in enumerate(before.levels) if level <= column]
    return max([lowest, *inside])


def _rows(items: list[_Item]) -> Iterator[str]:
    previous: _Item | None = None
    for item in items:
        if previous is not None and _blank_between(previous, item):
            yield ""
        for row in item.rows:
            yield INDENT * item.depth + row
        previous = item


def _blank_between(previous: _Item, item: _Item) -> bool:
    written = item.first - previous.last > 1
    if item.depth == 0:
        return written or not (previous.comment and previous.depth == 0)
    opens = item.depth > previous.depth and not previous.comment
    return written and not opens
