"""`troth doctor` beside roles that run, are stopped, or are not there."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.command_line import TIMEOUT_SECONDS, troth
from troth.streaming.link import SecureLink
from troth.streaming.session.shell_transport import link_options
from troth.vm.shell_keys import new_key

pytestmark = pytest.mark.slow


def doctor(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    done = troth("doctor", *arguments, "--json")
    assert done.code in (0, 2), done.err
    facts: dict[str, Any] = json.loads(done.out)
    assert facts["exit_code"] == done.code
    return done.code, {item["code"]: item for item in facts["findings"]}


@contextmanager
def host(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A host that listens: its process, address, and the address of its metrics."""
    for name in ("Host", "Client"):
        assert troth("keygen", name, "--out", folder).code == 0
    metrics = f"127.0.0.1:{_free_port()}"
    command = [sys.executable, "-m", "troth.conformance.shell_main", "stream", "host"]
    process = subprocess.Popen(
        [*command, "--keys", str(folder), "--listen", "127.0.0.1:0", "--metrics", metrics,
         "--port-file", str(folder / "port"), *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    ends = time.monotonic() + TIMEOUT_SECONDS
    while not (folder / "port").exists() or not (folder / "port").read_text().strip():
        assert time.monotonic() < ends
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    try:
        yield process, f"127.0.0.1:{(folder / 'port').read_text().strip()}", metrics
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_host_that_runs_is_stopped_and_killed(tmp_path: Path) -> None:
    with host(tmp_path) as (process, target, metrics):
        code, found = doctor("--host", metrics, "--target", target)
        assert (code, found) == (0, {}), "asked for a handshake, it turned our key away"
        process.send_signal(signal.SIGSTOP)
        code, found = doctor("--host", metrics, "--target", target)
        assert code == 2
        assert {"host.unresponsive", "connect.no_answer"} <= set(found)
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        code, found = doctor("--host", metrics, "--target", target)
        assert {"host.unreachable", "connect.refused"} == set(found)
        assert found["host.unreachable"]["evidence"][0]["source"] == metrics


def test_what_answers_and_is_no_host_is_a_stranger() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))

        def echo() -> None:
            while True:
                try:
                    data, source = stranger.recvfrom(2_048)
                    stranger.sendto(data[::-1], source)
                except OSError:
                    return

        threading.Thread(target=echo, daemon=True).start()
        address = f"127.0.0.1:{stranger.getsockname()[1]}"
        code, found = doctor("--target", address)
    assert code == 2
    assert set(found) == {"connect.stranger"}


def test_what_is_no_page_of_metrics() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer() -> None:
            line, _ = server.accept()
            with line:
                line.recv(4_096)
                line.sendall(b"SSH-2.0-something\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        code, found = doctor("--relay", f"127.0.0.1:{server.getsockname()[1]}")
        thread.join(TIMEOUT_SECONDS)
    assert code == 2
    assert set(found) == {"relay.unreachable"}
    assert "no HTTP" in found["relay.unreachable"]["evidence"][0]["what"]


def test_a_host_whose_answers_do_not_get_through(tmp_path: Path) -> None:
    """Handshakes that are begun and never completed, as when UDP is let through one way only."""
    with host(tmp_path) as (_, target, metrics):
        place = target.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.sendto(_first_message(), (place[0], int(place[2])))
        ends = time.monotonic() + TIMEOUT_SECONDS
        while "connect.one_way" not in doctor("--host", metrics)[1]:
            assert time.monotonic() < ends


def _first_message() -> bytes:
    options = link_options(new_key("Client"), None, b"troth stream", 1)
    link = SecureLink.connect(options, ("127.0.0.1", 1), entropy=lambda n: b"\x07" * n, now_ns=0)
    link.tick(0)
    ((_, data),) = link.datagrams()
    return data


def test_nothing_to_look_at_and_what_cannot_be_read(tmp_path: Path) -> None:
    nothing = troth("doctor")
    assert nothing.code == 1
    assert "[doctor.nothing]" in nothing.err
    other = tmp_path / "other.replay"
    other.write_bytes(b"\x00" * 100)
    refused = troth("doctor", other)
    assert refused.code == 1
    assert "Traceback" not in refused.err
    gone = troth("doctor", tmp_path / "gone.events")
    assert "[doctor.files]" in gone.err
