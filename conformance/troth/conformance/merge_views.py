"""One of several records that are compared: what it says, and how far it is believed."""

from __future__ import annotations

from typing import Final, NamedTuple

from troth.conformance.claims import Reopen
from troth.conformance.verdict import Finding, Verdict
from troth.conformance.view_facts import SessionFacts, ViewFacts

EVERYTHING: Final = 1 << 63


class View(NamedTuple):
    """One party's record.

    Attributes:
        place: among the records that were given.
        until: the first record that is not believed: level 1 or 2 refuses it.
        whole: it goes to its end, and levels 1 to 3 hold.
    """

    place: int
    file: str
    verdict: Verdict
    facts: ViewFacts
    reopen: Reopen
    until: int
    whole: bool

    def shares_a_log(self, other: View) -> bool:
        return not self.facts.logs.keys().isdisjoint(other.facts.logs)


class Half(NamedTuple):
    """A view of one session."""

    view: View
    session: SessionFacts


def view_of(place: int, file: str, verdict: Verdict, facts: ViewFacts, reopen: Reopen) -> View:
    wrong = [
        finding.record
        for finding in verdict.findings
        if _breaks(finding) and finding.record is not None
    ]
    until = min(wrong, default=EVERYTHING)
    holds = all(level.ok for level in verdict.levels[:3])
    whole = verdict.sealing.complete and holds and not wrong and not facts.is_cut
    return View(place, file, verdict, facts, reopen, until, whole)


def _breaks(finding: Finding) -> bool:
    """Whether what comes after it proves nothing."""
    return finding.level <= 2 and not finding.code.startswith(("incomplete.", "trust."))
