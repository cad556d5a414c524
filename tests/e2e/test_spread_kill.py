"""A party that is killed and resumed goes on with its session, and the other accepts it."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from e2e.command_line import TIMEOUT_SECONDS, troth
from ping_pong import ping_pong
from troth.vm import events as ev
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder

LONG: Final = os.environ.get("TROTH_LONG") == "1"
KILLS: Final = 200 if LONG else 6
KILLS_A_RUN: Final = 8 if LONG else 3
TURNS: Final = 1200
RECORD_BYTES: Final = 300_000
"""About how long a party's record becomes."""

ROLES: Final = ("Left", "Right")


class Two:
    """Two processes, one of which can be killed and resumed."""

    def __init__(self, folder: Path, seal: str, port: int) -> None:
        self.folder = folder
        self.port = port
        self.script = folder / "play.troth"
        self.script.write_text(ping_pong(TURNS))
        for role in ROLES:
            assert troth("keygen", role, "--out", folder / role).code == 0
        for role, other in (ROLES, ROLES[::-1]):
            public = (folder / role / f"{role}.pub").read_bytes()
            (folder / other / f"{role}.pub").write_bytes(public)
        self.seal = seal
        self.resumed = dict.fromkeys(ROLES, 0)
        self.running = {role: self.start(role) for role in ROLES}

    def _links(self, role: str) -> list[str]:
        address = f"127.0.0.1:{self.port}"
        way = ["--listen", address] if role == "Right" else ["--connect", address]
        return [*way, "--patience", "60"]

    def _process(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "troth.conformance.shell_main", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def record(self, role: str) -> Path:
        return self.folder / f"{role}.replay"

    def start(self, role: str) -> subprocess.Popen[str]:
        return self._process(
            "run",
            self.script,
            "--role",
            role,
            "--keys",
            self.folder / role,
            "--record",
            self.record(role),
            "--seal",
            self.seal,
            *self._links(role),
        )

    def resume(self, role: str) -> None:
        self.resumed[role] += 1
        self.running[role] = self._process(
            "resume", self.record(role), "--keys", self.folder / role, *self._links(role)
        )

    def kill(self, role: str) -> bool:
        """Whether it was running."""
        process = self.running[role]
        if process.poll() is not None:
            return False
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True

    def end(self, role: str) -> tuple[int, str]:
        out, err = self.running[role].communicate(timeout=TIMEOUT_SECONDS)
        assert "Traceback" not in err, err
        assert self.running[role].returncode == 0, err
        return self.running[role].returncode, out

    def stop(self) -> None:
        for role in ROLES:
            self.kill(role)


def _free_port() -> int:
    """Asked of the system, so that two runs of these tests at once do not meet."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _positions(record: Path) -> dict[object, bytes]:
    """What stands at each position that this party sent."""
    found: dict[object, bytes] = {}
    decoder = EventDecoder()
    with record.open("rb") as stream:
        for one in ArtifactReader(stream):
            event = decoder.decode(one)
            if isinstance(event, ev.Sent):
                position = (event.session, event.sender, event.generation, event.sequence)
                assert found.setdefault(position, event.commitment) == event.commitment
    return found


def _wait_until_grown(two: Two, role: str, size: int) -> None:
    """Until the record has so many bytes, or its process has ended."""
    ends = time.monotonic() + TIMEOUT_SECONDS
    while two.running[role].poll() is None:
        record = two.record(role)
        if record.exists() and record.stat().st_size >= size:
            return
        assert time.monotonic() < ends, "the run does not go on"
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("seal", ["message", "round"])
def test_killed_and_resumed_parties_end_their_session(seal: str, tmp_path: Path) -> None:
    rng = random.Random(20240411)
    kills = runs = 0
    while kills < KILLS:
        runs += 1
        folder = tmp_path / f"run{runs}"
        folder.mkdir()
        two = Two(folder, seal, _free_port())
        try:
            grown = 0
            for _ in range(KILLS_A_RUN):
                role = rng.choice(ROLES)
                grown += rng.randrange(500, RECORD_BYTES // KILLS_A_RUN)
                _wait_until_grown(two, role, grown)
                if not two.kill(role):
                    break
                kills += 1
                # Readable, and right as far as it goes.
                assert troth("verify", two.record(role)).code in (4, 5)
                two.resume(role)
            ends = [two.end(role) for role in ROLES]
        finally:
            two.stop()
        printed = str(sum(n + n for n in range(TURNS))) in ends[0][1]
        assert printed or two.resumed["Left"], (
            "a line that is proved to be out is not printed again"
        )
        trust = folder / "trust"
        trust.write_text("".join((folder / r / f"{r}.pub").read_text() for r in ROLES))
        both = [two.record(role) for role in ROLES]
        together = json.loads(troth("verify", *both, "--trust", trust, "--json").out)
        assert (together["exit_code"], together["findings"]) == (0, []), together["reason"]
        for role in ROLES:
            done = troth("verify", two.record(role), "--trust", trust, "--json")
            assert done.code == 0, done.out
            assert json.loads(done.out)["counts"]["closed"] == 1
            assert len(_positions(two.record(role))) in (TURNS, TURNS + 1)
    print(f"seal {seal}: {kills} kills in {runs} runs")
