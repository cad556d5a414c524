"""Structured events and metrics of one role, in the words that operators look for.

An event is one line of JSON. What comes from the other side is cut and escaped by the encoder,
and the newest events push out the oldest: nothing here grows with the length of a session.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from troth.streaming.tally import Tally

EVENTS_KEPT: Final = 4096
TEXT_CHARACTERS_MAX: Final = 400
DIRECT: Final = "direct"
RELAY: Final = "relay"

Fact: TypeAlias = "str | int | float | bool | list[str] | None"

EVENT_NAMES: Final = (
    "session_start",
    "candidate",
    "path_nominated",
    "handshake_start",
    "handshake_ok",
    "handshake_fail",
    "media_start",
    "adapt",
    "fec_change",
    "path_change",
    "freeze",
    "idr_request",
    "input_latency",
    "load",
    "sound",
    "peer_degraded",
    "peer_recovered",
    "peer_lost",
    "revoked",
    "registered",
    "relay_gone",
    "refused",
    "lease",
    "lease_rejected",
    "rebound",
    "monitor_selected",
    "cap",
    "session_end",
)


class Event(dict[str, Fact]):
    """One event; a dictionary, since readers of JSON want one."""

    def line(self) -> str:
        return json.dumps(self, ensure_ascii=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the times of events come from: microseconds since 1970, and of a monotonic clock."""

    utc_us: Callable[[], int]
    mono_us: Callable[[], int]


class Telemetry:
    """Of one role of one session. `on_event` gets each event as it happens.

    Attributes:
        tally: the metrics.
        before_reading: brings metrics up to date that are kept elsewhere.
    """

    def __init__(
        self,
        role: str,
        session_id: str,
        clock: Clock,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.role = role
        self.session_id = session_id
        self.path_id = 0
        self.path_kind = DIRECT
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.tally = Tally()
        self.before_reading: Callable[[], None] = lambda: None
        self._clock = clock
        self._on_event = on_event
        self._path_since_us: int | None = None

    def emit(self, name: str, plane: str = "media", **facts: Fact) -> Event:
        """`plane` is `control` or `media`: where the trouble is, if it is trouble."""
        return self._happened(name, plane, facts)

    def _happened(self, name: str, plane: str, facts: Mapping[str, Fact]) -> Event:
        event = Event(
            event=name,
            ts_utc_us=self._clock.utc_us(),
            ts_mono_us=self._clock.mono_us(),
            role=self.role,
            session_id=self.session_id,
            path_id=self.path_id,
            plane=plane,
        )
        for key, fact in facts.items():
            event[key] = fact[:TEXT_CHARACTERS_MAX] if isinstance(fact, str) else fact
        self.events.append(event)
        if self._on_event is not None:
            self._on_event(event)
        return event

    def moved(self, name: str, before: Fact, after: Fact, **facts: Fact) -> Event:
        """Something went from one value to another."""
        return self._happened(name, "media", {"from": before, "to": after, **facts})

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        self.tally.count(name, by, **labels)

    @property
    def gauges(self) -> dict[str, float]:
        return self.tally.gauges

    # --- the path in use ---------------------------------------------------------------------

    def path_begins(self) -> None:
        """From now on time is spent on a path."""
        self.path_settle()
        self._path_since_us = self._clock.mono_us()

    def path_is(self, kind: str) -> None:
        """The path is of that kind from now on, or will be when the session begins."""
        self.path_settle()
        self.path_kind = kind

    def path_ends(self) -> None:
        """The session is over."""
        self.path_settle()
        self._path_since_us = None

    def path_settle(self) -> None:
        """Books the time on the present path up to now."""
        now_us, since_us = self._clock.mono_us(), self._path_since_us
        if since_us is not None:
            self.count("path_seconds_total", (now_us - since_us) / 1e6, kind=self.path_kind)
            self._path_since_us = now_us

    def prometheus(self) -> str:
        """The metrics of this session as Prometheus reads them."""
        return self.read().prometheus(self.role)

    def read(self) -> Tally:
        """The metrics, brought up to date."""
        self.path_settle()
        self.before_reading()
        return self.tally
