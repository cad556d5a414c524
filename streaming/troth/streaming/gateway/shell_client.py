"""A party's connection to a gateway over TCP: connect, register, talk, come back."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.client import NO_RELAY_PART, GatewayLink, LinkState, RelayPart
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_line import READ_BYTES, close_writer, now_ns
from troth.vm.errors import TrothError, Unusable
from troth.vm.keys import KeyPair

CONNECT_S: Final = 10.0
ASIDE_MAX: Final = 256
"""Messages that come while somebody waits for another, and are kept for whoever reads next."""


class GatewayFailure(TrothError):
    """The gateway cannot be reached, or has refused."""


class GatewayClient:
    """A registered connection. Iterate over it for messages; it ends when the connection does."""

    def __init__(
        self, link: GatewayLink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.link = link
        self._reader = reader
        self._writer = writer
        self._waiting: list[m.Message] = []
        self._ticker = asyncio.get_running_loop().create_task(self._tick())

    @property
    def host(self) -> str:
        """The gateway's IP address."""
        return str(self._writer.get_extra_info("peername")[0])

    def send(self, message: m.Message) -> None:
        self.link.send(message)
        self._flush()

    async def __aiter__(self) -> AsyncIterator[m.Message]:
        while True:
            while self._waiting:
                yield self._waiting.pop(0)
            if not await self._read():
                return

    async def ask(self, message: m.Message, *answers: type[m.Message]) -> m.Message:
        """Sends a request and returns the first of these messages; others are read afterwards.

        Raises:
            GatewayFailure: codes `gateway.refused` and `gateway.ended`.
        """
        self.send(message)
        aside: list[m.Message] = []
        try:
            async for found in self:
                if isinstance(found, answers):
                    return found
                if isinstance(found, m.Refused):
                    raise refused(found)
                aside.append(found)
        finally:
            self.put_back(aside)
        raise _failure("ended", "the gateway's connection ended", "an answer", "its end")

    def put_back(self, messages: Sequence[m.Message]) -> None:
        """What was read too early is read again; the newest when there are too many."""
        self._waiting = [*messages[-ASIDE_MAX:], *self._waiting]

    async def close(self) -> None:
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)
        self.link.end()
        await close_writer(self._writer)

    async def _read(self) -> bool:
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError:
            return False
        if not data:
            return False
        self._waiting += self.link.receive(data, now_ns())
        self._flush()
        return True

    def _flush(self) -> None:
        data = self.link.to_write()
        if data:
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
        while self.link.state is not LinkState.BOUND:
            if not await self._read():
                raise _failure("ended", "the gateway's connection ended", "Bound", "its end")
            for message in self._waiting:
                if isinstance(message, m.Refused):
                    raise refused(message)
        self._waiting = [w for w in self._waiting if not isinstance(w, m.Bound)]


async def connect_gateway(
    host: str,
    port: int,
    *,
    kind: PartyKind,
    key: KeyPair,
    gateway_key: bytes | None = None,
    relay: RelayPart = NO_RELAY_PART,
    tls: ssl.SSLContext | None = None,
) -> GatewayClient:
    """Connects and registers.

    Raises:
        GatewayFailure: codes `gateway.unreachable`, `gateway.refused`, `gateway.ended`.
        Malformed, Invalid: what answers is no gateway, or the wrong one.
    """
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(host, port, ssl=tls), CONNECT_S
        )
    except (TimeoutError, OSError) as error:
        reason = str(error) or f"silence for {CONNECT_S:g} s"
        raise _failure(
            "unreachable", f"there is no connection to {host}:{port}", "a gateway", reason
        ) from error
    link = GatewayLink(
        kind=kind,
        key=key,
        random=os.urandom,
        now_ns=now_ns(),
        gateway_key=gateway_key,
        relay=relay,
    )
    client = GatewayClient(link, reader, writer)
    try:
        await asyncio.wait_for(client.registered(), CONNECT_S)
    except TimeoutError as error:
        await client.close()
        raise _failure(
            "unreachable", f"{host}:{port} does not register us", "a gateway",
            f"silence for {CONNECT_S:g} s",
        ) from error  # fmt: skip
    except TrothError:
        await client.close()
        raise
    return client


def refused(message: m.Refused) -> GatewayFailure:
    """The error of a refusal, with the limit and the wait when there are some."""
    wait = f"; try again in {message.wait_ms / 1_000:g} s" if message.wait_ms else ""
    return GatewayFailure(
        "gateway.refused",
        f"the gateway refuses: {message.text}",
        actual=message.code,
        advice=f"See the page on gateways for {message.code}{wait}",
    )


def _failure(code: str, what: str, expected: str, actual: str) -> GatewayFailure:
    return GatewayFailure(
        f"gateway.{code}",
        what,
        expected=expected,
        actual=actual,
        advice="See that the gateway runs and that the address is right",
    )


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
