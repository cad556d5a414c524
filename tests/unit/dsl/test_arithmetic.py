"""Operators of scripts compute what Python computes."""

from __future__ import annotations

import pytest

from troth.dsl import compile_source
from troth.vm.shell_run import run

CASES = [
    "7 % 3",
    "-7 % 3",
    "7 % -3",
    "7.5 % 2.0",
    "-7 // 3",
    "7 // -3",
    "7 / 2",
    "1 + 2 * 3 - 4 // 2 % 3",
    "(1 + 2) * 3",
    "2 * 3 % 4",
    "1 + 2.5",
    "3 - -2",
    "1 < 2 and not 2 <= 1 or 3 == 4",
    "1 == 1.0",
]


@pytest.mark.parametrize("expression", CASES)
def test_computes_as_python_does(expression: str) -> None:
    lines: list[str] = []
    image = compile_source(f"main:\n    print {expression}\n", "sum.troth")
    assert run(image, write_line=lines.append).ok
    # The cases are written above: nothing from outside is evaluated.
    expected = eval(expression)
    assert lines == [str(expected).lower() if isinstance(expected, bool) else str(expected)]
