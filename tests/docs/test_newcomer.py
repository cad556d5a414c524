"""The way from the README to an answered call is there; `python -m newcomer` goes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.snippet_blocks import blocks_of
from newcomer import ROOT, Step, paste, steps


def test_the_readme_has_the_way_to_an_answered_call() -> None:
    found = list(steps(list(blocks_of(ROOT / "README.md", "README.md")), "the-address"))
    clone, path, save, call = found
    assert clone.commands.splitlines()[0] == "git clone the-address troth"
    assert clone.commands.splitlines()[-1] == "sh tests/demo.sh"
    assert "export PATH" in path.commands
    assert "async def welcome" in save.commands
    assert call.commands.startswith("troth esl call welcome:welcome")
    assert call.expected is not None
    assert call.expected.splitlines()[-1] == "session: latched; handler: returned"


def test_what_is_pasted_shares_a_shell(tmp_path: Path) -> None:
    said = list(paste(tmp_path, [Step("x=1\ncd /", None), Step("echo $x $PWD", "1 /")]))
    assert [printed for _, printed, _ in said] == ["", "1 /\n"]
    with pytest.raises(SystemExit, match="the shell ended at: false"):
        list(paste(tmp_path, [Step("false", None)]))
