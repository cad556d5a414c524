"""Where everything in the picture of a local type goes: sizes, places, and the course of arcs.

Lengths are in pixels, x grows to the right and y down. Arcs run vertically through the layers
and bend only between them, so they pass beside states and texts and never through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from troth.dsl.picture_graph import Arc, arcs_of, cells_of
from troth.dsl.picture_layers import Layers, layers_of
from troth.vm.types import LocalType, StateKind

FONT_SIZE: Final = 13
TITLE_SIZE: Final = 16
CELL_WIDTH: Final = 7.85
"""Of one column of the font; a little more than most fixed-width fonts need."""

LINE_HEIGHT: Final = 17
RADIUS: Final = 18
TITLE_HEIGHT: Final = 34
START_HEIGHT: Final = 25
"""What the mark above the first state takes."""

HEAD_LENGTH: Final = 9
"""Of an arrow's head; above and below a state an arc runs straight for as long."""

LOOP_REACH: Final = 26
"""How far an arc from a state to itself leaves it."""

TEXT_PADDING: Final = 7
_MARGIN: Final = 20
_PORT_GAP: Final = 18
_BESIDE: Final = 18
"""Between neighbours in a layer."""

_PASSING_WIDTH: Final = 4
_GAP_MIN: Final = 20
_GAP_MAX: Final = 70
_GAP_PER_SHIFT: Final = 0.16
_ROUNDS: Final = 48


class Point(NamedTuple):
    x: float
    y: float


class StateBox(NamedTuple):
    """`flat` is how much wider than a circle it is."""

    number: int
    centre: Point
    flat: float
    is_end: bool


class Text(NamedTuple):
    """Lines around a centre, in a box of this size."""

    lines: tuple[str, ...]
    centre: Point
    width: float
    height: float
    is_send: bool


class Course(NamedTuple):
    """An arc from its upper end down, through points that are joined by verticals and bends.

    `is_upward` says that its head is at the first point.
    """

    points: tuple[Point, ...]
    is_upward: bool
    is_send: bool


class Loop(NamedTuple):
    """An arc from a state to itself, at the right of the state."""

    right: Point
    """Where a half circle of `RADIUS` that ends the state on the right has its centre."""
    is_send: bool


class Drawing(NamedTuple):
    width: float
    height: float
    states: tuple[StateBox, ...]
    texts: tuple[Text, ...]
    courses: tuple[Course, ...]
    loops: tuple[Loop, ...]


def layout(local: LocalType, title: str) -> Drawing:
    """
    Raises:
        LimitExceeded: `project.picture`, for a type that is too large to draw.
    """
    arcs = arcs_of(local)
    layers = layers_of(len(local.states), arcs)
    return _Layout(local, arcs, layers).draw(title)


class _Layout:
    """One layout while it is made; extents and places are by the number of the cell."""

    def __init__(self, local: LocalType, arcs: Sequence[Arc], layers: Layers) -> None:
        self._local = local
        self._arcs = arcs
        self._layers = layers
        self._loops = {arc.source: arc for arc in arcs if arc.source == arc.target}
        self._flats = [
            _PORT_GAP * max(0, len(layers.below[number]) - 1, len(layers.above[number]) - 1)
            for number in range(len(local.states))
        ]
        self._lefts, self._rights, self._heights = self._extents()
        self._x = self._columns()
        self._tops, self._bottoms = self._rows()

    # --- sizes -------------------------------------------------------------------------------

    def _extents(self) -> tuple[list[float], list[float], list[float]]:
        lefts: list[float] = []
        rights: list[float] = []
        heights: list[float] = []
        for cell in self._layers.cells:
            left = right = _PASSING_WIDTH / 2
            height = 0.0
            if cell.state is not None:
                left = right = RADIUS + self._flats[cell.state] / 2
                height = 2 * (RADIUS + HEAD_LENGTH)
                loop = self._loops.get(cell.state)
                if loop is not None:
                    width, loop_height = _text_size(loop.lines)
                    right += LOOP_REACH + width
                    height = max(height, loop_height)
            elif cell.has_text and cell.arc is not None:
                width, height = _text_size(self._arcs[cell.arc].lines)
                left = right = width / 2
            lefts.append(left)
            rights.append(right)
            heights.append(height)
        return lefts, rights, heights

    # --- across ------------------------------------------------------------------------------

    def _columns(self) -> list[float]:
        """Draws joined cells below each other, again and again, without changing their order."""
        layers = self._layers
        x = [0.0] * len(layers.cells)
        for layer in layers.order:
            self._fit(layer, [(0.0, 1.0)] * len(layer), x)
        for turn in range(_ROUNDS):
            is_down, both = turn % 2 == 0, turn >= _ROUNDS // 4
            for layer in layers.order if is_down else reversed(layers.order):
                wishes = []
                for cell in layer:
                    joined = layers.above[cell] if both or is_down else ()
                    joined += layers.below[cell] if both or not is_down else ()
                    wishes.append(self._wish(cell, joined, x))
                self._fit(layer, wishes, x)
        self._straighten(x)
        lefts = [place - left for place, left in zip(x, self._lefts, strict=True)]
        return [place + _MARGIN - min(lefts) for place in x]

    def _wish(self, cell: int, joined: Sequence[int], x: Sequence[float]) -> tuple[float, float]:
        """Where a cell wants to be for the sake of those it is joined with, and how much."""
        if not joined:
            return x[cell], 0.1
        weights = [self._weight(cell, other) for other in joined]
        total = sum(weight * x[other] for weight, other in zip(weights, joined, strict=True))
        return total / sum(weights), sum(weights)

    def _weight(self, cell: int, other: int) -> float:
        """An arc that passes several layers should do so straight, and bend at its ends."""
        cells = self._layers.cells
        return 1.0 if cells[cell].arc is None or cells[other].arc is None else 8.0

    def _straighten(self, x: list[float]) -> None:
        """Lets each arc pass layers in as few columns as the rest leaves room for."""
        rooms: dict[int, tuple[float, float]] = {}
        places = {c: (layer, n) for layer in self._layers.order for n, c in enumerate(layer)}
        for chain in self._layers.chains:
            for cell in chain[1:-1]:
                rooms[cell] = self._room(cell, *places[cell], x)
            run: list[int] = []
            low, high = -inf, inf
            for cell in chain[1:]:
                narrow = rooms.get(cell, (inf, -inf))
                if max(low, narrow[0]) > min(high, narrow[1]):
                    _align(run, low, high, x)
                    run, low, high = [], -inf, inf
                run.append(cell)
                low, high = max(low, narrow[0]), min(high, narrow[1])

    def _room(
        self, cell: int, layer: Sequence[int], place: int, x: Sequence[float]
    ) -> tuple[float, float]:
        """From where to where a cell could go, its neighbours staying where they are."""
        low, high = -inf, inf
        if place > 0:
            before = layer[place - 1]
            low = x[before] + self._rights[before] + _BESIDE + self._lefts[cell]
        if place + 1 < len(layer):
            after = layer[place + 1]
            high = x[after] - self._lefts[after] - _BESIDE - self._rights[cell]
        return min(low, x[cell]), max(high, x[cell])

    def _fit(
        self, layer: Sequence[int], wishes: Sequence[tuple[float, float]], x: list[float]
    ) -> None:
        """Sets the cells of a layer as near as can be to where they want to be, side by side.

        Taking away the room that the cells need leaves numbers that must not fall: blocks of
        neighbours that would are put at their common mean.
        """
        offsets: list[float] = []
        for place, cell in enumerate(layer):
            room = self._rights[layer[place - 1]] + _BESIDE + self._lefts[cell] if place else 0.0
            offsets.append(offsets[-1] + room if place else 0.0)
        blocks: list[tuple[float, float, int]] = []
        for wish, offset in zip(wishes, offsets, strict=True):
            mean, weight, count = wish[0] - offset, wish[1], 1
            while blocks and blocks[-1][0] >= mean:
                other_mean, other_weight, other_count = blocks.pop()
                mean = (mean * weight + other_mean * other_weight) / (weight + other_weight)
                weight, count = weight + other_weight, count + other_count
            blocks.append((mean, weight, count))
        means = [mean for mean, _, count in blocks for _ in range(count)]
        for cell, mean, offset in zip(layer, means, offsets, strict=True):
            x[cell] = mean + offset

    # --- down --------------------------------------------------------------------------------

    def _rows(self) -> tuple[list[float], list[float]]:
        """The top and the bottom of each layer."""
        layers, tops, bottoms = self._layers, [], []
        y = float(_MARGIN + TITLE_HEIGHT + START_HEIGHT)
        for layer in layers.order:
            tops.append(y)
            y += max((self._heights[cell] for cell in layer), default=0.0)
            bottoms.append(y)
            shifts = [abs(self._x[a] - self._x[b]) for a in layer for b in layers.below[a]]
            y += min(_GAP_MAX, _GAP_MIN + _GAP_PER_SHIFT * max(shifts, default=0.0))
        return tops, bottoms

    def _centre(self, cell: int) -> Point:
        layer = self._layers.cells[cell].layer
        return Point(self._x[cell], (self._tops[layer] + self._bottoms[layer]) / 2)

    # --- what is drawn -----------------------------------------------------------------------

    def draw(self, title: str) -> Drawing:
        rights = [place + right for place, right in zip(self._x, self._rights, strict=True)]
        title_width = cells_of(title) * CELL_WIDTH * TITLE_SIZE / FONT_SIZE
        return Drawing(
            max([*rights, _MARGIN + title_width]) + _MARGIN,
            self._bottoms[-1] + _MARGIN,
            tuple(
                StateBox(number, self._centre(number), flat, state.kind is StateKind.END)
                for number, (state, flat) in enumerate(
                    zip(self._local.states, self._flats, strict=True)
                )
            ),
            tuple(self._texts()),
            tuple(
                self._course(number) for number, chain in enumerate(self._layers.chains) if chain
            ),
            tuple(Loop(self._right(number), arc.is_send) for number, arc in self._loops.items()),
        )

    def _right(self, state: int) -> Point:
        centre = self._centre(state)
        return Point(centre.x + self._flats[state] / 2, centre.y)

    def _texts(self) -> list[Text]:
        found = []
        for number, cell in enumerate(self._layers.cells):
            if cell.has_text and cell.arc is not None:
                arc = self._arcs[cell.arc]
                found.append(
                    Text(arc.lines, self._centre(number), *_text_size(arc.lines), arc.is_send)
                )
        for state, arc in self._loops.items():
            width, height = _text_size(arc.lines)
            right = self._right(state)
            centre = Point(right.x + RADIUS + LOOP_REACH + width / 2, right.y)
            found.append(Text(arc.lines, centre, width, height, arc.is_send))
        return found

    def _course(self, number: int) -> Course:
        layers = self._layers
        chain = layers.chains[number]
        upper, lower = chain[0], chain[-1]
        start = self._port(upper, layers.below[upper], chain[1])
        end = self._port(lower, layers.above[lower], chain[-2])
        points = [
            Point(start, self._centre(upper).y + RADIUS),
            Point(start, self._bottoms[layers.cells[upper].layer]),
        ]
        for cell in chain[1:-1]:
            layer = layers.cells[cell].layer
            points.append(Point(self._x[cell], self._tops[layer]))
            points.append(Point(self._x[cell], self._bottoms[layer]))
        points.append(Point(end, self._tops[layers.cells[lower].layer]))
        points.append(Point(end, self._centre(lower).y - RADIUS))
        return Course(tuple(points), layers.is_upward[number], self._arcs[number].is_send)

    def _port(self, state: int, joined: Sequence[int], cell: int) -> float:
        """Where on the edge of a state the arc through this cell is attached."""
        ordered = sorted(joined, key=lambda other: self._x[other])
        place = ordered.index(cell) - (len(ordered) - 1) / 2
        return self._x[state] + _PORT_GAP * place


def _align(cells: Sequence[int], low: float, high: float, x: list[float]) -> None:
    """Puts cells below each other, near where they are on average."""
    if cells:
        mean = sum(x[cell] for cell in cells) / len(cells)
        for cell in cells:
            x[cell] = min(max(mean, low), high)


def _text_size(lines: Sequence[str]) -> tuple[float, float]:
    width = max(map(cells_of, lines)) * CELL_WIDTH + 2 * TEXT_PADDING
    return width, len(lines) * LINE_HEIGHT + 2.0
