"""Hundreds of sessions through one relay: each gets its own, and no more than its own."""

from __future__ import annotations

import tracemalloc
from random import Random
from typing import Final

from relay_world import RELAY_ADDRESS, Party, RelayWorld
from troth.streaming.paths.addresses import Address
from troth.streaming.relay.lease import Role
from troth.streaming.relay.limits import SECOND_NS, RelayLimits
from troth.streaming.relay.outputs import Transmit

SESSIONS: Final = 300
ROUNDS: Final = 5
SESSION_BYTES_MAX: Final = 64 << 10


class Crowd:
    """Parties by their addresses, so that each datagram is looked at once."""

    def __init__(self, sessions: int, **changed: object) -> None:
        limits = RelayLimits(presents_per_source_s=10_000, presents_per_s=10_000)
        self.world = RelayWorld(limits=limits)
        self.by_address: dict[Address, Party] = {}
        self.pairs: list[tuple[Party, Party]] = []
        for number in range(sessions):
            pair = tuple(
                self._party(role, number, **changed) for role in (Role.CLIENT, Role.HOST)
            )  # fmt: skip
            self.pairs.append((pair[0], pair[1]))
        self.carry()

    def _party(self, role: Role, number: int, **changed: object) -> Party:
        session = number.to_bytes(16, "big")
        party = self.world.party(role, 1, session=session, **changed)
        party.address = Address(f"10.{role.value}.{number >> 8}.{number & 255}", 5_000)
        self.by_address[party.address] = party
        party.leg.start(self.world.now_ns)
        return party

    def carry(self) -> None:
        """Until nobody has anything more to say."""
        moved = True
        while moved:
            moved = False
            for party in self.by_address.values():
                for output in party.leg.poll():
                    if isinstance(output, Transmit):
                        moved = True
                        self.world.relay.receive(output.data, party.address, self.world.now_ns)
            for output in self.world.relay.poll():
                moved = True
                party = self.by_address[output.address]
                inner = party.leg.receive(output.data, self.world.now_ns)
                party.got += [] if inner is None else [inner]


def test_hundreds_of_sessions_share_one_relay() -> None:
    tracemalloc.start()
    crowd = Crowd(SESSIONS)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    relay = crowd.world.relay
    assert relay.sessions == SESSIONS
    assert used / SESSIONS < SESSION_BYTES_MAX
    for round_number in range(ROUNDS):
        for number, (client, host) in enumerate(crowd.pairs):
            client.leg.send(b"c%d/%d" % (number, round_number))
            host.leg.send(b"h%d/%d" % (number, round_number))
        crowd.carry()
    for number, (client, host) in enumerate(crowd.pairs):
        assert host.got == [b"c%d/%d" % (number, n) for n in range(ROUNDS)]
        assert client.got == [b"h%d/%d" % (number, n) for n in range(ROUNDS)]
    assert relay.counters.packets_forwarded == 2 * SESSIONS * ROUNDS
    assert sum(relay.counters.refused.values()) == 0


def test_one_that_takes_too_much_takes_nothing_from_others() -> None:
    crowd = Crowd(20, packets_per_s=100, bytes_per_s=100_000)
    greedy, victim = crowd.pairs[0]
    for _ in range(1_000):
        greedy.leg.send(bytes(1_000))
    for client, _ in crowd.pairs[1:]:
        client.leg.send(b"mine")
    crowd.carry()
    assert len(victim.got) < 100
    assert all(host.got == [b"mine"] for _, host in crowd.pairs[1:])
    assert crowd.world.relay.counters.rate_limited_packets > 900


def test_one_revoked_session_leaves_the_others_alone() -> None:
    crowd = Crowd(50)
    relay = crowd.world.relay
    relay.revoke((7).to_bytes(16, "big"), crowd.world.now_ns)
    for client, _ in crowd.pairs:
        client.leg.send(b"on")
    crowd.carry()
    silent = [number for number, (_, host) in enumerate(crowd.pairs) if not host.got]
    assert silent == [7]
    assert relay.sessions == 49


def test_strangers_without_end_use_no_more_memory() -> None:
    crowd = Crowd(2)
    relay, rng = crowd.world.relay, Random(1)
    sample = bytearray(crowd.world.random.randbytes(200))
    tracemalloc.start()
    for number in range(20_000):
        sample[:2] = b"\xe1\x01" if number % 2 else b"\xe4\x01"
        source = Address(f"172.16.{number >> 8 & 255}.{number & 255}", rng.randrange(1, 65_536))
        relay.receive(bytes(sample), source, crowd.world.now_ns + number)
        relay.poll()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 4 << 20, used
    client, host = crowd.pairs[0]
    client.leg.send(b"still here")
    crowd.carry()
    assert host.got == [b"still here"]


def test_they_all_end_with_their_leases() -> None:
    crowd = Crowd(100, expires_s=RelayWorld().unix_s + 5)
    relay = crowd.world.relay
    for second in range(60):
        relay.tick(crowd.world.now_ns + second * SECOND_NS)
    assert relay.sessions == 0
    assert relay._channels == {}
    assert RELAY_ADDRESS not in crowd.by_address
