"""`troth verify` over many artifacts, as its users run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.command_line import run_example, troth, trust_file

COMMAND = [sys.executable, "-m", "troth.conformance.shell_main", "verify"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trust file, and an artifact that is valid by it."""
    folder = tmp_path_factory.mktemp("recorded")
    done = run_example("hello", "--keys", folder / "keys", "--record", folder / "hello.replay")
    assert done.code == 0
    trust_file(folder / "keys", folder / "trust")
    return folder


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """Four artifacts that are valid and one of each other kind, with names as people give them."""
    data = (recorded / "hello.replay").read_bytes()
    below = tmp_path / "all" / "below it"
    below.mkdir(parents=True)
    for number in range(4):
        (tmp_path / "all" / f"{number}.replay").write_bytes(data)
    (below / "cut.replay").write_bytes(data[:-1])
    (below / "b\x1b[31mad\n.replay").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (below / "ignored.txt").write_bytes(b"not an artifact")
    (tmp_path / "trust").write_bytes((recorded / "trust").read_bytes())
    return tmp_path


def test_a_folder(folder: Path) -> None:
    done = troth("verify", "all", "--trust", "trust", cwd=folder)
    assert done.code == 2
    assert done.err == ""
    bad, cut, *table = done.out.splitlines()
    assert bad.startswith("all/below it/b\\u{1b}[31mad\\u{a}.replay: invalid (exit 2): ")
    assert cut.startswith("all/below it/cut.replay: incomplete (exit 4): ")
    assert "[incomplete.torn at byte " in cut
    assert [line.rsplit(None, 1) for line in table] == [
        ["invalid (exit 2)", "1"],
        ["incomplete (exit 4)", "1"],
        ["valid (exit 0)", "4"],
        ["all", "6"],
    ]


def test_json_lines(folder: Path) -> None:
    done = troth("verify", "all", "--trust", "trust", "--json", "--jobs", "3", cwd=folder)
    assert done.code == 2
    *files, summary = [json.loads(line) for line in done.out.splitlines()]
    assert [Path(form["file"]).name for form in files[:4]] == [f"{n}.replay" for n in range(4)]
    assert [form["exit_code"] for form in files] == [0, 0, 0, 0, 2, 4]
    one = troth("verify", "all/0.replay", "--trust", "trust", "--json", cwd=folder)
    assert json.loads(one.out) == files[0], "the same object as of one file"
    assert summary["exit_code"] == 2
    assert summary["summary"] == {
        "files": 6,
        "remembered": 0,
        "counts": {"invalid": 1, "incomplete": 1, "valid": 4},
    }


def test_files_by_name(folder: Path) -> None:
    names = ["all/0.replay", "all/below it/cut.replay", "trust", "gone"]
    done = troth("verify", "--batch", *names, "--trust", "trust", cwd=folder)
    assert done.code == 2
    assert "trust: invalid (exit 2)" in done.out
    assert "gone: not judged (exit 1): The artifact cannot be opened" in done.out
    done = troth("verify", "--batch", *names[:2], "gone", "--trust", "trust", cwd=folder)
    assert done.code == 1, "unknown is worse than incomplete"
    done = troth("verify", *names[:2], "--trust", "trust", cwd=folder)
    assert done.code == 4, "without it they are judged together"
    assert done.out.startswith("2 records: incomplete (exit 4)\n")


def test_nothing_to_verify(tmp_path: Path) -> None:
    done = troth("verify", ".", cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "[batch.nothing]" in done.err


def test_a_pipe_in_a_folder_stops_nothing(folder: Path) -> None:
    os.mkfifo(folder / "all" / "pipe.replay")
    (folder / "all" / "loop").symlink_to(folder / "all")
    done = troth("verify", "all", "--trust", "trust", cwd=folder)
    assert done.out.splitlines()[-1].split() == ["all", "6"]


def test_reports_and_state(folder: Path) -> None:
    arguments = ["all", "--trust", "trust", "--state", "state"]
    first = troth("verify", *arguments, "--junit", "j.xml", "--sarif", "s.json", cwd=folder)
    again = troth("verify", *arguments, "--junit", "k.xml", "--sarif", "t.json", cwd=folder)
    assert first.code == again.code == 2
    assert (folder / "j.xml").read_bytes() == (folder / "k.xml").read_bytes()
    assert (folder / "s.json").read_bytes() == (folder / "t.json").read_bytes()
    assert "all, 6 of them remembered" in again.out
    assert first.out.splitlines()[:2] == again.out.splitlines()[:2]
    untrusted = troth("verify", "all", "--state", "state", cwd=folder)
    assert "self-consistent (exit 5)" in untrusted.out
    # Of four with the same content some may be known by the first; the others are judged anew.
    remembered = re.search(r"all(?:, (\d) of them remembered)? +6$", untrusted.out)
    assert remembered is not None
    assert int(remembered[1] or 0) <= 3


def test_one_file_has_reports_too(folder: Path) -> None:
    done = troth(
        "verify", "all/0.replay", "--trust", "trust", "--junit", "j.xml", "--sarif", "s", cwd=folder
    )
    assert done.code == 0
    assert 'tests="1" failures="0"' in (folder / "j.xml").read_text()
    assert json.loads((folder / "s").read_text())["runs"][0]["results"] == []
    done = troth("verify", "gone", "--junit", "j.xml", cwd=folder)
    assert done.code == 1
    assert 'errors="1"' in (folder / "j.xml").read_text()


def _many(folder: Path, count: int) -> None:
    for number in range(count):
        shutil.copy(folder / "all" / "0.replay", folder / "all" / f"more{number:04}.replay")


def _children(parent: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            if int(text.rpartition(")")[2].split()[1]) == parent:
                yield int(entry.name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_an_interrupted_batch_goes_on(folder: Path) -> None:
    _many(folder, 400)
    # Another content each, so that none is known by another.
    for number, path in enumerate(sorted((folder / "all").glob("more*"))):
        path.write_bytes(path.read_bytes()[: -1 - number])
    command = [*COMMAND, "all", "--trust", "trust", "--state", "state", "--jobs", "2"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "incomplete" in process.stdout.readline()
        workers = list(_children(process.pid))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "the same command goes on from there" in errors
    assert len(workers) == 2
    for _ in range(100):
        if not any(Path(f"/proc/{worker}").exists() for worker in workers):
            break
        time.sleep(0.05)
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    done = troth(*command[3:], cwd=folder)
    assert done.code == 2
    last = done.out.splitlines()[-1]
    assert last.startswith("all, ")
    assert last.split()[-1] == "406"


def test_a_reader_that_goes_away_ends_it(folder: Path) -> None:
    _many(folder, 50)
    with subprocess.Popen(
        [*COMMAND, "all", "--json"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) in (1, 5)
        assert process.stderr.read() == b""
