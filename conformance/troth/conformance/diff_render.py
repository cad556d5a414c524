"""A comparison of two runs as prose. Every piece of text from the files is escaped here."""

from __future__ import annotations

from typing import Final

from troth.conformance.run_diff import DifferenceReport, DiffReport, SideReport
from troth.vm.escape import escape

_LABEL_WIDTH: Final = 9


def to_prose(report: DiffReport) -> str:
    """Several lines for people; the first says whether the runs are the same."""
    a, b = _text(report.a), _text(report.b)
    lines = [f"A {a}", f"B {b}", f"{report.status} (exit {report.exit_code}): {report.reason}"]
    if report.first is not None:
        lines += ["", *_difference(report.first, "first difference")]
    for other in report.others:
        lines += ["", *_difference(other, "then", context=False)]
    more = report.tracks_differing - len(report.others) - (report.first is not None)
    if more:
        lines += ["", f"and {more} more places where the runs part"]
    lines += ["", f"{report.actions} actions are the same in both"]
    if report.contents_unknown:
        lines.append(f"of {report.contents_unknown} of them the content is not in both files")
    if report.tracks_given_up:
        lines.append(f"{report.tracks_given_up} tracks were too far apart to be compared")
    for name, early in (("A", report.a_stops_early), ("B", report.b_stops_early)):
        if early:
            lines.append(f"{name} stops before the end of its run")
    if report.setup:
        lines += ["", "the runs were made with different"]
        lines += [
            f"  {_text(one.name)}: A {_text(one.a)}, B {_text(one.b)}" for one in report.setup
        ]
    return "\n".join(lines)


def _difference(one: DifferenceReport, title: str, *, context: bool = True) -> list[str]:
    what = _what(one)
    lines = [f"{title}: {_text(one.where)}, {what}"]
    lines.append(_row("A", _said(one.a)))
    lines.append(_row("B", _said(one.b)))
    if context:
        for number, line in enumerate(one.before):
            lines.append(_row("before" if number == 0 else "", _text(line)))
    return lines


def _what(one: DifferenceReport) -> str:
    if one.a is None:
        return "which goes on in B only"
    if one.b is None:
        return "which goes on in A only"
    return "with another content" if one.only_content else "which does something else"


def _said(side: SideReport | None) -> str:
    if side is None:
        return "nothing more"
    return f"record {side.record}, byte {side.offset}: {_text(side.said)}"


def _row(label: str, text: str) -> str:
    return f"  {label:{_LABEL_WIDTH}}{text}"


def _text(text: str) -> str:
    return escape(text, characters_max=400)
