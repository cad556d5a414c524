"""The gateway over real sockets: TCP for parties, UDP for STUN, HTTP for metrics."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, cast

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import FrameReader, encode
from troth.streaming.gateway.core import TICK_NS, GatewayCore
from troth.streaming.gateway.endings import EndedDesk, EndingDesk
from troth.streaming.gateway.hub import Begin, Close, Heard, Hub, Party, Send
from troth.streaming.gateway.legs import BIND, LegOwner
from troth.streaming.gateway.limits import SECOND_NS, GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.metrics import prometheus
from troth.streaming.gateway.registered_relays import RelayDesk
from troth.streaming.gateway.rendezvous import Pending
from troth.streaming.gateway.revocation import RevocationDesk
from troth.streaming.gateway.shell_desks import (
    AskingDesk,
    BindDesk,
    ConsentDesk,
    ConsultingDesk,
)
from troth.streaming.gateway.shell_leases import LeaseDesk
from troth.streaming.gateway.shell_legs import Answer, Legs, LegsEnd, compile_legs
from troth.streaming.gateway.shell_line import READ_BYTES, close_writer, now_ns, unix_offset_ns
from troth.streaming.gateway.store import Store
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.stun_server import StunServer
from troth.streaming.shell_metrics import MetricsServer
from troth.streaming.shell_role_events import RoleEvents
from troth.vm.errors import Malformed
from troth.vm.escape import plain
from troth.vm.keys import KeyPair

CLOSE_WAIT_S: Final = 2.0
_TICKER: Final = "ticker"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """Ports of 0 are taken from the system. STUN takes the second port, too, where it is given.

    `record` is the folder for the records of the gateway's programs; None keeps none.
    """

    host: str = "127.0.0.1"
    port: int = 0
    stun_ports: tuple[int, ...] = (0, 0)
    metrics: tuple[str, int] | None = None
    tls: ssl.SSLContext | None = None
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    admitted: Mapping[PartyKind, frozenset[bytes] | None] = field(default_factory=dict)
    record: Path | None = None


@dataclass(slots=True, eq=False)
class _Open:
    writer: asyncio.StreamWriter
    closing: bool = False


class _StunPort(asyncio.DatagramProtocol):
    def __init__(self, server: StunServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What a selector loop gives is one in all but its class.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, Address(addr[0], addr[1]), now_ns())
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


class GatewayService:
    """`start`, then `port` and `stun_ports` say where; `stop` says good-bye to everybody."""

    def __init__(self, key: KeyPair, store: Store, options: GatewayOptions) -> None:
        hub = Hub(
            store=store,
            signing_key=key.signing_key,
            public_key=key.public_key,
            random=os.urandom,
            limits=options.limits,
            admitted=options.admitted,
            unix_offset_ns=unix_offset_ns(),
        )
        self.core = GatewayCore(hub, now_ns())
        self.stun = StunServer(now_ns())
        self.port = 0
        self.stun_ports: tuple[int, ...] = ()
        self.metrics_port: int | None = None
        self._key = key
        self._options = options
        self._legs: dict[int, Legs] = {}
        self._numbers = 0
        self._open: dict[int, _Open] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._udp: list[asyncio.DatagramTransport] = []
        self._events = RoleEvents("Gateway", hub.happenings)
        self._metrics = MetricsServer(
            {
                "/events": self._events.page,
                "/metrics": lambda: (200, prometheus(self.core, self.stun.counters, now_ns())),
                "/health": lambda: (200, "ok\n"),
                "/ready": lambda: (200, "ok\n") if self._server else (503, "not listening\n"),
            }
        )

    async def start(self) -> None:
        options = self._options
        compile_legs(*PartyKind)
        self._server = await asyncio.start_server(
            self._serve, options.host, options.port, ssl=options.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        for port in options.stun_ports:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _StunPort(self.stun), local_addr=(options.host, port)
            )
            self._udp.append(transport)
        self.stun_ports = tuple(t.get_extra_info("sockname")[1] for t in self._udp)
        if options.metrics is not None:
            self.metrics_port = await self._metrics.start(*options.metrics)
        self._keep(self._tick(), _TICKER)

    async def stop(self) -> None:
        self.core.shut_down()
        self._carry_out()
        if self._server is not None:
            self._server.close()
        for transport in self._udp:
            transport.close()
        await self._metrics.stop()
        ends_s = time.monotonic() + 2 * CLOSE_WAIT_S
        while closing := [task for task in self._tasks if task.get_name() != _TICKER]:
            # Connections that end meanwhile leave their programs to be ended.
            left_s = ends_s - time.monotonic()
            if left_s <= 0:
                break
            await asyncio.wait(closing, timeout=left_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def _keep(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_NS / SECOND_NS)
            self.core.hub.unix_offset_ns = unix_offset_ns()
            self.core.tick(now_ns())
            self._carry_out()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._numbers += 1
        number, frames = self._numbers, FrameReader()
        self._open[number] = _Open(writer)
        peer = writer.get_extra_info("peername") or ("", 0)
        try:
            self.core.connected(number, str(peer[0]), now_ns())
            self._carry_out()
            while not self._open[number].closing:
                data = await reader.read(READ_BYTES)
                if not data:
                    break
                self._arrived(number, frames, data)
                self._carry_out()
        except OSError:
            # The connection broke: that is its end, and no concern of anybody else.
            self._open[number].closing = True
        finally:
            self.core.closed(number, now_ns())
            self._open.pop(number, None)
            self._carry_out()
            legs = self._legs.pop(number, None)
            if legs is not None:
                self._keep(legs.end(), "legs")
            await close_writer(writer)

    def _arrived(self, number: int, frames: FrameReader, data: bytes) -> None:
        try:
            for message in frames.feed(data):
                self.core.received(number, message, now_ns())
        except Malformed as error:
            self.core.malformed(number, error)

    def _carry_out(self) -> None:
        self._events.look()
        for output in self.core.poll():
            found = self._open.get(output.connection)
            if found is None:
                continue
            if isinstance(output, Heard) and not found.closing:
                self._legs_of(output.connection).take(output.talk)
            elif isinstance(output, Begin) and not found.closing:
                self._begin(output)
            elif isinstance(output, Send) and not found.closing:
                self._write(found, output.message)
            elif isinstance(output, Close):
                found.closing = True
                self._keep(close_writer(found.writer), "close")

    def _write(self, found: _Open, message: m.Message) -> None:
        found.writer.write(encode(message))
        waiting = found.writer.transport.get_write_buffer_size()
        if waiting > self._options.limits.send_bytes_max:
            # Whoever does not read what he is sent cannot make us keep it.
            found.closing = True
            found.writer.transport.abort()

    # --- programs ---------------------------------------------------------------------------

    def _legs_of(self, connection: int) -> Legs:
        """The programs at this end of a party's connection."""
        found = self._legs.get(connection)
        if found is None:
            party = self.core.hub.parties[connection]
            end = LegsEnd(True, self._key, lambda: party.key or None, self._options.record, _log)
            found = Legs(end, self._answers(party), partial(self._say, connection))
            self._legs[connection] = found
        return found

    def _answers(self, party: Party) -> Mapping[str, Answer]:
        """What runs here when a party begins it."""
        rendezvous = self.core.rendezvous
        return {
            BIND: lambda: BindDesk(self.core, party, self._carry_out),
            "registration": lambda: RelayDesk(self.core.hub, party),
            "consent": lambda: ConsentDesk(rendezvous, party),
            "lease": lambda: LeaseDesk(self.core.hub, self.core.leasing, party),
            "ending": lambda: EndingDesk(partial(self._end_session, party)),
            "asking": lambda: AskingDesk(rendezvous, party, self._consult),
        }

    def _consult(self, pending: Pending) -> None:
        """Begins the program that shows an offer to its host."""
        owner = ConsultingDesk(self.core.rendezvous, pending)
        self._legs_of(pending.host.connection).begin("consulting", owner)

    def _begin(self, begin: Begin) -> None:
        """A run that the core wants."""
        party = self.core.hub.parties.get(begin.connection)
        if party is None:
            return
        owner: LegOwner
        if begin.about is not None:
            owner = EndedDesk(begin.about)
        else:
            owner = RevocationDesk(self.core.revocations, party, now_ns, self._carry_out)
        self._legs_of(begin.connection).begin(begin.leg, owner)

    def _end_session(self, party: Party, session: bytes, reason: str) -> m.Refused | None:
        refused = self.core.end_session(party, session, reason)
        self._carry_out()
        return refused

    def _say(self, connection: int, talk: m.Talk) -> None:
        found = self._open.get(connection)
        if found is not None and not found.closing:
            self._write(found, talk)


def _log(text: str) -> None:
    print(f"gateway: {plain(text)}", file=sys.stderr)
