"""What came of an application: the event that says that it is done."""

from __future__ import annotations

from dataclasses import dataclass

from troth.streaming.eventsocket.event import Event


@dataclass(frozen=True, slots=True)
class Completion:
    """The `CHANNEL_EXECUTE_COMPLETE` of one application, found by the UUID that was sent."""

    event: Event
    rounds: int = 1

    @property
    def application(self) -> str | None:
        return self.event.get("Application")

    @property
    def response(self) -> str | None:
        """`Application-Response`, such as `FILE PLAYED`; None when there is none."""
        text = self.event.get("Application-Response")
        return None if text == "_none_" else text

    @property
    def hung_up(self) -> bool:
        """The call was over when the application ended."""
        return self.event.get("Answer-State") == "hangup"

    @property
    def hangup_cause(self) -> str | None:
        return self.event.get("Hangup-Cause")

    def variable(self, name: str) -> str | None:
        return self.event.variable(name)
