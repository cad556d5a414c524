"""One stage's view of the diagnostics: it remembers whether that stage refused something.

A mistake is one place and one code. A sub-protocol is expanded into every protocol that uses it,
so the same mistake is met several times, under other role names: only the first is reported,
but every stage that meets it has failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from troth.dsl.ast import Span
from troth.dsl.diag import Diagnostic, Diagnostics, Severity

ERRORS_MAX: Final = 500
"""Mistakes in protocols that are listed; a file with more has one cause that matters."""

_Result = TypeVar("_Result")


@dataclass(slots=True)
class Report:
    """`owner` is the protocol the stage works on; `seen`, shared by all reports on one script,
    says who reported a mistake first.
    """

    diagnostics: Diagnostics
    owner: str = ""
    seen: dict[tuple[str, Span], str] = field(default_factory=dict)
    failed: bool = False

    def add(self, diagnostic: Diagnostic, *, per_role: bool = False) -> None:
        """`per_role` mistakes may be several in one place, one for each role."""
        if diagnostic.severity is Severity.ERROR:
            self.failed = True
        key = (diagnostic.code, diagnostic.span)
        is_new = key not in self.seen
        if is_new and len(self.seen) >= ERRORS_MAX:
            return
        first_owner = self.seen.setdefault(key, self.owner)
        if is_new or (per_role and first_owner == self.owner):
            self.diagnostics.add(diagnostic)

    def fresh(self, owner: str) -> Report:
        """A report of another stage on the same script."""
        return Report(self.diagnostics, owner, self.seen)

    def collect(self, work: Callable[[Diagnostics], _Result]) -> _Result:
        """Runs a pass that knows only `Diagnostics`, and takes over what it adds."""
        own = Diagnostics(self.diagnostics.file, self.diagnostics.text)
        result = work(own)
        for diagnostic in own.found:
            self.add(diagnostic)
        return result
