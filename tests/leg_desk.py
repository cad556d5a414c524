"""A gateway over real connections with parties that run programs with it, and their records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from troth import conformance, vm
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import GatewayClient, PartyLegs, connect_gateway
from troth.streaming.gateway.shell_gateway import GatewayOptions, GatewayService
from troth.streaming.gateway.shell_store import SqliteStore
from troth.streaming.gateway.store import SessionRecord
from troth.streaming.relay.shell_relay import RelayOptions, RelayService
from troth.vm.events import Sent
from troth.vm.keys import KeyPair, generate
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder

NAMES: Final = ("gate", "carol", "harry", "rita", "rob")
LEASE_KEY: Final = b"\x09" + bytes(31)


def key(name: str) -> KeyPair:
    return generate(name, Random(name).randbytes(32))


@dataclass
class LegDesk:
    """Everybody keeps the records of programs in a folder of the own name; the gateway in `gate`.

    Attributes:
        stopped: who was told to stop which session, and why.
    """

    folder: Path
    gateway: GatewayService
    store: SqliteStore
    stopped: list[tuple[str, bytes, str]] = field(default_factory=list)
    parties: list[GatewayClient] = field(default_factory=list)
    relays: list[RelayService] = field(default_factory=list)

    def open(self, session: bytes, relay: str = "") -> None:
        """A session of carol and harry is there."""
        self.store.keep_session(
            SessionRecord(
                session=session, client_key=key("carol").public_key,
                host_key=key("harry").public_key, client_lease_key=LEASE_KEY,
                host_lease_key=LEASE_KEY, opened_s=int(time.time()), relay=relay,
            )
        )  # fmt: skip

    async def connect(
        self, kind: PartyKind, name: str, stop_s: float = 0.0, legs: PartyLegs | None = None
    ) -> GatewayClient:
        """`stop_s` is how long the party takes to stop a session."""
        party = await connect_gateway(
            "127.0.0.1", self.gateway.port, kind=kind, key=key(name),
            legs=legs or PartyLegs(record=self.folder / name),
        )  # fmt: skip

        async def stop(session: bytes, reason: str) -> None:
            await asyncio.sleep(stop_s)
            self.stopped.append((name, session, reason))

        party.stop = stop
        self.parties.append(party)
        return party

    async def relay(self, name: str = "rita") -> RelayService:
        options = RelayOptions(
            gateway=("127.0.0.1", self.gateway.port),
            gateway_key=key("gate").public_key,
            record=self.folder / name,
        )
        relay = RelayService(key(name), options, lambda _text: None)
        self.relays.append(relay)
        await relay.start()
        return relay

    def takes_sessions(self, relay: str = "rita") -> bool:
        found = self.gateway.core.hub.relays.get(relay)
        return found is not None and found.load[1] > 0

    async def revoke(self, session: bytes, by: str = "root") -> dict[str, str]:
        """What the administrator is told: what became of it, by party."""
        root = await self.connect(PartyKind.ADMIN, by)
        report = await root.ask(m.Command(1, "revoke", (session.hex(), "policy")), m.Report)
        assert isinstance(report, m.Report)
        return {row[1]: row[3] for row in report.rows[1:]}

    async def settled(self, leg: str) -> None:
        """All runs of it are over at the gateway."""
        await until(lambda: not any(it.running(leg) for it in self.gateway._legs.values()))

    def records(self, leg: str, name: str = "*") -> list[Path]:
        return sorted(self.folder.glob(f"{name}/{leg}-*.replay"))

    async def close(self) -> None:
        for party in self.parties:
            await party.close()
        for relay in self.relays:
            await relay.stop()


@asynccontextmanager
async def leg_desk(folder: Path, limits: GatewayLimits | None = None) -> AsyncIterator[LegDesk]:
    store = SqliteStore()
    options = GatewayOptions(
        admitted=dict.fromkeys(PartyKind), record=folder / "gate", limits=limits or GatewayLimits()
    )
    gateway = GatewayService(key("gate"), store, options)
    await gateway.start()
    desk = LegDesk(folder, gateway, store)
    try:
        yield desk
    finally:
        await desk.close()
        await gateway.stop()
        store.close()


async def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.01)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def said(path: Path) -> list[str]:
    """The labels of what a record's own role has sent, in order."""
    with path.open("rb") as stream:
        decoder = EventDecoder()
        events = [decoder.decode(record) for record in ArtifactReader(stream)]
    return [event.label for event in events if isinstance(event, Sent)]


def require_proofs(paths: list[Path], count: int) -> None:
    """So many records, each of which holds by itself at every level, and all of them together."""
    assert len(paths) == count
    trust = vm.parse_trust("\n".join(key(name).public_text for name in NAMES), "trust")
    for path in paths:
        verdict = conformance.verify(path, trust=trust)
        assert [level.ok for level in verdict.levels] == [True] * 5, path
        assert verdict.exit_code == 0
    merged = conformance.verify_views(paths, trust=trust)
    assert (merged.exit_code, merged.findings) == (0, ())
