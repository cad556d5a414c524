"""The verdict as prose. Every piece of text from the file is escaped here, and only here."""

from __future__ import annotations

import re
from typing import Final

from troth.conformance.codes import EXIT_INCOMPLETE, EXIT_VALID
from troth.conformance.verdict import Finding, LevelResult, PrincipalReport, Verdict
from troth.vm.escape import escape

LABEL_WIDTH: Final = 11
_HEX_SHOWN: Final = 16
_LONG_HEX: Final = re.compile(r"\b[0-9a-f]{32,}\b")


def to_prose(verdict: Verdict) -> str:
    """Several lines for people; the first is the verdict, then the first divergence."""
    lines = [
        f"{escape(verdict.file) or 'artifact'}: {verdict.status.value} (exit {verdict.exit_code})"
    ]
    lines.append(f"  {shorten(text_of(verdict.reason))}")
    if verdict.findings:
        lines += ["", *finding_lines(verdict.findings[0], "first finding")]
        for number, finding in enumerate(verdict.findings[1:], start=2):
            lines += ["", *finding_lines(finding, f"finding {number}")]
        if verdict.findings_cut:
            lines += ["", "More findings than these were not collected."]
    lines += ["", "levels"]
    lines += [_level(level) for level in verdict.levels]
    lines += ["", *_principals(verdict), "", *_facts(verdict)]
    if verdict.exit_code == EXIT_VALID:
        lines += ["", *_LIMITS_OF_A_VERDICT]
    return "\n".join(lines)


_LIMITS_OF_A_VERDICT: Final = (
    "What this does not say: that the recorder left out no session, that the values are true,",
    "or when it happened other than by the recorder's own word.",
)


def finding_lines(finding: Finding, title: str) -> list[str]:
    """One finding as several lines, all of it escaped."""
    lines = [f"{title}: {finding.code} ({finding.category.value}, level {finding.level})"]
    lines.append(f"  {shorten(text_of(finding.message))}")
    lines += row("where", shorten(_where(finding)))
    if finding.said:
        lines += row("record", shorten(text_of(finding.said)))
    if finding.expected is not None:
        expected = shorten(text_of(finding.expected))
        lines += row("expected", f"{expected}  [{text_of(finding.expected_side)}]")
    if finding.actual is not None:
        actual = shorten(text_of(finding.actual))
        lines += row("found", f"{actual}  [{text_of(finding.actual_side)}]")
    if finding.position is not None:
        first, *rest = finding.position.split("\n")
        lines += row("position", text_of(first))
        lines += [f"  {'':{LABEL_WIDTH}}{text_of(line)}" for line in rest]
    for number, line in enumerate(finding.context):
        lines += row("before" if number == 0 else "", shorten(text_of(line)))
    lines += row("advice", finding.advice)
    lines += row("more", finding.docs)
    return lines


def _where(finding: Finding) -> str:
    parts = [f"byte {finding.offset}"]
    if finding.record is not None:
        parts.append(f"record {finding.record}")
    for name in ("session", "edge", "role"):
        value: str | None = getattr(finding, name)
        if value is not None:
            parts.append(f"{name} {text_of(value)}")
    if finding.program is not None:
        parts.append(f"program {text_of(finding.program)}")
    if finding.line is not None:
        parts.append(f"line {finding.line}")
    return ", ".join(parts)


def shorten(text: str) -> str:
    """Ids, keys and roots by their beginning: a person compares no more, JSON has the rest."""
    return _LONG_HEX.sub(lambda match: f"{match[0][:_HEX_SHOWN]}…", text)


def row(label: str, text: str) -> list[str]:
    """A line of a verdict in prose, as a list, so that it can be left out."""
    return [f"  {label:{LABEL_WIDTH}}{text}"]


def text_of(text: str) -> str:
    """What came from outside, made safe for a terminal and clipped."""
    return escape(text, characters_max=600)


def _level(level: LevelResult) -> str:
    mark = "ok" if level.ok else ("failed" if level.ran else "not run")
    why = f": {text_of(level.why)}" if level.why else ""
    return f"  {level.level} {text_of(level.name):12} {mark}{why}"


def _principals(verdict: Verdict) -> list[str]:
    if not verdict.principals:
        return ["principals: none"]
    lines = ["principals"]
    for principal in verdict.principals:
        roles = ", ".join(principal.roles) or "no role"
        observed = ", ".join(principal.observed)
        where = "" if principal.here else ", held by another machine"
        standing = f"{_trusted(principal, verdict)}{where}"
        lines.append(f"  {text_of(principal.name) or '(no name)'}: {standing}")
        if principal.roles or not observed:
            lines.append(f"    signed for {text_of(roles)}")
        if observed:
            lines.append(f"    observed {text_of(observed)}, which signed nothing itself")
        lines.append(f"    key {text_of(principal.key)}")
    return [*lines, f"  {text_of(verdict.hosting)}"]


def _trusted(principal: PrincipalReport, verdict: Verdict) -> str:
    if principal.contradicted:
        return "CONTRADICTED, the trust file has another key for this name"
    if principal.trusted_as is not None:
        return f"trusted as {text_of(principal.trusted_as)}"
    return "not in the trust file" if verdict.trust_given else "not trusted, no trust file given"


def _facts(verdict: Verdict) -> list[str]:
    counts = verdict.counts
    lines = []
    for pin in verdict.pins:
        by = "by the protocol you pinned," if pin.pinned else "by the file's own protocol"
        lines.append(
            f"sessions judged {by} {text_of(pin.protocol)} id {text_of(pin.id)}: {pin.sessions}"
        )
    if verdict.image is not None:
        where = "in the file" if verdict.image_in_file else "not in the file"
        where += ", pinned by you" if verdict.image_pinned else ""
        lines.append(f"image {text_of(verdict.image)} ({where})")
    lines.append(
        f"{_count(counts.sessions, 'session')} ({counts.closed} closed, "
        f"{counts.cancelled} cancelled, {counts.faulted} faulted, {counts.open} open), "
        f"{_count(counts.messages, 'message')} sent, "
        f"{counts.received} received, {counts.undelivered} undelivered, {counts.rejects} rejected"
    )
    if counts.overwritten or counts.dropped:
        lines.append(
            f"{_count(counts.overwritten, 'message')} overwritten, {counts.dropped} dropped "
            "before signing: they may be lost"
        )
    if counts.refused:
        lines.append(f"{_count(counts.refused, 'message')} of other machines refused on arrival")
    lines.append(_sealing(verdict))
    lines += _protection(verdict)
    if counts.incarnations:
        lines.append(f"the run was resumed {_count(counts.incarnations, 'time')} after a stop")
    if verdict.outcome_recorded is not None:
        lines.append(f"the run's outcome, as recorded: {text_of(verdict.outcome_recorded)}")
    if verdict.fragment is not None:
        lines.append(f"fragment {text_of(verdict.fragment)}")
    return lines


def _protection(verdict: Verdict) -> list[str]:
    protection = verdict.protection
    lines = [
        f"the run replaced the scripts' {what} by {text_of(by)}"
        for what, by in (
            ("replay mode", protection.replay_override),
            ("seal", protection.seal_override),
        )
        if by is not None
    ]
    if protection.sessions_off:
        number = _count(protection.sessions_off, "session")
        edges = text_of(", ".join(protection.edges_off))
        lines.append(f"{number} with edges where a repeated message was not refused: {edges}")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _sealing(verdict: Verdict) -> str:
    sealing = verdict.sealing
    if sealing.complete:
        return f"sealed to the end: {verdict.counts.records} records, {verdict.counts.bytes} bytes"
    tail = f"{sealing.unsealed} records are not covered by any seal"
    if verdict.exit_code == EXIT_INCOMPLETE:
        return f"sealed up to record {sealing.records} (exclusive); {tail}"
    return f"seals were followed up to record {sealing.records} (exclusive); {tail}"
