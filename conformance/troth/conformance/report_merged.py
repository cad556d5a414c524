"""The part of a page that says how several parties' records fit together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce

from troth.conformance.render import shorten
from troth.conformance.report_markup import Html, join, tag
from troth.conformance.views_verdict import (
    EdgeReport,
    MergedSession,
    MergedVerdict,
    MergeFinding,
    PartyReport,
    SideReport,
)
from troth.vm.escape import escape

SESSIONS_SHOWN_MAX = 20
_HEADS = ("edge", "sent", "arrived", "the same", "in flight", "ahead")


def merged_section(verdict: MergedVerdict, names: Sequence[str]) -> Html:
    """What all records say together: it stands before the verdict on each.

    `names` are what the page calls the files.
    """
    verdict = _renamed(verdict, names)
    shown = verdict.sessions[:SESSIONS_SHOWN_MAX]
    more = len(verdict.sessions) - len(shown) + verdict.sessions_more
    notes = list(verdict.notes)
    if more:
        notes.append(f"{more:,} more sessions of several machines.")
    return tag(
        "section",
        tag(
            "div",
            tag("span", "⇄", class_="mark", aria_hidden="true"),
            tag(
                "div",
                tag("h1", f"{len(verdict.files)} records together: {verdict.status.value}"),
                tag("p", _short(verdict.reason), class_="reason"),
            ),
            class_="head",
        ),
        *_findings(verdict),
        *map(_session, shown),
        *(tag("p", _short(note), class_="note") for note in notes),
        class_=f"verdict merged {verdict.status.value}",
        aria_label="Verdict on all records together",
    )


def _renamed(verdict: MergedVerdict, names: Sequence[str]) -> MergedVerdict:
    """With the page's names for the files, wherever one of them is named."""
    called = dict(zip(verdict.files, names, strict=True))
    longest_first = sorted(called, key=len, reverse=True)

    def said(text: str) -> str:
        return reduce(lambda t, file: t.replace(file, called[file]), longest_first, text)

    return replace(
        verdict,
        files=tuple(names),
        reason=said(verdict.reason),
        notes=tuple(map(said, verdict.notes)),
        findings=tuple(
            replace(one, sides=tuple(replace(s, file=names[s.view]) for s in one.sides))
            for one in verdict.findings
        ),
        sessions=tuple(
            replace(one, parties=tuple(replace(p, file=names[p.view]) for p in one.parties))
            for one in verdict.sessions
        ),
    )


def _findings(verdict: MergedVerdict) -> list[Html]:
    if not verdict.findings:
        return []
    cut = ["More findings than these were not collected."] if verdict.findings_cut else []
    return [
        tag("h2", "What does not fit together"),
        *(_finding(one, number) for number, one in enumerate(verdict.findings)),
        *(tag("p", text, class_="note") for text in cut),
    ]


def _finding(finding: MergeFinding, number: int) -> Html:
    proof = []
    if finding.proof is not None:
        proof = [
            tag("p", "The proof, for troth check-proof:", class_="where"),
            tag("pre", finding.proof, class_="proof", tabindex="0"),
        ]
    return tag(
        "details",
        tag(
            "summary",
            tag("code", finding.code),
            tag("span", finding.category.value, class_="category"),
            tag("span", _short(finding.message), class_="message"),
        ),
        tag(
            "div",
            tag("p", _where(finding), class_="where"),
            tag("dl", *map(_side, finding.sides), class_="sides"),
            *proof,
            tag("p", finding.advice + ".", class_="advice"),
            class_="body",
        ),
        class_="finding",
        open=number == 0,
    )


def _where(finding: MergeFinding) -> str:
    parts = []
    if finding.session is not None:
        parts.append(f"session {finding.session[:16]}… of {_short(finding.protocol or '')}")
    for name, value in (("edge", finding.edge), ("signed by", finding.blamed)):
        if value is not None:
            parts.append(f"{name} {_short(value)}")
    return " · ".join(parts)


def _side(side: SideReport) -> Html:
    record = "" if side.record is None else f"record {side.record:,}"
    signed = [] if side.signature is None else [tag("dd", f"signature {side.signature}")]
    return tag(
        "div",
        tag("dt", _short(side.file), tag("span", record, class_="whose")),
        tag("dd", _short(side.said)),
        *signed,
    )


def _session(session: MergedSession) -> Html:
    parties = [tag("li", _party(one)) for one in session.parties]
    if session.missing:
        parties.append(tag("li", f"no record of {_short(', '.join(session.missing))}"))
    if session.ends_differ:
        parties.append(tag("li", "The parties saw it end differently."))
    heads = tag("tr", *(tag("th", name, scope="col") for name in _HEADS))
    table = tag(
        "table", tag("thead", heads), tag("tbody", *map(_edge, session.edges)), class_="together"
    )
    return join(
        tag("h2", f"Session of {_short(session.protocol)}, id {session.id[:16]}…"),
        tag("ul", *parties, class_="parties"),
        tag("div", table, class_="scrolled", tabindex="0", role="group", aria_label="Edges"),
    )


def _party(party: PartyReport) -> str:
    detail = f": {_short(party.detail)}" if party.detail else ""
    whole = "" if party.whole else ", not a whole record"
    roles = _short(", ".join(party.roles)) or "no role"
    return f"{roles} by {_short(party.file)}: {party.status}{detail}{whole}"


def _edge(edge: EdgeReport) -> Html:
    name = tag("th", f"{_short(edge.sender)} → {_short(edge.receiver)}", scope="row")
    return tag("tr", name, *_figures((edge.sent, edge.arrived, edge.same)), *_figures(_odd(edge)))


def _odd(edge: EdgeReport) -> tuple[int, int]:
    return edge.in_flight, edge.ahead


def _figures(values: Iterable[int | None]) -> list[Html]:
    return [tag("td", "?" if one is None else f"{one:,}", class_="figure") for one in values]


def _short(text: str) -> str:
    return shorten(escape(text, characters_max=600))
