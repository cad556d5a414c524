"""Applications that are waited for, by the UUID that was sent with them.

Any other completion finishes nobody: that of an application inside of another, that of `socket`
itself, which every call has at its end, or that of an application whose caller has given up.
With `loops` one UUID completes several times; the switch stops early when a round was short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.streaming.eventsocket.completion import Completion
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.limits import Limits
from troth.vm.errors import LimitExceeded

EXECUTE: Final = "CHANNEL_EXECUTE"
EXECUTE_COMPLETE: Final = "CHANNEL_EXECUTE_COMPLETE"

SHORT_ROUND_US: Final = 600_000
"""The switch ends a loop after a round under half a second. Its clock is read a little later than
the events', and to stop waiting early does no harm, so there is a tenth to spare."""


@dataclass(slots=True)
class Running:
    """`accepted` once the switch has said that it queued the application."""

    serial: int
    label: str
    loops: int = 1
    accepted: bool = False
    rounds: int = 0
    round_began_us: int | None = None


class Applications:
    """The applications of one connection that have not completed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_uuid: dict[str, Running] = {}

    def __len__(self) -> int:
        return len(self._by_uuid)

    def add(self, uuid: str, running: Running) -> None:
        """Waits for a completion from now on.

        Raises:
            LimitExceeded: too many are waited for already.
        """
        if len(self._by_uuid) >= self._limits.applications_max:
            raise LimitExceeded(
                "esl.limit.applications_max",
                "there are too many applications on this connection",
                expected=f"at most applications_max={self._limits.applications_max}",
                actual="more",
                advice="Wait for completions before executing more",
            )
        self._by_uuid[uuid] = running

    def accept(self, serial: int) -> bool:
        """The command of that serial was accepted. Whether it is an application's."""
        for running in self._by_uuid.values():
            if running.serial == serial:
                running.accepted = True
                return True
        return False

    def forget(self, serial: int) -> None:
        self._by_uuid = {
            uuid: running for uuid, running in self._by_uuid.items() if running.serial != serial
        }

    def observe(self, event: Event) -> tuple[Running, Completion] | None:
        """The application that this event finishes, if it finishes one."""
        name = event.name
        if not self._by_uuid or name not in (EXECUTE, EXECUTE_COMPLETE):
            return None
        uuid = event.get("Application-UUID")
        running = None if uuid is None else self._by_uuid.get(uuid)
        if uuid is None or running is None:
            return None
        now_us = _timestamp_us(event)
        if name == EXECUTE:
            running.round_began_us = now_us
            return None
        running.rounds += 1
        if running.rounds < running.loops and not _ends_loop(running, event, now_us):
            return None
        del self._by_uuid[uuid]
        return running, Completion(event, running.rounds)

    def close(self) -> list[Running]:
        """Everybody who still waits."""
        left = list(self._by_uuid.values())
        self._by_uuid.clear()
        return left


def _ends_loop(running: Running, event: Event, now_us: int | None) -> bool:
    if event.get("Answer-State") == "hangup":
        return True
    began_us = running.round_began_us
    return began_us is not None and now_us is not None and now_us - began_us < SHORT_ROUND_US


def _timestamp_us(event: Event) -> int | None:
    stated = event.get("Event-Date-Timestamp") or ""
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 20 else None
