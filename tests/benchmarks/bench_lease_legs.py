"""Leases by programs: what the run of a session's party costs a gateway, in time and in memory.

The baseline is the gateway's own work for a lease, which is mostly its signature. Both ends of a
run are in this process, on one core; connections are not in it.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from gateway_world import GatewayWorld
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.leasing import RENEWAL, Ticket, Want
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_leases import LeaseDesk, PartyLease
from troth.streaming.gateway.shell_legs import Legs, LegsEnd, leg_image
from troth.vm.keys import KeyPair, generate

FOREVER_S: Final = 1 << 30
OFTEN: Final = 1 << 30


class Holder:
    """A party's leases of one session."""

    def __init__(self, session: bytes) -> None:
        self.lease = PartyLease(session, "", self)
        self.got = asyncio.Event()

    def leased(self, _ticket: Ticket) -> None:
        self.got.set()

    def not_leased(self, refused: m.Refused) -> None:
        raise AssertionError(refused.text)

    def no_relay(self) -> None:
        raise AssertionError("there is a relay")

    def lease_failed(self, _lease: PartyLease) -> None:
        raise AssertionError("the program failed")

    async def renew(self) -> None:
        self.got.clear()
        self.lease.renew()
        await self.got.wait()


class Desk:
    """A gateway, a client's connection to it in memory, and one session for each run."""

    def __init__(self) -> None:
        limits = GatewayLimits(session_s=FOREVER_S, leases_per_minute=OFTEN)
        self.world = GatewayWorld(limits)
        client, host = (
            self.world.connect(kind, kind.value) for kind in (PartyKind.CLIENT, PartyKind.HOST)
        )
        self.world.connect(PartyKind.RELAY, "relay")
        self.session = self.world.session(client, host)
        core = self.world.core
        self.party = core.hub.parties[client.number]
        loop = asyncio.get_running_loop()
        desk = partial(LeaseDesk, core.hub, core.leasing, self.party)
        self.gateway = Legs(
            _end(True), {"lease": desk}, lambda talk: _soon(loop, self.client, talk)
        )  # fmt: skip
        self.client = Legs(_end(False), {}, lambda talk: _soon(loop, self.gateway, talk))
        self.holders: list[Holder] = []

    async def begin(self, count: int) -> None:
        """So many runs, one after the other, each with its first lease."""
        for _ in range(count):
            holder = Holder(self.session)
            self.holders.append(holder)
            self.client.begin("lease", holder.lease)
            holder.lease.need([])
            await holder.got.wait()

    def issue(self) -> None:
        """What the gateway does for a lease, without a program."""
        leasing, want = self.world.core.leasing, Want(kind=RENEWAL, except_relays=[])
        relay = leasing.choose(self.session, want)
        assert relay is not None
        leasing.issue(self.party, self.session, relay, self.world.now_ns)

    async def close(self) -> None:
        await self.client.leave(seconds=30)
        await asyncio.gather(self.client.end(), self.gateway.end())


def _end(gateway: bool) -> LegsEnd:
    own, other = _key("gateway"), _key("client")
    if not gateway:
        own, other = other, own
    return LegsEnd(gateway, own, lambda: other.public_key, None, lambda _text: None)


def _key(name: str) -> KeyPair:
    return generate(name, Random(name).randbytes(32))


def _soon(loop: asyncio.AbstractEventLoop, legs: Legs, talk: m.Talk) -> None:
    loop.call_soon(legs.take, talk)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def measure(runs: int, renewals: int, pairs: int) -> list[str]:
    return asyncio.run(_measure(runs, renewals, pairs))


async def _measure(runs: int, renewals: int, pairs: int) -> list[str]:
    leg_image("lease")
    desk = Desk()
    # The first of all is not like the others.
    await desk.begin(1)
    before, began = resident_bytes(), time.process_time()
    await desk.begin(runs)
    began_ms = (time.process_time() - began) / runs * 1e3
    kib = (resident_bytes() - before) / runs / 2 / 1_024
    idle_s = time.process_time()
    await asyncio.sleep(1)
    idle_s = time.process_time() - idle_s
    ratios, renewed_ms = [], []
    for _ in range(pairs):
        by_program, alone = await _one_pair(desk, renewals)
        ratios.append(by_program / alone)
        renewed_ms.append(by_program * 1e3)
    await desk.close()
    return [
        f"leases, a renewal by programs at both ends over the gateway's own work for it: ratio "
        f"{statistics.median(ratios):.1f} ({pairs} pairs from {min(ratios):.1f} to "
        f"{max(ratios):.1f}); {statistics.median(renewed_ms):.2f} ms",
        f"leases, a run with its first lease: {began_ms:.1f} ms at both ends together, "
        f"{kib:.0f} KiB at each while it goes on; {runs} runs that have nothing to do took "
        f"{idle_s * 1e3:.1f} ms of a second",
    ]


async def _one_pair(desk: Desk, renewals: int) -> tuple[float, float]:
    """Seconds for one renewal, by program and without."""
    holder = desk.holders[0]
    start = time.process_time()
    for _ in range(renewals):
        await holder.renew()
    middle = time.process_time()
    for _ in range(renewals):
        desk.issue()
    end = time.process_time()
    return (middle - start) / renewals, (end - middle) / renewals


if __name__ == "__main__":
    print("\n".join(measure(runs=60, renewals=200, pairs=7)))
