"""How much work the protocols of one script may cause together.

A short script can ask for much: `do` multiplies messages, and a role that learns little may be at
very many sets of places. The bounds are on the whole script, so that many protocols cannot buy
what one may not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NODES_MAX: Final = 100_000
"""Messages, choices and jumps of all expanded protocols."""

STEPS_MAX: Final = 2_000_000
"""Places looked at while projecting all protocols on all their roles."""


@dataclass(slots=True)
class Budget:
    """What is left; a negative number is an overdraft that somebody reported."""

    nodes: int = NODES_MAX
    steps: int = STEPS_MAX

    def spend_steps(self, steps: int) -> bool:
        """Whether there was enough."""
        self.steps -= steps
        return self.steps >= 0

    def spend_node(self) -> bool:
        """Whether there was enough."""
        self.nodes -= 1
        return self.nodes >= 0

    @property
    def is_spent(self) -> bool:
        """Whether something was refused for this reason: the rest fails silently."""
        return self.nodes < 0 or self.steps < 0
