"""All rules over a case, in the order of the book: one object for prose, JSON and exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from troth.streaming.doctor import rules_around, rules_connect, rules_media
from troth.streaming.doctor.book import CONTROL, MEDIA, STEPS
from troth.streaming.doctor.case import Case, Source
from troth.streaming.doctor.findings import Finding

FORMAT: Final = 1
EXIT_HEALTHY: Final = 0
EXIT_TROUBLE: Final = 2

Rule = Callable[[Case], Iterator[Finding]]
RULES: Final[tuple[Rule, ...]] = (
    *rules_connect.RULES,
    *rules_media.RULES,
    *rules_around.RULES,
)
_ORDER: Final = {step.number: place for place, step in enumerate(STEPS)}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found. `looked_at` are the steps for which there was something to look at."""

    sources: tuple[str, ...]
    findings: tuple[Finding, ...]
    looked_at: frozenset[str]

    @property
    def troubles(self) -> tuple[Finding, ...]:
        return tuple(found for found in self.findings if found.is_trouble)

    @property
    def plane(self) -> str:
        """Where to look first: without a control plane there is nothing to say about media."""
        planes = {found.illness.plane for found in self.troubles}
        return CONTROL if CONTROL in planes else MEDIA if MEDIA in planes else ""

    @property
    def exit_code(self) -> int:
        return EXIT_TROUBLE if self.troubles else EXIT_HEALTHY

    def lines(self) -> list[str]:
        """For a person, in the order of the book."""
        count = len(self.troubles)
        head = (
            f"{count} {'trouble' if count == 1 else 'troubles'}, first in the {self.plane} plane"
            if count
            else "no trouble found"
        )
        found = [line for item in self.findings for line in item.lines()]
        skipped = [step for step in STEPS if step.number not in self.looked_at]
        rest = [f"not looked at: {step.number} {step.text} ({step.needs})" for step in skipped]
        return [head, *found, *rest]

    def facts(self) -> dict[str, Any]:
        """The same for a machine."""
        found = {item.illness.step for item in self.findings}
        return {
            "format": FORMAT,
            "healthy": not self.troubles,
            "plane": self.plane,
            "exit_code": self.exit_code,
            "sources": list(self.sources),
            "findings": [item.facts() for item in self.findings],
            "steps": [
                {
                    "step": step.number,
                    "text": step.text,
                    "result": _result(step.number, found, self.looked_at),
                }
                for step in STEPS
            ],
        }


def _result(number: str, found: set[str], looked_at: frozenset[str]) -> str:
    return "found" if number in found else "nothing" if number in looked_at else "not_looked_at"


def diagnose(case: Case) -> Diagnosis:
    findings = [found for rule in RULES for found in rule(case)]
    findings.sort(key=lambda found: _ORDER[found.illness.step])
    looked_at = frozenset(step for source in case.sources for step in _steps_of(source))
    return Diagnosis(
        tuple(source.name for source in case.sources),
        tuple(findings),
        looked_at | _steps_of_probes(case) | {found.illness.step for found in findings},
    )


def _steps_of(source: Source) -> Iterator[str]:
    if source.lines:
        yield from ("1", "1.2", "1.5", "2", "2.1", "2.4", "5.3", "5.4", "W2")
        yield from ("2.3", "2.5") if source.role == "host" else ("3",)
    if source.recorded is not None:
        yield from ("1", "1.5", "2.2", "2.4", "3", "W2")
    if source.samples:
        yield "W4"
        if source.role in ("host", "client"):
            yield from ("2", "2.1", "2.2", "5")
        elif source.role == "gateway":
            yield "5.4"


def _steps_of_probes(case: Case) -> frozenset[str]:
    steps: set[str] = set()
    for reach in case.reached:
        steps |= {"1.1"} if reach.role in ("gateway", "relay") else {"1.2", "1.4"}
    if case.target is not None:
        steps |= {"1.2", "1.3", "1.5"}
    if case.mapping is not None:
        steps |= {"1.4", "5.1", "5.2"}
    return frozenset(steps)
