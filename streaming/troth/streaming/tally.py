"""Counters, gauges and one histogram, and the text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.streaming.metric_names import PREFIX, SESSION_METRICS

QUEUE_DELAY_BOUNDS_MS: Final = (1, 2, 5, 10, 20, 40, 80, 160, 320)
LABEL_CHARACTERS_MAX: Final = 400


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

    def take_in(self, other: Histogram) -> None:
        self.count += other.count
        self.total += other.total
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]


@dataclass(slots=True)
class Tally:
    """What was counted; the keys of `counters` are a name and its written labels."""

    counters: dict[tuple[str, str], float] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    queue_delay_ms: Histogram = field(default_factory=lambda: Histogram(QUEUE_DELAY_BOUNDS_MS))

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        key = (name, _labels(labels))
        self.counters[key] = self.counters.get(key, 0) + by

    def put(self, name: str, value: float, **labels: str) -> None:
        """A count that is kept elsewhere."""
        self.counters[name, _labels(labels)] = value

    def take_in(self, other: Tally) -> None:
        """Adds a session that is over; of what is so now, its values are the newest."""
        for key, value in other.counters.items():
            self.counters[key] = self.counters.get(key, 0) + value
        self.gauges.update(other.gauges)
        self.queue_delay_ms.take_in(other.queue_delay_ms)

    def with_other(self, other: Tally) -> Tally:
        """Both together, in a new one."""
        found = Tally()
        found.take_in(self)
        found.take_in(other)
        return found

    @property
    def relay_ratio(self) -> float:
        """Of the time on all paths, the share that went through a relay."""
        times = {
            labels: value
            for (name, labels), value in self.counters.items()
            if name == "path_seconds_total"
        }
        whole = sum(times.values())
        return times.get('kind="relay"', 0.0) / whole if whole > 0 else 0.0

    def prometheus(self, role: str) -> str:
        """The exposition format, version 0.0.4; what there is of the table of metrics."""
        self.gauges["relay_ratio"] = self.relay_ratio
        return "".join(f"{line}\n" for line in self._lines(_labels({"role": role})))

    def _lines(self, role: str) -> Iterator[str]:
        names = {name for name, _ in self.counters}
        for name in sorted(names):
            yield from _head(name)
            for (found, labels), value in sorted(self.counters.items()):
                if found == name:
                    joined = ",".join(part for part in (role, labels) if part)
                    yield f"{PREFIX}{name}{{{joined}}} {_number(value)}"
        for name, value in sorted(self.gauges.items()):
            yield from _head(name)
            yield f"{PREFIX}{name}{{{role}}} {_number(value)}"
        if self.queue_delay_ms.count:
            yield from self._histogram(role)

    def _histogram(self, role: str) -> Iterator[str]:
        name, delays = f"{PREFIX}queue_delay_ms", self.queue_delay_ms
        yield from _head("queue_delay_ms")
        for bound, count in zip(delays.bounds, delays.counts, strict=True):
            yield f'{name}_bucket{{{role},le="{bound}"}} {count}'
        yield f'{name}_bucket{{{role},le="+Inf"}} {delays.count}'
        yield f"{name}_sum{{{role}}} {delays.total}"
        yield f"{name}_count{{{role}}} {delays.count}"


def _head(name: str) -> Iterator[str]:
    metric = SESSION_METRICS[name]
    yield f"# HELP {PREFIX}{name} {metric.text}"
    yield f"# TYPE {PREFIX}{name} {metric.kind.value}"


def _number(value: float) -> str:
    """Whole numbers in full: `g` would round those above a million."""
    return str(int(value)) if value == int(value) else f"{value:.6g}"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))


def _escaped(value: str) -> str:
    cut = value[:LABEL_CHARACTERS_MAX]
    return cut.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
