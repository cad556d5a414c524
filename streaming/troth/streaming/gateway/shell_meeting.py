"""Two parties meet through a gateway: offer, answer, paths, leases, and the end of all of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import CANDIDATES_MAX
from troth.streaming.gateway.shell_client import GatewayClient, GatewayFailure, refused
from troth.streaming.gateway.shell_line import now_ns
from troth.streaming.paths.addresses import Address, address_of
from troth.streaming.paths.candidates import Candidate, from_items
from troth.streaming.paths.checks import Credential, Side, new_credential
from troth.streaming.paths.limits import PathLimits
from troth.streaming.paths.liveness import Liveness
from troth.streaming.paths.outputs import LivenessChanged, PathOutput
from troth.streaming.paths.shell_media_socket import MediaSocket
from troth.streaming.relay.lease import ExchangeKey, new_exchange_key
from troth.streaming.relay.leg import RelayLeg
from troth.streaming.relay.outputs import LeaseWanted, LegNoticed, LegRefused, LegSilent
from troth.streaming.relay.wire import ENDING_NOTICES, Notice
from troth.vm.errors import Malformed

EVENTS_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a party has made for one session before it offers or answers."""

    credential: Credential
    lease_key: ExchangeKey
    introduction: m.Introduction


async def prepare(
    media: MediaSocket, stun_servers: Sequence[Address], proposal: bytes
) -> Prepared:  # fmt: skip
    """Gathers candidates from the media socket and makes keys for this session alone."""
    candidates, _ = await media.gather(stun_servers)
    credential, lease_key = new_credential(os.urandom), new_exchange_key(os.urandom)
    listed = tuple((int(c.kind), c.address.host, c.address.port) for c in candidates)
    introduction = m.Introduction(
        proposal, listed, credential.name, credential.password, lease_key.public
    )
    return Prepared(credential, lease_key, introduction)


class Meeting:
    """One party's session from its opening on. `run` until it ends; `ended` says why.

    Owners read `events`; what is not read is dropped from the front, never kept without end.
    """

    def __init__(
        self,
        gateway: GatewayClient,
        media: MediaSocket,
        prepared: Prepared,
        opened: m.Opened,
        side: Side,
        limits: PathLimits | None = None,
    ) -> None:
        self.session = opened.session
        self.opened = opened
        self.media = media
        self.ended: str | None = None
        self.events: list[PathOutput] = []
        self._gateway = gateway
        self._prepared = prepared
        self._relay = ""
        self._refused_relays: tuple[str, ...] = ()
        self._over = asyncio.Event()
        other = opened.introduction
        media.on_event = self._event
        media.begin(
            side,
            prepared.credential,
            Credential(other.check_name, other.check_password),
            _candidates(other.candidates),
            limits,
        )
        if side is Side.CONTROLLING:
            self._need_relay()

    async def run(self) -> str:
        """Until the session ends, from whichever side; returns why."""
        listener = asyncio.get_running_loop().create_task(self._listen())
        try:
            await self._over.wait()
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
            await self.media.close()
        assert self.ended is not None
        return self.ended

    def end(self, reason: str) -> None:
        """Ends the session and tells the other party through the gateway."""
        if self.ended is None:
            self._gateway.send(m.EndSession(self.session, reason))
            self._end(reason)

    def _end(self, reason: str) -> None:
        if self.ended is None:
            self.ended = reason
            self._over.set()

    async def _listen(self) -> None:
        async for message in self._gateway:
            self._take(message)
        # Media go on without a gateway; only leases are not renewed.

    def _take(self, message: m.Message) -> None:
        match message:
            case m.Leased() if message.session == self.session:
                self._leased(message)
            case m.AddCandidates() if message.session == self.session:
                if self.media.agent is not None:
                    found = _candidates(message.candidates)
                    self.media.agent.add_candidates(found, now_ns())
            case m.Revoked() if message.session == self.session:
                self._end("revoked")
                if self.media.agent is not None:
                    self.media.agent.close(now_ns())
                self._gateway.send(m.Stopped(self.session))
            case m.EndSession() if message.session == self.session:
                self._end(message.reason)
            case m.Refused() if message.code == "banned":
                self._end("revoked")

    def _leased(self, message: m.Leased) -> None:
        """The next lease renews the leg in use; one for another relay makes a new leg."""
        try:
            address = address_of(message.host, message.port)
            found = self._leg_at(address)
            if found is not None and found.usable:
                found.renew(message.token, now_ns())
                return
            leg = RelayLeg(
                relay=address,
                token=message.token,
                key=self._prepared.lease_key,
                random=os.urandom,
            )
        except Malformed as error:
            self._end(f"gateway: {error.code}")
            return
        self._relay = message.relay
        self.media.add_relay(leg)

    def _leg_at(self, address: Address) -> RelayLeg | None:
        agent = self.media.agent
        paths = agent.paths if agent is not None else []
        return next((path.leg for path in paths if path.address == address), None)

    def _event(self, event: PathOutput) -> None:
        self.events = [*self.events[-EVENTS_KEPT:], event]
        if isinstance(event, LeaseWanted):
            request = self._gateway.link.next_request()
            self._gateway.send(m.RenewLease(request, self.session))
        elif isinstance(event, LivenessChanged) and event.state is Liveness.ENDED:
            self._end("connection_lost")
        elif isinstance(event, LegNoticed) and event.notice is Notice.REVOKED:
            self._end("revoked")
        elif isinstance(event, LegRefused | LegSilent) or (
            isinstance(event, LegNoticed) and event.notice in ENDING_NOTICES
        ):
            self._refused_relays = (*self._refused_relays, self._relay)[-8:]
            self._need_relay()

    def _need_relay(self) -> None:
        request = self._gateway.link.next_request()
        excluded = tuple(name for name in self._refused_relays if name)
        self._gateway.send(m.NeedRelay(request, self.session, excluded))


async def call(
    gateway: GatewayClient,
    media: MediaSocket,
    target: str,
    *,
    stun_servers: Sequence[Address] = (),
    proposal: bytes = b"",
    host_key: bytes | None = None,
    limits: PathLimits | None = None,
) -> Meeting:
    """Offers a session to a host and waits for its answer.

    Raises:
        GatewayFailure: the gateway or the host refuses, or the host is another than `host_key`.
    """
    prepared = await prepare(media, stun_servers, proposal)
    request = gateway.link.next_request()
    offer = m.Offer(request, target, prepared.introduction)
    opened = await gateway.ask(offer, m.Opened)
    assert isinstance(opened, m.Opened)
    if host_key not in (None, opened.peer_key):
        gateway.send(m.EndSession(opened.session, "identity_mismatch"))
        raise GatewayFailure(
            "gateway.peer",
            f"the host {target} has another key",
            expected=(host_key or b"").hex(),
            actual=opened.peer_key.hex(),
            advice="Somebody may stand in for it; ask its owner for the key",
        )
    return Meeting(gateway, media, prepared, opened, Side.CONTROLLING, limits)


async def answer(
    gateway: GatewayClient,
    media: MediaSocket,
    offered: m.Offered,
    *,
    stun_servers: Sequence[Address] = (),
    proposal: bytes = b"",
    limits: PathLimits | None = None,
) -> Meeting:
    """Takes an offer: a receipt at once, and consent when the candidates are there.

    Raises:
        GatewayFailure: the offer is over.
    """
    gateway.send(m.Received(offered.offer))
    prepared = await prepare(media, stun_servers, proposal)
    opened = await gateway.ask(m.Accept(offered.offer, prepared.introduction), m.Opened)
    assert isinstance(opened, m.Opened)
    return Meeting(gateway, media, prepared, opened, Side.CONTROLLED, limits)


async def next_offer(gateway: GatewayClient) -> m.Offered:
    """Waits for somebody to call.

    Raises:
        GatewayFailure: the gateway's connection ends, or it refuses something.
    """
    async for message in gateway:
        if isinstance(message, m.Offered):
            return message
        if isinstance(message, m.Refused):
            raise refused(message)
    raise GatewayFailure(
        "gateway.ended", "the gateway's connection ended", expected="an offer", actual="its end",
        advice="Register again",
    )  # fmt: skip


def _candidates(items: tuple[tuple[int, str, int], ...]) -> tuple[Candidate, ...]:
    return from_items(items, CANDIDATES_MAX)
