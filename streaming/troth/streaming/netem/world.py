"""Drives what speaks over a network, in virtual time and in one fixed order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from troth.streaming.netem.nat import Address
from troth.streaming.netem.network import Network
from troth.vm.errors import InternalError

TURNS_AT_ONCE_MAX: Final = 100_000
"""Turns without time passing: more of them means that something asks to be woken for ever."""


class Node(Protocol):
    """A part that speaks over one address. Links, listeners, relays and clients look like this."""

    def receive(self, datagram: bytes, address: Address, now_ns: int) -> None: ...

    def tick(self, now_ns: int) -> None: ...

    @property
    def deadline_ns(self) -> int | None: ...

    def datagrams(self) -> Sequence[tuple[Address, bytes]]:
        """What it wants sent by now; asked for after every turn, and given once."""
        ...


@dataclass(slots=True)
class _Alarm:
    at_ns: int
    act: Callable[[int], None]


class World:
    """Nodes at their addresses, a network between them, and a clock that only `run` moves."""

    def __init__(self, network: Network, *, now_ns: int = 0) -> None:
        self.network = network
        self.now_ns = now_ns
        self._nodes: dict[Address, Node] = {}
        self._alarms: list[_Alarm] = []
        self.lost_parcels = 0
        """Datagrams to an address where nobody is."""
        self.taps: list[Callable[[Address, Address, bytes, int], bool]] = []
        """Each sees every datagram that is sent; one that says False takes it away."""

    def place(self, address: Address, node: Node) -> None:
        self._nodes[address] = node

    def remove(self, address: Address) -> None:
        del self._nodes[address]

    def at(self, at_ns: int, act: Callable[[int], None]) -> None:
        """Calls `act` with the time when it has come."""
        self._alarms.append(_Alarm(at_ns, act))
        self._alarms.sort(key=lambda alarm: alarm.at_ns)

    def every(self, period_ns: int, act: Callable[[int], None], *, until_ns: int) -> None:
        """Calls `act` at every period from now on, and last before `until_ns`."""

        def again(now_ns: int) -> None:
            act(now_ns)
            if now_ns + period_ns < until_ns:
                self.at(now_ns + period_ns, again)

        self.at(self.now_ns, again)

    def run(self, until_ns: int) -> None:
        """Lets time pass up to there."""
        turns, last_ns = 0, self.now_ns
        self._flush()
        while (next_ns := self._next_ns()) is not None and next_ns <= until_ns:
            self.now_ns = max(self.now_ns, next_ns)
            turns = turns + 1 if self.now_ns == last_ns else 0
            last_ns = self.now_ns
            if turns > TURNS_AT_ONCE_MAX:
                raise InternalError("a node asks to be woken for ever at one time")
            self._turn()
        self.now_ns = max(self.now_ns, until_ns)

    def _next_ns(self) -> int | None:
        times = [n.deadline_ns for n in self._nodes.values()]
        times.append(self.network.next_ns)
        times += [alarm.at_ns for alarm in self._alarms[:1]]
        return min((time for time in times if time is not None), default=None)

    def _turn(self) -> None:
        while self._alarms and self._alarms[0].at_ns <= self.now_ns:
            self._alarms.pop(0).act(self.now_ns)
        for parcel in self.network.receive(self.now_ns):
            node = self._nodes.get(parcel.destination)
            if node is None:
                self.lost_parcels += 1
            else:
                node.receive(parcel.data, parcel.source, self.now_ns)
        for node in list(self._nodes.values()):
            deadline_ns = node.deadline_ns
            if deadline_ns is not None and deadline_ns <= self.now_ns:
                node.tick(self.now_ns)
        self._flush()

    def _flush(self) -> None:
        for source, node in list(self._nodes.items()):
            for destination, data in node.datagrams():
                answers = [tap(source, destination, data, self.now_ns) for tap in self.taps]
                if all(answers):
                    self.network.send(source, destination, data, self.now_ns)
