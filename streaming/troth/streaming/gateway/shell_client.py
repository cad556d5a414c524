"""A party's connection to a gateway over TCP: connect, register, talk, come back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.binding import NO_RELAY_PART, PartyBinding, RelayPart
from troth.streaming.gateway.client import GatewayLink, LinkState
from troth.streaming.gateway.endings import EndHeard, SessionEnded
from troth.streaming.gateway.failures import (
    gateway_ended,
    gateway_failure,
    refused,
)
from troth.streaming.gateway.legs import BIND
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_legs import Answer, Legs, LegsEnd, compile_legs
from troth.streaming.gateway.shell_line import READ_BYTES, close_writer, now_ns
from troth.streaming.gateway.shell_offers import HeardOffer
from troth.streaming.gateway.shell_stopping import Stop, Stopping, nothing_to_stop
from troth.vm.errors import TrothError, Unusable
from troth.vm.escape import plain
from troth.vm.keys import KeyPair

CONNECT_S: Final = 10.0
LEAVE_S: Final = 1.0
"""How long programs may take to come to an end before their connection is closed."""
ASIDE_MAX: Final = 256
"""Messages that come while somebody waits for another, and are kept for whoever reads next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLegs:
    """The programs on a connection, seen from the party.

    Attributes:
        answers: what runs here when the gateway begins it, by protocol.
        record: the folder for their records; None keeps none.
        log: is told why a run came to nothing.
    """

    answers: Mapping[str, Answer] = field(default_factory=dict)
    record: Path | None = None
    log: Callable[[str], None] = lambda text: print(plain(text), file=sys.stderr)


Heard = m.Message | HeardOffer | SessionEnded
"""What the owner of a connection is told."""


class GatewayClient:
    """A connection that registers. Iterate over it for messages; it ends when the connection does.

    It is read all the time, so that the programs on it go on while nobody iterates.

    Attributes:
        stop: stops a session that the gateway takes away; whoever has sessions sets it.
    """

    def __init__(
        self,
        binding: PartyBinding,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        legs: PartyLegs,
    ) -> None:
        self.stop: Stop = nothing_to_stop
        self.link = GatewayLink(binding.key, now_ns())
        self._binding = binding
        self._reader = reader
        self._writer = writer
        self._waiting: list[Heard] = []
        self._over = False
        self._problem: TrothError | None = None
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._early: list[m.Talk] = []
        end = LegsEnd(False, binding.key, lambda: binding.gateway_key, legs.record, legs.log)
        answers: dict[str, Answer] = {
            "consulting": lambda: HeardOffer(self._hear),
            "ended": lambda: EndHeard(self._hear),
            "revoke": lambda: Stopping(self._stop_session),
            **legs.answers,
        }
        self.legs = Legs(end, answers, self.send)
        binding.on_settled = self._settled
        self._ending: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._tick()), loop.create_task(self._read())]

    @property
    def host(self) -> str:
        """The gateway's IP address."""
        return str(self._writer.get_extra_info("peername")[0])

    def _settled(self) -> None:
        """The gateway knows us, or it is known that it does not."""
        if self._binding.done:
            self.link.bound()
            early, self._early = self._early, []
            for talk in early:
                self.legs.take(talk)
        self._changed.set()

    def _hear(self, heard: HeardOffer | SessionEnded) -> None:
        self._waiting.append(heard)
        self._changed.set()

    async def _stop_session(self, session: bytes, reason: str) -> None:
        """What was revoked in our absence may be told before somebody has set `stop`."""
        await self.stop(session, reason)

    @property
    def over(self) -> bool:
        """The connection has ended: nothing reaches the gateway over it any more."""
        return self._over

    def send(self, message: m.Message) -> None:
        self.link.send(message)
        self._flush()

    async def __aiter__(self) -> AsyncIterator[Heard]:
        while True:
            while self._waiting:
                yield self._waiting.pop(0)
                self._room.set()
            if self._problem is not None:
                raise self._problem
            if self._over:
                return
            self._changed.clear()
            await self._changed.wait()

    async def ask(self, message: m.Message, *answers: type[m.Message]) -> m.Message:
        """Sends a request and returns the first of these messages; others are read afterwards.

        Raises:
            GatewayFailure: codes `gateway.refused` and `gateway.ended`.
        """
        self.send(message)
        aside: list[Heard] = []
        try:
            async for found in self:
                if isinstance(found, answers):
                    return found
                if isinstance(found, m.Refused):
                    raise refused(found)
                aside.append(found)
        finally:
            self.put_back(aside)
        raise gateway_ended("an answer")

    def put_back(self, heard: Sequence[Heard]) -> None:
        """What was read too early is read again; the newest when there are too many."""
        self._waiting = [*heard[-ASIDE_MAX:], *self._waiting]

    async def close(self) -> None:
        if not self._over:
            await self.legs.leave(LEAVE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.link.end()
        self._end()
        await close_writer(self._writer)
        if self._ending is not None:
            await self._ending

    def abandon(self) -> None:
        """The connection is of no more use: whoever iterates comes to an end."""
        self._writer.transport.abort()

    async def _read(self) -> None:
        """Until the connection ends; what nobody takes is left to the network, from some point."""
        try:
            # A connection that breaks has ended, as one does that is closed.
            with contextlib.suppress(OSError):
                while data := await self._reader.read(READ_BYTES):
                    for message in self.link.receive(data, now_ns()):
                        self._take(message)
                    self._flush()
                    self._changed.set()
                    await self._until_room()
        except TrothError as error:
            self._problem = error
        self._end()

    async def _until_room(self) -> None:
        while len(self._waiting) >= ASIDE_MAX:
            self._room.clear()
            await self._room.wait()

    def _take(self, message: m.Message) -> None:
        if not isinstance(message, m.Talk):
            self._waiting.append(message)
        elif message.leg == BIND or self.link.state is LinkState.BOUND:
            self.legs.take(message)
        else:
            # The gateway's word that it knows us is on its way.
            self._early = [*self._early, message][:ASIDE_MAX]

    def _end(self) -> None:
        """Nothing more is read: whoever iterates comes to an end, and so do the programs."""
        self._over = True
        self._changed.set()
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self.legs.end())

    def _flush(self) -> None:
        data = self.link.to_write()
        if data and not self._over:
            self._writer.write(data)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            if not self.link.tick(now_ns()):
                self._writer.transport.abort()
                return
            self._flush()

    async def registered(self) -> None:
        """Waits for the registration.

        Raises:
            GatewayFailure: the gateway refuses it, or is gone.
        """
        self.legs.begin(BIND, self._binding)
        while not self._binding.done:
            for message in self._waiting:
                if isinstance(message, m.Refused):
                    raise refused(message)
            if self._problem is not None:
                raise self._problem
            if self._binding.problem is not None:
                raise self._binding.problem
            if self._over:
                raise gateway_ended("to be registered")
            self._changed.clear()
            await self._changed.wait()


async def connect_gateway(
    host: str,
    port: int,
    *,
    kind: PartyKind,
    key: KeyPair,
    gateway_key: bytes | None = None,
    relay: RelayPart = NO_RELAY_PART,
    tls: ssl.SSLContext | None = None,
    legs: PartyLegs | None = None,
) -> GatewayClient:
    """Connects and registers; `legs` is for the programs that run on the connection.

    Raises:
        GatewayFailure: codes `gateway.unreachable`, `gateway.refused`, `gateway.ended`.
        Malformed, Invalid: what answers is no gateway, or the wrong one.
    """
    compile_legs(kind)
    try:
        # `wait_for` would lose a cancellation that comes together with the answer.
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    except (TimeoutError, OSError) as error:
        reason = str(error) or f"silence for {CONNECT_S:g} s"
        raise gateway_failure(
            "gateway.unreachable", f"there is no connection to {host}:{port}", "a gateway", reason
        ) from error
    binding = PartyBinding(
        kind=kind, key=key, random=os.urandom, gateway_key=gateway_key, relay=relay
    )
    client = GatewayClient(binding, reader, writer, legs or PartyLegs())
    try:
        async with asyncio.timeout(CONNECT_S):
            await client.registered()
    except TimeoutError as error:
        await client.close()
        raise gateway_failure(
            "gateway.unreachable", f"{host}:{port} does not register us", "a gateway",
            f"silence for {CONNECT_S:g} s",
        ) from error  # fmt: skip
    except (TrothError, asyncio.CancelledError):
        await client.close()
        raise
    return client


def parse_endpoint(text: str) -> tuple[str, int]:
    """Reads `HOST:PORT`, where HOST may be a name.

    Raises:
        Unusable: code `gateway.address`.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port[:6]) <= 65_535:
        raise Unusable(
            "gateway.address",
            "this is no address of a gateway",
            expected="HOST:PORT",
            actual=ascii(text[:80]),
            advice="Give the port that the gateway said when it started",
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


BACKOFF_FIRST_NS: Final = SECOND_NS // 2
BACKOFF_LONGEST_NS: Final = 30 * SECOND_NS
