"""Finds the fenced blocks of a Markdown page and says what each one is.

The word after the fence is the kind; further words are its arguments:

| info string | what the test does with the block |
|---|---|
| `troth` | checks it: no diagnostics |
| `troth NAME.troth` | writes it to NAME.troth and checks it |
| `troth broken`, `troth NAME.troth broken` | likewise, but it must have an error |
| `output` | runs the script above it and compares standard output |
| `python` | executes it |
| `python NAME.py` | writes it to NAME.py, for later blocks |
| `console` | runs its `$ ` lines and compares what they print |
| `sh` | set-up commands: they must be listed in `test_snippets.TESTED_ELSEWHERE` |
| `text` | nothing: pictures, tables, grammar excerpts |

Blocks of one page run in order and share a folder, as they would for its reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

KINDS: Final = frozenset({"troth", "output", "python", "console", "sh", "text"})


class Block(NamedTuple):
    """`line` is the line of the opening fence, from 1."""

    file: str
    line: int
    kind: str
    arguments: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def file_name(self) -> str | None:
        """The name under which the block is to be saved."""
        names = [word for word in self.arguments if "." in word]
        return names[0] if names else None


class BadPageError(Exception):
    """A fence that is never closed, or a block of a kind that no test knows."""


def blocks_of(path: Path, name: str) -> Iterator[Block]:
    """The blocks of one page in order; `name` is how messages call the page."""
    opened: tuple[int, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        indent = line[: len(line) - len(line.lstrip())]
        stripped = line.strip()
        if opened is None:
            if stripped.startswith("```"):
                opened, lines = (number, stripped[3:].strip(), indent), []
        elif stripped == "```":
            yield _block(name, opened, lines)
            opened = None
        else:
            lines.append(line.removeprefix(opened[2]))
    if opened is not None:
        raise BadPageError(f"{name}:{opened[0]}: this block is never closed")


def _block(name: str, opened: tuple[int, str, str], lines: list[str]) -> Block:
    number, info, _ = opened
    kind, *arguments = info.split() or [""]
    if kind not in KINDS:
        raise BadPageError(f"{name}:{number}: no test knows blocks of kind {kind!r}")
    return Block(name, number, kind, tuple(arguments), "".join(line + "\n" for line in lines))


class Command(NamedTuple):
    """One `$ ` line of a console block and what the page says it prints."""

    line: int
    text: str
    exit_code: int
    output: str


EXIT_MARK: Final = "  # exit "


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a console block; a trailing `  # exit 2` says how one must end."""
    lines = block.text.splitlines()
    if not lines or not lines[0].startswith("$ "):
        raise BadPageError(f"{block.place}: a console block starts with a command")
    position = 0
    while position < len(lines):
        start = position
        text = lines[position][2:]
        while text.endswith("\\"):
            position += 1
            text += "\n" + lines[position]
        position += 1
        output = []
        while position < len(lines) and not lines[position].startswith("$ "):
            output.append(lines[position] + "\n")
            position += 1
        command, _, code = text.partition(EXIT_MARK)
        yield Command(block.line + 1 + start, command, int(code or "0"), "".join(output))
