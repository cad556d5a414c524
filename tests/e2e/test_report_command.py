"""`troth report` as its users meet it: a page on the disk, a line on standard output."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from e2e.command_line import run_example, troth, trust_file


@pytest.fixture(name="recorded", scope="module")
def _recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("reported")
    artifact = folder / "hello.replay"
    done = run_example("hello", "--keys", folder / "keys", "--record", artifact)
    assert done.code == 0
    return artifact, trust_file(folder / "keys", folder / "trust")


def test_a_page_is_written(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    artifact, trust = recorded
    page = tmp_path / "page.html"
    done = troth("report", artifact, "--trust", trust, "-o", page)
    assert (done.code, done.out, done.err) == (0, f"{page}: hello.replay is valid\n", "")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>\n")
    assert "<h1>Valid</h1>" in text
    assert stat.S_IMODE(page.stat().st_mode) & 0o044, "others may read it, as any result"
    assert os.listdir(tmp_path) == ["page.html"]


def test_the_page_is_the_same_each_time(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    for page in pages:
        assert troth("report", recorded[0], "-o", page).code == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_without_a_name_it_stands_beside_the_artifact(
    recorded: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.replay"
    copy.write_bytes(recorded[0].read_bytes())
    assert troth("report", copy).code == 0
    assert (tmp_path / "copy.replay.html").exists()


def test_the_options_of_verify_count(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    artifact, trust = recorded
    page = tmp_path / "page.html"
    done = troth("report", artifact, "--trust", trust, "--protocol", "0" * 64, "-o", page)
    assert (done.code, done.out) == (0, f"{page}: hello.replay is invalid\n")
    assert "protocol.pinned" in page.read_text(encoding="utf-8")
    done = troth("report", artifact, "--no-replay", "-o", page)
    assert "it was not asked for" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("cut", [0, 5, 700])
def test_what_is_cut_short_has_a_page(
    recorded: tuple[Path, Path], tmp_path: Path, cut: int
) -> None:
    short, page = tmp_path / "short.replay", tmp_path / "page.html"
    short.write_bytes(recorded[0].read_bytes()[:cut])
    done = troth("report", short, "-o", page)
    assert (done.code, done.out) == (0, f"{page}: short.replay is incomplete\n")


def test_nothing_precious_is_replaced(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    artifact, _ = recorded
    before = artifact.read_bytes()
    other, key, script = (tmp_path / name for name in ("b.replay", "a.key", "a.troth"))
    other.write_bytes(before)
    key.write_text("secret")
    script.write_text("main:\n")
    for target in (artifact, other, key, script):
        done = troth("report", artifact, "-o", target)
        assert (done.code, done.out) == (1, "")
        assert "output." in done.err
    assert (artifact.read_bytes(), other.read_bytes()) == (before, before)
    assert (key.read_text(), script.read_text()) == ("secret", "main:\n")


def test_a_page_that_cannot_be_written(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    for target in (tmp_path / "no" / "page.html", tmp_path):
        done = troth("report", recorded[0], "-o", target)
        assert (done.code, done.out) == (1, "")
        assert "[report.io]" in done.err
    assert troth("report", tmp_path / "nothing.replay").code == 1
    assert os.listdir(tmp_path) == []


def test_an_earlier_page_survives_a_failure(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("earlier")
    assert troth("report", tmp_path / "nothing.replay", "-o", page).code == 1
    assert page.read_text() == "earlier"
    assert troth("report", recorded[0], "-o", page).code == 0
    assert page.read_text() != "earlier"


def test_to_standard_output(recorded: tuple[Path, Path]) -> None:
    done = troth("report", recorded[0], "-o", "/dev/stdout")
    assert done.code == 0
    assert done.out.startswith("<!doctype html>\n")
