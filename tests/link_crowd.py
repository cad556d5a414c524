"""Many links at one listener, for tests and measurements."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from link_pairs import CLIENT_OPTIONS, HOST, HOST_OPTIONS, MS, entropy
from troth.streaming.link import Listener, SecureLink
from troth.streaming.netem import Conditions, Network, Step, World

DELAY_NS: Final = MS


class Crowd:
    """So many clients, connected one after the other."""

    def __init__(self, count: int) -> None:
        self.world = World(Network(1, [Step(0, Conditions(delay_ns=DELAY_NS))]))
        self.listener = Listener(replace(HOST_OPTIONS, peers=None), entropy=entropy(1))
        self.world.place(HOST, self.listener)
        self.peers: list[SecureLink] = []
        self.links: list[SecureLink] = []
        for number in range(count):
            peer = SecureLink.connect(
                CLIENT_OPTIONS, HOST, entropy=entropy(number + 2), now_ns=self.now_ns
            )
            self.world.place(_address(number), peer)
            self.peers.append(peer)
            while peer.established is None:
                self.run(MS)
            self.links += self.listener.accepted()

    @property
    def now_ns(self) -> int:
        return self.world.now_ns

    def run(self, for_ns: int) -> None:
        self.world.run(self.now_ns + for_ns)

    def word_for(self, number: int) -> tuple[SecureLink, bytes]:
        """A link, and a datagram for it that nobody has carried."""
        while self.listener.deadline_ns == 0:
            self.turn(b"")
        peer = self.peers[number]
        peer.datagrams()
        peer.send_input_state(b"a word")
        peer.tick(self.now_ns)
        return self.links[number], peer.datagrams()[-1].data

    def turn(self, datagram: bytes) -> int:
        """What a shell does with one datagram; how many go out."""
        listener, now_ns = self.listener, self.now_ns
        listener.receive(datagram, _address(0), now_ns)
        deadline_ns = listener.deadline_ns
        if deadline_ns is not None and deadline_ns <= now_ns:
            listener.tick(now_ns)
        sent = len(listener.datagrams())
        assert listener.deadline_ns is not None
        return sent


def _address(number: int) -> tuple[str, int]:
    return "client", 1_000 + number
