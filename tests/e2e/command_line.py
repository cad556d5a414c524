"""Runs the `troth` command as its users do: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    out: str
    err: str


def troth(
    *arguments: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> Finished:
    """Runs one command; a traceback on standard error is a failure of every test."""
    done = subprocess.run(
        [python, "-m", "troth.conformance.shell_main", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


def example_names() -> list[str]:
    return sorted(path.stem for path in EXAMPLES.glob("*.troth"))


def printed_by(name: str) -> str:
    """What the header comment of an example says it prints."""
    for line in (EXAMPLES / f"{name}.troth").read_text().splitlines():
        if line.startswith("# prints: "):
            return line.removeprefix("# prints: ") + "\n"
    raise AssertionError(f"{name}.troth does not say what it prints")


def run_example(name: str, *options: str | Path) -> Finished:
    effects = EXAMPLES / f"{name}_effects.py"
    bound: list[str | Path] = ["--effects", effects] if effects.exists() else []
    return troth("run", EXAMPLES / f"{name}.troth", *bound, *options)


def trust_file(keys: Path, target: Path) -> Path:
    """`cat keys/*.pub > target`."""
    target.write_text("".join(path.read_text() for path in sorted(keys.glob("*.pub"))))
    return target
