"""Writing results: text to standard output, in colour when that is a terminal."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console
from rich.text import Text

from troth.conformance.codes import EXIT_INCOMPLETE, EXIT_VALID

_GOOD: Final = "bold green"
_BAD: Final = "bold red"
_UNSURE: Final = "bold yellow"


def write_verdict(prose: str, exit_code: int) -> None:
    """The prose of a verdict; its first line gets a colour where there is one."""
    if not sys.stdout.isatty():
        write(prose)
        return
    style = _GOOD if exit_code == EXIT_VALID else _BAD if exit_code < EXIT_INCOMPLETE else _UNSURE
    head, _, rest = prose.partition("\n")
    # `Text` is never read as markup, so nothing in an artifact can be.
    console = Console(highlight=False)
    console.print(Text(head, style=style), soft_wrap=True)
    console.print(Text(rest), soft_wrap=True)


def write(text: str) -> None:
    sys.stdout.write(text + "\n")


def progress(text: str) -> None:
    """Standard error is for people who watch, never a result; silent unless it is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(text + "\n")
