"""What became of a session, as a value and as lines of JSON, and the sums over all of them.

No report holds a number, a name or an argument of a caller: only the channel's UUID.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Final

from troth.streaming.eventsocket.endings import Outcome
from troth.streaming.eventsocket.limits import NANOSECONDS_PER_SECOND

PREFIX: Final = "troth_esl_"
HOOKS_RUNNING: Final = "hooks_running"
GAUGES: Final = frozenset({HOOKS_RUNNING, "sessions_open"})


class HandlerEnd(Enum):
    """What became of a call's handler."""

    NOT_STARTED = "not started"
    RETURNED = "returned"
    ENDED_WITH_CALL = "ended with the call"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Counts:
    """What is counted while a session runs; `hooks_running` is how many do now."""

    events: int = 0
    commands_answered: int = 0
    commands_refused: int = 0
    commands_failed: int = 0
    commands_forgotten: int = 0
    hooks_run: int = 0
    hooks_running: int = 0
    hooks_failed: int = 0
    hooks_cancelled: int = 0
    remarks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """How one session went. `set_up_ns` is None when it was never set up.

    `session` is its number in this server or client. Hooks that are still running in its counts
    have ignored that they were cancelled.

    `record` is the file of its record, when there is one, and `record_failure` why that is not
    whole.
    """

    session: int
    uuid: str | None
    outcome: Outcome
    handler: HandlerEnd
    duration_ns: int
    set_up_ns: int | None
    counts: Counts
    record: str | None = None
    record_failure: str | None = None

    def json(self) -> str:
        """One line for a log."""
        return json.dumps(
            {
                "event": "session ended",
                "session": self.session,
                "uuid": self.uuid,
                "ending": self.outcome.ending.value,
                "missing": list(self.outcome.missing),
                "detail": self.outcome.detail,
                "handler": self.handler.value,
                "duration_ns": self.duration_ns,
                "set_up_ns": self.set_up_ns,
                "record": self.record,
                "record_failure": self.record_failure,
                **asdict(self.counts),
            }
        )


def told(event: str, session: int, **more: object) -> str:
    """A line for a log about a session that goes on."""
    return json.dumps({"event": event, "session": session, **more})


@dataclass(slots=True)
class Metrics:
    """Sums over the sessions of one server or client; `snapshot` gives them as plain numbers."""

    sessions_started: int = 0
    sessions_set_up: int = 0
    sessions_ended: int = 0
    refused: int = 0
    set_up_ns_sum: int = 0
    endings: dict[str, int] = field(default_factory=dict)
    handlers: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    live: dict[int, Counts] = field(default_factory=dict)

    @property
    def sessions_open(self) -> int:
        return self.sessions_started - self.sessions_ended

    def started(self) -> None:
        self.sessions_started += 1

    def watch(self, counts: Counts, session: int = 0) -> None:
        """Hooks that run are counted there, until the session of that number has ended.

        0 is no session's number: such counts are watched for ever.
        """
        self.live[session] = counts

    def ended(self, report: SessionReport) -> None:
        self.sessions_ended += 1
        self.live.pop(report.session, None)
        if report.set_up_ns is not None:
            self.sessions_set_up += 1
            self.set_up_ns_sum += report.set_up_ns
        _count(self.endings, report.outcome.ending.value)
        _count(self.handlers, report.handler.value)
        for name, value in asdict(report.counts).items():
            if name != HOOKS_RUNNING:
                _count(self.totals, name, value)

    def snapshot(self) -> Mapping[str, int | float]:
        """Names such as `sessions_open` and `ended_time_limit`."""
        numbers: dict[str, int | float] = {
            "sessions_started": self.sessions_started,
            "sessions_open": self.sessions_open,
            "sessions_set_up": self.sessions_set_up,
            "sessions_refused": self.refused,
            "set_up_s_sum": self.set_up_ns_sum / NANOSECONDS_PER_SECOND,
            HOOKS_RUNNING: sum(counts.hooks_running for counts in self.live.values()),
        }
        for prefix, counted in (("ended", self.endings), ("handler", self.handlers)):
            for name in sorted(counted):
                numbers[f"{prefix}_{name.replace(' ', '_')}"] = counted[name]
        return numbers | {name: self.totals[name] for name in sorted(self.totals)}

    def prometheus(self) -> str:
        """The same as a page for Prometheus."""
        lines = []
        for name, value in self.snapshot().items():
            kind = "gauge" if name in GAUGES else "counter"
            lines += [f"# TYPE {PREFIX}{name} {kind}", f"{PREFIX}{name} {value}"]
        return "".join(f"{line}\n" for line in lines)


def _count(counted: dict[str, int], name: str, by: int = 1) -> None:
    counted[name] = counted.get(name, 0) + by
