"""The changes that `python -m vm_mutation` makes to the machine, and the table of survivors."""

from __future__ import annotations

import ast

import pytest

from vm_mutants import MODULES, VM, Mutant, change_of, draw, key, mutate, places
from vm_mutation_survivors import EXPLAINED


def _source(module: str) -> str:
    return (VM / f"{module}.py").read_text(encoding="utf-8")


def test_a_draw_is_the_same_every_time_and_of_all_modules() -> None:
    drawn = draw(7, 300)
    assert drawn == draw(7, 300) != draw(8, 300)
    assert len(set(drawn)) == len({key(mutant) for mutant in drawn}) == 300
    assert {mutant.module for mutant in drawn} <= set(MODULES)
    assert len({mutant.module for mutant in drawn}) > len(MODULES) // 2


@pytest.mark.parametrize("module", ["buffer", "step_timer", "lanes"])
def test_every_mutant_is_another_program(module: str) -> None:
    source = _source(module)
    tree = ast.parse(source)
    seen = {ast.unparse(mutate(source, place)[0]) for place in range(len(places(tree)))}
    assert ast.unparse(tree) not in seen
    assert len(seen) > 10


@pytest.mark.parametrize("row", EXPLAINED, ids=" ".join)
def test_an_explained_survivor_is_a_change_that_can_be_made(row: tuple[str, str, str]) -> None:
    """A row that no longer is one explains nothing: take it out of `vm_mutation_survivors`."""
    module, function, words = row
    found = places(ast.parse(_source(module)))
    here = [number for number, place in enumerate(found) if place.function == function]
    assert words in {change_of(Mutant(module, number)).words for number in here}
