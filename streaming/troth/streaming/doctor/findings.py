"""A finding, and what stands for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from troth.streaming.doctor.book import ILLNESSES, Illness, Weight
from troth.vm.escape import plain

EVIDENCE_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Evidence:
    """`where` is a line, a report or a metric of the source `source`."""

    source: str
    where: str
    what: str

    def text(self) -> str:
        return plain(f"{self.source}, {self.where}: {self.what}", characters_max=300)

    def facts(self) -> dict[str, str]:
        return {"source": self.source, "where": self.where, "what": self.what}


@dataclass(frozen=True, slots=True)
class Finding:
    """One trouble or note, with its code. `counted` is how much evidence there is in all."""

    code: str
    evidence: tuple[Evidence, ...]
    counted: int

    @property
    def illness(self) -> Illness:
        return ILLNESSES[self.code]

    @property
    def is_trouble(self) -> bool:
        return self.illness.weight is Weight.TROUBLE

    def lines(self) -> list[str]:
        illness = self.illness
        more = self.counted - len(self.evidence)
        return [
            f"step {illness.step}, {illness.plane} plane: {illness.text} [{self.code}]",
            *(f"  seen: {item.text()}" for item in self.evidence),
            *([f"  seen: {more} more"] if more > 0 else []),
            f"  cause: {illness.cause}",
            f"  do: {illness.advice}",
        ]

    def facts(self) -> dict[str, Any]:
        illness = self.illness
        return {
            "code": self.code,
            "step": illness.step,
            "plane": illness.plane,
            "weight": illness.weight.value,
            "text": illness.text,
            "cause": illness.cause,
            "advice": illness.advice,
            "evidence": [item.facts() for item in self.evidence],
            "evidence_count": self.counted,
        }


def finding(code: str, evidence: list[Evidence]) -> Finding:
    """With the first pieces of evidence, and the count of all."""
    return Finding(code, tuple(evidence[:EVIDENCE_SHOWN]), len(evidence))
