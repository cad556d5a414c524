"""Every limit of the machine, with its name and default.

A limit that matters to the meaning of a run is recorded in the artifact's header, so that a
verifier works under the limits the run had. Decoding limits protect a reader and are its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from troth.vm.errors import Unusable

LIMIT_HIGHEST: Final = 2**63 - 1
"""No limit is greater: a limit is recorded as an integer of 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Run-time limits of one machine. All are integers from 1; others are `Unusable`.

    Attributes:
        sessions_max: sessions that are not yet closed, cancelled or faulted.
        coroutines_max: coroutines that have not ended.
        registers_max: registers of one coroutine.
        roles_max: roles of one session.
        message_bytes_max: canonical bytes of one message payload.
        value_bytes_max: canonical bytes of one value in a register.
        buffer_capacity_max: messages one edge buffer may be configured to hold.
        rounds_max: rounds of one run.
        instructions_max: instructions one coroutine may execute (its cost budget).
        rejects_listed_max: rejected messages listed per edge and code; later ones are counted.
        generation_messages_max: messages of one generation of an edge in mode nullifier.
        speculation_depth_max: speculations of one coroutine within each other.
    """

    sessions_max: int = 100_000
    coroutines_max: int = 100_000
    registers_max: int = 4_096
    roles_max: int = 256
    message_bytes_max: int = 1 << 20
    value_bytes_max: int = 1 << 22
    buffer_capacity_max: int = 65_536
    rounds_max: int = 100_000_000
    instructions_max: int = 10_000_000_000
    rejects_listed_max: int = 8
    generation_messages_max: int = 65_536
    speculation_depth_max: int = 8

    def __post_init__(self) -> None:
        for field in fields(self):
            value: object = getattr(self, field.name)
            if type(value) is not int or not 1 <= value <= LIMIT_HIGHEST:
                raise Unusable(
                    "limits.value",
                    f"the limit {field.name} cannot be used",
                    expected=f"an integer from 1 to {LIMIT_HIGHEST}",
                    actual=_describe(value),
                    advice="Leave the limit out to have its default",
                )


def _describe(value: object) -> str:
    if type(value) is float:
        return str(value)
    if type(value) is not int:
        return f"a {type(value).__name__}"
    return str(value) if value.bit_length() <= 64 else f"one of {value.bit_length()} bits"


DEFAULT_LIMITS: Final = Limits()

# Limits of decoding. They hold before anything is believed about a file.
NESTING_DEPTH_MAX: Final = 32
RECORD_BYTES_MAX: Final = 8 << 20
IMAGE_BYTES_MAX: Final = 8 << 20
NAME_BYTES_MAX: Final = 255
STATES_MAX: Final = 10_000
WITHIN_NS_MAX: Final = 366 * 24 * 3600 * 1_000_000_000
"""The longest clock of a timed choice: a year."""
INSTRUCTIONS_PER_PROGRAM_MAX: Final = 100_000
PROGRAMS_MAX: Final = 10_000
PROTOCOLS_MAX: Final = 10_000
GUARDS_MAX: Final = 10_000
BUNDLES_MAX: Final = 10_000
BUNDLE_CHILDREN_MAX: Final = 64
