"""A session's paths: what its programs ask about them, and the gateway that parties meet through.

Which path is in use is the agent's to say; that both sides have taken it is what the programs ask
each other about, over that path. The number of a path is that of the choice, the same at both.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.streaming.eventsocket.backoff import Backoff
from troth.streaming.gateway.failures import GatewayFailure
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import GatewayClient, PartyLegs, connect_gateway
from troth.streaming.gateway.shell_meeting import REVOKED, Meeting
from troth.streaming.paths.addresses import Address, address_of
from troth.streaming.paths.candidates import CandidateKind
from troth.streaming.paths.outputs import CandidateMet, PathOutput, PathTaken
from troth.streaming.session.endings import Ending
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_party import Party
from troth.streaming.session.shell_transport import TransportEnd
from troth.streaming.telemetry import DIRECT, RELAY
from troth.vm.errors import Unusable
from troth.vm.keys import KeyPair
from troth.vm.shell_run import RunResult

STUN_PORTS: Final = (3_478, 4_478)
REACH_S: Final = 0.5
"""The client's choice comes with a check, which may be lost once: so long the host waits for it."""
REACH_STEP_S: Final = 0.01
CANDIDATES_KEPT: Final = 64
"""Of those that are met before the party is there."""
FINAL: Final = frozenset({"banned", "replaced", "not_admitted", "name_taken"})
"""Refusals that another connection would not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayWay:
    """Where the gateway is, and who we are there.

    Attributes:
        key: the public key that it has to have.
        name: ours; None for one made of the role and the key.
        stun: servers that say what our address is; None for those of the gateway.
        record: the folder for the records of the programs that run with the gateway.
    """

    host: str
    port: int
    key: bytes
    tls: ssl.SSLContext | None = None
    name: str | None = None
    stun: Sequence[Address] | None = None
    record: Path | None = None

    async def connect(self, kind: PartyKind, principal: KeyPair) -> GatewayClient:
        """
        Raises:
            TrothError: what `connect_gateway` raises.
        """
        name = self.name or f"{kind.value}-{principal.public_key.hex()[:8]}"
        known = KeyPair(name, principal.public_key, principal.signing_key)
        return await connect_gateway(
            self.host, self.port, kind=kind, key=known, gateway_key=self.key, tls=self.tls,
            legs=PartyLegs(record=self.record),
        )  # fmt: skip

    async def connect_again(self, kind: PartyKind, principal: KeyPair) -> GatewayClient:
        """As often as it takes.

        Raises:
            GatewayFailure: the gateway does not want us.
        """
        failures = 0
        while True:
            try:
                return await self.connect(kind, principal)
            except GatewayFailure as error:
                if error.actual in FINAL:
                    raise
                failures += 1
                wait_s = Backoff().delay_s(failures, lambda: os.urandom(1)[0] / 256)
                await asyncio.sleep(wait_s)

    def stun_servers(self, gateway: GatewayClient) -> tuple[Address, ...]:
        if self.stun is not None:
            return tuple(self.stun)
        return tuple(address_of(gateway.host, port) for port in STUN_PORTS)


class Route:
    """One party's paths in one session, from its meeting on."""

    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting
        self.taken = asyncio.Event()
        self.over = asyncio.Event()
        self.party: Party | None = None
        self._met: deque[CandidateMet] = deque(maxlen=CANDIDATES_KEPT)
        meeting.on_event = self._event
        for event in meeting.events:
            self._event(event)
        self._running = asyncio.get_running_loop().create_task(meeting.run())
        self._running.add_done_callback(lambda _done: self.over.set())

    @property
    def choice(self) -> int:
        """The number of the path in use; 0 when there is none."""
        agent = self.meeting.media.agent
        return 0 if agent is None else agent.choice

    async def path(self) -> None:
        """Waits until there is one.

        Raises:
            Unusable: code `stream.path`.
        """
        waits = [asyncio.ensure_future(event.wait()) for event in (self.taken, self.over)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        if self.over.is_set():
            raise Unusable(
                "stream.path",
                "there is no way to the other side",
                expected="a direct path, or a relay",
                actual=f"{self.meeting.ended}",
                advice="Run `troth stream probe` on both sides; the gateway needs a relay",
            )

    def begin(
        self, party: Party, end: TransportEnd, run: asyncio.Task[bool] | asyncio.Task[RunResult]
    ) -> None:
        """The party's programs run: they are told of paths, and of an end that others give it."""
        self.party = party
        self._tell_before(party)

        async def farewell(reason: str) -> None:
            if reason == REVOKED:
                party.revoke()
            await asyncio.wait({run})
            await end.over.wait()

        def cut(_done: asyncio.Future[str]) -> None:
            if not run.done():
                end.give_up(_ENDINGS.get(self.meeting.ended or "", Ending.PEER_LOST))

        self.meeting.farewell = farewell
        run.add_done_callback(lambda _done: self.meeting.finish())
        self._running.add_done_callback(cut)

    async def end(self, reason: str) -> GatewayClient | None:
        """The session is over at our side; what is left of it is the gateway's connection."""
        self.meeting.end(reason)
        await self._running
        return self.meeting.gateway

    def _event(self, event: PathOutput) -> None:
        if isinstance(event, PathTaken):
            self.taken.set()
            self._tell(event)
        elif isinstance(event, CandidateMet):
            if self.party is None:
                self._met.append(event)
            else:
                _tell_candidate(self.party, event)

    def _tell_before(self, party: Party) -> None:
        """What happened before there was a party: its candidates, and the last path taken."""
        for met in self._met:
            _tell_candidate(party, met)
        self._met.clear()
        taken = [e for e in self.meeting.events if isinstance(e, PathTaken)]
        if taken:
            self._tell(taken[-1])

    def _tell(self, event: PathTaken) -> None:
        party = self.party
        if party is None:
            return
        kind = event.kind.name.lower()
        party.ways.append(kind)
        party.telemetry.path_is(RELAY if event.kind is CandidateKind.RELAY else DIRECT)
        party.telemetry.emit(
            "path_nominated",
            path=self.choice,
            kind=kind,
            reason=event.reason,
            gap_ms=event.gap_ns // 1_000_000,
        )
        if isinstance(party, ClientParty):
            self._demand(party)

    def _demand(self, client: ClientParty) -> None:
        """The programs ask each other whether both have it."""
        try:
            client.demand("path", self.choice)
        except Unusable:
            client.path_kept(self.choice)

    async def reached(self, path: int) -> bool:
        """For the host: whether the client's choice is the path that we use, too."""
        ends_s = time.monotonic() + REACH_S
        while self.choice != path and time.monotonic() < ends_s:
            await asyncio.sleep(REACH_STEP_S)
        return self.choice == path

    def stands(self, path: int) -> bool:
        """For the client: whether that is still the path that we want."""
        return self.choice == path


def _tell_candidate(party: Party, met: CandidateMet) -> None:
    facts = {"refused": met.refused} if met.refused else {}
    party.telemetry.emit(
        "candidate", "control", kind=met.kind.name.lower(), address=met.address.text, **facts
    )


_ENDINGS: Final = {
    REVOKED: Ending.REVOKED,
    Ending.CONNECTION_LOST.value: Ending.CONNECTION_LOST,
}
