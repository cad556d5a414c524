"""The pytest plugin: a fixture for golden fragments, and the option that writes them anew.

pytest loads this module in every run where Troth is installed, so it imports nothing of it until
a test asks for the fixture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDENS = "goldens"
SUFFIX = ".fragment"
_written = pytest.StashKey[list[str]]()

ReplayGolden = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("troth", "Troth artifacts")
    group.addoption(
        "--troth-update",
        action="store_true",
        help="write golden fragments anew instead of comparing with them",
    )


@pytest.fixture
def replay_golden(request: pytest.FixtureRequest) -> ReplayGolden:
    """A function that compares what a recorded run means with what it meant before.

    `replay_golden(artifact)` compares with `goldens/MODULE/TEST.fragment` beside the test's
    file; `name=` replaces TEST, for a test that compares several.
    """
    from troth.conformance.shell_testing import compare_golden  # noqa: PLC0415

    config = request.config
    folder = request.path.parent / GOLDENS / request.path.stem
    update = bool(config.getoption("--troth-update"))

    def compare(artifact: str | os.PathLike[str], *, name: str | None = None) -> None:
        __tracebackhide__ = True
        file = re.sub(r"[^\w.-]+", "-", name or request.node.name).strip("-.")
        golden = folder / f"{file}{SUFFIX}"
        if compare_golden(artifact, golden, update=update):
            config.stash.setdefault(_written, []).append(_shown(golden, config.rootpath))

    return compare


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for name in config.stash.get(_written, []):
        terminalreporter.write_line(f"troth: wrote {name}")


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
