"""The relay over a real socket, with its connection to the gateway and its metrics."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from troth.streaming.eventsocket.backoff import Backoff
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.binding import RelayPart
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import GatewayClient, PartyLegs, connect_gateway
from troth.streaming.gateway.shell_leg import Leg
from troth.streaming.gateway.shell_line import now_ns, unix_offset_ns
from troth.streaming.paths.addresses import Address
from troth.streaming.relay.core import SWEEP_NS, RelayCore
from troth.streaming.relay.lease import relay_exchange_key
from troth.streaming.relay.limits import SECOND_NS, RelayLimits
from troth.streaming.relay.shell_registration import RelayRegistration
from troth.streaming.shell_metrics import MetricsServer
from troth.streaming.shell_role_events import RoleEvents
from troth.vm.errors import TrothError
from troth.vm.keys import KeyPair

SOCKET_BYTES: Final = 4 << 20
LEAVE_S: Final = 1.0
"""How long a relay that stops waits for the gateway to have heard that it leaves."""
BATCH: Final = 64
"""Datagrams taken from the socket before other work has its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """`public` is where parties find the relay: where it listens, if nothing translates.

    `record` is the folder for the records of the relay's program; None keeps none.
    """

    gateway: tuple[str, int]
    gateway_key: bytes
    host: str = "127.0.0.1"
    port: int = 0
    public: Address | None = None
    metrics: tuple[str, int] | None = None
    tls: ssl.SSLContext | None = None
    limits: RelayLimits = field(default_factory=RelayLimits)
    backoff: Backoff = field(default_factory=Backoff)
    record: Path | None = None


class RelayService:
    """`start`, then `address` says where; `drain` lets sessions end; `stop` ends them."""

    def __init__(self, key: KeyPair, options: RelayOptions, log: Callable[[str], None]) -> None:
        self._exchange = relay_exchange_key(key.seed)
        self.core = RelayCore(
            name=key.name,
            key=self._exchange,
            gateway_keys=(options.gateway_key,),
            random=os.urandom,
            now_ns=now_ns(),
            unix_offset_ns=unix_offset_ns(),
            limits=options.limits,
        )
        self.address = Address(options.host, 0)
        self.metrics_port: int | None = None
        self._key = key
        self._options = options
        self._log = log
        self._socket: socket.socket | None = None
        self._gateway: GatewayClient | None = None
        self._registration: RelayRegistration | None = None
        self._leg: Leg | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._events = RoleEvents("Relay", self.core.happenings)
        self._metrics = MetricsServer(
            {
                "/events": self._events.page,
                "/metrics": lambda: (200, self.core.metrics(now_ns())),
                "/health": lambda: (200, "ok\n"),
                "/ready": self._ready,
            }
        )

    def _ready(self) -> tuple[int, str]:
        known = self._registration is not None and self._registration.known
        if self._gateway is None or not known:
            return 503, "not registered with the gateway\n"
        return (503, "draining\n") if self.core.draining else (200, "ok\n")

    async def start(self) -> None:
        options = self._options
        self._socket = _bind(options.host, options.port)
        self.address = Address(options.host, self._socket.getsockname()[1])
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._readable)
        if options.metrics is not None:
            self.metrics_port = await self._metrics.start(*options.metrics)
        self._tasks = [loop.create_task(self._tick()), loop.create_task(self._register())]

    def drain(self) -> None:
        """Takes no new sessions, and has the program tell the gateway that the relay leaves."""
        self._take_no_more()
        if self._registration is not None:
            self._registration.leave()

    def _drained(self) -> None:
        self._take_no_more()
        self._log("drained: the gateway wants no new sessions here")

    def _take_no_more(self) -> None:
        self.core.drain(now_ns())
        self._flush()

    async def stop(self) -> None:
        if self._leg is not None and self._registration is not None:
            self._registration.leave()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._leg.over()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._gateway is not None:
            await self._gateway.close()
        await self._metrics.stop()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        assert self._socket is not None
        core, now = self.core, now_ns()
        for _ in range(BATCH):
            try:
                data, source = self._socket.recvfrom(2_048)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # A party's port that is closed comes back as an error of ours; it is not.
                continue
            core.receive(data, Address(source[0], source[1]), now)
        self._flush()

    def _flush(self) -> None:
        self._events.look()
        assert self._socket is not None
        for output in self.core.poll():
            # A full or refusing socket drops a datagram, as the network does.
            with contextlib.suppress(OSError):
                self._socket.sendto(output.data, output.address)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_NS / SECOND_NS)
            self.core.unix_offset_ns = unix_offset_ns()
            self.core.tick(now_ns())
            self._flush()

    # --- the gateway ------------------------------------------------------------------------

    async def _register(self) -> None:
        """Stays registered; sessions that there are go on while the gateway is away."""
        failures = 0
        while True:
            try:
                self._gateway = await self._connect()
                failures = 0 if await self._obey(self._gateway) else failures + 1
                self._log("the gateway's connection ended")
            except TrothError as error:
                failures += 1
                self._log(str(error))
            finally:
                if self._gateway is not None:
                    await self._gateway.close()
                    self._gateway = None
            wait_s = self._options.backoff.delay_s(failures, lambda: os.urandom(1)[0] / 256)
            await asyncio.sleep(wait_s)

    async def _connect(self) -> GatewayClient:
        options, public = self._options, self._options.public or self.address
        return await connect_gateway(
            *options.gateway,
            kind=PartyKind.RELAY,
            key=self._key,
            gateway_key=options.gateway_key,
            relay=RelayPart(self._exchange.public, public.host, public.port),
            tls=options.tls,
            legs=PartyLegs(record=options.record, log=self._log),
        )

    async def _obey(self, gateway: GatewayClient) -> bool:
        """Until the connection ends; whether the gateway had registered the relay."""
        gateway.stop = self._stop_session
        registration = self._begin_registration(gateway)
        async for message in gateway:
            if isinstance(message, m.Refused):
                self._log(f"the gateway refuses: {message.text} [{message.code}]")
        return registration.known

    async def _stop_session(self, session: bytes, _reason: str) -> None:
        told = self.core.revoke(session, now_ns())
        self._flush()
        self._log(f"revoked a session; {told} parties told")

    def _begin_registration(self, gateway: GatewayClient) -> RelayRegistration:
        """The program that registers the relay and beats, for as long as the connection lasts."""

        def failed() -> None:
            """It is tried again, on another connection."""
            if registration.refusal:
                self._log(f"the gateway does not register the relay: {registration.refusal}")
            gateway.abandon()

        registration = RelayRegistration(
            self.core, self._key.name, self._options.public or self.address,
            on_registered=lambda: self._log("registered with the gateway"),
            on_drain=self._drained,
            on_failed=failed,
        )  # fmt: skip
        self._registration = registration
        self._leg = gateway.legs.begin("registration", registration)
        return registration


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        bound.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def log_to_stderr(text: str) -> None:
    print(f"relay: {text}", file=sys.stderr, flush=True)
