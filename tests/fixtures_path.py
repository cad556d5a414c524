"""Where the published test vectors are: outside of the project, so they may be missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def fixtures_dir() -> Path | None:
    """The folder that `TROTH_FIXTURES` names, else `../shared/fixtures`; None without one."""
    named = os.environ.get("TROTH_FIXTURES")
    root = Path(__file__).resolve().parent.parent
    folder = Path(named) if named else root.parent / "shared" / "fixtures"
    return folder if folder.is_dir() else None


def require(name: str) -> Path:
    """The file `name` of the folder, such as `vectors/blake3.json`.

    Without it the test is skipped, but in CI (`CI=true`) it fails.
    """
    folder = fixtures_dir()
    path = None if folder is None else folder / name
    if path is not None and path.is_file():
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"the published vectors are not here: {name}; set TROTH_FIXTURES")
    pytest.skip(f"needs {name} of the published vectors; set TROTH_FIXTURES")
