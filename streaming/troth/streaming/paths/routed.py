"""A secure link over whichever path is in use: the two cores joined, without a socket or a clock.

The link sees one address, `PEER`, whatever changes beneath it. When another path is taken the link
is told its number, so that it measures anew; its keys, its session and its packets' numbers go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from troth.streaming.link import Listener, SecureLink
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.agent import PathAgent
from troth.streaming.paths.outputs import Inbound, PathOutput, PathTaken
from troth.streaming.relay.outputs import Transmit

PEER: Final = ("peer", 1)
"""What the link knows as the other party's address."""
PATH_NUMBERS: Final = 1 << 16


class RoutedLink:
    """One party's link, or listener, with its paths. Looks like a link to whoever drives it."""

    def __init__(self, agent: PathAgent, speaker: SecureLink | Listener) -> None:
        self.agent = agent
        self.speaker = speaker
        self._followed: SecureLink | None = None
        self._datagrams: list[tuple[Address, bytes]] = []
        self._events: list[PathOutput] = []

    @property
    def deadline_ns(self) -> int | None:
        times = (self.agent.deadline_ns, self.speaker.deadline_ns)
        return min((time for time in times if time is not None), default=None)

    def receive(self, datagram: bytes, address: tuple[str, int], now_ns: int) -> None:
        self.agent.receive(datagram, Address(*address), now_ns)
        self.carry_out(now_ns)

    def tick(self, now_ns: int) -> None:
        self.speaker.tick(now_ns)
        for datagram in self.speaker.datagrams():
            # Before a path is chosen there is nowhere to send: the handshake tries again.
            self.agent.send(datagram.data, now_ns)
        self.agent.tick(now_ns)
        self.carry_out(now_ns)

    def datagrams(self) -> Sequence[tuple[Address, bytes]]:
        """What is to be sent, with where to; given once."""
        out, self._datagrams = self._datagrams, []
        return out

    def path_events(self) -> list[PathOutput]:
        """What happened to the paths, given once; the link's own events are the link's."""
        out, self._events = self._events, []
        return out

    def close(self, now_ns: int) -> None:
        """Gives leases back; say good-bye over the link before."""
        self.agent.close(now_ns)
        self.carry_out(now_ns)

    def carry_out(self, now_ns: int) -> None:
        """Takes what the agent has to say: after every call of it that is not made here."""
        for output in self.agent.poll():
            if isinstance(output, Transmit):
                self._datagrams.append((output.address, output.data))
            elif isinstance(output, Inbound):
                self.speaker.receive(output.data, PEER, now_ns)
            else:
                if isinstance(output, PathTaken):
                    self._taken(output, now_ns)
                self._events.append(output)
        self._follow()

    def _links(self) -> tuple[SecureLink, ...]:
        speaker = self.speaker
        return speaker.links if isinstance(speaker, Listener) else (speaker,)

    def _taken(self, taken: PathTaken, now_ns: int) -> None:
        for link in self._links():
            if link.established is not None and link.closed is None:
                link.use_path(PEER, taken.path % PATH_NUMBERS, now_ns)

    def _follow(self) -> None:
        """What a link takes as authentic shows that the other party is there, and nothing else."""
        for link in self._links():
            if link is not self._followed and link.established is not None:
                self._followed = link
                self.agent.follow(link.paths.liveness)
