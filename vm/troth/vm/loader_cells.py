"""What the loader knows about one register at one place of a program.

A register is unset, or holds a value of a known type, an endpoint at a known state of its local
type, or the handle of a child that still waits for endpoints. Where paths join, types must
agree on endpoints; a register on whose value they disagree counts as unset from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from troth.vm.types import ValueType
from troth.vm.value_types import join


@dataclass(frozen=True, slots=True)
class EndpointCell:
    """An endpoint of `protocol` for `role`, both indices; `fresh` while it was never used."""

    protocol: int
    role: int
    state: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class HandleCell:
    """A spawned coroutine of `program`; `holes` are the parameters that nothing fills yet."""

    program: int
    holes: tuple[int, ...]


Cell: TypeAlias = None | ValueType | EndpointCell | HandleCell


@dataclass(frozen=True, slots=True)
class Clash:
    """Two paths bring to `register` what cannot be joined."""

    register: int
    first: Cell
    second: Cell


def join_cells(first: Sequence[Cell], second: Sequence[Cell]) -> list[Cell] | Clash:
    """What is known of each register where two paths meet."""
    joined: list[Cell] = []
    for register, (one, other) in enumerate(zip(first, second, strict=True)):
        if one is other or one == other:
            joined.append(one)
            continue
        cell = _join(one, other)
        if cell is _CLASH:
            return Clash(register, one, other)
        joined.append(cell)
    return joined


_CLASH = HandleCell(-1, ())


def _join(one: Cell, other: Cell) -> Cell:
    if isinstance(one, EndpointCell) or isinstance(other, EndpointCell):
        if isinstance(one, EndpointCell) and isinstance(other, EndpointCell):
            used = replace(one, fresh=False)
            if used == replace(other, fresh=False):
                return used
        return _CLASH
    if isinstance(one, HandleCell) or isinstance(other, HandleCell):
        return _CLASH if has_holes(one) or has_holes(other) else None
    if one is None or other is None:
        return None
    return join(one, other)


def has_holes(cell: Cell) -> bool:
    """Whether a child waits for an endpoint that only this register can give it."""
    return isinstance(cell, HandleCell) and bool(cell.holes)
