"""Puts the states of a graph into layers, so that arcs point down, with few crossings.

States stand in the even layers; the odd ones are for what is written at arcs. An arc that would
point up (it closes a cycle) is laid out as if it pointed down. An arc has a cell in every layer
between its ends, and its text is in the cell next to its source. An arc from a state to itself
has no cells: it belongs to the state.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from troth.dsl.picture_graph import Arc
from troth.vm.errors import LimitExceeded

CELLS_MAX: Final = 4_000
"""States and the places where arcs pass layers; more than this nobody can read."""

_SWEEPS: Final = 12


class Cell(NamedTuple):
    """A place in a layer: of the state with this number, or of an arc that passes."""

    layer: int
    state: int | None
    arc: int | None
    has_text: bool


class Layers(NamedTuple):
    """Cells are called by their number.

    Attributes:
        order: the cells of each layer from left to right.
        below: the cells in the next layer that a cell is joined with.
        above: likewise in the layer before.
        chains: for each arc the cells from its upper state to its lower one; empty for a loop.
        is_upward: for each arc whether it points from its lower end to its upper end.
    """

    cells: tuple[Cell, ...]
    order: tuple[tuple[int, ...], ...]
    below: tuple[tuple[int, ...], ...]
    above: tuple[tuple[int, ...], ...]
    chains: tuple[tuple[int, ...], ...]
    is_upward: tuple[bool, ...]


def layers_of(state_count: int, arcs: Sequence[Arc]) -> Layers:
    """
    Raises:
        LimitExceeded: `project.picture`, for more than `CELLS_MAX` cells.
    """
    upward = _upward(state_count, arcs)
    ranks = _ranks(state_count, arcs, upward)
    cells = [Cell(2 * rank, number, None, False) for number, rank in enumerate(ranks)]
    chains: list[tuple[int, ...]] = []
    for number, arc in enumerate(arcs):
        ends = (arc.target, arc.source) if upward[number] else (arc.source, arc.target)
        chains.append(_chain(number, ends, cells, is_upward=upward[number]))
        _check_count(len(cells))
    below: list[list[int]] = [[] for _ in cells]
    above: list[list[int]] = [[] for _ in cells]
    for chain in chains:
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    order = _ordered(_first_order(cells, below), below, above)
    return Layers(
        tuple(cells),
        tuple(map(tuple, order)),
        tuple(map(tuple, below)),
        tuple(map(tuple, above)),
        tuple(chains),
        tuple(upward),
    )


def _check_count(count: int) -> None:
    if count > CELLS_MAX:
        raise LimitExceeded(
            "project.picture",
            "This local type is too large for a picture",
            expected=f"at most {CELLS_MAX} states and crossings of layers",
            advice="Show it as text, or as --dot for a tool of your choice",
        )


def _chain(
    number: int, ends: tuple[int, int], cells: list[Cell], *, is_upward: bool
) -> tuple[int, ...]:
    """The cells of an arc between its ends, which are new, and the ends."""
    upper, lower = ends
    if upper == lower:
        return ()
    first, last = cells[upper].layer + 1, cells[lower].layer - 1
    start = len(cells)
    _check_count(start + last - first)
    text_layer = last if is_upward else first
    for layer in range(first, last + 1):
        cells.append(Cell(layer, None, number, layer == text_layer))
    return (upper, *range(start, len(cells)), lower)


# --- layers --------------------------------------------------------------------------------


def _upward(state_count: int, arcs: Sequence[Arc]) -> list[bool]:
    """Which arcs lead back to a state on the way to them: without these there is no cycle."""
    _check_count(state_count)
    leaving = _leaving(state_count, arcs)
    upward = [False] * len(arcs)
    is_on_way = [False] * state_count
    is_seen = [False] * state_count
    for root in range(state_count):
        if is_seen[root]:
            continue
        is_seen[root] = is_on_way[root] = True
        stack = [(root, iter(leaving[root]))]
        while stack:
            state, rest = stack[-1]
            number = next(rest, None)
            if number is None:
                is_on_way[state] = False
                stack.pop()
                continue
            target = arcs[number].target
            upward[number] = is_on_way[target] and target != state
            if not is_seen[target]:
                is_seen[target] = is_on_way[target] = True
                stack.append((target, iter(leaving[target])))
    return upward


def _leaving(state_count: int, arcs: Sequence[Arc]) -> list[list[int]]:
    leaving: list[list[int]] = [[] for _ in range(state_count)]
    for number, arc in enumerate(arcs):
        leaving[arc.source].append(number)
    return leaving


def _ranks(state_count: int, arcs: Sequence[Arc], upward: Sequence[bool]) -> list[int]:
    """The longest way down to each state."""
    following: list[list[int]] = [[] for _ in range(state_count)]
    waiting = [0] * state_count
    for number, arc in enumerate(arcs):
        if arc.source != arc.target:
            upper, lower = (arc.source, arc.target)[:: -1 if upward[number] else 1]
            following[upper].append(lower)
            waiting[lower] += 1
    ranks = [0] * state_count
    ready = [state for state in range(state_count) if not waiting[state]]
    for state in ready:
        for lower in following[state]:
            ranks[lower] = max(ranks[lower], ranks[state] + 1)
            waiting[lower] -= 1
            if not waiting[lower]:
                ready.append(lower)
    assert len(ready) == state_count, "what is left has no cycle"
    return ranks


# --- order ---------------------------------------------------------------------------------


def _first_order(cells: Sequence[Cell], below: Sequence[Sequence[int]]) -> list[list[int]]:
    """Each cell where a walk from the first state finds it."""
    order: list[list[int]] = [
        [] for _ in range(max((cell.layer for cell in cells), default=-1) + 1)
    ]
    is_seen = [False] * len(cells)
    for root in range(len(cells)):
        stack = [root]
        while stack:
            cell = stack.pop()
            if not is_seen[cell]:
                is_seen[cell] = True
                order[cells[cell].layer].append(cell)
                stack += reversed(below[cell])
    return order


def _ordered(
    order: list[list[int]], below: Sequence[Sequence[int]], above: Sequence[Sequence[int]]
) -> list[list[int]]:
    """Sorts each layer by the middle of its neighbours, down and up; the best order counts."""
    best, fewest = [list(layer) for layer in order], _crossings(order, below)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        is_down = sweep % 2 == 0
        places = {cell: place for layer in order for place, cell in enumerate(layer)}
        for layer in order if is_down else reversed(order):
            _sort(layer, above if is_down else below, places)
        crossings = _crossings(order, below)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in order], crossings
    return best


def _sort(layer: list[int], neighbours: Sequence[Sequence[int]], places: dict[int, int]) -> None:
    def middle(cell: int) -> float:
        joined = neighbours[cell]
        if not joined:
            return float(places[cell])
        return sum(places[other] for other in joined) / len(joined)

    layer.sort(key=middle)
    places.update((cell, place) for place, cell in enumerate(layer))


def _crossings(order: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    """How many pairs of joins between layers cross."""
    count = 0
    for upper, lower in pairwise(order):
        places = {cell: place for place, cell in enumerate(lower)}
        passed: list[int] = []
        for cell in upper:
            ends = sorted(places[other] for other in below[cell])
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return count
