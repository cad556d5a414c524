"""The README's first command: it ends with 0, and not because it looked away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from docs.snippet_blocks import blocks_of
from docs.snippet_output import matches

ROOT: Final = Path(__file__).resolve().parents[2]
COMPONENTS: Final = ("vm", "dsl", "streaming", "conformance")


def _programs(folder: Path, troth: str) -> Path:
    """A folder with `python3` and a `troth` that runs the given shell command."""
    folder.mkdir()
    for name, command in (("python3", f'"{sys.executable}" "$@"'), ("troth", troth)):
        script = folder / name
        script.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
        script.chmod(0o755)
    return folder


def _demo(programs: Path) -> subprocess.CompletedProcess[str]:
    path = ":".join(str(ROOT / component) for component in COMPONENTS)
    return subprocess.run(
        ["sh", "tests/demo.sh"],
        cwd=ROOT,
        env={**os.environ, "TROTH_BIN": str(programs), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


REAL: Final = f'"{sys.executable}" -m troth.conformance.shell_main "$@"'


def _shown_in_the_readme() -> str:
    """The page's own account of the demo."""
    blocks = blocks_of(ROOT / "README.md", "README.md")
    return next(block.text for block in blocks if block.text.startswith("# 2. Run it"))


def test_the_demo_runs_verifies_and_refuses(tmp_path: Path) -> None:
    done = _demo(_programs(tmp_path / "bin", REAL))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agreed\n" in done.stdout
    assert "Done: one run, one proof, one forgery refused." in done.stdout
    assert matches("...\n" + _shown_in_the_readme(), done.stdout)


def test_a_verifier_that_accepts_everything_fails_the_demo(tmp_path: Path) -> None:
    lenient = f'{REAL} || [ "$1" = verify ]'
    done = _demo(_programs(tmp_path / "bin", lenient))
    assert done.returncode == 1
    assert "instead of 2" in done.stderr


def test_a_run_that_prints_something_else_fails_the_demo(tmp_path: Path) -> None:
    wrong = f'if [ "$1" = run ]; then echo refused; else {REAL}; fi'
    done = _demo(_programs(tmp_path / "bin", wrong))
    assert done.returncode == 1
    assert "did not say: agreed" in done.stderr
