"""Gateway, relay, host and client as processes of their own, with keys in one folder.

A process may have a wall: while a certain file is there, it sends nothing but what goes to the
ports that are named. So a direct path is blocked, and a relay's is not.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from e2e.command_line import TIMEOUT_SECONDS, troth
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import connect_gateway
from troth.vm.shell_keys import create_key_files, load_key

ASK_EVERY_S = 1.0
"""An administrator who asks more often hits a limit of the gateway."""
WALLED = Path(__file__).with_name("walled_troth.py")


class RoutedDesk:
    """A folder, and what runs there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.ports: dict[str, int] = {}
        for name in ("gate", "relay", "root"):
            create_key_files(folder, name)
        for name, other in (("Host", "Client"), ("Client", "Host")):
            keys = folder / name
            create_key_files(keys, name)
            (folder / other).mkdir(exist_ok=True)
            (folder / other / f"{name}.pub").write_bytes((keys / f"{name}.pub").read_bytes())
        self.wall = folder / "wall"

    def start(self, *arguments: str | Path, walled: bool = False) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "troth.conformance.shell_main"]
        if walled:
            command = [sys.executable, str(WALLED), str(self.wall), str(self.ports["relay"])]
        started = subprocess.Popen(
            [*command, "stream", *map(str, arguments)],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.running.append(started)
        return started

    def _serve(self, name: str, *arguments: str | Path) -> subprocess.Popen[str]:
        file = self.folder / f"{name}.ports"
        file.unlink(missing_ok=True)
        process = self.start(name, *arguments, "--port-file", file)
        self.until(file.exists, process)
        lines = file.read_text().split()
        self.ports |= {key: int(port) for key, port in (line.split("=") for line in lines)}
        return process

    def gateway(self) -> subprocess.Popen[str]:
        return self._serve(
            "gateway", "--key", "gate.key", "--port", str(self.ports.get("gateway", 0)),
            "--stun-port", "0", "--stun-port", "0", "--open", "--relays", "relay.pub",
            "--admins", "root.pub", "--store", "gateway.store", "--record", "gated",
        )  # fmt: skip

    def relay(self) -> subprocess.Popen[str]:
        process = self._serve(
            "relay", "--key", "relay.key", "--port", "0", "--record", "relayed",
            *self.to_gateway,
        )  # fmt: skip
        self.until(lambda: self.registered("relay"), process, every_s=ASK_EVERY_S)
        return process

    @property
    def to_gateway(self) -> tuple[str, ...]:
        return ("--gateway", f"127.0.0.1:{self.ports['gateway']}", "--gateway-key", "gate.pub")

    @property
    def way(self) -> tuple[str, ...]:
        stun = (f"127.0.0.1:{self.ports['stun1']}", f"127.0.0.1:{self.ports['stun2']}")
        return (*self.to_gateway, "--stun", stun[0], "--stun", stun[1])

    def admin(self, *command: str) -> tuple[tuple[str, ...], ...]:
        """The rows of what the gateway answers, without their head."""
        return asyncio.run(self._admin(command))

    async def _admin(self, command: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        root = await connect_gateway(
            "127.0.0.1", self.ports["gateway"], kind=PartyKind.ADMIN,
            key=load_key(self.folder / "root.key"),
        )  # fmt: skip
        try:
            request = m.Command(root.link.next_request(), command[0], command[1:])
            report = await root.ask(request, m.Report)
        finally:
            await root.close()
        assert isinstance(report, m.Report)
        return report.rows[1:]

    def registered(self, name: str) -> bool:
        return any(row[1] == name for row in self.admin("parties"))

    def host(self, *more: str, walled: bool = False, name: str = "desk") -> subprocess.Popen[str]:
        """A host that has registered."""
        process = self.start(
            "host", "--keys", "Host", "--record", "hosted", "--name", name, *self.way, *more,
            walled=walled,
        )  # fmt: skip
        self.until(lambda: self.registered(name), process, every_s=ASK_EVERY_S)
        return process

    def client(
        self, *more: str, record: str = "seen", target: str = "desk", walled: bool = False
    ) -> subprocess.Popen[str]:
        return self.start(
            "client", target, "--keys", "Client", "--size", "80x64", "--fps", "20",
            "--bitrate", "4000", "--record", record, *self.way, *more,
            walled=walled,
        )  # fmt: skip

    def until(
        self, holds: Callable[[], object], *alive: subprocess.Popen[str], every_s: float = 0.05
    ) -> None:
        ends = time.monotonic() + TIMEOUT_SECONDS
        while not holds():
            assert time.monotonic() < ends
            for process in alive:
                assert process.poll() is None, process.communicate()
            time.sleep(every_s)

    def events(self, record: str, name: str, event: str) -> list[dict[str, Any]]:
        path = self.folder / record / f"{name}.events"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [one for one in found if one["event"] == event]

    def kinds(self, record: str = "seen", name: str = "client") -> list[str]:
        return [event["kind"] for event in self.events(record, name, "path_nominated")]

    def agreed(self, record: str, name: str) -> list[int]:
        """The paths that both programs have agreed on."""
        found = self.events(record, name, "path_change")
        return [event["to"] for event in found if "refused" not in event]

    def end_of(self, record: str, name: str) -> tuple[str, str]:
        (found,) = self.events(record, name, "session_end")
        return found["by"], found["reason"]

    def verified(self) -> None:
        """Both records, alone and together."""
        trust = self.folder / "trust"
        keys = [self.folder / name / f"{name}.pub" for name in ("Host", "Client")]
        trust.write_bytes(b"".join(key.read_bytes() for key in keys))
        records = (self.folder / "hosted/host.replay", self.folder / "seen/client.replay")
        for some in ((records[0],), (records[1],), records):
            said = troth("verify", *some, "--trust", trust)
            assert said.code == 0, said.out

    def verified_legs(self, *legs: str) -> dict[str, int]:
        """How many records there are of each leg, at all who are there; they hold together.

        The gateway's own last words may still be on their way into its records.
        """
        trust = self.folder / "all"
        names = ("gate", "relay", "root", "Host/Host", "Client/Client")
        trust.write_bytes(b"".join((self.folder / f"{it}.pub").read_bytes() for it in names))
        found = {}
        for leg in legs:
            records = sorted(
                path
                for kept in ("gated", "relayed", "hosted/gateway", "seen/gateway", "again/gateway")
                for path in (self.folder / kept).glob(f"{leg}-*.replay")
            )
            self.until(partial(_hold, records, trust), every_s=0.5)
            found[leg] = len(records)
        return found

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()


def _hold(records: list[Path], trust: Path) -> bool:
    return troth("verify", *records, "--trust", trust).code == 0


def done(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert "Traceback" not in err, err
    return process.returncode, out, err
