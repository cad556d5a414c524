"""Compares what a command printed with what a page says it prints.

In the page `...` stands for what differs from run to run: alone on a line for any number of
lines, inside a line for any characters of it.
"""

from __future__ import annotations

import re


def matches(expected: str, actual: str) -> bool:
    """Whether `actual` is what the page shows. Blanks at line ends do not count."""
    pattern = "".join(_line_pattern(line) for line in expected.splitlines())
    text = "".join(line.rstrip() + "\n" for line in actual.splitlines())
    return re.fullmatch(pattern, text) is not None


def _line_pattern(line: str) -> str:
    line = line.rstrip()
    if line.strip() == "...":
        return r"(?:[^\n]*\n)*?"
    parts = (re.escape(part) for part in line.split("..."))
    return "[^\n]*?".join(parts) + "\n"
