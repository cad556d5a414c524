"""Host and client as processes of their own that meet through a gateway.

The gateway names the other side, both look for paths, and the link is made over the one that is
chosen: direct, or through a relay that sees nothing of it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.failures import GatewayFailure, refused
from troth.streaming.gateway.messages import ConsentPolicy, PartyKind
from troth.streaming.gateway.shell_client import GatewayClient, Heard
from troth.streaming.gateway.shell_meeting import (
    MeetingOptions,
    answer,
    call,
    let_through,
)
from troth.streaming.gateway.shell_offers import HeardOffer
from troth.streaming.link import Listener, SecureLink
from troth.streaming.paths.limits import PathLimits
from troth.streaming.paths.routed import PEER
from troth.streaming.paths.shell_media_socket import MediaSocket
from troth.streaming.session.endings import Ending
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_end import make_client, make_host, run_party
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_local import CONTEXT, GOODBYE_SECONDS, leaving_on_signals
from troth.streaming.session.shell_remote import (
    Door,
    RemoteOptions,
    host_session,
    leave_or_give_up,
    peer_key,
    serve_metrics,
)
from troth.streaming.session.shell_role_metrics import RoleMetrics
from troth.streaming.session.shell_route import FINAL, GatewayWay, Route
from troth.streaming.session.shell_transport import TransportEnd, link_options
from troth.streaming.session.shell_waiting import first
from troth.streaming.shell_protocols import load_protocol
from troth.vm.errors import Unusable
from troth.vm.escape import plain
from troth.vm.keys import VerifierKey
from troth.vm.shell_keys import load_or_create
from troth.vm.shell_run import RunResult

NO_SUCH_KEY: Final = "unknown_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedOptions:
    """`party` is what every party has; its address is where the socket for media is bound.

    Attributes:
        target: the name of the host, for a client.
        on_registered: is told that the gateway knows us, and under which name.
        limits: times of finding and keeping paths; None for the usual ones.
    """

    party: RemoteOptions
    way: GatewayWay
    target: str = ""
    on_registered: Callable[[str], None] | None = None
    limits: PathLimits | None = None


def _media_socket(options: RemoteOptions) -> MediaSocket:
    """
    Raises:
        Unusable: code `transport.socket`.
    """
    host, port = options.address.host, options.address.port
    try:
        return MediaSocket(host, port)
    except OSError as error:
        raise Unusable(
            "transport.socket",
            f"there is no socket at {host}:{port}",
            expected="an address of this machine and a port that is free",
            actual=error.strerror or str(error),
            advice="Choose another port, or 0 for any",
        ) from error


# --- the host ------------------------------------------------------------------------------


class _RoutedHost:
    """Registered with a gateway; serves one session after the other."""

    def __init__(self, options: RoutedOptions) -> None:
        """
        Raises:
            TrothError: keys or protocol cannot be used.
        """
        self.options = options
        self.current: list[HostParty] = []
        self.stopped = asyncio.Event()
        self.metrics = RoleMetrics("Host", lambda: self._gateway is not None)
        self._image = load_protocol("session").image
        self._principal = load_or_create(options.party.keys, "Host")
        self._peer = peer_key(options.party, "Client")
        self._gateway: GatewayClient | None = None

    def stop(self, reason: Ending) -> None:
        self.stopped.set()
        for host in self.current:
            host.end(reason)

    async def register(self) -> GatewayClient:
        """Registers, and says whose offers the gateway may let through.

        Raises:
            TrothError: the gateway is not there, or does not want us.
        """
        gateway = await self.options.way.connect(PartyKind.HOST, self._principal)
        await self._consent(gateway)
        if self.options.on_registered is not None:
            self.options.on_registered(gateway.link.name)
        return gateway

    async def _consent(self, gateway: GatewayClient) -> None:
        keys = () if self._peer is None else (self._peer.public_key,)
        policy = ConsentPolicy.LISTED if keys else ConsentPolicy.ASK
        await let_through(gateway, policy, keys)

    async def _reconnect(self) -> GatewayClient:
        return await self.options.way.connect_again(PartyKind.HOST, self._principal)

    async def serve(self) -> bool:
        """Whether all sessions ended in good order.

        Raises:
            TrothError: the gateway is not there or does not want us, or a record cannot be written.
        """
        self._gateway = await self.register()
        ok, number = True, 1
        try:
            while number <= self.options.party.sessions and not self.stopped.is_set():
                offered = await self._offered_or_stopped()
                if offered is None:
                    break
                served = await self._serve(offered, "host" if number == 1 else f"host-{number}")
                if served is not None:
                    ok, number = ok and served, number + 1
        finally:
            if self._gateway is not None:
                await self._gateway.close()
        return ok

    async def _offered_or_stopped(self) -> HeardOffer | None:
        offer = asyncio.ensure_future(self._offered())
        stopped = asyncio.ensure_future(self.stopped.wait())
        try:
            await asyncio.wait({offer, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return offer.result() if offer.done() else None
        finally:
            # Whoever is cancelled here leaves nobody behind who would look for the gateway again.
            for wait in (offer, stopped):
                wait.cancel()
            await asyncio.gather(offer, stopped, return_exceptions=True)

    async def _offered(self) -> HeardOffer:
        """Waits for somebody to call whom we let in; the gateway may go and come back.

        Raises:
            GatewayFailure: the gateway does not want us any more.
        """
        while True:
            if self._gateway is None:
                self._gateway = await self._reconnect()
            gateway = self._gateway
            async for message in gateway:
                offered = self._take(message)
                if offered is not None:
                    return offered
            self._gateway = None
            await gateway.close()

    def _take(self, message: Heard) -> HeardOffer | None:
        match message:
            case HeardOffer():
                if self._peer is None or message.client_key == self._peer.public_key:
                    return message
                # The gateway was told whom we let in: this one it should not have let through.
                message.deny(NO_SUCH_KEY)
            case m.Refused() if message.code in FINAL:
                raise refused(message)
        return None

    async def _serve(self, offered: HeardOffer, name: str) -> bool | None:
        """One session; None when the offer was over before it began."""
        assert self._gateway is not None
        options = self.options.party
        media = _media_socket(options)
        try:
            meeting = await answer(
                self._gateway,
                media,
                offered,
                stun_servers=self.options.way.stun_servers(self._gateway),
                options=MeetingOptions(limits=self.options.limits, reconnect=self._reconnect),
            )
        except GatewayFailure as error:
            await media.close()
            print(f"an offer came to nothing: {plain(str(error))}", file=sys.stderr)
            return None
        route = Route(meeting)
        pinned = self._peer or VerifierKey("Client", offered.client_key)
        context = CONTEXT + meeting.session
        listener = Listener(
            link_options(self._principal, pinned, context, options.wanted.bitrate_kbps),
            entropy=os.urandom,
        )
        door = Door(listener)
        door.wake = media.wake
        media.speak(listener, door.look)
        await first(door.changed, route.over, self.stopped)
        ended = Ending.PEER_LOST.value
        ok = False
        if door.end is not None:
            ok, ended = await self._run(door.end, route, name)
        self._gateway = await route.end(ended)
        return ok

    async def _run(self, end: TransportEnd, route: Route, name: str) -> tuple[bool, str]:
        host = make_host(self.options.party.wanted, end, name)
        host.reaches = route.reached
        self.current[:] = [host]
        self.metrics.begins(host)
        if self.stopped.is_set():
            host.end(Ending.EXIT)
        session = host_session(self.options.party, end, host, self._image, name)
        run = asyncio.ensure_future(session)
        route.begin(host, end, run)
        ok = await run
        await first(end.over, seconds=GOODBYE_SECONDS)
        _, reason = host.ending or ("", "")
        return ok, reason


async def run_host_by_gateway(options: RoutedOptions) -> bool:
    """Serves sessions of clients that the gateway sends; whether all ended in good order.

    Raises:
        TrothError: keys, address or record cannot be used, or the gateway does not want us.
    """
    host = _RoutedHost(options)
    try:
        await serve_metrics(host.metrics, options.party)
        with leaving_on_signals(host.stop):
            return await host.serve()
    finally:
        await host.metrics.stop()


# --- the client ----------------------------------------------------------------------------


async def run_client_by_gateway(options: RoutedOptions) -> tuple[ClientParty, RunResult]:
    """One session with the host of that name.

    Raises:
        Unusable: codes `stream.path`, `stream.handshake`: there is no way, or no link.
        TrothError: keys or record cannot be used, or the gateway or the host refuses.
    """
    party = options.party
    principal = load_or_create(party.keys, "Client")
    peer = peer_key(party, "Host")
    gateway = await options.way.connect(PartyKind.CLIENT, principal)
    media = _media_socket(party)
    left: GatewayClient | None = gateway
    routes: list[Route] = []
    metrics = RoleMetrics("Client", lambda: any(route.choice for route in routes))
    try:
        await serve_metrics(metrics, party)
        meeting = await call(
            gateway,
            media,
            options.target,
            stun_servers=options.way.stun_servers(gateway),
            host_key=None if peer is None else peer.public_key,
            options=MeetingOptions(
                limits=options.limits,
                reconnect=lambda: options.way.connect_again(PartyKind.CLIENT, principal),
            ),
        )
        route = Route(meeting)
        routes.append(route)
        reason = Ending.PEER_LOST.value
        try:
            await route.path()
            pinned = peer or VerifierKey("Host", meeting.opened.peer_key)
            context = CONTEXT + meeting.session
            link = SecureLink.connect(
                link_options(principal, pinned, context, party.wanted.bitrate_kbps),
                PEER,
                entropy=os.urandom,
                now_ns=time.monotonic_ns(),
            )
            end = TransportEnd(link, media.wake)
            media.speak(link, end.look)
            client, result = await _client_session(party, end, route, metrics)
            _, reason = client.ending or ("", reason)
            await first(end.over, seconds=GOODBYE_SECONDS)
        finally:
            left = await route.end(reason)
    finally:
        await media.close()
        await metrics.stop()
        if left is not None:
            await left.close()
    return client, result


async def _client_session(
    options: RemoteOptions, end: TransportEnd, route: Route, metrics: RoleMetrics
) -> tuple[ClientParty, RunResult]:
    client = make_client(options.wanted, end)
    metrics.begins(client)
    client.stands = route.stands
    run = asyncio.ensure_future(
        run_party(
            load_protocol("session").image,
            client,
            end,
            options.wanted,
            keys=options.keys,
            name="client",
            any_key=options.any_key,
        )
    )
    route.begin(client, end, run)
    looking = None if options.watch is None else options.watch(client, run.done)
    with leaving_on_signals(leave_or_give_up(client, end)):
        result = await run
    if looking is not None:
        await looking
    return client, result
