"""A local type as a picture: an SVG file that needs nothing else and suits light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import cos, hypot, radians, sin
from typing import Final

from troth.dsl.picture_layout import (
    FONT_SIZE,
    HEAD_LENGTH,
    LINE_HEIGHT,
    LOOP_REACH,
    RADIUS,
    START_HEIGHT,
    TEXT_PADDING,
    TITLE_SIZE,
    Course,
    Drawing,
    Loop,
    Point,
    StateBox,
    Text,
    layout,
)
from troth.vm.local_text import format_state
from troth.vm.types import LocalType

_HEAD_HALF_WIDTH: Final = 4.5
_LOOP_DEGREES: Final = 38
_MARGIN: Final = 20

_STYLE: Final = """\
  <style>
    text { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
    .ground { fill: #ffffff; }
    .title, .number { fill: #1f2328; }
    .state { fill: #f6f8fa; stroke: #59636e; }
    .start { fill: none; stroke: #1f2328; }
    .start-mark { fill: #1f2328; }
    .send { fill: none; stroke: #0550ae; }
    .receive { fill: none; stroke: #953800; }
    .send-mark { fill: #0550ae; }
    .receive-mark { fill: #953800; }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; }
      .title, .number { fill: #e6edf3; }
      .state { fill: #161b22; stroke: #9198a1; }
      .start { stroke: #e6edf3; }
      .start-mark { fill: #e6edf3; }
      .send { stroke: #79c0ff; }
      .receive { stroke: #ffa657; }
      .send-mark { fill: #79c0ff; }
      .receive-mark { fill: #ffa657; }
    }
  </style>"""


def to_svg(local: LocalType, title: str) -> str:
    """The picture. The end of a session has a double edge, the beginning an arrow from a dot.

    Raises:
        LimitExceeded: `project.picture`, for a type that is too large to draw.
    """
    drawing = layout(local, title)
    said = "\n".join([format_state(local, number) for number in range(len(local.states))])
    lines = [
        *_opening(drawing, title, said),
        *(_course(course) for course in drawing.courses),
        *(_loop(loop) for loop in drawing.loops),
        *_start(drawing),
        *(line for state in drawing.states for line in _state(state)),
        *(line for text in drawing.texts for line in _text(text)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _opening(drawing: Drawing, title: str, said: str) -> Iterator[str]:
    width, height = _number(drawing.width), _number(drawing.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-size="{FONT_SIZE}">'
    )
    yield f"  <title>{_escape(title)}</title>"
    yield f"  <desc>{_escape(said)}</desc>"
    yield _STYLE
    yield f'  <rect class="ground" width="{width}" height="{height}"/>'
    yield (
        f'  <text class="title" x="{_MARGIN}" y="{_MARGIN + 12}" font-size="{TITLE_SIZE}" '
        f'font-weight="bold">{_escape(title)}</text>'
    )


# --- arcs ----------------------------------------------------------------------------------


def _course(course: Course) -> str:
    points = list(course.points)
    down = (0.0, -1.0) if course.is_upward else (0.0, 1.0)
    tip = points[0] if course.is_upward else points[-1]
    base = Point(tip.x, tip.y - down[1] * HEAD_LENGTH)
    points[0 if course.is_upward else -1] = base
    steps = [f"M{_pair(points[0])}"]
    for before, point in pairwise(points):
        if before.x == point.x:
            steps.append(f"L{_pair(point)}")
            continue
        middle = (before.y + point.y) / 2
        bend = (Point(before.x, middle), Point(point.x, middle), point)
        steps.append("C" + " ".join(map(_pair, bend)))
    return _stroke(" ".join(steps), course.is_send) + "\n" + _head(tip, down, _kind(course.is_send))


def _loop(loop: Loop) -> str:
    angle = radians(_LOOP_DEGREES)
    x, rise = loop.right.x + RADIUS * cos(angle), RADIUS * sin(angle)
    start, tip = Point(x, loop.right.y - rise), Point(x, loop.right.y + rise)
    reach = x + LOOP_REACH + 8
    pull = (Point(reach, start.y - 12), Point(reach, tip.y + 12))
    length = hypot(tip.x - pull[1].x, tip.y - pull[1].y)
    along = ((tip.x - pull[1].x) / length, (tip.y - pull[1].y) / length)
    base = Point(tip.x - along[0] * HEAD_LENGTH, tip.y - along[1] * HEAD_LENGTH)
    path = f"M{_pair(start)} C{_pair(pull[0])} {_pair(pull[1])} {_pair(base)}"
    return _stroke(path, loop.is_send) + "\n" + _head(tip, along, _kind(loop.is_send))


def _stroke(path: str, is_send: bool) -> str:
    return f'  <path class="{_kind(is_send)}" stroke-width="1.5" d="{path}"/>'


def _head(tip: Point, along: tuple[float, float], kind: str) -> str:
    """An arrow's head that points along a direction of length 1."""
    x, y = tip.x - along[0] * HEAD_LENGTH, tip.y - along[1] * HEAD_LENGTH
    aside = (-along[1] * _HEAD_HALF_WIDTH, along[0] * _HEAD_HALF_WIDTH)
    corners = (tip, Point(x + aside[0], y + aside[1]), Point(x - aside[0], y - aside[1]))
    return f'  <polygon class="{kind}-mark" points="{" ".join(map(_pair, corners))}"/>'


def _kind(is_send: bool) -> str:
    return "send" if is_send else "receive"


# --- states and texts ----------------------------------------------------------------------


def _start(drawing: Drawing) -> Iterator[str]:
    for state in drawing.states[:1]:
        tip = Point(state.centre.x, state.centre.y - RADIUS)
        dot = Point(tip.x, tip.y - START_HEIGHT - 3)
        head = Point(tip.x, tip.y - HEAD_LENGTH)
        yield f'  <circle class="start-mark" cx="{_number(dot.x)}" cy="{_number(dot.y)}" r="4"/>'
        yield f'  <path class="start" stroke-width="1.5" d="M{_pair(dot)} L{_pair(head)}"/>'
        yield _head(tip, (0.0, 1.0), "start")


def _state(state: StateBox) -> Iterator[str]:
    insets = (0, 4) if state.is_end else (0,)
    for inset in insets:
        radius = RADIUS - inset
        x, y = state.centre.x - state.flat / 2 - radius, state.centre.y - radius
        yield (
            f'  <rect class="state" stroke-width="1.5" x="{_number(x)}" y="{_number(y)}" '
            f'width="{_number(state.flat + 2 * radius)}" height="{2 * radius}" rx="{radius}"/>'
        )
    y = state.centre.y + FONT_SIZE * 0.36
    yield (
        f'  <text class="number" x="{_number(state.centre.x)}" y="{_number(y)}" '
        f'text-anchor="middle">{state.number}</text>'
    )


def _text(text: Text) -> Iterator[str]:
    x, y = text.centre.x - text.width / 2, text.centre.y - text.height / 2
    yield (
        f'  <rect class="ground" x="{_number(x)}" y="{_number(y)}" '
        f'width="{_number(text.width)}" height="{_number(text.height)}"/>'
    )
    first = text.centre.y - (len(text.lines) - 1) * LINE_HEIGHT / 2 + FONT_SIZE * 0.36
    for number, line in enumerate(text.lines):
        y = first + number * LINE_HEIGHT
        yield (
            f'  <text class="{_kind(text.is_send)}-mark" x="{_number(x + TEXT_PADDING)}" '
            f'y="{_number(y)}" xml:space="preserve">{_escape(line)}</text>'
        )


# --- words ---------------------------------------------------------------------------------


def _pair(point: Point) -> str:
    return f"{_number(point.x)},{_number(point.y)}"


def _number(value: float) -> str:
    """In tenths of a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def _escape(text: str) -> str:
    return "".join(
        [_ENTITIES.get(c, c) if _is_xml(c) else "\N{REPLACEMENT CHARACTER}" for c in text]
    )


def _is_xml(character: str) -> bool:
    """XML has no place for most control characters, not even as entities."""
    return character in "\t\n" or (
        character >= " "
        and not "\ud800" <= character <= "\udfff"
        and character not in "\ufffe\uffff"
    )
