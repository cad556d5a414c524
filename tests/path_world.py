"""Two parties, a relay and a STUN server over a network that the test bends, in no time at all.

Every datagram takes `delay_ns`; `blocked` says which do not arrive. The clock is the world's.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from relay_world import GATEWAY_PUBLIC, GATEWAY_SIGNING, RELAY_KEY, UNIX_S
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.agent import PathAgent
from troth.streaming.paths.candidates import Candidate, CandidateKind
from troth.streaming.paths.checks import Credential, Side, new_credential
from troth.streaming.paths.limits import MILLISECOND_NS, SECOND_NS
from troth.streaming.paths.outputs import Inbound, PathOutput, PathTaken
from troth.streaming.relay.core import RelayCore
from troth.streaming.relay.lease import Lease, Role, issue, new_exchange_key
from troth.streaming.relay.leg import RelayLeg
from troth.streaming.relay.outputs import Transmit

CLIENT: Final = Address("203.0.113.10", 41_000)
HOST: Final = Address("198.51.100.20", 42_000)
RELAY: Final = Address("192.0.2.30", 3_479)
SESSION: Final = b"session-of-tests"

Blocked = Callable[[Address, Address, int], bool]


@dataclass(slots=True, eq=False)
class Party:
    """One party with everything that it was told."""

    agent: PathAgent
    address: Address
    role: Role
    told: list[tuple[int, PathOutput]] = field(default_factory=list)
    got: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def taken(self) -> list[tuple[int, PathTaken]]:
        return [(at_ns, said) for at_ns, said in self.told if isinstance(said, PathTaken)]

    @property
    def kinds(self) -> list[CandidateKind]:
        """The kinds of the paths that were taken, in order."""
        return [said.kind for _, said in self.taken]


class PathWorld:
    def __init__(self, seed: int = 1, delay_ns: int = 20 * MILLISECOND_NS) -> None:
        self.random = Random(seed)
        self.now_ns = 10 * SECOND_NS
        self.start_ns = self.now_ns
        self.delay_ns = delay_ns
        self.blocked: Blocked = lambda _source, _target, _now_ns: False
        self.loss = 0.0
        self.carried: list[tuple[int, Address, Address, bytes]] = []
        self._queue: list[tuple[int, int, Address, Address, bytes]] = []
        self._count = 0
        self.relay = RelayCore(
            name="relay",
            key=RELAY_KEY,
            gateway_keys=(GATEWAY_PUBLIC,),
            random=self.random.randbytes,
            now_ns=self.now_ns,
            unix_offset_ns=UNIX_S * SECOND_NS,
        )
        own, other = (new_credential(self.random.randbytes) for _ in range(2))
        self.client = self._party(Side.CONTROLLING, CLIENT, Role.CLIENT, own, other)
        self.host = self._party(Side.CONTROLLED, HOST, Role.HOST, other, own)
        self.parties = (self.client, self.host)

    def _party(
        self, side: Side, address: Address, role: Role, own: Credential, other: Credential
    ) -> Party:
        agent = PathAgent(
            side=side,
            own=own,
            other=other,
            random=self.random.randbytes,
            now_ns=self.now_ns,
            own_addresses=(address,),
        )
        return Party(agent, address, role)

    @property
    def seconds(self) -> float:
        return (self.now_ns - self.start_ns) / SECOND_NS

    def offer_direct(self) -> None:
        for party, other in ((self.client, self.host), (self.host, self.client)):
            party.agent.add_candidates(
                [Candidate(CandidateKind.HOST, other.address)], self.now_ns
            )  # fmt: skip

    def offer_relay(self, lasts_s: int = 3_000) -> None:
        unix_s = (self.now_ns + UNIX_S * SECOND_NS) // SECOND_NS
        for party in self.parties:
            key = new_exchange_key(self.random.randbytes)
            lease = Lease(
                relay="relay",
                session=SESSION,
                role=party.role,
                generation=1,
                lease_id=self.random.randbytes(16),
                holder_key=key.public,
                relay_key=RELAY_KEY.public,
                not_before_s=unix_s,
                expires_s=unix_s + lasts_s,
                bytes_per_s=10_000_000,
                packets_per_s=10_000,
            )
            leg = RelayLeg(
                relay=RELAY,
                token=issue(lease, GATEWAY_SIGNING),
                key=key,
                random=self.random.randbytes,
            )
            party.agent.add_relay(leg, self.now_ns)

    def block_direct(self, during: Callable[[float], bool] = lambda _s: True) -> None:
        """Nothing between the parties themselves while `during` holds of the seconds since."""
        start_ns = self.now_ns
        pair = {CLIENT.host, HOST.host}
        self.blocked = lambda source, target, now_ns: (
            {source.host, target.host} == pair and during((now_ns - start_ns) / SECOND_NS)
        )

    def run(self, seconds: float, media_every_ns: int = 0) -> None:
        end_ns = self.now_ns + round(seconds * SECOND_NS)
        media_ns = self.now_ns
        while True:
            self._flush()
            times = [party.agent.deadline_ns for party in self.parties]
            times += [self.relay.deadline_ns, self._queue[0][0] if self._queue else None]
            times += [media_ns] if media_every_ns else []
            next_ns = min((t for t in times if t is not None), default=end_ns)
            if next_ns > end_ns:
                break
            self.now_ns = max(self.now_ns, next_ns)
            if media_every_ns and self.now_ns >= media_ns:
                media_ns += media_every_ns
                self.host.agent.send(b"\x45" + self.now_ns.to_bytes(8, "big"), self.now_ns)
            self._turn()
        self.now_ns = end_ns

    def _turn(self) -> None:
        while self._queue and self._queue[0][0] <= self.now_ns:
            _, _, source, target, data = heapq.heappop(self._queue)
            self._arrive(source, target, data)
        for party in self.parties:
            party.agent.tick(self.now_ns)
        self.relay.tick(self.now_ns)

    def _arrive(self, source: Address, target: Address, data: bytes) -> None:
        if target == RELAY:
            self.relay.receive(data, source, self.now_ns)
        for party in self.parties:
            if party.address == target:
                party.agent.receive(data, source, self.now_ns)

    def _flush(self) -> None:
        for party in self.parties:
            for output in party.agent.poll():
                if isinstance(output, Transmit):
                    self.carry(party.address, output.address, output.data)
                elif isinstance(output, Inbound):
                    party.got.append((self.now_ns, output.data))
                else:
                    party.told.append((self.now_ns, output))
        for output in self.relay.poll():
            self.carry(RELAY, output.address, output.data)

    def carry(self, source: Address, target: Address, data: bytes) -> None:
        self.carried.append((self.now_ns, source, target, data))
        if self.blocked(source, target, self.now_ns) or self.random.random() < self.loss:
            return
        self._count += 1
        arrival_ns = self.now_ns + self.delay_ns
        heapq.heappush(self._queue, (arrival_ns, self._count, source, target, data))
