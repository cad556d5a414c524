"""A recorded connection as a script: what to send, and after how many bytes from the other side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes from the switch. They may be sent `wait_s` after the part before, and not before the
    other side has sent `after_commands` commands."""

    data: bytes
    wait_s: float
    after_commands: int


def commands_in(sent: bytes | bytearray) -> int:
    """How many commands without bodies these bytes are."""
    return sent.count(b"\n\n")


def parts(steps: Iterable[tuple[float, str, bytes]]) -> list[Part]:
    """Of steps `(seconds, "rx" or "tx", bytes)`; neighbouring parts are not joined."""
    found: list[Part] = []
    commands, last_s = 0, None
    for at_s, direction, data in steps:
        if direction == "tx":
            commands += commands_in(data)
        else:
            wait_s = 0.0 if last_s is None else max(0.0, at_s - last_s)
            found.append(Part(data, wait_s, commands))
        last_s = at_s
    return found
