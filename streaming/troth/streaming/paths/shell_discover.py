"""`troth stream discover`: asks the local network for hosts, and shows who answers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Final, cast

from troth.streaming.paths.addresses import Address, address_of
from troth.streaming.paths.discovery import DISCOVERY_PORT, FoundHost, Responder, Seeker
from troth.streaming.paths.gather import MAPPING_ADVICE, NatMapping, StunGatherer
from troth.vm.keys import KeyPair

EVERYBODY: Final = Address("255.255.255.255", DISCOVERY_PORT)
NANOSECONDS: Final = 1_000_000_000


class DiscoveryResponder(asyncio.DatagramProtocol):
    """Answers for a host, for as long as its transport is open."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What a selector loop gives is one in all but its class.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._responder.answer(data, Address(addr[0], addr[1]), time.monotonic_ns())
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


async def respond(
    key: KeyPair, media_port: int, *, host: str = "0.0.0.0", port: int = DISCOVERY_PORT
) -> asyncio.DatagramTransport:
    """Makes a host known in its local network; close the transport to stop.

    Raises:
        OSError: the port is taken.
    """
    responder = Responder(key, media_port, time.monotonic_ns())
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: DiscoveryResponder(responder), local_addr=(host, port)
    )
    return transport


def run_discover(given: argparse.Namespace) -> int:
    """0 when a host answered, 1 when none did."""
    targets = tuple(given.address) or (EVERYBODY,)
    hosts = seek(targets, given.seconds, _show)
    if not hosts:
        print("troth: no host answered; see that one runs, and that UDP is let through",
              file=sys.stderr)  # fmt: skip
    return int(not hosts)


def seek(
    targets: tuple[Address, ...], seconds: float, found: Callable[[FoundHost], None]
) -> list[FoundHost]:
    """Asks for that long, and calls `found` with each host as it answers."""
    with _socket(targets[0].host) as opened:
        seeker = Seeker(targets, os.urandom, time.monotonic_ns())
        end_ns = time.monotonic_ns() + round(seconds * NANOSECONDS)
        while (now_ns := time.monotonic_ns()) < end_ns:
            for output in seeker.tick(now_ns):
                with contextlib.suppress(OSError):
                    opened.sendto(output.data, output.address)
            wait_ns = max(1_000_000, min(seeker.deadline_ns, end_ns) - time.monotonic_ns())
            received = _receive(opened, wait_ns)
            if received is not None:
                host = seeker.receive(*received)
                if host is not None:
                    found(host)
        return list(seeker.hosts.values())


def run_probe(given: argparse.Namespace) -> int:
    """What the network does to our UDP, as STUN servers see it; 1 when none answers."""
    reflexive, mapping = _ask_servers(tuple(given.stun))
    for address in reflexive:
        print(f"outside   {address.text}")
    print(f"mapping   {mapping.value}")
    print(f"advice    {MAPPING_ADVICE[mapping]}")
    return int(not reflexive)


def mapping_of(servers: tuple[Address, ...]) -> NatMapping:
    """What the translator in front of this machine does, as these servers see it."""
    return _ask_servers(servers)[1]


def _ask_servers(servers: tuple[Address, ...]) -> tuple[tuple[Address, ...], NatMapping]:
    with _socket(servers[0].host) as opened:
        gatherer = StunGatherer(servers, os.urandom, time.monotonic_ns())
        while not gatherer.done:
            for output in gatherer.tick(time.monotonic_ns()):
                with contextlib.suppress(OSError):
                    opened.sendto(output.data, output.address)
            deadline_ns = gatherer.deadline_ns or 0
            received = _receive(opened, max(1_000_000, deadline_ns - time.monotonic_ns()))
            if received is not None:
                gatherer.receive(*received)
        own = _own_addresses(opened, servers)
        return gatherer.reflexive, gatherer.mapping(own)


def _own_addresses(opened: socket.socket, servers: tuple[Address, ...]) -> tuple[Address, ...]:
    """The addresses from which this machine would talk to the servers."""
    port = opened.getsockname()[1]
    found = []
    for server in servers:
        host = local_host_towards(server)
        found += [address_of(host, port)] if host is not None else []
    return tuple(found)


def local_host_towards(target: Address) -> str | None:
    """The address from which this machine would send there; nothing is sent."""
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as other:
        other.connect(target)
        name: str = other.getsockname()[0]
        return name
    return None


def _socket(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    opened.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
    return opened


def _receive(opened: socket.socket, wait_ns: int) -> tuple[bytes, Address] | None:
    opened.settimeout(wait_ns / NANOSECONDS)
    try:
        data, source = opened.recvfrom(2_048)
    except OSError:
        # Nothing came in time, or a port there is closed.
        return None
    return data, Address(source[0], source[1])


def _show(host: FoundHost) -> None:
    print(f"{host.name}  {host.address.text}  key {host.key.hex()}", flush=True)
