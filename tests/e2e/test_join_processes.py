"""A role in Python meets bytecode roles in processes of their own, over loopback."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from e2e.command_line import EXAMPLES, TIMEOUT_SECONDS, troth, trust_file
from role_players import LEVEL_5
from troth import dsl, vm

ROLES = ("Alice", "Bob", "Seller")


def _keys(folder: Path) -> Path:
    """A folder of keys for each role, with everybody's public key; and the trust file."""
    for role in ROLES:
        assert troth("keygen", role, "--out", folder / role).code == 0
    for role in ROLES:
        for other in ROLES:
            if other != role:
                shutil.copy(folder / other / f"{other}.pub", folder / role)
    return trust_file(folder / "Alice", folder / "trust")


async def _program(role: str, port: int, folder: Path, *more: str) -> asyncio.subprocess.Process:
    script, effects = EXAMPLES / "two_buyer.troth", EXAMPLES / "two_buyer_effects.py"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "troth.conformance.shell_main", "run", str(script), "--effects", str(effects)),
        *("--role", role, "--keys", str(folder / role), "--connect", f"127.0.0.1:{port}"),
        *("--record", str(folder / f"{role}.replay"), *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _bob_is_called(role: str, folder: Path, seal: str) -> tuple[int, int]:
    """Alice calls Bob and the Seller, Bob calls the Seller."""
    listening: asyncio.Queue[int] = asyncio.Queue()
    links = vm.LinkOptions(
        listen=("127.0.0.1", 0), on_listening=lambda address: listening.put_nowait(address.port)
    )
    view = dsl.load(EXAMPLES / "two_buyer.troth").protocol("TwoBuyer").role(role)
    seller = vm.join(
        view, links, key=folder / role, record=folder / f"{role}.replay", durable=True, seal=seal
    )

    async def sell() -> None:
        async with seller as s:
            assert await s.recv("Alice", "title") == "The Art of War"
            for buyer in ("Alice", "Bob"):
                await s.send(buyer, "quote", price=120)
            assert await s.recv_any("Bob") == ("accept", "1 Session Way")
            await s.send("Bob", "date", day="2026-12-01")

    selling = asyncio.ensure_future(sell())
    port = await listening.get()
    bob = await _program("Bob", port, folder, "--listen", "127.0.0.1:0", "--seal", seal)
    assert bob.stderr is not None
    said = (await bob.stderr.readline()).decode()
    bob_port = said.rpartition(":")[2].strip()
    alice = await _program(
        *("Alice", port, folder, "--connect", f"127.0.0.1:{bob_port}", "--seal", seal)
    )
    ends = await asyncio.gather(alice.communicate(), bob.communicate())
    await selling
    assert ends[0][0] == b"agreed\n", ends
    assert alice.returncode is not None
    assert bob.returncode is not None
    return alice.returncode, bob.returncode


@pytest.mark.parametrize("seal", ["message", "round"])
def test_python_sells_to_programs_in_other_processes(tmp_path: Path, seal: str) -> None:
    trust = _keys(tmp_path)

    async def all_of_it() -> tuple[int, int]:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await _bob_is_called("Seller", tmp_path, seal)

    assert asyncio.run(all_of_it()) == (0, 0)
    for role in ROLES:
        done = troth("verify", tmp_path / f"{role}.replay", "--trust", trust, "--json")
        assert done.code == 0, done.out + done.err
        levels = json.loads(done.out)["levels"]
        assert all(level["ok"] for level in levels[:4])
        if role == "Seller":
            assert levels[4]["why"] == f"the role TwoBuyer.Seller {LEVEL_5}"
        else:
            assert levels[4]["ok"]
    if seal == "round":
        _tools(tmp_path, trust)


def _tools(folder: Path, trust: Path) -> None:
    """Every command has something to say about a record that no program made."""
    record = folder / "Seller.replay"
    prose = troth("verify", record, "--trust", trust).out
    assert f"level 5 did not run: the role TwoBuyer.Seller {LEVEL_5}." in prose
    assert (
        "no program: Python code played the roles of this machine" in troth("inspect", record).out
    )
    assert "SPAWN the host's own code by the machine" in troth("inspect", record, "--events").out
    assert "the host's own code; holds 0.Seller" in troth("show", record, "--at", "12").out
    assert troth("canon", record).code == 0
    assert troth("diff", record, record).code == 0
    assert troth("diff", record, folder / "Bob.replay").code == 2
    page = folder / "page.html"
    assert troth("report", record, "--out", page).code in (0, 5)
    assert "none: Python code played the roles of this machine" in page.read_text()
    redacted = folder / "redacted.replay"
    assert troth("redact", record, "--out", redacted, "--label", "accept").code == 0
    assert LEVEL_5 in troth("verify", redacted).out

    cut = folder / "cut.replay"
    cut.write_bytes(record.read_bytes()[:-300])
    refused = troth("resume", cut, "--keys", folder / "Seller")
    assert refused.code == 1, refused
    assert "Python code played its role" in refused.err
