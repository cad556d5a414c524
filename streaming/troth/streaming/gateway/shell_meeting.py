"""Two parties meet through a gateway: offer, answer, paths, leases, and the end of all of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from troth.streaming.eventsocket.backoff import Backoff
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import CANDIDATES_MAX
from troth.streaming.gateway.endings import EndSaid, SessionEnded
from troth.streaming.gateway.failures import GatewayFailure, gateway_ended, refused
from troth.streaming.gateway.introductions import Introduction, Opening
from troth.streaming.gateway.leasing import Ticket
from troth.streaming.gateway.messages import ConsentPolicy
from troth.streaming.gateway.shell_client import GatewayClient, Heard
from troth.streaming.gateway.shell_leases import LEG, PartyLease
from troth.streaming.gateway.shell_line import now_ns
from troth.streaming.gateway.shell_offers import ConsentSaid, HeardOffer, HostAsked
from troth.streaming.liveness import Liveness
from troth.streaming.paths.addresses import Address, address_of
from troth.streaming.paths.candidates import Candidate, CandidateKind, from_items
from troth.streaming.paths.checks import Credential, Side, new_credential
from troth.streaming.paths.limits import PathLimits
from troth.streaming.paths.outputs import LivenessChanged, PathChanged, PathOutput
from troth.streaming.paths.path import PathState
from troth.streaming.paths.shell_media_socket import MediaSocket
from troth.streaming.relay.lease import ExchangeKey, new_exchange_key
from troth.streaming.relay.leg import RelayLeg
from troth.streaming.relay.outputs import LeaseWanted, LegNoticed, LegRefused, LegSilent
from troth.streaming.relay.wire import ENDING_NOTICES, Notice
from troth.vm.errors import Invalid, Malformed, TrothError

EVENTS_KEPT: Final = 1_000
RELAYS_REFUSED_MAX: Final = 8
RELAY_AGAIN_S: Final = 5.0
FAREWELL_S: Final = 0.5
"""For so long a session that was taken away may still speak."""
LAST_WORDS_S: Final = 2.0
"""For so long one that the other party has left may."""
REVOKED: Final = "revoked"
HOST_BUSY: Final = "host_busy"
OFFERS_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a party has made for one session before it offers or answers."""

    credential: Credential
    lease_key: ExchangeKey
    introduction: Introduction


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingOptions:
    """What a party wants of its meeting.

    Attributes:
        reconnect: makes a new connection to the gateway when the one in use has ended.
    """

    limits: PathLimits | None = None
    reconnect: Callable[[], Awaitable[GatewayClient]] | None = None
    backoff: Backoff = field(default_factory=Backoff)


async def prepare(
    media: MediaSocket, stun_servers: Sequence[Address], proposal: bytes
) -> Prepared:  # fmt: skip
    """Gathers candidates from the media socket and makes keys for this session alone."""
    candidates, _ = await media.gather(stun_servers)
    credential, lease_key = new_credential(os.urandom), new_exchange_key(os.urandom)
    listed = tuple((int(c.kind), c.address.host, c.address.port) for c in candidates)
    introduction = Introduction(
        proposal, listed, credential.name, credential.password, lease_key.public
    )
    return Prepared(credential, lease_key, introduction)


class Meeting:
    """One party's session from its opening on. `run` until it ends; `ended` says why.

    Owners read `events`; what is not read is dropped from the front, never kept without end.

    Attributes:
        on_event: is told what happens to the paths.
        farewell: is called when somebody else ends the session, with the reason, and may take
            `FAREWELL_S` or `LAST_WORDS_S` to end it in good order; then the paths are closed,
            whatever it does.
    """

    def __init__(
        self,
        gateway: GatewayClient,
        media: MediaSocket,
        prepared: Prepared,
        opened: Opening,
        side: Side,
        options: MeetingOptions,
    ) -> None:
        self.session = opened.session
        self.opened = opened
        self.media = media
        self.ended: str | None = None
        self.events: list[PathOutput] = []
        self.on_event: Callable[[PathOutput], None] = lambda _event: None
        self.farewell: Callable[[str], Awaitable[None]] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._finishing = False
        self._later: list[Heard] = []
        self._gateway: GatewayClient | None = None
        self._options = options
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
            options.limits,
        )
        self._use(gateway)
        if side is Side.CONTROLLING:
            self._need_relay()

    def _use(self, gateway: GatewayClient) -> None:
        """This connection carries the session's programs from now on."""
        self._gateway = gateway
        gateway.stop = self._stop
        self._lease = PartyLease(self.session, self._relay, self)
        gateway.legs.begin(LEG, self._lease)

    async def run(self) -> str:
        """Until the session ends, from whichever side; returns why."""
        listener = asyncio.get_running_loop().create_task(self._listen())
        try:
            await self._over.wait()
        finally:
            tasks = [listener] if self._leaving is None else [listener, self._leaving]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._gateway is not None:
                self._gateway.put_back(self._later)
            await self.media.close()
        assert self.ended is not None
        return self.ended

    @property
    def gateway(self) -> GatewayClient | None:
        """The connection in use, for whatever comes after this session; None when it is lost."""
        return self._gateway

    def finish(self) -> None:
        """Only goodbyes are left to say: who calls now is kept waiting for the next session."""
        self._finishing = True

    def end(self, reason: str) -> None:
        """Ends the session and tells the other party through the gateway."""
        if self.ended is None:
            if self._gateway is not None:
                say_end(self._gateway, self.session, reason)
            self._end(reason)

    def _end(self, reason: str) -> None:
        if self.ended is None:
            self.ended = reason
            self._lease.leave()
            self._over.set()

    def _ended_by_others(self, reason: str) -> None:
        if self._leaving is None and self.ended is None:
            self._leaving = asyncio.get_running_loop().create_task(self._leave(reason))

    async def _stop(self, session: bytes, _reason: str) -> None:
        """The gateway takes a session away; this one, if it is not over yet."""
        if session == self.session:
            self._ended_by_others(REVOKED)
            if self._leaving is not None:
                await asyncio.wait({self._leaving})

    async def _leave(self, reason: str) -> None:
        seconds = FAREWELL_S if reason == REVOKED else LAST_WORDS_S
        # Whoever does not come to an end in time is ended all the same.
        with contextlib.suppress(TimeoutError):
            if self.farewell is not None:
                async with asyncio.timeout(seconds):
                    await self.farewell(reason)
        if self.media.agent is not None:
            self.media.agent.close(now_ns())
        self._end(reason)

    async def _listen(self) -> None:
        """Media go on without a gateway; only leases are not renewed until it is back."""
        failures = 0
        while True:
            gateway = self._gateway
            if gateway is not None:
                with contextlib.suppress(TrothError):
                    async for message in gateway:
                        failures = 0
                        self._take(message)
                self._gateway = None
                await gateway.close()
            if self._options.reconnect is None:
                return
            failures += 1
            delay_s = self._options.backoff.delay_s(failures, lambda: os.urandom(1)[0] / 256)
            await asyncio.sleep(delay_s)
            with contextlib.suppress(TrothError):
                self._use(await self._options.reconnect())
                self._relay_again()

    def _relay_again(self) -> None:
        """What was refused for the moment, or asked for while the gateway was away."""
        agent = self.media.agent
        legs = [path.leg for path in agent.paths if path.leg is not None] if agent else []
        if self.ended is None and not any(leg.usable for leg in legs):
            self._refused_relays = ()
            self._need_relay()

    def _take(self, message: Heard) -> None:
        match message:
            case SessionEnded() if message.session == self.session:
                self._ended_by_others(message.reason)
            case m.Refused() if message.code == "banned":
                self._ended_by_others(REVOKED)
            case HeardOffer() if self._leaving is None and not self._finishing:
                message.deny(HOST_BUSY)
            case HeardOffer():
                # This session is about to be over, and the next may begin.
                self._later = [*self._later, message][-OFFERS_KEPT:]

    # --- leases ------------------------------------------------------------------------------

    def leased(self, ticket: Ticket) -> None:
        """The next lease renews the leg in use; one for another relay makes a new leg."""
        if self.ended is not None:
            return
        try:
            address = address_of(ticket["host"], ticket["port"])
            found = self._leg_at(address)
            if found is not None and found.usable:
                found.renew(ticket["token"], now_ns())
                return
            leg = RelayLeg(
                relay=address,
                token=ticket["token"],
                key=self._prepared.lease_key,
                random=os.urandom,
            )
        except (Malformed, Invalid) as error:
            self._end(f"gateway: {error.code}")
            return
        self._relay = ticket["relay"]
        self.media.add_relay(leg)

    def not_leased(self, refused: m.Refused) -> None:
        """What a limit refuses is asked for again; other refusals are for good."""
        if refused.limit:
            wait_s = max(RELAY_AGAIN_S, refused.wait_ms / 1_000)
            asyncio.get_running_loop().call_later(wait_s, self._relay_again)

    def no_relay(self) -> None:
        """The gateway has waited for one: those that were not good enough may be, by now."""
        self._relay_again()

    def lease_failed(self, lease: PartyLease) -> None:
        asyncio.get_running_loop().call_later(RELAY_AGAIN_S, self._lease_again, lease)

    def _lease_again(self, failed: PartyLease) -> None:
        """Unless its connection has ended meanwhile, and the next one has a program of its own."""
        if self.ended is None and self._gateway is not None and self._lease is failed:
            self._use(self._gateway)
            self._relay_again()

    def _leg_at(self, address: Address) -> RelayLeg | None:
        agent = self.media.agent
        paths = agent.paths if agent is not None else []
        return next((path.leg for path in paths if path.address == address), None)

    def _event(self, event: PathOutput) -> None:
        self.events = [*self.events[-EVENTS_KEPT:], event]
        self.on_event(event)
        if isinstance(event, LeaseWanted):
            self._lease.renew()
        elif isinstance(event, LivenessChanged) and event.state is Liveness.ENDED:
            self._end("connection_lost")
        elif isinstance(event, LegNoticed) and event.notice is Notice.REVOKED:
            self._ended_by_others(REVOKED)
        elif _is_end_of_relay(event):
            self._refused_relays = (*self._refused_relays, self._relay)[-RELAYS_REFUSED_MAX:]
            self._need_relay()

    def _need_relay(self) -> None:
        self._lease.need([name for name in self._refused_relays if name])


def say_end(gateway: GatewayClient, session: bytes, reason: str) -> None:
    """Tells the gateway that a session is over, and by it the other party, without waiting."""
    if not gateway.over:
        gateway.legs.begin("ending", EndSaid(session, reason))


async def call(
    gateway: GatewayClient,
    media: MediaSocket,
    target: str,
    *,
    stun_servers: Sequence[Address] = (),
    proposal: bytes = b"",
    host_key: bytes | None = None,
    options: MeetingOptions | None = None,
) -> Meeting:
    """Offers a session to a host and waits for its answer.

    Raises:
        GatewayFailure: the gateway or the host refuses, or the host is another than `host_key`.
    """
    prepared = await prepare(media, stun_servers, proposal)
    asked = HostAsked(target, prepared.introduction)
    gateway.legs.begin("asking", asked)
    opened = await asked.result()
    if opened is None:
        raise gateway_ended("a session")
    if host_key not in (None, opened.peer_key):
        say_end(gateway, opened.session, "identity_mismatch")
        raise GatewayFailure(
            "gateway.peer",
            f"the host {target} has another key",
            expected=(host_key or b"").hex(),
            actual=opened.peer_key.hex(),
            advice="Somebody may stand in for it; ask its owner for the key",
        )
    return Meeting(gateway, media, prepared, opened, Side.CONTROLLING, options or MeetingOptions())


async def answer(
    gateway: GatewayClient,
    media: MediaSocket,
    offer: HeardOffer,
    *,
    stun_servers: Sequence[Address] = (),
    proposal: bytes = b"",
    options: MeetingOptions | None = None,
) -> Meeting:
    """Consents to an offer, when the candidates are there.

    Raises:
        GatewayFailure: the offer is over.
    """
    prepared = await prepare(media, stun_servers, proposal)
    opened = await offer.accept(prepared.introduction)
    return Meeting(gateway, media, prepared, opened, Side.CONTROLLED, options or MeetingOptions())


async def next_offer(gateway: GatewayClient) -> HeardOffer:
    """Waits for somebody to call.

    Raises:
        GatewayFailure: the gateway's connection ends, or it refuses something.
    """
    async for message in gateway:
        if isinstance(message, HeardOffer):
            return message
        if isinstance(message, m.Refused):
            raise refused(message)
    raise gateway_ended("an offer")


async def let_through(
    gateway: GatewayClient, policy: ConsentPolicy, keys: Sequence[bytes] = ()
) -> None:
    """Says whose offers the gateway may let through to this host.

    Raises:
        GatewayFailure: the gateway refuses, or is gone.
    """
    said = ConsentSaid(policy, keys)
    gateway.legs.begin("consent", said)
    await said.result()


def _is_end_of_relay(event: PathOutput) -> bool:
    """Whether the relay refuses, is silent, ends our place, or does not carry anything any more."""
    if isinstance(event, PathChanged):
        return event.kind is CandidateKind.RELAY and event.state is PathState.FAILED
    if isinstance(event, LegNoticed):
        return event.notice in ENDING_NOTICES
    return isinstance(event, LegRefused | LegSilent)


def _candidates(items: tuple[tuple[int, str, int], ...]) -> tuple[Candidate, ...]:
    return from_items(items, CANDIDATES_MAX)
