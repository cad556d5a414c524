"""Compares how machines met: a session that a party joined has to be in that party's record.

A role's nonce comes from its machine's seed, so a record shows by itself which sessions are of its
run, or of one of the same image and seed. A principal can keep several runs; a session of another
run is no concern of this record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from troth.conformance.merge_findings import Findings, Place
from troth.conformance.merge_views import Half, View
from troth.conformance.view_facts import SessionFacts
from troth.vm import statements

NONCES_MAX: Final = 1_000_000
"""Nonces that are derived to find out whose run a session is of."""

NOTES_MAX: Final = 20


def compare_meetings(views: Sequence[View], findings: Findings) -> list[str]:
    """Finds sessions that a party joined and whose record has not; returns what is no finding."""
    return list(dict.fromkeys(_Comparison(views, findings).notes()))[:NOTES_MAX]


class _Comparison:
    def __init__(self, views: Sequence[View], findings: Findings) -> None:
        self._views = views
        self._findings = findings
        self._nonces_left = NONCES_MAX

    def notes(self) -> Iterator[str]:
        for view in self._views:
            for session in view.facts.sessions.values():
                if session.is_spread and session.record < view.until:
                    for role in session.roles:
                        if role not in session.here:
                            yield from self._away(Half(view, session), role)

    def _away(self, half: Half, role: str) -> Iterator[str]:
        """A role of another machine, whose record may be among those given."""
        session = half.session
        for other in self._views:
            if other is half.view or session.id in other.facts.sessions:
                continue
            if session.keys[role] not in other.facts.logs.values() or not other.whole:
                continue
            where = f"{half.view.file} has a session of {session.protocol} with {role}"
            # Seeds that were given can be those of another script, too.
            same = other.facts.image_id == half.view.facts.image_id
            if not same or not self._is_of(other, session, role):
                yield f"{where}, of another run than {other.file}."
            elif role not in session.joined:
                yield f"{where}, who never joined it; {other.file} does not have it."
            else:
                self._unrecorded(half, role, other)

    def _unrecorded(self, half: Half, role: str, lacks: View) -> None:
        record = half.session.joined[role]
        if record < half.view.until:
            text = f"{role} takes part in the session"
            self._findings.add_unrecorded(half, text, role, Place(half.view, record), lacks)

    def _is_of(self, other: View, session: SessionFacts, role: str) -> bool:
        """Whether the role's nonce is one that the other record's run made."""
        facts, wanted = other.facts, session.nonces.get(role)
        for coroutine, opened in facts.openers.items():
            # The next one, too: a record can stop before a session that was agreed on.
            for index in range(opened + 1):
                if self._nonces_left <= 0:
                    return False
                self._nonces_left -= 1
                if statements.role_nonce(facts.seed, coroutine, index, role) == wanted:
                    return True
        return False
