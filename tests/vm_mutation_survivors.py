"""Changes to the machine that no test can notice, and why: they change nothing that it does.

By module, function and the change in the words of `vm_mutants.change_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXPLAINED: Final[Mapping[tuple[str, str, str], str]] = {
    ("consumption", "_in_sequence", "sequence < expected  ->  sequence <= expected"): (
        "equal numbers have been answered one line before"
    ),
    ("operators", "_add", "5  ->  6"): (
        "a text that may be too long by this estimate is counted exactly: one byte more here only "
        "counts a few texts more"
    ),
    (
        "scheduler",
        "_set_timer",
        "len(self.timers) > max(STALE_TIMERS_MAX, 2 * len(self.sessions.live))  ->  "
        "len(self.timers) >= max(STALE_TIMERS_MAX, 2 * len(self.sessions.live))",
    ): "clocks of ended sessions are swept one clock earlier; they are passed over in any case",
    ("step_receive", "_match", "len(values) == len(fields)  ->  len(values) != len(fields)"): (
        "the machine itself has made these values for the same label, so their number is right, "
        "and a no only means that the payload is decoded and compared, with the same outcome"
    ),
    ("step_receive", "_match", "True  ->  False"): (
        "`zip` compares lengths that are equal: they have been compared before it"
    ),
    ("step_spawn", "_arguments", "True  ->  False"): (
        "`zip` compares lengths that are equal: they have been compared before it"
    ),
}
