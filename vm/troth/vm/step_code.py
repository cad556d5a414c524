"""A program as the machine executes it: one step per instruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from troth.vm.types import Field

if TYPE_CHECKING:
    from troth.vm.step_common import Step


@dataclass(frozen=True, slots=True)
class ProgramCode:
    """`steps` has one more entry than the program: a trap for running off its end.

    `guards` are those that the program names: it shares a lane with whoever names them, too.

    `pauses` are the places behind a `yield`, in a program that has a timed choice.

    `index` is None for what a host plays itself, which is no program of the image.
    """

    index: int | None
    name: str
    parameters: tuple[Field, ...]
    register_count: int
    steps: tuple[Step, ...]
    lines: tuple[int, ...]
    guards: tuple[int, ...] = ()
    pauses: frozenset[int] = frozenset()

    def line_of(self, pc: int) -> int:
        """The source line, or 0 when it is not known."""
        return self.lines[pc] if 0 <= pc < len(self.lines) else 0
