"""The page about instructions describes each of them, its operands, and only faults that exist."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Final, get_args

import pytest

from troth.vm.faults import FAULT_CODES
from troth.vm.instructions import Instruction, Operator

ROOT: Final = Path(__file__).resolve().parent.parent.parent
TEXT: Final = (ROOT / "docs" / "reference" / "instructions.md").read_text(encoding="utf-8")
INSTRUCTIONS: Final = get_args(Instruction)


def _section(name: str) -> str:
    match = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert match is not None, f"no section about {name}"
    return match[1]


def _heading(instruction: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", instruction.__name__).lower()


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=_heading)
def test_each_instruction_has_a_section(instruction: type) -> None:
    section = _section(_heading(instruction))
    if "|" in section:
        missing = [f.name for f in fields(instruction) if f"`{f.name}`" not in section]
        assert not missing, f"operands of {_heading(instruction)} that the page leaves out"


def test_every_section_is_an_instruction() -> None:
    headings = re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)
    assert sorted(headings) == sorted(map(_heading, INSTRUCTIONS))


def test_every_operator_is_named() -> None:
    section = _section("op")
    assert not [op.value for op in Operator if f"`{op.value}`" not in section]


def test_every_fault_named_exists() -> None:
    named = set(re.findall(r"vm\.fault\.[a-z.]*[a-z]", TEXT))
    assert named
    assert named <= set(FAULT_CODES)
