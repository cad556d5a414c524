"""The examples in the documentation are the ones that were agreed, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent.parent
EXAMPLES: Final = ROOT / "docs" / "examples"
AGREED: Final = ROOT.parent / "shared" / "examples"


def test_every_example_says_what_it_prints() -> None:
    scripts = sorted(EXAMPLES.glob("*.troth"))
    assert len(scripts) >= 6
    for script in scripts:
        assert "# prints: " in script.read_text(encoding="utf-8"), script.name


@pytest.mark.skipif(not AGREED.is_dir(), reason="there is nothing beside the project to compare")
def test_examples_are_unchanged() -> None:
    agreed = {path.name: path.read_bytes() for path in sorted(AGREED.iterdir())}
    here = {path.name: path.read_bytes() for path in sorted(EXAMPLES.iterdir()) if path.is_file()}
    assert here == agreed
