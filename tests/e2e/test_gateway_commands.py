"""`troth stream` as its users run it: gateway, relay, admin, discover, probe."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.command_line import troth
from troth.conformance.shell_main import main
from troth.streaming.paths.discovery import Responder
from troth.streaming.paths.shell_discover import DiscoveryResponder
from troth.vm.keys import generate
from troth.vm.shell_keys import create_key_files

KEYS = ("gate", "relay", "root")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stream")
    for name in KEYS:
        create_key_files(made, name)
    return made


def _start(folder: Path, *arguments: str | Path) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """Starts a command that serves, and waits for its ports."""
    port_file = folder / f"{arguments[1]}-{time.monotonic_ns()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "troth.conformance.shell_main", *map(str, arguments),
         "--port-file", str(port_file)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(600):
        if port_file.exists():
            lines = port_file.read_text().split()
            return process, {name: int(port) for name, port in (line.split("=") for line in lines)}
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate()[1])


def _stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> str:
    process.send_signal(number)
    _, said = process.communicate(timeout=40)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    return said


@contextmanager
def _gateway(folder: Path) -> Iterator[dict[str, int]]:
    process, ports = _start(
        folder, "stream", "gateway", "--key", folder / "gate.key", "--port", "0",
        "--stun-port", "0", "--stun-port", "0", "--metrics", "127.0.0.1:0", "--open",
        "--relays", folder / "relay.pub", "--admins", folder / "root.pub",
        "--store", folder / "gateway.store",
    )  # fmt: skip
    try:
        yield ports
    finally:
        _stop(process)


Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs a command in this process: starting another takes longer than most of them."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(list(map(str, arguments)))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def _admin(here: Here, folder: Path, ports: dict[str, int], *command: str) -> tuple[int, str, str]:
    return here(
        "stream", "admin", *command, "--key", folder / "root.key",
        "--gateway", f"127.0.0.1:{ports['gateway']}", "--gateway-key", folder / "gate.pub",
    )  # fmt: skip


def test_a_gateway_and_a_relay_run_and_are_administered(folder: Path, here: Here) -> None:
    with _gateway(folder) as ports:
        relay, relay_ports = _start(
            folder, "stream", "relay", "--key", folder / "relay.key", "--port", "0",
            "--metrics", "127.0.0.1:0", "--gateway", f"127.0.0.1:{ports['gateway']}",
            "--gateway-key", folder / "gate.pub",
        )  # fmt: skip
        assert relay_ports["relay"] > 0
        for _ in range(100):
            code, out, err = _admin(here, folder, ports, "parties")
            assert code == 0, err
            if "relay  relay" in out:
                break
        assert "admin" in out
        assert "relay  relay" in out
        assert _admin(here, folder, ports, "sessions")[1].startswith("session")
        code, _, err = _admin(here, folder, ports, "ban", "nobody")
        assert code == 1
        assert "no_subject" in err
        code, out, _ = _admin(here, folder, ports, "audit")
        assert "root" in out
        assert "ban" in out
        code, out, _ = here(
            "stream", "probe", "--stun", f"127.0.0.1:{ports['stun1']}",
            "--stun", f"127.0.0.1:{ports['stun2']}",
        )  # fmt: skip
        assert code == 0
        assert "no translator" in out
        assert "registered with the gateway" in _stop(relay)


def test_a_relay_waits_for_its_gateway_and_ends_when_told(folder: Path) -> None:
    relay, _ = _start(
        folder, "stream", "relay", "--key", folder / "relay.key", "--port", "0",
        "--gateway", "127.0.0.1:1", "--gateway-key", folder / "gate.pub",
    )  # fmt: skip
    time.sleep(0.2)
    assert "gateway.unreachable" in _stop(relay, signal.SIGINT)


def test_hosts_of_the_local_network_are_found() -> None:
    key = generate("harry", bytes(range(32)))
    ready, stop = threading.Event(), threading.Event()
    port = 0

    async def answer() -> None:
        nonlocal port
        responder = Responder(key, 4_242, time.monotonic_ns())
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: DiscoveryResponder(responder), local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
        transport.close()

    thread = threading.Thread(target=lambda: asyncio.run(answer()))
    thread.start()
    try:
        assert ready.wait(10)
        found = troth("stream", "discover", "--address", f"127.0.0.1:{port}", "--seconds", "1")
    finally:
        stop.set()
        thread.join()
    assert found.code == 0
    assert found.out == f"harry  127.0.0.1:4242  key {key.public_key.hex()}\n"


def test_nobody_there_is_an_exit_code(here: Here) -> None:
    code, _, said = here("stream", "discover", "--address", "127.0.0.1:1", "--seconds", "0.2")
    assert code == 1
    assert "no host answered" in said
    code, out, _ = here("stream", "probe", "--stun", "127.0.0.1:1")
    assert code == 1
    assert "UDP may be blocked" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gateway"], "--key"),
        (["gateway", "--key", "missing.key", "--open"], "key.missing"),
        (["relay", "--key", "x"], "--gateway"),
        (["discover", "--address", "nowhere"], "HOST:PORT"),
        (["discover", "--seconds", "0"], "no time"),
        (["admin", "format"], "invalid choice"),
        (["probe"], "--stun"),
    ],
)
def test_wrong_arguments_end_with_one(arguments: list[str], said: str, here: Here) -> None:
    code, _, error = here("stream", *arguments)
    assert code == 1
    assert said in error


def test_a_gateway_that_nobody_could_use_is_refused(folder: Path, here: Here) -> None:
    code, _, said = here("stream", "gateway", "--key", folder / "gate.key")
    assert code == 1
    assert "gateway.argument" in said
