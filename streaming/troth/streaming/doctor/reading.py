"""Reads what roles have written: events, a line each, and metrics. All of it may be hostile."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from troth.streaming.adaptation import Decision
from troth.streaming.doctor.case import At, Line, Sample
from troth.streaming.media.viewing import Epoch
from troth.streaming.session.recorded import Recorded, decision_of, epoch_of
from troth.streaming.telemetry import EVENT_NAMES, Fact
from troth.vm.errors import LimitExceeded, Malformed

EVENTS_MAX: Final = 200_000
LINE_CHARACTERS_MAX: Final = 16_384
SAMPLES_MAX: Final = 20_000
EPOCHS_MAX: Final = 400_000
INTEGER_MAX: Final = 1 << 62
DIGITS_MAX: Final = 24

_SAMPLE: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_]{0,127})(?:\{(?P<labels>[^\n]{0,2000})\})? (?P<value>[-+.0-9eE]{1,40})"
)
_LABEL: Final = re.compile(r'([a-z_]{1,64})="((?:[^"\\]|\\.){0,400})"(?:,|$)')
_ESCAPED: Final = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def read_events(lines: Iterable[str]) -> tuple[tuple[Line, ...], int]:
    """The events, and how many lines were none.

    Raises:
        Malformed: code `doctor.events`, when no line is an event.
        LimitExceeded: code `doctor.events`.
    """
    found: list[Line] = []
    unread = 0
    for number, text in enumerate(lines, 1):
        if number > EVENTS_MAX:
            raise LimitExceeded(
                "doctor.events",
                "there are too many events",
                expected=f"at most {EVENTS_MAX} lines",
                actual="more",
                advice="Give the part of the file around the trouble",
            )
        line = _line(number, text)
        if line is not None:
            found.append(line)
        elif text.strip():
            unread += 1
    if unread and not found:
        raise Malformed(
            "doctor.events",
            "these are no events of a session",
            expected="lines of JSON with the names of events",
            actual=f"{unread} other lines",
            advice="Give the `.events` files that `--record` leaves behind",
        )
    return tuple(found), unread


def _line(number: int, text: str) -> Line | None:
    if len(text) > LINE_CHARACTERS_MAX:
        return None
    try:
        value: Any = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_none)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    name = value.get("event")
    if not isinstance(name, str) or name not in EVENT_NAMES:
        return None
    facts = {key: fact for key, fact in value.items() if _is_fact(fact)}
    return Line(number, name, facts)


def _is_fact(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _whole(text: str) -> int:
    if len(text) > DIGITS_MAX or abs(value := int(text)) > INTEGER_MAX:
        raise ValueError
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _none(_: str) -> Fact:
    """NaN and the infinities are no JSON."""
    raise ValueError


def read_metrics(text: str) -> tuple[Sample, ...]:
    """What Prometheus would read; lines of another form are left out.

    Raises:
        LimitExceeded: code `doctor.metrics`.
    """
    found: list[Sample] = []
    for line in text.splitlines():
        match = _SAMPLE.fullmatch(line.strip()) if not line.startswith("#") else None
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        if not math.isfinite(value):
            continue
        labels = {name: _unescaped(said) for name, said in _LABEL.findall(match["labels"] or "")}
        found.append(Sample(match["name"], labels, value))
        if len(found) > SAMPLES_MAX:
            raise LimitExceeded(
                "doctor.metrics",
                "there are too many metrics",
                expected=f"at most {SAMPLES_MAX} samples",
                actual="more",
            )
    return tuple(found)


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPED.get(found[0], found[0]), text)


def epochs_of(recorded: Recorded) -> tuple[At, ...]:
    """The epochs of a record in order, each with its decision when there is one.

    Raises:
        Malformed: code `stream.record`.
    """
    found: list[At] = []
    report: Epoch | None = None
    at_ms = 0
    for said in recorded.control:
        if len(found) >= EPOCHS_MAX:
            break
        if said.label == "report" and said.values:
            if report is not None:
                found.append(_at(len(found), at_ms, report, None))
                at_ms = found[-1].ends_ms
            report = epoch_of(said.values[0])
        elif said.label == "adapt" and said.values and report is not None:
            found.append(_at(len(found), at_ms, report, decision_of(said.values[0])))
            at_ms, report = found[-1].ends_ms, None
    if report is not None:
        found.append(_at(len(found), at_ms, report, None))
    return tuple(found)


def _at(number: int, at_ms: int, report: Epoch, decision: Decision | None) -> At:
    return At(number, at_ms, at_ms + max(0, report.span_ms), report, decision)
