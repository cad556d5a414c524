"""The command line's page has a section for each command and shows the options of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from docs.region_commands import helps, parsers

ROOT: Final = Path(__file__).resolve().parent.parent.parent
TEXT: Final = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")


def test_each_command_has_a_section_and_nothing_else_has() -> None:
    sections = re.findall(r"^## troth ([\w-]+)$", TEXT, re.MULTILINE)
    assert sorted(sections) == sorted(parsers())


def test_each_command_shows_its_options_and_an_example() -> None:
    for command in parsers():
        section = TEXT.split(f"## troth {command}\n", 1)[1].split("\n## ", 1)[0]
        assert f"<!-- generated: options {command} -->" in section
        assert f"$ troth {command} " in section, f"no example of {command}"


def test_each_command_says_what_it_does() -> None:
    assert all(helps().values())
    assert set(helps()) == set(parsers())
