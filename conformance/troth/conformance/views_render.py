"""The verdict on several records as prose. Every piece of text from them is escaped here."""

from __future__ import annotations

from typing import Final

from troth.conformance.render import LABEL_WIDTH, finding_lines, row, shorten, text_of
from troth.conformance.verdict import Verdict
from troth.conformance.views_verdict import (
    EdgeReport,
    MergedSession,
    MergedVerdict,
    MergeFinding,
    PartyReport,
    SideReport,
)

_SESSIONS_SHOWN_MAX: Final = 10


def to_prose(verdict: MergedVerdict) -> str:
    """Several lines for people; the first is the verdict, then what does not fit together."""
    count = len(verdict.files)
    lines = [f"{count} records: {verdict.status.value} (exit {verdict.exit_code})"]
    lines.append(f"  {shorten(text_of(verdict.reason))}")
    for number, finding in enumerate(verdict.findings, start=1):
        title = "first finding" if number == 1 else f"finding {number}"
        lines += ["", *_finding(finding, title)]
    if verdict.findings_cut:
        lines += ["", "More findings than these were not collected."]
    for session in verdict.sessions[:_SESSIONS_SHOWN_MAX]:
        lines += ["", *_session(session)]
    more = len(verdict.sessions) - _SESSIONS_SHOWN_MAX + verdict.sessions_more
    if more > 0:
        lines += ["", f"and {more} more sessions of several machines"]
    lines += ["", "records"]
    for view in verdict.views:
        lines += _view(view)
    lines += [f"  {text_of(note)}" for note in verdict.notes]
    return "\n".join(lines)


def _finding(finding: MergeFinding, title: str) -> list[str]:
    lines = [f"{title}: {finding.code} ({finding.category.value})"]
    lines.append(f"  {shorten(text_of(finding.message))}")
    if finding.session is not None:
        lines += row("session", f"{text_of(finding.protocol or '')} {finding.session[:16]}…")
    if finding.blamed is not None:
        lines += row("signed by", shorten(text_of(finding.blamed)))
    for side in finding.sides:
        lines += _side(side)
    if finding.proof is not None:
        lines += row("proof", "write it with --proof-out FILE, for `troth check-proof`")
    lines += row("advice", finding.advice)
    lines += row("more", finding.docs)
    return lines


def _side(side: SideReport) -> list[str]:
    where = "" if side.record is None else f", record {side.record}"
    lines = row("in", f"{text_of(side.file)}{where}: {shorten(text_of(side.said))}")
    for label, value in (("identity", side.identity), ("signature", side.signature)):
        if value is not None:
            lines.append(f"  {'':{LABEL_WIDTH}}{label} {shorten(value)}")
    return lines


def _session(session: MergedSession) -> list[str]:
    lines = [f"session of {text_of(session.protocol)}, id {session.id[:16]}…"]
    lines += [_party(party) for party in session.parties]
    if session.missing:
        names = text_of(", ".join(session.missing))
        lines.append(f"  no record of {names}: nobody's word stands against the others' there")
    lines += [_edge(edge) for edge in session.edges]
    if session.ends_differ:
        lines.append("  the parties saw it end differently, which is not wrong by itself")
    return lines


def _party(party: PartyReport) -> str:
    detail = f": {text_of(party.detail)}" if party.detail else ""
    whole = "" if party.whole else ", not a whole record"
    return (
        f"  {text_of(', '.join(party.roles)) or 'no role'} by {text_of(party.file)}, session "
        f"{party.number}: {party.status}{detail}{whole}"
    )


def _edge(edge: EdgeReport) -> str:
    sent = "not on record" if edge.sent is None else str(edge.sent)
    arrived = "not on record" if edge.arrived is None else str(edge.arrived)
    parts = [f"{sent} sent", f"{arrived} arrived"]
    if edge.sent is not None and edge.arrived is not None:
        parts.append(f"{edge.same} the same in both")
    for number, word in (
        (edge.in_flight, "in flight"),
        (edge.refused, "of them refused on arrival"),
        (edge.ahead, "ahead of the sender's record"),
    ):
        if number:
            parts.append(f"{number} {word}")
    return f"  {text_of(edge.sender)} -> {text_of(edge.receiver)}: {', '.join(parts)}"


def _view(verdict: Verdict) -> list[str]:
    name = text_of(verdict.file) or "artifact"
    lines = [f"  {name}: {verdict.status.value} (exit {verdict.exit_code})"]
    lines.append(f"    {shorten(text_of(verdict.reason))}")
    lines.append(f"    {text_of(verdict.hosting)}")
    if verdict.findings:
        found = finding_lines(verdict.findings[0], "first finding")
        lines += [f"    {line}" for line in found]
    return lines
