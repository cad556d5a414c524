"""A relay forwarding full datagrams: the cost of one, among few sessions and among hundreds.

The baseline is the two codes that it must compute for each, and nothing else.
"""

from __future__ import annotations

import statistics

from benchmarks.measure import seconds
from relay_world import Party, RelayWorld
from troth.streaming.paths.addresses import Address
from troth.streaming.relay.lease import Role
from troth.streaming.relay.limits import RelayLimits
from troth.streaming.relay.outputs import Transmit
from troth.streaming.relay.wire import HEADER_BYTES, code_of

DATAGRAM_BYTES = 1_200
RATE = 1 << 38


class Forwarding:
    """Sessions at one relay, and datagrams of all of them in turn."""

    def __init__(self, sessions: int) -> None:
        limits = RelayLimits(presents_per_source_s=100_000, presents_per_s=100_000)
        self.world = RelayWorld(limits=limits)
        self.clients = []
        for number in range(sessions):
            for role in Role:
                party = self.world.party(
                    role, 1, session=number.to_bytes(16, "big"), bytes_per_s=RATE,
                    packets_per_s=RATE,
                )  # fmt: skip
                party.address = Address(f"10.{role.value}.{number >> 8}.{number & 255}", 5_000)
                party.leg.start(self.world.now_ns)
                self._settle(party)
                self.clients += [party] if role is Role.CLIENT else []

    def _settle(self, party: Party) -> None:
        for output in party.leg.poll():
            if isinstance(output, Transmit):
                self.world.relay.receive(output.data, party.address, self.world.now_ns)
        for output in self.world.relay.poll():
            if output.address == party.address:
                party.leg.receive(output.data, self.world.now_ns)
        party.leg.poll()

    def datagrams(self, count: int) -> list[tuple[bytes, Address]]:
        found = []
        for number in range(count):
            party = self.clients[number % len(self.clients)]
            party.leg.send(bytes(DATAGRAM_BYTES))
            found += [(o.data, party.address) for o in party.leg.poll() if isinstance(o, Transmit)]
        return found


def measure(packets: int, sessions: int, pairs: int) -> list[str]:
    """Only the relay's own work is timed; the parties' is done before."""
    few, many = Forwarding(1), Forwarding(sessions)
    few_rates, many_rates, code_rates = [], [], []
    for _ in range(pairs):
        few_rates.append(_forward(few, packets))
        many_rates.append(_forward(many, packets))
        code_rates.append(_codes_alone(packets))
    among = [many / few for many, few in zip(many_rates, few_rates, strict=True)]
    alone = [few / code for few, code in zip(few_rates, code_rates, strict=True)]
    rate = statistics.median(many_rates)
    return [
        f"relay, a datagram among {sessions} sessions over one alone: ratio "
        f"{statistics.median(among):.3f} (goal >= 0.8; {pairs} pairs from {min(among):.3f} to "
        f"{max(among):.3f})",
        f"relay, forwarding over its two codes alone: ratio {statistics.median(alone):.3f} "
        f"({min(alone):.3f} to {max(alone):.3f}); {rate:,.0f} datagrams of {DATAGRAM_BYTES} bytes "
        f"a second, {1e6 / rate:.1f} us each, {rate * DATAGRAM_BYTES * 8 / 1e6:,.0f} Mbit/s; "
        "sockets are not in it",
    ]


def _forward(forwarding: Forwarding, packets: int) -> float:
    relay, now_ns = forwarding.world.relay, forwarding.world.now_ns
    datagrams = forwarding.datagrams(packets)
    before = relay.counters.packets_forwarded

    def work() -> None:
        for datagram, source in datagrams:
            relay.receive(datagram, source, now_ns)
            relay.poll()

    rate = packets / seconds(work)
    if relay.counters.packets_forwarded - before != packets:
        raise AssertionError("the relay did not forward everything")
    return rate


def _codes_alone(packets: int) -> float:
    key, data = bytes(32), bytes(DATAGRAM_BYTES + HEADER_BYTES)

    def work() -> None:
        for _ in range(2 * packets):
            code_of(key, data)

    return packets / seconds(work)


if __name__ == "__main__":
    print("\n".join(measure(packets=10_000, sessions=300, pairs=7)))
