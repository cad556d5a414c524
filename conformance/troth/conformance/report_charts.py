"""Draws curves as pictures that need no script: one small chart for each kind of value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from troth.conformance.report_curves import CHARTS, Chart, Curves, Line
from troth.conformance.report_markup import Html, join, tag

WIDTH: Final = 640
HEIGHT: Final = 170
LEFT: Final = 72
RIGHT: Final = 10
TOP: Final = 10
BOTTOM: Final = 28
POINTS_MAX: Final = 500
"""Points of one line; of more epochs each point is the highest of several."""


def curves_section(curves: Curves, name: str) -> Html:
    """Nothing for a record without epochs; `name` is that of the view, when there are several."""
    if not curves.ends_ms:
        return join()
    seconds = curves.ends_ms[-1] / 1000
    title = f"Adaptation, {name}" if name else "Adaptation"
    said = f"{len(curves.ends_ms):,} reports over {seconds:,.1f} seconds, as the record says."
    if curves.is_cut:
        said += " Later ones are not drawn."
    return tag(
        "section",
        tag("h2", title),
        tag("p", said, class_="note"),
        tag("div", *(_chart(chart, curves) for chart in CHARTS), class_="charts"),
        class_="curves",
        aria_label=title,
    )


def _chart(chart: Chart, curves: Curves) -> Html:
    lines = [line for line in chart.lines if _known(curves, line)]
    if not lines:
        return join()
    highest = max(max(_known(curves, line)) / line.divisor for line in lines)
    top = highest or 1.0
    keys = [
        tag("span", _key(line, curves, chart.unit), class_=f"key line-{number}")
        for number, line in enumerate(lines)
    ]
    drawn = [
        tag("polyline", points=" ".join(points), class_=f"line-{number}")
        for number, line in enumerate(lines)
        for points in _runs(curves, line, top)
    ]
    picture = tag(
        "svg",
        *_frame(curves, f"{top:,.4g}"),
        *drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{chart.title}: {'; '.join(_key(line, curves, chart.unit) for line in lines)}",
    )
    unit = f" ({chart.unit})" if chart.unit else ""
    caption = tag("figcaption", tag("span", f"{chart.title}{unit}", class_="name"), *keys)
    return tag("figure", caption, picture)


def _known(curves: Curves, line: Line) -> list[int]:
    return [value for value in curves.values.get(line.field, ()) if value is not None]


def _key(line: Line, curves: Curves, unit: str) -> str:
    known = [value / line.divisor for value in _known(curves, line)]
    return f"{line.name}: {min(known):,.4g} to {max(known):,.4g} {unit}".rstrip()


def _frame(curves: Curves, top: str) -> Iterator[Html]:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for y in (TOP, floor):
        yield tag("line", x1=str(LEFT), x2=str(right), y1=str(y), y2=str(y), class_="grid")
    yield tag("text", top, x=str(LEFT - 6), y=str(TOP + 6), class_="end")
    yield tag("text", "0", x=str(LEFT - 6), y=str(floor + 6), class_="end")
    yield tag("text", "0 s", x=str(LEFT), y=str(HEIGHT - 6))
    yield tag(
        "text", f"{curves.ends_ms[-1] / 1000:,.1f} s", x=str(right), y=str(HEIGHT - 6), class_="end"
    )


def _runs(curves: Curves, line: Line, top: float) -> Iterator[list[str]]:
    """Stretches of epochs that have the value; a gap is a gap."""
    values = curves.values[line.field]
    step = -(-len(values) // POINTS_MAX)
    run: list[str] = []
    for start in range(0, len(values), step):
        known = [value for value in values[start : start + step] if value is not None]
        if not known:
            if run:
                yield run
            run = []
            continue
        end_ms = curves.ends_ms[min(start + step, len(values)) - 1]
        x = LEFT + (WIDTH - LEFT - RIGHT) * end_ms / curves.ends_ms[-1]
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * max(known) / line.divisor / top
        run.append(f"{x:.1f},{y:.1f}")
    if run:
        yield run
