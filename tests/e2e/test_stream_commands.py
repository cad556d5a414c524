"""`troth stream` as its users run it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.command_line import TIMEOUT_SECONDS, troth

pytestmark = pytest.mark.slow


def test_local_leaves_records_that_verify_and_replay(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    done = troth("stream", "local", "--seconds", "1", "--size", "80x64", "--record", folder)
    assert done.code == 0, done.err
    assert done.out.startswith("ended: time_is_up by Client\nframes: ")
    assert done.out.endswith("seed: 1\n")
    trust = tmp_path / "trust"
    trust.write_bytes(b"".join(path.read_bytes() for path in (folder / "keys").glob("*.pub")))
    records = (folder / "host.replay", folder / "client.replay")
    merged = troth("verify", *records, "--trust", trust)
    assert merged.code == 0, merged.out
    again = troth("stream", "replay-controller", records[0], "--json")
    assert again.code == 0
    rows = [json.loads(line) for line in again.out.splitlines()]
    assert rows
    assert all(row["recorded"] == row["again"] for row in rows)


def test_an_interruption_ends_the_session_in_good_order(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "troth.conformance.shell_main", "stream", "local"]
    running = subprocess.Popen(
        [*command, "--size", "80x64", "--record", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    ends = time.monotonic() + TIMEOUT_SECONDS
    events = folder / "client.events"
    while not (events.exists() and "media_start" in events.read_text()):
        assert time.monotonic() < ends
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=TIMEOUT_SECONDS)
    assert running.returncode == 0, err
    assert out.startswith("ended: user_disconnect by Client\n")


def test_a_session_on_a_starved_line_ends_in_its_time(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    line = ("--loss", "10", "--rate", "1500", "--delay", "20")
    done = troth("stream", "local", "--seconds", "2", *line, "--record", folder)
    assert done.code in (0, 1), done.err
    for name in ("host", "client"):
        lines = (folder / f"{name}.events").read_text().splitlines()
        (end,) = (e for e in map(json.loads, lines) if e["event"] == "session_end")
        print(f"{name}: {end['reason']} after {end['seconds']} s")
        assert end["reason"] == "time_is_up"
        assert end["seconds"] < 2 + 6, "what waited behind it once took twenty seconds more"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("local", "--size", "10x10"), "it must be from 40"),
        (("local", "--loss", "101"), "it must be from 0 to 100"),
        (("replay-controller", "nowhere.replay"), "[stream.record]"),
    ],
)
def test_wrong_arguments_are_refused(arguments: tuple[str, ...], words: str) -> None:
    done = troth("stream", *arguments)
    assert done.code == 1
    assert words in done.err


def test_a_record_of_something_else_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "one.troth"
    script.write_text("main:\n    print 1\n")
    assert troth("run", script, "--record", tmp_path / "one.replay").code == 0
    done = troth("stream", "replay-controller", tmp_path / "one.replay")
    assert done.code == 1
    assert "no session of the transport" in done.err
