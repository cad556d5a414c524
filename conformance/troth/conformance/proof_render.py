"""The verdict on a proof as prose. Every piece of text from the proof is escaped here."""

from __future__ import annotations

from typing import Final

from troth.conformance.proof_verdict import EquivocationReport, ProofVerdict
from troth.vm.escape import escape, plain

_LABEL_WIDTH: Final = 11
_HEX_SHOWN: Final = 16


def to_prose(verdict: ProofVerdict) -> str:
    """Several lines for people; the first is the verdict."""
    lines = [f"{_text(verdict.file)}: {verdict.status} (exit {verdict.exit_code})"]
    lines.append(f"  {_sentence(verdict.reason)}")
    if verdict.code is not None:
        lines += ["", *_why(verdict)]
    lines += _facts(verdict)
    if verdict.proves:
        lines += ["", "this proves"]
        lines += [f"  {_text(sentence)}" for sentence in verdict.proves]
    if verdict.does_not_prove:
        lines += ["", "this does not prove"]
        lines += [f"  {sentence}" for sentence in verdict.does_not_prove]
    return "\n".join(lines)


def _why(verdict: ProofVerdict) -> list[str]:
    lines = [f"finding: {verdict.code}"]
    for label, text in (("expected", verdict.expected), ("found", verdict.actual)):
        if text is not None:
            lines.append(_row(label, _text(text)))
    lines.append(_row("advice", verdict.advice or ""))
    lines.append(_row("more", verdict.docs or ""))
    return lines


def _facts(verdict: ProofVerdict) -> list[str]:
    lines = []
    event, run, signer = verdict.event, verdict.run, verdict.signer
    publication = verdict.publication
    if event is not None:
        lines.append(_row("record", f"{event.record} {_text(event.kind)}: {_text(event.said)}"))
        if event.session is not None:
            protocol = "" if event.protocol is None else f" of {_text(event.protocol)}"
            lines.append(_row("session", f"{_short(event.session)}{protocol}"))
        if event.protocol_id is not None:
            lines.append(_row("protocol", _short(event.protocol_id)))
    if verdict.equivocation is not None:
        lines += _equivocation(verdict.equivocation)
    if signer is not None:
        trusted = "not in a trust file"
        if signer.trusted_as is not None:
            trusted = f"trusted as {_text(signer.trusted_as)}"
        name = _text(signer.name) or "(no name)"
        lines.append(_row("signer", f"{name}, key {_short(signer.key)}, {trusted}"))
    if run is not None:
        final = "final" if run.final else "not final"
        head = f"{run.size} leaves, root {_short(run.root)}, {final}"
        lines.append(_row("run", f"log {_short(run.log_id)}, {head}"))
    if publication is not None:
        lines.append(_row("published", _text(publication.origin)))
        head = f"entries {publication.size}, root {_short(publication.root)}"
        lines.append(_row("", head))
        witnesses = ", ".join(_text(one.name) for one in publication.witnesses) or "nobody you know"
        lines.append(_row("witnessed", f"by {witnesses}"))
    return ["", *lines] if lines else []


def _equivocation(report: EquivocationReport) -> list[str]:
    lines = [_row("found", _text(report.what))]
    lines += [_row("one", _text(report.first)), _row("other", _text(report.second))]
    if report.session is not None:
        lines.append(_row("session", f"{_short(report.session)} of {_text(report.protocol or '')}"))
    if report.log_id is not None:
        lines.append(_row("log", _short(report.log_id)))
    if len(report.signers) > 1:
        lines.append(_row("signers", ", ".join(map(_short, report.signers))))
    return lines


def _row(label: str, text: str) -> str:
    return f"  {label:{_LABEL_WIDTH}}{text}"


def _short(digits: str) -> str:
    return f"{digits[:_HEX_SHOWN]}…"


def _text(text: str) -> str:
    return escape(text, characters_max=600)


def _sentence(text: str) -> str:
    shown = plain(text, characters_max=600)
    return shown[:1].upper() + shown[1:].rstrip(".") + "."
