"""Structured events and metrics of one role, in the words that operators look for.

An event is one line of JSON. What comes from the other side is cut and escaped by the encoder,
and the newest events push out the oldest: nothing here grows with the length of a session.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

EVENTS_KEPT: Final = 4096
TEXT_CHARACTERS_MAX: Final = 400
QUEUE_DELAY_BOUNDS_MS: Final = (1, 2, 5, 10, 20, 40, 80, 160, 320)

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
    "peer_degraded",
    "peer_recovered",
    "peer_lost",
    "revoked",
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


@dataclass(slots=True)
class Histogram:
    """How often a value was at most so much."""

    bounds: tuple[int, ...]
    counts: list[int] = field(default_factory=list)
    total: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        self.counts = [0] * len(self.bounds)

    def add(self, value: int) -> None:
        self.count += 1
        self.total += value
        for place, bound in enumerate(self.bounds):
            if value <= bound:
                self.counts[place] += 1


class Telemetry:
    """Of one role of one session. `on_event` gets each event as it happens."""

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
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.counters: dict[tuple[str, str], float] = {}
        self.gauges: dict[str, float] = {}
        self.queue_delay_ms = Histogram(QUEUE_DELAY_BOUNDS_MS)
        self._clock = clock
        self._on_event = on_event

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
        key = (name, _labels(labels))
        self.counters[key] = self.counters.get(key, 0) + by

    def prometheus(self) -> str:
        """The metrics as Prometheus reads them."""
        lines: list[str] = []
        common = {"role": self.role}
        for name in sorted({name for name, _ in self.counters}):
            lines.append(f"# TYPE troth_stream_{name} counter")
            for (found, labels), value in sorted(self.counters.items()):
                if found == name:
                    joined = ",".join(part for part in (_labels(common), labels) if part)
                    lines.append(f"troth_stream_{name}{{{joined}}} {value:g}")
        for name, value in sorted(self.gauges.items()):
            lines.append(f"# TYPE troth_stream_{name} gauge")
            lines.append(f"troth_stream_{name}{{{_labels(common)}}} {value:g}")
        lines += self._histogram(_labels(common))
        return "\n".join(lines) + "\n"

    def _histogram(self, labels: str) -> list[str]:
        name, delays = "troth_stream_queue_delay_ms", self.queue_delay_ms
        lines = [f"# TYPE {name} histogram"]
        for bound, count in zip(delays.bounds, delays.counts, strict=True):
            lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {count}')
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {delays.count}')
        lines.append(f"{name}_sum{{{labels}}} {delays.total}")
        lines.append(f"{name}_count{{{labels}}} {delays.count}")
        return lines


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))


def _escaped(value: str) -> str:
    cut = value[:TEXT_CHARACTERS_MAX]
    return cut.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
