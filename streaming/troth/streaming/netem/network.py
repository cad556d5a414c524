"""Addresses, the channels between their hosts, and the boxes that translate addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from troth.streaming.netem.channel import Channel
from troth.streaming.netem.conditions import Step
from troth.streaming.netem.draws import Draws
from troth.streaming.netem.nat import Address, Nat


@dataclass(frozen=True, slots=True)
class Parcel:
    """A datagram that has arrived, with the address that its receiver sees as its sender's."""

    source: Address
    destination: Address
    data: bytes


class Network:
    """Every ordered pair of hosts has a channel of its own, made on first use.

    A host name is what channels and boxes are known by, a port tells the sockets of a host apart.
    All randomness comes from `seed` and the names of the two hosts, so another channel does not
    change what this one draws.
    """

    def __init__(self, seed: int, steps: Sequence[Step] = ()) -> None:
        self.seed = seed
        self._steps = tuple(steps)
        self._channels: dict[tuple[str, str], Channel] = {}
        self._own_steps: dict[tuple[str, str], tuple[Step, ...]] = {}
        self._nats: dict[str, Nat] = {}
        self.unroutable = 0
        """Datagrams that a box dropped."""

    def set_steps(self, source: str, destination: str, steps: Sequence[Step]) -> None:
        """The conditions from one host to another; the other direction has its own."""
        self._own_steps[source, destination] = tuple(steps)
        channel = self._channels.get((source, destination))
        if channel is not None:
            channel.set_steps(steps)

    def put_behind(self, host: str, nat: Nat) -> None:
        """That host speaks through the box from now on; several hosts may share one."""
        self._nats[host] = nat

    def channel(self, source: str, destination: str) -> Channel:
        pair = (source, destination)
        if pair not in self._channels:
            steps = self._own_steps.get(pair, self._steps)
            draws = Draws(f"{self.seed} {source} {destination}")
            self._channels[pair] = Channel(steps, draws)
        return self._channels[pair]

    def send(self, source: Address, destination: Address, data: bytes, now_ns: int) -> None:
        """A datagram leaves the socket at `source`."""
        seen, target = source, destination
        nat = self._nats.get(source[0])
        if nat is not None:
            public = nat.outward(source, destination, now_ns)
            if public is None:
                self.unroutable += 1
                return
            seen = public
        for box in self._nats.values():
            if box.public_host == destination[0]:
                inside = box.inward(seen, destination[1], now_ns)
                if inside is None:
                    self.unroutable += 1
                    return
                target = inside
                break
        self.channel(source[0], target[0]).send(data, now_ns, (seen, target))

    @property
    def next_ns(self) -> int | None:
        """When the next datagram arrives anywhere."""
        times = [c.next_ns for c in self._channels.values() if c.next_ns is not None]
        return min(times, default=None)

    def receive(self, now_ns: int) -> list[Parcel]:
        """What has arrived anywhere by now."""
        return [
            Parcel(*envelope, data)
            for channel in self._channels.values()
            for data, envelope in channel.receive_enveloped(now_ns)
            if envelope is not None
        ]
