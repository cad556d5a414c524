"""Gateway, relay and two parties over real sockets of this machine."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tls_sample import CERTIFICATE, PRIVATE_KEY
from troth.streaming.eventsocket.backoff import Backoff
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.failures import GatewayFailure
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import (
    GatewayClient,
    connect_gateway,
    parse_endpoint,
)
from troth.streaming.gateway.shell_gateway import GatewayOptions, GatewayService
from troth.streaming.gateway.shell_meeting import (
    Meeting,
    MeetingOptions,
    answer,
    call,
    next_offer,
)
from troth.streaming.gateway.shell_store import SqliteStore
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.agent import PathAgent
from troth.streaming.paths.candidates import CandidateKind
from troth.streaming.paths.gather import NatMapping
from troth.streaming.paths.limits import MILLISECOND_NS, PathLimits
from troth.streaming.paths.outputs import PathTaken
from troth.streaming.paths.path import PathState
from troth.streaming.paths.shell_media_socket import MediaSocket
from troth.streaming.relay.outputs import LeaseWanted, LegRefused, LegSilent
from troth.streaming.relay.shell_relay import RelayOptions, RelayService
from troth.vm.errors import Unusable
from troth.vm.keys import KeyPair, generate

LIMITS = PathLimits(head_start_ns=50 * MILLISECOND_NS)
OPTIONS = MeetingOptions(limits=LIMITS)


def _key(name: str) -> KeyPair:
    return generate(name, Random(name).randbytes(32))


@dataclass
class Topology:
    gateway: GatewayService
    relay: RelayService
    store: SqliteStore

    async def connect(self, kind: PartyKind, name: str) -> GatewayClient:
        key = _key("gateway").public_key
        return await connect_gateway(
            "127.0.0.1", self.gateway.port, kind=kind, key=_key(name), gateway_key=key
        )

    @property
    def stun(self) -> tuple[Address, ...]:
        return tuple(Address("127.0.0.1", port) for port in self.gateway.stun_ports)


@asynccontextmanager
async def _topology(limits: GatewayLimits | None = None) -> AsyncIterator[Topology]:
    store = SqliteStore()
    admitted = {
        PartyKind.CLIENT: None,
        PartyKind.HOST: None,
        PartyKind.RELAY: frozenset({_key("relay").public_key, _key("spare").public_key}),
        PartyKind.ADMIN: frozenset({_key("root").public_key}),
    }
    gateway = GatewayService(
        _key("gateway"),
        store,
        GatewayOptions(
            admitted=admitted, metrics=Address("127.0.0.1", 0), limits=limits or GatewayLimits()
        ),
    )
    await gateway.start()
    options = RelayOptions(
        gateway=("127.0.0.1", gateway.port),
        gateway_key=_key("gateway").public_key,
        metrics=Address("127.0.0.1", 0),
    )
    relay = RelayService(_key("relay"), options, lambda _text: None)
    await relay.start()
    await _until(lambda: _takes_sessions(gateway, "relay"))
    try:
        yield Topology(gateway, relay, store)
    finally:
        await relay.stop()
        await gateway.stop()
        store.close()


def _takes_sessions(gateway: GatewayService, relay: str) -> bool:
    """Whether the relay's program has registered it, and it has not left."""
    found = gateway.core.hub.relays.get(relay)
    return found is not None and found.load[1] > 0


async def _until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.01)


def _run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


async def _session(topology: Topology, media: MediaSocket) -> tuple[Meeting, Meeting]:
    """Client and host of a session; `media` is the client's socket."""
    carol = await topology.connect(PartyKind.CLIENT, "carol")
    harry = await topology.connect(PartyKind.HOST, "harry")
    host = asyncio.create_task(_host(harry, topology))
    client = await call(
        carol, media, "harry", stun_servers=topology.stun,
        host_key=_key("harry").public_key, options=OPTIONS,
    )  # fmt: skip
    return client, await host


async def _host(harry: GatewayClient, topology: Topology) -> Meeting:
    offered = await next_offer(harry)
    return await answer(
        harry, MediaSocket(), offered, stun_servers=topology.stun, options=OPTIONS
    )  # fmt: skip


async def _close(*meetings: Meeting) -> None:
    for meeting in meetings:
        await meeting.media.close()
        if meeting._gateway is not None:
            await meeting._gateway.close()


def _taken(meeting: Meeting) -> list[CandidateKind]:
    return [event.kind for event in meeting.events if isinstance(event, PathTaken)]


def test_two_parties_meet_and_talk_over_a_direct_path() -> None:
    async def test() -> None:
        async with _topology() as topology:
            client, host = await _session(topology, MediaSocket())
            got: list[bytes] = []
            host.media.on_datagram = lambda data, _path: got.append(data)
            await _until(lambda: _taken(client) and _taken(host))
            assert client.media.send(b"\x45 hello")
            await _until(lambda: got == [b"\x45 hello"])
            assert _taken(client) == [CandidateKind.HOST]
            running = [asyncio.create_task(meeting.run()) for meeting in (client, host)]
            client.end("user")
            assert await asyncio.gather(*running) == ["user", "user"]
            await _close(client, host)

    _run(test)


def test_a_revoked_session_stops_everywhere_in_two_seconds() -> None:
    async def test() -> None:
        async with _topology() as topology:
            client, host = await _session(topology, MediaSocket())
            running = [asyncio.create_task(meeting.run()) for meeting in (client, host)]
            await _until(lambda: topology.relay.core.sessions == 1)
            root = await topology.connect(PartyKind.ADMIN, "root")
            start = time.monotonic()
            command = m.Command(1, "revoke", (client.session.hex(), "policy"))
            report = await root.ask(command, m.Report)
            assert await asyncio.gather(*running) == ["revoked", "revoked"]
            print(f"revoked everywhere in {(time.monotonic() - start) * 1_000:.0f} ms")
            assert time.monotonic() - start < 2
            assert isinstance(report, m.Report)
            states = {row[1]: row[3] for row in report.rows[1:]}
            assert set(states) == {"client", "host", "relay"}
            assert all(state.endswith("ms") for state in states.values()), states
            assert topology.relay.core.sessions == 0
            assert not client.media.send(b"\x45 more")
            await root.close()
            await _close(client, host)

    _run(test)


def test_leases_are_renewed_before_they_end() -> None:
    async def test() -> None:
        async with _topology(GatewayLimits(lease_s=2)) as topology:
            client, host = await _session(topology, MediaSocket())
            running = [asyncio.create_task(meeting.run()) for meeting in (client, host)]
            await _until(lambda: topology.relay.core.sessions == 1)
            counters = topology.gateway.core.hub.counters
            await _until(lambda: counters.leases_issued >= 12, 30)
            assert topology.relay.core.sessions == 1
            assert not any(isinstance(event, LegRefused | LegSilent) for event in client.events)
            client.end("user")
            assert await asyncio.gather(*running) == ["user", "user"]
            await _close(client, host)

    _run(test)


def test_a_socket_learns_what_stands_in_front_of_it() -> None:
    async def test() -> None:
        async with _topology() as topology:
            media = MediaSocket()
            candidates, mapping = await media.gather(topology.stun)
            assert mapping is NatMapping.NONE
            assert [c.address for c in candidates] == [media.address]
            await media.close()

    _run(test)


def test_media_go_on_without_the_gateway_and_it_is_found_again() -> None:
    async def test() -> None:
        async with _topology() as topology:
            key = _key("gateway")
            client, host = await _session(topology, MediaSocket())
            got: list[bytes] = []
            host.media.on_datagram = lambda data, _path: got.append(data)
            client._options = replace(
                OPTIONS,
                backoff=Backoff(first_s=0.1),
                reconnect=lambda: topology.connect(PartyKind.CLIENT, "carol"),
            )
            running = [asyncio.create_task(meeting.run()) for meeting in (client, host)]
            await _until(lambda: _taken(client) and topology.relay.core.sessions == 1)
            port = topology.gateway.port
            await topology.gateway.stop()
            for number in range(5):
                client.media.send(b"\x45 %d" % number)
            await _until(lambda: len(got) == 5)
            options = GatewayOptions(admitted=dict.fromkeys(PartyKind), port=port)
            topology.gateway = GatewayService(key, topology.store, options)
            await topology.gateway.start()
            hub = topology.gateway.core.hub
            await _until(
                lambda: client._gateway is not None and _takes_sessions(topology.gateway, "relay")
            )
            client._event(LeaseWanted(client.session, 1))
            await _until(lambda: hub.counters.leases_issued == 1)
            assert client.ended is None
            client.end("user")
            assert await running[0] == "user"
            host.end("user")
            await running[1]
            await _close(client, host)
            await topology.gateway.stop()

    _run(test)


def test_a_relay_that_dies_is_replaced_by_another() -> None:
    async def test() -> None:
        async with _topology() as topology:
            second = await _second_relay(topology)
            client, host = await _session(topology, MediaSocket())
            running = [asyncio.create_task(meeting.run()) for meeting in (client, host)]
            await _until(lambda: topology.relay.core.sessions + second.core.sessions == 1)
            first = topology.relay if topology.relay.core.sessions else second
            other = second if first is topology.relay else topology.relay
            await first.stop()
            await _until(lambda: other.core.sessions == 1, seconds=15)
            for meeting in (client, host):
                agent = meeting.media.agent
                assert agent is not None
                await _until(partial(_is_valid, agent, other.address))
                assert meeting.ended is None
                assert _taken(meeting) == [CandidateKind.HOST], "it was not in use"
            client.end("user")
            await asyncio.gather(*running)
            await _close(client, host)
            if other is second:
                await second.stop()

    _run(test)


def _is_valid(agent: PathAgent, address: Address) -> bool:
    return any(p.address == address and p.state is PathState.VALID for p in agent.paths)


async def _second_relay(topology: Topology) -> RelayService:
    options = RelayOptions(
        gateway=("127.0.0.1", topology.gateway.port),
        gateway_key=_key("gateway").public_key,
    )
    relay = RelayService(_key("spare"), options, lambda _text: None)
    await relay.start()
    await _until(lambda: _takes_sessions(topology.gateway, "spare"))
    return relay


def test_metrics_are_served_and_other_requests_refused() -> None:
    async def test() -> None:
        async with _topology() as topology:
            assert topology.gateway.metrics_port is not None
            assert topology.relay.metrics_port is not None
            for port, word in (
                (topology.gateway.metrics_port, "troth_gateway_registrations_total 1"),
                (topology.relay.metrics_port, "troth_relay_active_sessions 0"),
            ):
                assert word in await _http(port, b"GET /metrics HTTP/1.1\r\n\r\n")
                assert "200 OK" in await _http(port, b"GET /ready HTTP/1.1\r\n\r\n")
                assert "404" in await _http(port, b"GET /../etc HTTP/1.1\r\n\r\n")
                assert "200 OK" in await _http(port, b"GET /events HTTP/1.1\r\n\r\n")
                assert "405" in await _http(port, b"POST /metrics HTTP/1.1\r\n\r\n")
                assert await _http(port, b"G" * 100_000) == ""

    _run(test)


async def _http(port: int, request: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return (await reader.read(1 << 20)).decode()
    except ConnectionError:
        return ""
    finally:
        writer.close()


def test_what_is_no_gateway_is_said_to_be_none() -> None:
    async def test() -> None:
        async with _topology() as topology:
            with pytest.raises(GatewayFailure) as caught:
                await topology.connect(PartyKind.ADMIN, "mallory")
            assert caught.value.actual == "not_admitted"
        with pytest.raises(GatewayFailure) as refused:
            await connect_gateway("127.0.0.1", 1, kind=PartyKind.CLIENT, key=_key("carol"))
        assert refused.value.code == "gateway.unreachable"

    _run(test)


def test_a_gateway_with_a_certificate_is_talked_to_in_private(tmp_path: Path) -> None:
    async def test() -> None:
        file = tmp_path / "gateway.pem"
        file.write_text(CERTIFICATE + PRIVATE_KEY)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(file)
        options = GatewayOptions(tls=server, admitted=dict.fromkeys(PartyKind))
        store = SqliteStore()
        gateway = GatewayService(_key("gateway"), store, options)
        await gateway.start()
        seen: list[bytes] = []
        between = await _listening_in(gateway.port, seen)
        port = between.sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cadata=CERTIFICATE)
        carol = await connect_gateway(
            "localhost", port, kind=PartyKind.CLIENT, key=_key("carol"), tls=trusting
        )
        assert "carol" in [party.name for party in gateway.core.hub.parties.values()]
        assert seen
        assert not any(b"carol" in data or _key("carol").public_key in data for data in seen)
        await carol.close()
        with pytest.raises(GatewayFailure, match="CERTIFICATE_VERIFY_FAILED"):
            await connect_gateway(
                "localhost",
                gateway.port,
                kind=PartyKind.CLIENT,
                key=_key("carol"),
                tls=ssl.create_default_context(),
            )
        between.close()
        await gateway.stop()
        store.close()

    _run(test)


async def _listening_in(port: int, seen: list[bytes]) -> asyncio.Server:
    """Somebody between party and gateway who passes everything on and looks at it."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            seen.append(data)
            writer.write(data)
        writer.close()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    return await asyncio.start_server(between, "127.0.0.1", 0)


def test_garbage_from_the_network_changes_nothing() -> None:
    async def test() -> None:
        async with _topology() as topology:
            rng = Random(3)
            for _ in range(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", topology.gateway.port)
                writer.write(rng.randbytes(rng.randrange(200)))
                writer.close()
                del reader
            stranger = MediaSocket()
            for _ in range(5):
                for port in (*topology.gateway.stun_ports, topology.relay.address.port):
                    data = rng.randbytes(rng.randrange(1, 100))
                    stranger._socket.sendto(data, ("127.0.0.1", port))
            await stranger.close()
            client, host = await _session(topology, MediaSocket())
            await _until(lambda: _taken(client))
            assert topology.relay.core.counters.invalid_packets > 0
            await _close(client, host)

    _run(test)


def test_connecting_and_leaving_leaves_nothing_open() -> None:
    async def test() -> None:
        async with _topology() as topology:
            await _one_round(topology)
            await asyncio.sleep(0.1)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(10):
                await _one_round(topology)
            await _until(lambda: len(os.listdir("/proc/self/fd")) <= before)
            assert len(topology.gateway.core.hub.parties) == 1

    _run(test)


async def _one_round(topology: Topology) -> None:
    client, host = await _session(topology, MediaSocket())
    running = [asyncio.create_task(meeting.run()) for meeting in (client, host)]
    await _until(lambda: _taken(client))
    client.end("user")
    await asyncio.gather(*running)
    await _close(client, host)


def test_an_address_of_a_gateway_has_a_port() -> None:
    assert parse_endpoint("gate.example:5") == ("gate.example", 5)
    for text in ("", "gate.example", ":5", "x:0", "x:99999", "x:y"):
        with pytest.raises(Unusable):
            parse_endpoint(text)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(Unusable) as caught:
        SqliteStore(path)
    assert caught.value.code == "gateway.store"
