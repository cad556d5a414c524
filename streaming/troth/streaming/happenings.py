"""What a core without a clock has to tell operators: its shell gives each the time and writes it.

The oldest are lost when nobody takes them, so that a flood of refusals costs no memory.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

KEPT: Final = 1_024


@dataclass(frozen=True, slots=True)
class Happening:
    """`session` is empty where it is about no session."""

    name: str
    plane: str
    session: bytes
    facts: tuple[tuple[str, str], ...]


class Happenings:
    """In order; `take` gives each once. No name of a party is ever in them."""

    def __init__(self) -> None:
        self._kept: deque[Happening] = deque(maxlen=KEPT)

    def note(self, name: str, session: bytes = b"", plane: str = "control", **facts: str) -> None:
        self._kept.append(Happening(name, plane, session, tuple(facts.items())))

    def take(self) -> list[Happening]:
        found = list(self._kept)
        self._kept.clear()
        return found
