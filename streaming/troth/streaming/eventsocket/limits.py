"""The named limits of an event-socket connection.

A switch is not trusted with our memory or our time: whatever it sends is held only up to a limit,
and one past a limit is a typed error that names it. Times are in seconds where people set them;
the core counts in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from troth.vm.errors import Unusable

NANOSECONDS_PER_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may hold and how long it may take. Each is above 0.

    Attributes:
        header_bytes_max: bytes of one block of header lines.
        header_count_max: lines of one such block, and of one event.
        event_bytes_max: bytes of one event, or of one line of the log.
        body_bytes_max: bytes of the body of a reply.
        json_items_max: items of one event in JSON.
        pending_commands_max: commands that wait for their turn.
        forgotten_replies_max: replies still due to callers who have given up.
        stray_replies_max: replies that nobody asked for, over the whole connection.
        applications_max: applications that are waited for at once.
        events_queued_max: events that wait in one stream, and hooks that wait for their turn.
        hooks_running_max: hooks that run at once.
        set_up_s: seconds for the whole set-up.
        reply_s: seconds for the reply to a command.
        api_reply_s: seconds for the reply to an api command, which runs before it answers.
        latch_s: seconds from the first sign of a call's end to the last.
        hooks_s: seconds for handler and hooks after the end.
        exit_s: seconds for the switch to close after `exit`.
    """

    header_bytes_max: int = 1 << 20
    header_count_max: int = 8_192
    event_bytes_max: int = 4 << 20
    body_bytes_max: int = 16 << 20
    json_items_max: int = 65_536
    pending_commands_max: int = 256
    forgotten_replies_max: int = 64
    stray_replies_max: int = 16
    applications_max: int = 64
    events_queued_max: int = 4_096
    hooks_running_max: int = 1_024
    set_up_s: float = 10.0
    reply_s: float = 30.0
    api_reply_s: float = 300.0
    latch_s: float = 10.0
    hooks_s: float = 30.0
    exit_s: float = 2.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise Unusable(
                    "esl.limits",
                    f"the limit {field.name} is {value}",
                    expected="a number above 0",
                    actual=str(value),
                    advice="Leave it out to get the default",
                )


def nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS_PER_SECOND)
