"""The pictures of the documentation are current; `python tests/docs/bless.py` makes them anew."""

from __future__ import annotations

import pytest

from docs.pictures import PICTURES, ROOT, draw


@pytest.mark.parametrize("file", PICTURES)
def test_the_picture_is_current(file: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == draw(file)


def test_there_are_no_others() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.svg")}
    assert found == set(PICTURES)
