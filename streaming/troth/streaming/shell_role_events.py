"""The newest events of a gateway or a relay, for the page `/events`."""

from __future__ import annotations

import time
from typing import Final

from troth.streaming.happenings import Happenings
from troth.streaming.telemetry import Clock, Telemetry

EVENTS_SHOWN: Final = 512
CLOCK: Final = Clock(lambda: time.time_ns() // 1000, lambda: time.monotonic_ns() // 1000)


class RoleEvents:
    """Takes what a core has noted, and gives it the time at which it was taken."""

    def __init__(self, role: str, happenings: Happenings) -> None:
        self.telemetry = Telemetry(role, "", CLOCK)
        self._happenings = happenings

    def look(self) -> None:
        for happening in self._happenings.take():
            self.telemetry.session_id = happening.session.hex()
            self.telemetry.emit(happening.name, happening.plane, **dict(happening.facts))

    def page(self) -> tuple[int, str]:
        self.look()
        newest = list(self.telemetry.events)[-EVENTS_SHOWN:]
        return 200, "".join(f"{event.line()}\n" for event in newest)
