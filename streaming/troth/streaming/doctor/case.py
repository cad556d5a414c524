"""What the doctor looks at: events, records and metrics of roles, and what probes have found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from troth.streaming.adaptation import Decision
from troth.streaming.media.viewing import Epoch
from troth.streaming.paths.gather import NatMapping
from troth.streaming.session.recorded import Recorded
from troth.streaming.telemetry import Fact

ROLES: Final = ("gateway", "relay", "host", "client")


@dataclass(frozen=True, slots=True)
class Line:
    """One event and where it stands."""

    number: int
    name: str
    facts: Mapping[str, Fact]

    def whole(self, name: str) -> int:
        """A number of the event; 0 where there is none."""
        found = self.facts.get(name)
        return int(found) if isinstance(found, int | float) else 0

    def text(self, name: str) -> str:
        found = self.facts.get(name)
        return "" if found is None else str(found)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class At:
    """One epoch of a record: what was seen, what was decided, and when, from the first on."""

    number: int
    begins_ms: int
    ends_ms: int
    report: Epoch
    decision: Decision | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One thing that was given.

    Attributes:
        live: whether it is a process that runs, so that an end is not to be expected.
        unread: lines that were no events.
    """

    name: str
    role: str = ""
    live: bool = False
    lines: tuple[Line, ...] = ()
    unread: int = 0
    samples: tuple[Sample, ...] = ()
    recorded: Recorded | None = None
    epochs: tuple[At, ...] = ()

    def events(self, *names: str) -> Iterator[Line]:
        return (line for line in self.lines if line.name in names)

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples with that name and these labels; 0 of none."""
        return sum(sample.value for sample in self.found(name, **labels))

    def found(self, name: str, **labels: str) -> Iterator[Sample]:
        wanted = labels.items()
        return (
            sample
            for sample in self.samples
            if sample.name == name and all(sample.labels.get(k) == v for k, v in wanted)
        )

    def has(self, name: str) -> bool:
        return any(True for _ in self.found(name))


class ReachState(StrEnum):
    """Whether a role answers at its metrics."""

    READY = "ready"
    NOT_READY = "not_ready"
    UNRESPONSIVE = "unresponsive"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Reach:
    """What asking a running role gave; `text` is what it or the system said."""

    role: str
    address: str
    state: ReachState
    text: str


class TargetState(StrEnum):
    """What is at an address that should be a host's."""

    HOST = "host"
    REFUSED = "refused"
    SILENT = "no_answer"
    STRANGER = "stranger"
    OTHER_VERSION = "version_mismatch"


@dataclass(frozen=True, slots=True)
class Target:
    address: str
    state: TargetState
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """Everything together."""

    sources: tuple[Source, ...] = ()
    reached: tuple[Reach, ...] = ()
    target: Target | None = None
    mapping: NatMapping | None = None

    def of(self, role: str) -> Iterator[Source]:
        return (source for source in self.sources if source.role == role)
