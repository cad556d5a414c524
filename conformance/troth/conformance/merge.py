"""Judges several records of the same sessions together: what each party says, side by side.

Every record has been verified by itself before. What is compared here is what those checks cannot
see: whether the parties recorded the same messages, and whether anybody told two stories.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from troth.conformance.batch import WORST_FIRST
from troth.conformance.codes import EXIT_INVALID, EXIT_VALID
from troth.conformance.merge_edges import compare_edge, edges_of
from troth.conformance.merge_findings import Findings
from troth.conformance.merge_heads import compare_heads
from troth.conformance.merge_meetings import compare_meetings
from troth.conformance.merge_statements import compare_statements
from troth.conformance.merge_views import Half, View
from troth.conformance.verdict import Word
from troth.conformance.views_verdict import EdgeReport, MergedSession, MergedVerdict, PartyReport
from troth.vm.events import Status
from troth.vm.keys import TrustFile
from troth.vm.lifecycle import LIVE

SESSIONS_LISTED_MAX: Final = 50
NOTES_MAX: Final = 50


def merge(views: Sequence[View], trust: TrustFile | None = None) -> MergedVerdict:
    """The verdict on all of them, those of each by itself among it."""
    notes, distinct = _distinct(views)
    findings = Findings(trust)
    compare_heads(distinct, findings)
    sessions: list[MergedSession] = []
    same = in_flight = shared = spread = 0
    for halves in _by_session(distinct):
        edges = []
        for edge in edges_of(halves):
            result = compare_edge(halves, edge)
            edges.append(result.report)
            findings.add_edge(result)
        compare_statements(halves, findings)
        shared += len(halves) > 1
        same += sum(edge.same for edge in edges)
        in_flight += sum(edge.in_flight for edge in edges)
        if any(half.session.is_spread for half in halves):
            spread += 1
            if len(sessions) < SESSIONS_LISTED_MAX:
                sessions.append(_session(halves, edges))
    notes += compare_meetings(distinct, findings)
    if len(distinct) > 1 and not shared:
        notes.append("No two of the records have a session in common: nothing was compared.")
    exit_code = _exit_code(views, findings)
    return MergedVerdict(
        files=tuple(view.file for view in views),
        exit_code=exit_code,
        status=_word(views, exit_code),
        reason=_reason(views, findings, exit_code, _agreement(shared, same, in_flight)),
        findings=findings.found,
        findings_cut=findings.is_cut,
        sessions=tuple(sessions),
        sessions_more=spread - len(sessions),
        messages_same=same,
        messages_in_flight=in_flight,
        notes=(*notes, *_cuts(distinct))[:NOTES_MAX],
        views=tuple(view.verdict for view in views),
    )


def _distinct(views: Sequence[View]) -> tuple[list[str], list[View]]:
    """Without copies of one file; what is said about records of one run."""
    notes: list[str] = []
    distinct: list[View] = []
    for view in views:
        copy = next((one for one in distinct if _is_copy(one, view)), None)
        if copy is not None:
            notes.append(f"{view.file} is a copy of {copy.file}: it adds nothing.")
            continue
        for one in distinct:
            if one.shares_a_log(view):
                notes.append(f"{one.file} and {view.file} are two records of one run.")
        distinct.append(view)
    return notes, distinct


def _is_copy(one: View, other: View) -> bool:
    return (one.facts.records, one.facts.digest) == (other.facts.records, other.facts.digest)


def _by_session(views: Sequence[View]) -> Iterator[list[Half]]:
    """The halves of each session, in the order of the first record that has it."""
    seen: set[bytes] = set()
    for view in views:
        for identity, session in view.facts.sessions.items():
            if identity in seen or session.record >= view.until:
                continue
            seen.add(identity)
            halves = [
                Half(other, other.facts.sessions[identity])
                for other in views
                if identity in other.facts.sessions
            ]
            yield [half for half in halves if half.session.record < half.view.until]


# --- words -----------------------------------------------------------------------------------


def _session(halves: Sequence[Half], edges: Sequence[EdgeReport]) -> MergedSession:
    session = halves[0].session
    here = {role for half in halves for role in half.session.here}
    ends = {half.session.status for half in halves if half.session.status not in LIVE}
    return MergedSession(
        id=session.id.hex(),
        protocol=session.protocol,
        parties=tuple(_party(half) for half in halves),
        missing=tuple(role for role in session.roles if role not in here),
        edges=tuple(edges),
        ends_differ=len(ends) > 1,
    )


def _party(half: Half) -> PartyReport:
    view, session = half.view, half.session
    return PartyReport(
        view=view.place,
        file=view.file,
        number=session.index,
        roles=tuple(role for role in session.roles if role in session.here),
        status=Status(session.status).name.lower(),
        detail=session.detail,
        whole=view.whole,
    )


def _cuts(views: Sequence[View]) -> Iterator[str]:
    for view in views:
        if view.facts.is_cut:
            yield f"{view.file} holds more than is compared: what comes after that is not."
        elif view.until <= view.facts.records:
            yield f"{view.file} is not believed from record {view.until} on."


def _exit_code(views: Sequence[View], findings: Findings) -> int:
    if findings.found:
        return EXIT_INVALID
    codes = {view.verdict.exit_code for view in views}
    return next((code for code in WORST_FIRST if code in codes), EXIT_VALID)


def _word(views: Sequence[View], exit_code: int) -> Word:
    return next(
        (view.verdict.status for view in views if view.verdict.exit_code == exit_code),
        Word.INVALID,
    )


def _agreement(shared: int, same: int, in_flight: int) -> str:
    if not shared:
        return "they have no session in common"
    flying = f", with {in_flight} in flight" if in_flight else ""
    return f"together they agree on {same} message{'' if same == 1 else 's'}{flying}"


def _reason(views: Sequence[View], findings: Findings, exit_code: int, agreement: str) -> str:
    if findings.found:
        text = findings.found[0].message
        return text[:1].upper() + text[1:] + "."
    if len(views) == 1:
        return views[0].verdict.reason
    if exit_code == EXIT_VALID:
        return f"Every record holds by itself; {agreement}."
    worst = next(view for view in views if view.verdict.exit_code == exit_code)
    return f"{worst.file}: {worst.verdict.reason} Of the records: {agreement}."
