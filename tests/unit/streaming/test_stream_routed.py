"""Sessions of host and client through gateway and relay, over real sockets, in one process."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.failures import GatewayFailure
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import connect_gateway
from troth.streaming.gateway.shell_gateway import GatewayOptions, GatewayService
from troth.streaming.gateway.shell_store import SqliteStore
from troth.streaming.media.interfaces import Picture
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.limits import SECOND_NS, PathLimits
from troth.streaming.paths.shell_media_socket import MediaSocket
from troth.streaming.relay.shell_relay import RelayOptions, RelayService
from troth.streaming.session.shell_end import Wanted
from troth.streaming.session.shell_remote import RemoteOptions
from troth.streaming.session.shell_route import GatewayWay
from troth.streaming.session.shell_routed import (
    RoutedOptions,
    run_client_by_gateway,
    run_host_by_gateway,
)
from troth.vm.errors import Unusable
from troth.vm.shell_keys import create_key_files, load_key
from troth.vm.shell_line import Address as LineAddress

PICTURE = Picture(80, 64, 20)
HASTY = PathLimits(return_ns=2 * SECOND_NS, lost_ns=2 * SECOND_NS, ended_ns=3 * SECOND_NS)
"""The usual times, but a good path is believed, and silence is, after two or three seconds."""


@dataclass
class Place:
    """A folder with keys, a gateway, a relay, and a wall that lets only the relay's packets by."""

    folder: Path
    gateway: GatewayService
    relay: RelayService
    blocked: bool = False
    walled: int = 0
    limits: PathLimits | None = None
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def way(self, name: str | None = None) -> GatewayWay:
        stun = [Address("127.0.0.1", port) for port in self.gateway.stun_ports]
        key = load_key(self.folder / "gate.key").public_key
        return GatewayWay(host="127.0.0.1", port=self.gateway.port, key=key, name=name, stun=stun)

    def party(self, role: str, record: str, seconds: float | None = None) -> RemoteOptions:
        wanted = Wanted(
            seconds=seconds, folder=self.folder / record, picture=PICTURE, bitrate_kbps=4_000
        )
        return RemoteOptions(
            wanted=wanted, address=LineAddress("127.0.0.1", 0), keys=self.folder / role
        )

    async def host(self, sessions: int = 1, **more: Any) -> asyncio.Task[bool]:
        registered = asyncio.Event()
        options = RoutedOptions(
            party=replace(self.party("Host", "hosted"), sessions=sessions, **more),
            way=self.way("desk"),
            on_registered=lambda _name: registered.set(),
            limits=self.limits,
        )
        task = asyncio.create_task(run_host_by_gateway(options))
        self.tasks.append(task)
        await registered.wait()
        return task

    def client(self, seconds: float | None = None, record: str = "seen") -> asyncio.Task[Any]:
        options = RoutedOptions(
            party=self.party("Client", record, seconds),
            way=self.way(),
            target="desk",
            limits=self.limits,
        )
        task = asyncio.create_task(run_client_by_gateway(options))
        self.tasks.append(task)
        return task

    def events(self, record: str, name: str, event: str) -> list[dict[str, Any]]:
        path = self.folder / record / f"{name}.events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [one for one in map(json.loads, lines) if one["event"] == event]

    def kinds(self, record: str, name: str) -> list[str]:
        return [event["kind"] for event in self.events(record, name, "path_nominated")]

    def changes(self, record: str, name: str) -> list[int]:
        """The paths that both programs have agreed on."""
        found = self.events(record, name, "path_change")
        return [event["to"] for event in found if "refused" not in event]

    async def media_run(self) -> None:
        await until(lambda: self.events("seen", "client", "media_start"))
        await until(lambda: self.events("hosted", "host", "media_start"))

    async def command(self, name: str, *arguments: str) -> tuple[tuple[str, ...], ...]:
        root = await connect_gateway(
            "127.0.0.1", self.gateway.port, kind=PartyKind.ADMIN,
            key=load_key(self.folder / "root.key"),
        )  # fmt: skip
        report = await root.ask(m.Command(1, name, arguments), m.Report)
        await root.close()
        assert isinstance(report, m.Report)
        return report.rows[1:]


async def until(holds: Callable[[], object], seconds: float = 40) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it never came to that"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    keys = {name: create_key_files(folder, name) for name in ("gate", "relay", "root")}
    for name, other in (("Host", "Client"), ("Client", "Host")):
        create_key_files(folder / name, name)
        (folder / other).mkdir(exist_ok=True)
        (folder / other / f"{name}.pub").write_bytes((folder / name / f"{name}.pub").read_bytes())
    store = SqliteStore()
    admitted = {
        PartyKind.CLIENT: None,
        PartyKind.HOST: None,
        PartyKind.RELAY: frozenset({keys["relay"].public_key}),
        PartyKind.ADMIN: frozenset({keys["root"].public_key}),
    }
    gateway = GatewayService(keys["gate"], store, GatewayOptions(admitted=admitted))
    await gateway.start()
    relay_options = RelayOptions(
        gateway=("127.0.0.1", gateway.port), gateway_key=keys["gate"].public_key
    )
    relay = RelayService(keys["relay"], relay_options, lambda _text: None)
    await relay.start()
    await until(lambda: any(r.load[1] for r in gateway.core.hub.relays.values()))
    place = Place(folder, gateway, relay)
    send_to = MediaSocket.send_to

    def walled(self: MediaSocket, data: bytes, address: Address) -> None:
        if place.blocked and address[1] != relay.address.port:
            place.walled += 1
        else:
            send_to(self, data, address)

    monkeypatch.setattr(MediaSocket, "send_to", walled)
    try:
        yield place
    finally:
        for task in place.tasks:
            task.cancel()
        await asyncio.gather(*place.tasks, return_exceptions=True)
        await relay.stop()
        await place.gateway.stop()
        store.close()


Here = Callable[[Callable[[Place], Coroutine[None, None, None]]], None]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Runs a test at a place of its own."""

    def run(test: Callable[[Place], Awaitable[None]]) -> None:
        async def inside() -> None:
            async with _place(tmp_path, monkeypatch) as place:
                await test(place)

        asyncio.run(asyncio.wait_for(inside(), 120))

    return run


def test_two_sessions_over_a_direct_path(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(place: Place) -> None:
        host = await place.host(sessions=2)
        client, result = await place.client(2)
        assert result.ok
        assert client.ending == ("Client", "time_is_up")
        assert client.lines()[-1] == "path: host"
        assert client.viewing.last_shown > 0, client.lines()
        assert (await place.client(0.5, "again"))[1].ok
        assert await host
        assert place.kinds("hosted", "host") == ["host"]
        assert place.changes("hosted", "host") == place.changes("seen", "client") == [1]

    here(test)
    assert "host-2 ended: time_is_up by Client" in capsys.readouterr().out


def test_a_session_that_begins_on_the_relay_says_so(here: Here) -> None:
    async def test(place: Place) -> None:
        place.blocked = True
        host = await place.host()
        seen, result = await place.client(1)
        assert result.ok
        assert await host
        assert seen.ways == ["relay"]
        for record, name in (("seen", "client"), ("hosted", "host")):
            candidates = place.events(record, name, "candidate")
            met = {(one["kind"], one["address"]) for one in candidates if "refused" not in one}
            assert {kind for kind, _ in met} == {"host", "relay"}
            assert ("relay", place.relay.address.text) in met
            page = (place.folder / record / f"{name}.prom").read_text()
            assert "troth_stream_path_seconds_total{" in page
            assert 'kind="direct"' not in page, "no time was spent on a path that was not taken"
            (ratio,) = re.findall(r"^troth_stream_relay_ratio\S* (\S+)", page, re.MULTILINE)
            assert float(ratio) == 1

    here(test)


def test_a_path_that_is_blocked_is_left_and_taken_again(here: Here) -> None:
    async def test(place: Place) -> None:
        place.limits = HASTY
        host, client = await place.host(), place.client(12)
        await place.media_run()
        await until(lambda: place.changes("seen", "client") == [1])
        place.blocked, blocked_s = True, time.monotonic()
        await until(lambda: 2 in place.changes("hosted", "host"))
        print(f"on the relay after {time.monotonic() - blocked_s:.2f} s")
        assert time.monotonic() - blocked_s < 3
        assert place.walled > 0
        place.blocked = False
        seen, result = await client
        assert result.ok
        assert await host
        assert seen.ways == ["host", "relay", "host"], "back once"
        for record, name in (("seen", "client"), ("hosted", "host")):
            assert place.changes(record, name) == [1, 2, 3], name
        assert len(place.events("seen", "client", "handshake_ok")) == 1, "the same keys"
        freezes = [event["ms"] for event in place.events("seen", "client", "freeze")]
        assert 0.05 < seen.telemetry.tally.relay_ratio < 0.95, "time on both is counted"
        print(f"longest freeze {max(freezes, default=0)} ms; frames {dict(seen.viewing.outcomes)}")

    here(test)


def test_a_path_that_comes_and_goes_every_second_is_left_once(here: Here) -> None:
    async def test(place: Place) -> None:
        host, client = await place.host(), place.client(8)
        await place.media_run()
        while not client.done():
            place.blocked = not place.blocked
            await asyncio.sleep(0.5)
        seen, result = await client
        assert result.ok
        assert await host
        assert seen.ways == ["host", "relay"]

    here(test)


def test_a_revoked_session_stops_everywhere(here: Here) -> None:
    async def test(place: Place) -> None:
        host, client = await place.host(), place.client()
        await place.media_run()
        ((session, *_),) = await place.command("sessions")
        began_s = time.monotonic()
        rows = await place.command("revoke", session, "policy")
        seen, _ = await client
        await host
        took_s = time.monotonic() - began_s
        print(f"stopped everywhere after {took_s:.2f} s: {[row[1:] for row in rows]}")
        assert took_s < 2
        assert {row[1] for row in rows} == {"host", "client", "relay"}
        assert all(row[3].endswith(" ms") for row in rows)
        assert seen.ending is not None
        assert seen.ending[1] == "revoked"
        (end,) = place.events("hosted", "host", "session_end")
        assert end["reason"] == "revoked"
        assert place.relay.core.sessions == 0

    here(test)


def test_a_revoked_session_is_cut_when_nobody_can_say_goodbye(here: Here) -> None:
    async def test(place: Place) -> None:
        host, client = await place.host(), place.client()
        await place.media_run()
        place.blocked = True
        ((session, *_),) = await place.command("sessions")
        began_s = time.monotonic()
        await place.command("revoke", session, "policy")
        seen, result = await client
        assert not await host
        assert not result.ok
        assert time.monotonic() - began_s < 4, "half a second of grace, and a machine's patience"
        assert seen.ending is not None
        assert seen.ending[1] == "revoked"
        (end,) = place.events("hosted", "host", "session_end")
        assert (end["by"], end["reason"]) == ("Gateway", "revoked")

    here(test)


def test_whom_the_host_does_not_know_does_not_come_in(here: Here) -> None:
    async def test(place: Place) -> None:
        host = await place.host()
        (place.folder / "Client" / "Client.key").unlink()
        (place.folder / "Client" / "Client.pub").unlink()
        with pytest.raises(GatewayFailure) as refused:
            await place.client(1)
        assert refused.value.actual == "no_consent"
        assert not host.done()

    here(test)


def test_a_second_client_is_told_that_the_host_is_busy(here: Here) -> None:
    async def test(place: Place) -> None:
        host, client = await place.host(), place.client(3)
        await place.media_run()
        with pytest.raises(GatewayFailure) as refused:
            await place.client(1, "late")
        assert "host_busy" in str(refused.value)
        assert (await client)[1].ok
        assert await host

    here(test)


def test_without_any_path_it_is_said(here: Here) -> None:
    async def test(place: Place) -> None:
        host = await place.host()
        await place.relay.stop()
        place.blocked, place.limits = True, HASTY
        client = place.client(1)
        with pytest.raises(Unusable) as nowhere:
            await client
        assert nowhere.value.code == "stream.path"
        assert not host.done()

    here(test)


def test_the_gateway_may_go_and_come_back(here: Here) -> None:
    async def test(place: Place) -> None:
        host, client = await place.host(sessions=2), place.client(2)
        await place.media_run()
        port, options = place.gateway.port, place.gateway._options
        store = place.gateway.core.hub.store
        await place.gateway.stop()
        assert (await client)[1].ok, "a session needs no gateway to go on"
        key = load_key(place.folder / "gate.key")
        place.gateway = GatewayService(key, store, replace(options, port=port))
        await place.gateway.start()
        await until(lambda: "desk" in place.gateway.core.hub.hosts)
        assert (await place.client(0.5, "again"))[1].ok
        assert await host

    here(test)
