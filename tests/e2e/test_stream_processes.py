"""Host and client as processes of their own over UDP: keys, endings, what the other sees."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.command_line import TIMEOUT_SECONDS, troth

pytestmark = pytest.mark.slow


class Desk:
    """A folder with the keys of both sides, and what runs there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        for name, other in (("Host", "Client"), ("Client", "Host")):
            keys = folder / name
            assert troth("keygen", name, "--out", keys).code == 0
            (folder / other).mkdir(exist_ok=True)
            (folder / other / f"{name}.pub").write_bytes((keys / f"{name}.pub").read_bytes())

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "troth.conformance.shell_main", "stream"]
        started = subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.running.append(started)
        return started

    def host(self, *more: str) -> subprocess.Popen[str]:
        """A host that listens."""
        started = self.start(
            "host", "--keys", "Host", "--listen", "127.0.0.1:0", "--port-file", "port",
            "--record", "hosted", *more,
        )  # fmt: skip
        self.until((self.folder / "port").exists, started)
        return started

    def client(self, *more: str, record: str = "seen") -> subprocess.Popen[str]:
        port = (self.folder / "port").read_text().strip()
        return self.start(
            "client", f"127.0.0.1:{port}", "--keys", "Client", "--size", "80x64",
            "--fps", "20", "--bitrate", "600", "--record", record, *more,
        )  # fmt: skip

    def until(self, holds: Any, *alive: subprocess.Popen[str]) -> None:
        ends = time.monotonic() + TIMEOUT_SECONDS
        while not holds():
            assert time.monotonic() < ends
            for process in alive:
                assert process.poll() is None, process.communicate()
            time.sleep(0.05)

    def media_runs(self, record: str = "seen") -> bool:
        path = self.folder / record / "client.events"
        return path.exists() and "media_start" in path.read_text()

    def end_of(self, record: str, name: str) -> dict[str, Any]:
        lines = (self.folder / record / f"{name}.events").read_text().splitlines()
        (found,) = (event for event in map(json.loads, lines) if event["event"] == "session_end")
        assert isinstance(found, dict)
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def done(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert "Traceback" not in err, err
    return process.returncode, out


def test_two_processes_leave_records_that_agree(desk: Desk) -> None:
    host = desk.host()
    client = desk.client("--seconds", "1")
    code, out = done(client)
    assert code == 0
    assert out.startswith("ended: time_is_up by Client\n")
    code, out = done(host)
    assert code == 0
    assert out.startswith("host ended: time_is_up by Client; input: ")
    trust = desk.folder / "trust"
    keys = [desk.folder / name / f"{name}.pub" for name in ("Host", "Client")]
    trust.write_bytes(b"".join(key.read_bytes() for key in keys))
    records = (desk.folder / "hosted/host.replay", desk.folder / "seen/client.replay")
    assert troth("verify", records[0], "--trust", trust).code == 0
    assert troth("verify", records[1], "--trust", trust).code == 0
    assert troth("verify", *records, "--trust", trust).code == 0


def test_a_host_that_is_asked_to_end_says_so(desk: Desk) -> None:
    host = desk.host()
    client = desk.client()
    desk.until(desk.media_runs, host, client)
    host.send_signal(signal.SIGTERM)
    assert done(client)[0] == 0
    assert done(host)[0] == 0
    for record, name in (("hosted", "host"), ("seen", "client")):
        end = desk.end_of(record, name)
        assert (end["by"], end["reason"]) == ("Host", "process_exit")


def test_a_client_that_is_killed_is_given_up_and_the_next_is_served(desk: Desk) -> None:
    host = desk.host("--sessions", "2")
    first = desk.client()
    desk.until(desk.media_runs, host, first)
    busy = desk.client(record="turned_away")
    assert done(busy)[0] == 1
    assert desk.end_of("turned_away", "client")["reason"] == "host_busy"
    first.kill()
    killed = time.monotonic()
    first.communicate()
    path = desk.folder / "hosted" / "host.events"
    desk.until(lambda: "session_end" in path.read_text(), host)
    assert time.monotonic() - killed < 15, "five seconds of silence, and a busy machine"
    assert desk.end_of("hosted", "host")["reason"] == "peer_lost"
    second = desk.client("--seconds", "0.5", record="second")
    assert done(second)[0] == 0
    code, out = done(host)
    assert code == 1, "one session did not end in good order"
    assert "host ended: peer_lost by nobody" in out
    assert "host-2 ended: time_is_up by Client" in out
    assert "0 keys down" in out


def test_a_stranger_is_turned_away_before_anything_is_shown(desk: Desk) -> None:
    host = desk.host()
    assert troth("keygen", "Client", "--out", desk.folder / "Stranger").code == 0
    key = desk.folder / "Stranger" / "Host.pub"
    key.write_bytes((desk.folder / "Host" / "Host.pub").read_bytes())
    port = (desk.folder / "port").read_text().strip()
    stranger = desk.start("client", f"127.0.0.1:{port}", "--keys", "Stranger", "--plain")
    _, err = stranger.communicate(timeout=TIMEOUT_SECONDS)
    assert stranger.returncode == 1
    assert "[stream.handshake]" in err
    client = desk.client("--seconds", "0.5")
    assert done(client)[0] == 0, "the host is still there for others"
    out, err = host.communicate(timeout=TIMEOUT_SECONDS)
    assert (host.returncode, out.count("ended")) == (0, 1)
    assert "strangers turned away: 1" in err


def test_a_host_that_is_not_there(desk: Desk) -> None:
    (desk.folder / "port").write_text("9\n")
    client = desk.client()
    _, err = client.communicate(timeout=TIMEOUT_SECONDS)
    assert client.returncode == 1
    assert "[stream.handshake]" in err
    assert "handshake_timeout" in err


def test_nobody_has_said_who_the_host_is(tmp_path: Path) -> None:
    refused = troth("stream", "client", "127.0.0.1:9", "--keys", tmp_path)
    assert refused.code == 1
    assert "[link.key]" in refused.err
