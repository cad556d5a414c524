"""Pictures of any local type: nothing overlaps, nothing is left out, nothing breaks the file."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Final, NamedTuple
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from strategies_local import local_types
from troth.dsl.picture_dot import to_dot
from troth.dsl.picture_graph import arcs_of
from troth.dsl.picture_layers import layers_of
from troth.dsl.picture_layout import LOOP_REACH, RADIUS, Drawing, layout
from troth.dsl.picture_svg import to_svg
from troth.vm.types import LocalType, StateKind

SVG: Final = "{http://www.w3.org/2000/svg}"
SLACK: Final = 0.01
"""For sums of floats in another order."""


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        return (
            self.left + SLACK < other.right
            and other.left + SLACK < self.right
            and self.top + SLACK < other.bottom
            and other.top + SLACK < self.bottom
        )


def boxes_of(drawing: Drawing) -> list[Box]:
    """Of the states, the loops at them, and the texts."""
    found = []
    for state in drawing.states:
        reach = state.flat / 2 + RADIUS
        (x, y) = state.centre
        found.append(Box(x - reach, y - RADIUS, x + reach, y + RADIUS))
    for loop in drawing.loops:
        (x, y) = loop.right
        found.append(Box(x + RADIUS, y - RADIUS, x + RADIUS + LOOP_REACH, y + RADIUS))
    return found + text_boxes_of(drawing)


def text_boxes_of(drawing: Drawing) -> list[Box]:
    return [
        Box(
            text.centre.x - text.width / 2,
            text.centre.y - text.height / 2,
            text.centre.x + text.width / 2,
            text.centre.y + text.height / 2,
        )
        for text in drawing.texts
    ]


@settings(max_examples=150, deadline=None)
@given(local_types())
def test_nothing_overlaps(local: LocalType) -> None:
    drawing = layout(local, "P.R")
    boxes = boxes_of(drawing)
    assert not [pair for pair in combinations(boxes, 2) if pair[0].meets(pair[1])]
    page = Box(0, 0, drawing.width, drawing.height)
    for box in boxes:
        assert page.left < box.left < box.right < page.right
        assert page.top < box.top < box.bottom < page.bottom


@settings(max_examples=150, deadline=None)
@given(local_types())
def test_arcs_pass_beside_everything_but_their_own_text(local: LocalType) -> None:
    drawing = layout(local, "P.R")
    arcs = [arc for arc in arcs_of(local) if arc.source != arc.target]
    assert len(arcs) == len(drawing.courses)
    boxes = boxes_of(drawing)
    for arc, course in zip(arcs, drawing.courses, strict=True):
        ends = [drawing.states[number] for number in (arc.source, arc.target)]
        upper, lower = reversed(ends) if course.is_upward else ends
        assert upper.centre.y < lower.centre.y
        first, last = course.points[0], course.points[-1]
        assert (first.y, last.y) == (upper.centre.y + RADIUS, lower.centre.y - RADIUS)
        assert abs(first.x - upper.centre.x) <= upper.flat / 2 + SLACK
        assert abs(last.x - lower.centre.x) <= lower.flat / 2 + SLACK
        passed = []
        for before, after in pairwise(course.points):
            assert before.y <= after.y + SLACK
            # A bend lies between two layers, where there are no boxes.
            top, bottom = before.y, after.y
            left, right = sorted((before.x, after.x))
            line = Box(left - 2 * SLACK, top, right + 2 * SLACK, bottom)
            passed += [number for number, box in enumerate(boxes) if box.meets(line)]
        texts = [number - len(boxes) + len(drawing.texts) for number in passed]
        assert [drawing.texts[number].lines for number in texts] == [arc.lines]


@settings(max_examples=100, deadline=None)
@given(local_types(states_max=14))
def test_layers_break_every_cycle(local: LocalType) -> None:
    arcs = arcs_of(local)
    layers = layers_of(len(local.states), arcs)
    for number, arc in enumerate(arcs):
        chain = layers.chains[number]
        if arc.source == arc.target:
            assert chain == ()
            continue
        ends = (chain[-1], chain[0]) if layers.is_upward[number] else (chain[0], chain[-1])
        assert ends == (arc.source, arc.target)
        depths = [layers.cells[cell].layer for cell in chain]
        assert depths == list(range(depths[0], depths[-1] + 1))
        texts = [cell for cell in chain if layers.cells[cell].has_text]
        assert texts == [chain[-2] if layers.is_upward[number] else chain[1]]
    assert sorted(cell for layer in layers.order for cell in layer) == list(
        range(len(layers.cells))
    )
    if local.states:
        assert layers.cells[0].layer == 0


@settings(max_examples=100, deadline=None)
@given(local_types(), st.text(max_size=12))
def test_an_svg_is_xml_that_says_everything(local: LocalType, title: str) -> None:
    svg = to_svg(local, title)
    root = ElementTree.fromstring(svg)
    words = [element.text or "" for element in root.iter(SVG + "text")]
    lines = [line for arc in arcs_of(local) for line in arc.lines]
    numbers = [str(number) for number in range(len(local.states))]
    assert sorted(words[1:]) == sorted(lines + numbers)
    states = [box for box in root.iter(SVG + "rect") if box.get("class") == "state"]
    ends = sum(state.kind is StateKind.END for state in local.states)
    assert len(states) == len(local.states) + ends
    assert len(list(root.iter(SVG + "polygon"))) == len(arcs_of(local)) + 1
    assert to_svg(local, title) == svg


def strings_of(dot: str) -> list[str]:
    """What the quoted strings of a DOT text say, read as Graphviz reads them."""
    found, position = [], 0
    while (start := dot.find('"', position)) >= 0:
        text, position = "", start + 1
        while dot[position] != '"':
            if dot[position] == "\\":
                position += 1
                text += "\n" if dot[position] == "l" else dot[position]
            else:
                text += dot[position]
            position += 1
        found.append(text)
        position += 1
    return found


@settings(max_examples=100, deadline=None)
@given(local_types(), st.sampled_from(["P.R", 'a"b', "c\\", '\\"']))
def test_a_dot_says_everything(local: LocalType, title: str) -> None:
    dot = to_dot(local, title)
    labels = [text.rstrip("\n") for text in strings_of(dot)]
    assert labels == [title, title, "", *("\n".join(arc.lines) for arc in arcs_of(local))]
    for arc in arcs_of(local):
        assert f"\n  {arc.source} -> {arc.target} [" in dot
    ends = sum(state.kind is StateKind.END for state in local.states)
    assert dot.count("[shape=doublecircle]") == ends
    assert dot.count("\n") == 7 + len(local.states) + len(arcs_of(local))
