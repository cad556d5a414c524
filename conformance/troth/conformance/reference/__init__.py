"""A second machine, slow and for reading: what every instruction means, as functions of values.

`docs/reference/instructions.md` says in prose what an instruction does; this package says it in
as few lines as we could, without any of the machine's own code for executing instructions,
keeping buffers, ending sessions or running rounds. A world is a frozen value. An instruction takes
a world and gives another; one that faults gives none, so there is nothing to undo.

It says what a machine does that holds all roles of its sessions. What is said between machines is
the business of `troth.vm.deliver`, and is not modelled here.

Nothing can get into a buffer here but what a program has sent, so signatures are made and never
checked; a message that the host has corrupted is marked. Faults have their code and place, and
no prose.
"""

from __future__ import annotations

from troth.conformance.reference.compare import Difference, run_both
from troth.conformance.reference.rounds import ask_end, cancel, complete, run_round, start, trouble
from troth.conformance.reference.world import Setup, World

__all__ = [
    "Difference",
    "Setup",
    "World",
    "ask_end",
    "cancel",
    "complete",
    "run_both",
    "run_round",
    "start",
    "trouble",
]
