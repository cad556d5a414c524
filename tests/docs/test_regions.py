"""The generated parts of the documentation are current, and all of them are used."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import region_evidence, regions
from troth.streaming.shell_protocols import NAMES
from troth.vm.records import Kind


def _name(path: Path) -> str:
    return path.relative_to(regions.ROOT).as_posix()


@pytest.mark.parametrize("page", regions.pages(), ids=_name)
def test_generated_parts_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert regions.render(text) == text, "run `python tests/docs/bless.py` and look at the diff"


def test_every_generator_is_used() -> None:
    used = {
        name
        for page in regions.pages()
        for name in regions.names_used(page.read_text(encoding="utf-8"))
    }
    assert used == set(regions.GENERATORS)


def test_every_kind_of_record_is_described() -> None:
    text = (regions.ROOT / "docs" / "reference" / "format.md").read_text(encoding="utf-8")
    missing = [kind.name for kind in Kind if f"<!-- generated: record {kind.name} -->" not in text]
    assert not missing


def test_every_protocol_of_the_transport_has_its_diagram() -> None:
    page = regions.ROOT / "docs" / "reference" / "streaming-diagrams.md"
    text = page.read_text(encoding="utf-8")
    missing = [
        name for name in NAMES if f"<!-- generated: streaming-diagrams {name} -->" not in text
    ]
    assert not missing


def test_the_worked_example_adds_up() -> None:
    region_evidence.check_logs()


def test_a_stale_part_is_noticed() -> None:
    stale = "<!-- generated: faults -->\nnothing\n<!-- end -->"
    current = regions.render(stale)
    assert "vm.fault.label" in current
    assert regions.render(current) == current


def test_an_unknown_generator_is_refused() -> None:
    with pytest.raises(KeyError):
        regions.render("<!-- generated: nobody -->\n<!-- end -->")
