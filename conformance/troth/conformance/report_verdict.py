"""The verdict part of the page: plain HTML that is there before, and without, any script."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from troth.conformance.codes import EXIT_VALID
from troth.conformance.render import shorten
from troth.conformance.report_markup import Html, join, tag
from troth.conformance.report_model import View
from troth.conformance.verdict import (
    Finding,
    LevelResult,
    PinReport,
    PrincipalReport,
    Verdict,
    Word,
)
from troth.vm.escape import escape

PRINCIPALS_MAX: Final = 100
TEXT_CHARACTERS_MAX: Final = 600
_MARKS: Final = {
    Word.VALID: "✓",
    Word.INVALID: "✕",
    Word.UNSUPPORTED: "?",
    Word.INCOMPLETE: "…",
    Word.SELF_CONSISTENT: "≈",
}
_LIMITS_OF_A_VERDICT: Final = (
    "What this does not say: that the recorder left out no session, that the values are true, "
    "or when it happened other than by the recorder's own word."
)


def verdict_section(view: View, place: int = 0, *, named: bool = False) -> Html:
    """Word, reason, levels, findings, who signed, and what is in the file.

    `place` is that of the view among those of the page; `named` says whose verdict it is.
    """
    verdict = view.verdict
    return tag(
        "section",
        *([tag("p", _short(view.name), class_="file")] if named else []),
        _head(verdict),
        _levels(verdict.levels),
        *_findings(verdict, place),
        tag(
            "div",
            _principals(verdict),
            _facts(view),
            class_="pair",
        ),
        *_left_out(view.left_out),
        class_=f"verdict {verdict.status.value}",
        aria_label="Verdict",
    )


def _head(verdict: Verdict) -> Html:
    caveat = (
        [tag("p", _LIMITS_OF_A_VERDICT, class_="caveat")] if verdict.exit_code == EXIT_VALID else []
    )
    return tag(
        "div",
        tag("span", _MARKS[verdict.status], class_="mark", aria_hidden="true"),
        tag(
            "div",
            tag("h1", verdict.status.value.capitalize()),
            tag("p", _short(verdict.reason), class_="reason"),
            *caveat,
        ),
        class_="head",
    )


# --- levels --------------------------------------------------------------------------------


def _levels(levels: Iterable[LevelResult]) -> Html:
    return tag("ol", *map(_level, levels), class_="levels", aria_label="Levels of verification")


def _level(level: LevelResult) -> Html:
    state = "ok" if level.ok else ("failed" if level.ran else "not run")
    why = [tag("span", _shown(level.why), class_="why")] if level.why else []
    return tag(
        "li",
        tag("span", str(level.level), class_="number", aria_hidden="true"),
        tag("span", _shown(level.name), class_="name"),
        tag("span", state, class_="state"),
        *why,
        class_=state.replace(" ", "-"),
    )


# --- findings ------------------------------------------------------------------------------


def _findings(verdict: Verdict, view: int) -> list[Html]:
    if not verdict.findings:
        return []
    count = len(verdict.findings)
    title = "What is wrong" if count == 1 else f"What is wrong: {count} findings"
    cut = (
        [tag("p", "More findings than these were not collected.", class_="note")]
        if verdict.findings_cut
        else []
    )
    return [
        tag("h2", title),
        *(_finding(finding, number, view) for number, finding in enumerate(verdict.findings)),
        *cut,
    ]


def _finding(finding: Finding, number: int, view: int) -> Html:
    # A script shows the button, since without one it would do nothing.
    place = tag(
        "button",
        "Show in place",
        type="button",
        class_="place",
        hidden=True,
        data_view=str(view),
        data_finding=str(number),
    )
    return tag(
        "details",
        tag(
            "summary",
            tag("code", finding.code),
            tag("span", f"{finding.category.value}, level {finding.level}", class_="category"),
            tag("span", _short(finding.message), class_="message"),
        ),
        tag(
            "div",
            _sides(finding),
            _context(finding),
            _position(finding),
            tag("p", finding.advice + ".", class_="advice"),
            place,
            class_="body",
        ),
        class_="finding",
        open=number == 0,
    )


def _sides(finding: Finding) -> Html:
    """Expected and found next to each other, each with whose word it is."""
    sides = [
        tag(
            "div",
            tag("dt", name, tag("span", _shown(whose), class_="whose")),
            tag("dd", _shown(said)),
            class_=name.lower(),
        )
        for name, said, whose in (
            ("Expected", finding.expected, finding.expected_side),
            ("Found", finding.actual, finding.actual_side),
        )
        if said is not None
    ]
    return tag("dl", *sides, class_="sides") if sides else join()


def _context(finding: Finding) -> Html:
    lines = [tag("li", _short(line)) for line in finding.context]
    if finding.said:
        lines.append(tag("li", _short(finding.said), class_="here"))
    where = [tag("p", _where(finding), class_="where")]
    return join(*where, tag("ol", *lines, class_="context") if lines else "")


def _where(finding: Finding) -> str:
    parts = [f"byte {finding.offset:,}"]
    if finding.record is not None:
        parts.append(f"record {finding.record:,}")
    for name, value in (
        ("session", finding.session),
        ("edge", finding.edge),
        ("role", finding.role),
        ("program", finding.program),
    ):
        if value is not None:
            parts.append(f"{name} {_short(value)}")
    if finding.line is not None:
        parts.append(f"line {finding.line}")
    return " · ".join(parts)


def _position(finding: Finding) -> Html:
    if finding.position is None:
        return join()
    lines = [
        tag("li", _shown(line.removeprefix("> ")), class_="here" if line.startswith(">") else None)
        for line in finding.position.split("\n")
    ]
    return join(
        tag("p", "Position in the local type", class_="where"),
        tag("ol", *lines, class_="position"),
    )


# --- who and what --------------------------------------------------------------------------


def _principals(verdict: Verdict) -> Html:
    shown = verdict.principals[:PRINCIPALS_MAX]
    more = len(verdict.principals) - len(shown)
    rows = [_principal(principal, verdict) for principal in shown]
    if more:
        rows.append(tag("li", f"and {more:,} more", class_="note"))
    if not rows:
        rows = [tag("li", "Nobody signed anything in this file.", class_="note")]
    return tag(
        "div",
        tag("h2", "Who signed"),
        tag("ul", *rows, class_="principals"),
        tag("p", _shown(verdict.hosting), class_="note"),
    )


def _principal(principal: PrincipalReport, verdict: Verdict) -> Html:
    if principal.contradicted:
        standing, word = "contradicted", "the trust file has another key for this name"
    elif principal.trusted_as is not None:
        standing, word = "trusted", f"trusted as {_shown(principal.trusted_as)}"
    elif verdict.trust_given:
        standing, word = "unknown", "not in the trust file"
    else:
        standing, word = "unknown", "no trust file given"
    if not principal.here:
        word += ", held by another machine"
    return tag(
        "li",
        tag("strong", _shown(principal.name) or "(no name)"),
        tag("span", word, class_="standing"),
        tag("span", _shown(_roles(principal)), class_="roles"),
        tag("code", _shown(principal.key)),
        class_=standing,
    )


def _roles(principal: PrincipalReport) -> str:
    observed = [f"observed {role}" for role in principal.observed]
    return ", ".join([*principal.roles, *observed]) or "no role"


def _facts(view: View) -> Html:
    rows = [
        tag("div", tag("dt", name), tag("dd", value))
        for name, value in (*view.facts, *map(_pin, view.verdict.pins), *_protection(view.verdict))
    ]
    return tag("div", tag("h2", "What is in it"), tag("dl", *rows, class_="facts"))


def _pin(pin: PinReport) -> tuple[str, str]:
    by = "pinned by you" if pin.pinned else "by the file's own word"
    sessions = f"{pin.sessions:,} session{'' if pin.sessions == 1 else 's'}"
    return "protocol", f"{_shown(pin.protocol)}, {by}, {sessions}, id {pin.id}"


def _protection(verdict: Verdict) -> list[tuple[str, str]]:
    protection = verdict.protection
    if not protection.sessions_off:
        return []
    edges = _shown(", ".join(protection.edges_off))
    return [("repeats not refused", f"in {protection.sessions_off:,} sessions: {edges}")]


def _left_out(sentences: tuple[str, ...]) -> list[Html]:
    if not sentences:
        return []
    items = [tag("li", sentence) for sentence in sentences]
    return [tag("div", tag("h2", "Not on this page"), tag("ul", *items), class_="left-out")]


def _short(text: str) -> str:
    """Ids, keys and roots by their beginning where they stand in a sentence."""
    return shorten(_shown(text))


def _shown(text: str) -> str:
    return escape(text, characters_max=TEXT_CHARACTERS_MAX)
