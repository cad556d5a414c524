"""`troth resume` as its users meet it: signals, full disks, two processes, and what is said."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from e2e.command_line import EXAMPLES, TIMEOUT_SECONDS, Finished, run_example, troth, trust_file

WAITS: Final = """
import pathlib
import threading


def price_of(name):
    pathlib.Path("asked").touch()
    threading.Event().wait()
"""
"""An effect that says that it was asked, and never answers."""


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A recorded run that waits for its effect, in a process of its own."""
    (tmp_path / "waits.py").write_text(WAITS)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "troth.conformance.shell_main", "run"),
            *(EXAMPLES / "two_buyer.troth", "--effects", "waits.py"),
            *("--keys", "keys", "--record", "book.replay"),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (tmp_path / "asked").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield process
    process.kill()
    process.communicate()


def _resume(folder: Path, *options: str) -> Finished:
    effects = str(EXAMPLES / "two_buyer_effects.py")
    return troth(
        *("resume", "book.replay", "--keys", "keys", "--effects", effects, *options), cwd=folder
    )


def _require_valid(folder: Path) -> None:
    trust = trust_file(folder / "keys", folder / "trust")
    verified = troth("verify", folder / "book.replay", "--trust", trust)
    assert verified.code == 0, verified.out
    assert "the run was resumed 1 time after a stop" in verified.out


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGTERM, 143, "troth: terminated"),
        (signal.SIGINT, 130, "troth: interrupted"),
        (signal.SIGKILL, -9, ""),
    ],
)
def test_a_run_that_was_ended_by_a_signal_can_be_resumed(
    number: signal.Signals, code: int, word: str, stuck: subprocess.Popen[str], tmp_path: Path
) -> None:
    stuck.send_signal(number)
    _, said = stuck.communicate(timeout=TIMEOUT_SECONDS)
    assert stuck.returncode == code
    assert word in said
    assert ("`troth resume` goes on with it" in said) == bool(word)
    assert "Traceback" not in said
    assert troth("verify", tmp_path / "book.replay").code == 4
    resumed = _resume(tmp_path)
    assert (resumed.code, resumed.out) == (0, "agreed\n")
    assert "resumed after round" in resumed.err
    _require_valid(tmp_path)


def test_nobody_else_writes_the_record_of_a_run(
    stuck: subprocess.Popen[str], tmp_path: Path
) -> None:
    before = (tmp_path / "book.replay").read_bytes()
    for refused in (
        _resume(tmp_path),
        troth("run", EXAMPLES / "hello.troth", "--record", "book.replay", cwd=tmp_path),
    ):
        assert refused.code == 1
        assert "[artifact.locked]" in refused.err
        assert f"process {stuck.pid}" in refused.err
    assert (tmp_path / "book.replay").read_bytes() == before
    assert troth("verify", tmp_path / "book.replay").code == 4, "reading is allowed"


def test_an_ended_run_says_so(tmp_path: Path) -> None:
    record = tmp_path / "book.replay"
    assert run_example("two_buyer", "--keys", tmp_path / "keys", "--record", record).code == 0
    data = record.read_bytes()
    resumed = _resume(tmp_path)
    assert (resumed.code, resumed.out) == (0, "")
    assert "the run has ended, there is nothing to resume" in resumed.err
    assert record.read_bytes() == data


def test_a_run_that_does_not_end_well_ends_with_1_when_resumed(tmp_path: Path) -> None:
    record = tmp_path / "book.replay"
    run_example("two_buyer", "--keys", tmp_path / "keys", "--record", record, "--durable")
    record.write_bytes(record.read_bytes()[:2200])
    (tmp_path / "fails.py").write_text("def price_of(name):\n    raise ValueError(name)\n")
    options = ("--keys", "keys", "--effects", "fails.py", "--durable")
    resumed = troth("resume", record, *options, cwd=tmp_path)
    assert resumed.code == 1
    assert "vm.fault.invoke" in resumed.err
    assert troth("verify", record).code == 5


def test_without_keys_it_is_said_why(tmp_path: Path) -> None:
    record = tmp_path / "hello.replay"
    assert run_example("hello", "--record", record).code == 0
    record.write_bytes(record.read_bytes()[:1500])
    for options in ((), ("--keys", tmp_path / "none")):
        refused = troth("resume", record, *options)
        assert refused.code == 1
        assert "[resume.keys]" in refused.err
        assert "gone with it" in refused.err


# --- full disks ----------------------------------------------------------------------------

FILE_BYTES_MAX: Final = 3_000


def _limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))


def test_a_file_that_may_not_grow_ends_the_run_with_1(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "troth.conformance.shell_main", "run"),
            *(EXAMPLES / "two_buyer.troth", "--effects", EXAMPLES / "two_buyer_effects.py"),
            *("--keys", "keys", "--record", "book.replay"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        preexec_fn=_limit_files,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "[artifact.io]" in done.stderr
    assert "File too large" in done.stderr
    assert (tmp_path / "book.replay").stat().st_size == FILE_BYTES_MAX
    resumed = _resume(tmp_path)
    assert (resumed.code, resumed.out) == (0, "agreed\n")
    _require_valid(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 pages, where the machine allows to make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("this machine does not let its users mount; the limit above stands for it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_run_with_1(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "other").write_bytes(bytes(224 * 4096))
    record = small_disk / "ring.replay"
    options = ("--keys", tmp_path / "keys", "--record", record)
    full = run_example("ring", *options)
    assert full.code == 1
    assert "No space left on device" in full.err
    assert troth("verify", record).code == 4
    (small_disk / "other").unlink()
    resumed = troth("resume", record, "--keys", tmp_path / "keys")
    assert resumed.code == 0, resumed.err
    trust = trust_file(tmp_path / "keys", tmp_path / "trust")
    assert troth("verify", record, "--trust", trust).code == 0
