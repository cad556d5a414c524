"""Every block in the documentation does what the page says.

One test per page; the blocks of a page run in order. See `snippet_blocks` for the kinds.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from docs.snippet_blocks import BadPageError, Block, blocks_of, commands_of
from docs.snippet_output import matches
from docs.snippet_runner import PageRunner, SnippetFailedError

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

TESTED_ELSEWHERE: Final = {
    "git clone": "every run of the continuous integration starts with one",
    "cd troth": "likewise",
    "sh tests/demo.sh": "tests/e2e/test_demo.py",
    "sh tests/run.sh": ".ci/run",
    "pip install .": "tests/e2e/test_wheel.py installs the built wheel",
}
"""Commands of `sh` blocks by how they begin, and what proves that they work."""

READ_IN_A_CLONE: Final = frozenset({"README.md", "docs/tutorial.md"})
"""Pages that begin with a clone and its demo: their commands start in the clone's root."""

THINGS_RUN_MIN: Final = 60
"""Fewer than this over all pages means that the test stopped looking."""


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(path: Path) -> list[Block]:
    return list(blocks_of(path, _name(path)))


def _is_run(block: Block) -> int:
    if block.kind == "console":
        return sum(1 for _ in commands_of(block))
    return int(block.kind in ("troth", "output", "python"))


def _run_all(blocks: list[Block], folder: Path, *, clone: bool = False) -> int:
    with PageRunner(folder, clone=clone) as runner:
        return sum(runner.run(block) for block in blocks)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_of_the_page_works(page: Path, tmp_path: Path) -> None:
    blocks = _blocks(page)
    expected = sum(_is_run(block) for block in blocks)
    if expected == 0:
        return
    assert _run_all(blocks, tmp_path, clone=_name(page) in READ_IN_A_CLONE) == expected


def test_enough_is_run() -> None:
    total = sum(_is_run(block) for page in PAGES for block in _blocks(page))
    assert total >= THINGS_RUN_MIN


def test_setup_commands_are_tested_elsewhere() -> None:
    unknown = [
        f"{block.place}: {line}"
        for page in PAGES
        for block in _blocks(page)
        if block.kind == "sh"
        for line in block.text.splitlines()
        if not line.startswith(tuple(TESTED_ELSEWHERE))
    ]
    assert not unknown


# --- the machinery itself -------------------------------------------------------------------


def _page(folder: Path, text: str) -> list[Block]:
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return list(blocks_of(path, "page.md"))


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPageError, match=r"page\.md:3: .*'ruby'"):
        _page(tmp_path, "one\n\n```ruby\nputs 1\n```\n")


def test_a_block_without_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPageError, match="''"):
        _page(tmp_path, "```\nnothing\n```\n")


def test_an_open_block_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPageError, match="never closed"):
        _page(tmp_path, "```text\nnothing\n")


def test_commands_carry_exit_code_and_output(tmp_path: Path) -> None:
    (block,) = _page(tmp_path, "```console\n$ a \\\n  b\nx\ny\n$ c  # exit 2\n```\n")
    first, second = commands_of(block)
    assert first == (2, "a \\\n  b", 0, "x\ny\n")
    assert second == (6, "c", 2, "")


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "a  \n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a...z\n", "abcz\n", True),
        ("a...z\n", "ab\nz\n", False),
        ("a\n...\nz\n", "a\nb\nc\nz\n", True),
        ("a\n...\nz\n", "a\nz\n", True),
        ("a\n...\nz\n", "a\nb\n", False),
        ("a.c\n", "abc\n", False),
        ("", "", True),
        ("", "a\n", False),
    ],
)
def test_output_is_compared(expected: str, actual: str, same: bool) -> None:
    assert matches(expected, actual) is same


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ echo one\ntwo\n```\n",
        "```console\n$ exit 3\n```\n",
        "```console\n$ echo one\none\n$ echo two\n```\n",
        "```console\n$ mkdir a && cd a\n$ mkdir b && cd a/b\n```\n",
        "```python\nraise SystemExit(1)\n```\n",
        "```troth\nprotocol\n```\n",
        "```troth broken\nprotocol P(A, B):\n    A -> B: m()\n```\n",
        "```output\nhello\n```\n",
    ],
)
def test_a_wrong_page_fails(text: str, tmp_path: Path) -> None:
    blocks = _page(tmp_path, text)
    with pytest.raises(SnippetFailedError):
        _run_all(blocks, tmp_path)


def test_a_right_page_passes(tmp_path: Path) -> None:
    blocks = _page(tmp_path, "```console\n$ echo one; exit 4  # exit 4\no...\n```\n")
    assert _run_all(blocks, tmp_path) == 1


def test_a_page_is_read_in_one_shell(tmp_path: Path) -> None:
    commands = "$ export X=1; mkdir a && cd a; exit 3  # exit 3\n$ pwd; echo $X\n.../a\n1\n"
    text = f"```console\n{commands}```\n"
    assert _run_all(_page(tmp_path, text), tmp_path) == 2


def test_a_clone_has_its_programs_in_the_environment_only(tmp_path: Path) -> None:
    commands = "$ ls .venv/bin docs/examples\n...\ntroth\n...\n$ troth  # exit 127\n...\n"
    text = f"```console\n{commands}```\n"
    assert _run_all(_page(tmp_path, text), tmp_path, clone=True) == 2


def test_what_a_page_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    commands = "$ sleep 300 >log 2>&1 & echo $! >number\n$ false\n"
    with pytest.raises(SnippetFailedError):
        _run_all(_page(tmp_path, f"```console\n{commands}```\n"), tmp_path)
    process = Path("/proc") / (tmp_path / "reader" / "number").read_text().strip()
    ends = time.monotonic() + 20
    while (process / "stat").exists() and ") Z " not in (process / "stat").read_text():
        assert time.monotonic() < ends, "it still runs"
        time.sleep(0.01)
