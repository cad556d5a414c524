"""What the commands write: nothing from a switch reaches the terminal as it is."""

from __future__ import annotations

import sys
from typing import Final

from troth.vm.escape import plain

LINE_CHARACTERS_MAX: Final = 10_000


def write(text: str) -> None:
    """One result: every line of it made harmless, and the end of the last one."""
    lines = [plain(line, characters_max=LINE_CHARACTERS_MAX) for line in text.splitlines()]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def say(text: str) -> None:
    """For people who watch, never a result."""
    sys.stderr.write(f"troth: {plain(text, characters_max=LINE_CHARACTERS_MAX)}\n")
    sys.stderr.flush()
