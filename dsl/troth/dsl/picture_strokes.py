"""The arcs of a drawing as the paths and polygons that SVG wants, for whoever draws it.

A stroke is one arc: where its line runs, and the corners of the arrow's head at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import cos, hypot, radians, sin
from typing import Final, NamedTuple

from troth.dsl.picture_layout import (
    HEAD_LENGTH,
    LOOP_REACH,
    RADIUS,
    START_HEIGHT,
    Course,
    Drawing,
    Loop,
    Point,
)

_HEAD_HALF_WIDTH: Final = 4.5
_LOOP_DEGREES: Final = 38


class Stroke(NamedTuple):
    """`path` is what a path's `d` says, `head` what a polygon's `points` say."""

    path: str
    head: str
    is_send: bool


class Start(NamedTuple):
    """The mark above the first state: a dot, and an arrow from it."""

    dot: Point
    path: str
    head: str


def strokes(drawing: Drawing) -> Iterator[Stroke]:
    """All arcs, those between states before those from a state to itself."""
    for course in drawing.courses:
        yield _course(course)
    for loop in drawing.loops:
        yield _loop(loop)


def start_of(drawing: Drawing) -> Iterator[Start]:
    """One mark, or none for a drawing without states."""
    for state in drawing.states[:1]:
        tip = Point(state.centre.x, state.centre.y - RADIUS)
        dot = Point(tip.x, tip.y - START_HEIGHT - 3)
        end = Point(tip.x, tip.y - HEAD_LENGTH)
        yield Start(dot, f"M{_pair(dot)} L{_pair(end)}", _head(tip, (0.0, 1.0)))


def _course(course: Course) -> Stroke:
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
    return Stroke(" ".join(steps), _head(tip, down), course.is_send)


def _loop(loop: Loop) -> Stroke:
    angle = radians(_LOOP_DEGREES)
    x, rise = loop.right.x + RADIUS * cos(angle), RADIUS * sin(angle)
    start, tip = Point(x, loop.right.y - rise), Point(x, loop.right.y + rise)
    reach = x + LOOP_REACH + 8
    pull = (Point(reach, start.y - 12), Point(reach, tip.y + 12))
    length = hypot(tip.x - pull[1].x, tip.y - pull[1].y)
    along = ((tip.x - pull[1].x) / length, (tip.y - pull[1].y) / length)
    base = Point(tip.x - along[0] * HEAD_LENGTH, tip.y - along[1] * HEAD_LENGTH)
    path = f"M{_pair(start)} C{_pair(pull[0])} {_pair(pull[1])} {_pair(base)}"
    return Stroke(path, _head(tip, along), loop.is_send)


def _head(tip: Point, along: tuple[float, float]) -> str:
    """An arrow's head that points along a direction of length 1."""
    x, y = tip.x - along[0] * HEAD_LENGTH, tip.y - along[1] * HEAD_LENGTH
    aside = (-along[1] * _HEAD_HALF_WIDTH, along[0] * _HEAD_HALF_WIDTH)
    corners = (tip, Point(x + aside[0], y + aside[1]), Point(x - aside[0], y - aside[1]))
    return " ".join(map(_pair, corners))


def _pair(point: Point) -> str:
    return f"{number(point.x)},{number(point.y)}"


def number(value: float) -> str:
    """In tenths of a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
