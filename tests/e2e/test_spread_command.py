"""`troth run --role`: each party in a process of its own, over loopback."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from e2e.command_line import EXAMPLES, TIMEOUT_SECONDS, printed_by, troth, trust_file
from troth.vm import events as ev
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder
from troth.vm.records import Kind

HOMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "hello": (("Client",), ("Server",)),
    "two_buyer": (("Alice",), ("Bob",), ("Seller",)),
    "drain": (("Sender",), ("Receiver",)),
    "nested_recursion": (("Producer",), ("Consumer",)),
    "delegation": (("Client",), ("Server", "Dispatcher", "Worker")),
    "ring": (("A",), ("B",), ("C",), ("D",)),
}


class Party:
    """One process."""

    def __init__(
        self, name: str, roles: Sequence[str], folder: Path, others: Sequence[int], *more: str
    ) -> None:
        self.folder = folder
        self.record = folder.with_suffix(".replay")
        effects = EXAMPLES / f"{name}_effects.py"
        arguments = [
            sys.executable,
            "-m",
            "troth.conformance.shell_main",
            "run",
            str(EXAMPLES / f"{name}.troth"),
            *(("--effects", str(effects)) if effects.exists() else ()),
            *(part for role in roles for part in ("--role", role)),
            *(part for port in others for part in ("--connect", f"127.0.0.1:{port}")),
            *("--listen", "127.0.0.1:0", "--keys", str(folder), "--record", str(self.record)),
            *more,
        ]
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.port = _port(self.process.stderr)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=TIMEOUT_SECONDS)
        assert "Traceback" not in err, err
        return self.process.returncode, out, err


def _port(stream: IO[str]) -> int:
    line = stream.readline()
    found = re.search(r"listening at 127\.0\.0\.1:(\d+)", line)
    assert found, line + stream.read()
    return int(found[1])


def _keys(homes: Sequence[Sequence[str]], folder: Path) -> tuple[list[Path], Path]:
    """A folder of keys for each party, with the public keys of all; and the trust file."""
    everyone = folder / "everyone"
    folders = []
    for number, roles in enumerate(homes):
        own = folder / f"party{number}"
        for role in roles:
            assert troth("keygen", role, "--out", own).code == 0
        folders.append(own)
    everyone.mkdir()
    for own in folders:
        for public in own.glob("*.pub"):
            shutil.copy(public, everyone)
    for own in folders:
        for public in everyone.iterdir():
            if not (own / public.name).exists():
                shutil.copy(public, own)
    return folders, trust_file(everyone, folder / "trust")


def _run(name: str, folder: Path, *more: str) -> tuple[list[Party], Path, str]:
    folders, trust = _keys(HOMES[name], folder)
    parties: list[Party] = []
    for roles, own in zip(HOMES[name], folders, strict=True):
        parties.append(Party(name, roles, own, [party.port for party in parties], *more))
    ends = [party.end() for party in parties]
    assert [code for code, _, _ in ends] == [0] * len(parties), ends
    return parties, trust, "".join(out for _, out, _ in ends)


def _require_valid(parties: Sequence[Party], trust: Path) -> None:
    for party in parties:
        done = troth("verify", party.record, "--trust", trust, "--json")
        assert done.code == 0, done.out + done.err
        levels = json.loads(done.out)["levels"]
        assert all(level["ran"] and level["ok"] for level in levels)


def _shared(parties: Sequence[Party]) -> tuple[set[object], set[object]]:
    """What they say they sent to other machines, and what arrived, by position and content."""
    sent: set[object] = set()
    came: set[object] = set()
    for party in parties:
        decoder, away = EventDecoder(), set[str]()
        with party.record.open("rb") as stream:
            for record in ArtifactReader(stream):
                event = decoder.decode(record)
                if isinstance(event, ev.Met):
                    away |= {role for role, _, _ in event.parties}
                elif isinstance(event, ev.Sent) and event.receiver in away:
                    sent.add((*event[:7], event.commitment))
                elif isinstance(event, ev.Arrived):
                    came.add((*event[:7], event.commitment))
    return sent, came


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seal"),
    [(name, seal) for name in HOMES for seal in ("message", "round") if name != "ring"]
    + [("ring", "message")],
)
def test_every_example_spread_over_processes(name: str, seal: str, tmp_path: Path) -> None:
    parties, trust, printed = _run(name, tmp_path, "--seal", seal)
    assert printed == printed_by(name)
    _require_valid(parties, trust)
    sent, came = _shared(parties)
    assert sent == came
    assert sent


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["off", "nullifier"])
def test_in_the_other_replay_modes(mode: str, tmp_path: Path) -> None:
    parties, trust, printed = _run("two_buyer", tmp_path, "--replay", mode)
    assert printed == printed_by("two_buyer")
    _require_valid(parties, trust)


def test_another_key_than_expected_is_not_met(tmp_path: Path) -> None:
    (server, client), _ = _keys((("Server",), ("Client",)), tmp_path)
    (server / "Client.pub").unlink()
    stranger = tmp_path / "stranger"
    assert troth("keygen", "Client", "--out", stranger).code == 0
    shutil.copy(stranger / "Client.pub", server)
    # Long enough for a process to start on a busy machine.
    waiting = Party("hello", ["Server"], server, [], "--patience", "10")
    calling = Party("hello", ["Client"], client, [waiting.port], "--patience", "2")
    ends = [party.end() for party in (waiting, calling)]
    assert [code for code, _, _ in ends] == [1, 1]
    assert "offers Client with another key than expected" in ends[0][2]
    assert "vm.fault.open" in ends[0][2], "it met nobody"
    assert "Server off the line for 2 s" in ends[1][2], "it met somebody who went"


def test_who_nobody_has_named_needs_a_decision(tmp_path: Path) -> None:
    done = troth(
        "run",
        EXAMPLES / "hello.troth",
        "--role",
        "Client",
        "--listen",
        "127.0.0.1:0",
        "--keys",
        tmp_path / "keys",
        "--patience",
        "1",
    )
    assert done.code == 1
    assert "vm.fault.open" in done.err or "link.key" in done.err


def _has_opened(record: Path) -> bool:
    if not record.exists():
        return False
    with record.open("rb") as stream:
        return any(one.items[0] == Kind.OPEN for one in ArtifactReader(stream))


@pytest.mark.slow
def test_a_party_that_is_killed_ends_the_session_of_the_other(tmp_path: Path) -> None:
    (client, server), trust = _keys((("Client",), ("Server",)), tmp_path)
    waiting = Party("hello", ["Server"], server, [], "--patience", "10")
    script = tmp_path / "slow.troth"
    text = (EXAMPLES / "hello.troth").read_text()
    script.write_text(text.replace('    send s.Server greet("world")', "    loop:\n        yield"))
    calling = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "troth.conformance.shell_main",
            "run",
            str(script),
            "--role",
            "Client",
            "--connect",
            f"127.0.0.1:{waiting.port}",
            "--keys",
            str(client),
            "--record",
            str(tmp_path / "killed.replay"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ends = time.monotonic() + TIMEOUT_SECONDS
    try:
        while not _has_opened(waiting.record):
            assert calling.poll() is None
            assert time.monotonic() < ends, "they never meet"
            time.sleep(0.05)
    finally:
        calling.send_signal(signal.SIGKILL)
        calling.communicate()
    code, _, err = waiting.end()
    assert (code, "Client off the line for 10 s" in err) == (1, True), err
    done = troth("verify", waiting.record, "--trust", trust)
    assert done.code == 0, done.out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--listen", "127.0.0.1:0"], "link.role"),
        (["--role", "Client"], "link.nowhere"),
        (["--role", "Client", "--connect", "nowhere"], "[link.address]"),
    ],
)
def test_what_cannot_be(options: list[str], code: str) -> None:
    done = troth("run", EXAMPLES / "hello.troth", *options)
    assert done.code == 1
    assert code in done.err
