"""Two links with a network in memory between them, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

from troth.streaming.link import Event, Identity, LinkOptions, Listener, SecureLink
from troth.streaming.netem import Network, Step, World
from troth.vm.keys import KeyPair, VerifierKey, generate

CLIENT = ("client", 1000)
HOST = ("host", 2000)
MS = 1_000_000
SECOND = 1_000_000_000

E = TypeVar("E")


def key_pair(name: str) -> KeyPair:
    return generate(name, name.encode().ljust(32, b"."))


def entropy(seed: int) -> Callable[[int], bytes]:
    """Guessable bytes: the same run from the same seed."""
    return Random(f"entropy {seed}").randbytes


def options_for(name: str, peers: tuple[VerifierKey, ...] | None) -> LinkOptions:
    static = Random(f"static {name}").randbytes(32)
    return LinkOptions(identity=Identity(key_pair(name), static), peers=peers, context=b"test")


CLIENT_OPTIONS = options_for("alice", (key_pair("bob").verifier,))
HOST_OPTIONS = options_for("bob", (key_pair("alice").verifier,))


class Pair:
    """A client that connects to a host. `run` lets time pass; events are kept in order."""

    def __init__(
        self,
        seed: int = 1,
        steps: Sequence[Step] = (),
        *,
        client: LinkOptions = CLIENT_OPTIONS,
        host: LinkOptions = HOST_OPTIONS,
        **changed: object,
    ) -> None:
        client, host = (replace(one, **changed) for one in (client, host))  # type: ignore[arg-type]
        self.network = Network(seed, steps)
        self.world = World(self.network)
        self.listener = Listener(host, entropy=entropy(seed))
        self.client = SecureLink.connect(client, HOST, entropy=entropy(seed + 1), now_ns=0)
        self.world.place(CLIENT, self.client)
        self.world.place(HOST, self.listener)
        self.client_events: list[Event] = []
        self.host_events: list[Event] = []
        self.host_link: SecureLink | None = None

    @property
    def host(self) -> SecureLink:
        assert self.host_link is not None, "the host has no link yet"
        return self.host_link

    @property
    def now_ns(self) -> int:
        return self.world.now_ns

    def collect(self) -> None:
        for link in self.listener.accepted():
            self.host_link = link
        self.client_events += self.client.events()
        if self.host_link is not None:
            self.host_events += self.host_link.events()

    def run(self, for_ns: int) -> None:
        self.world.run(self.world.now_ns + for_ns)
        self.collect()

    def connect(self, within_ns: int = 10 * SECOND) -> None:
        until_ns = self.now_ns + within_ns
        while self.now_ns < until_ns and not self.is_connected:
            self.run(5 * MS)
        assert self.is_connected, f"not connected within {within_ns} ns: {self.client_events}"

    @property
    def is_connected(self) -> bool:
        host = self.host_link
        return host is not None and None not in (host.established, self.client.established)

    def of(self, kind: type[E], events: list[Event] | None = None) -> list[E]:
        """The events of that kind, of the client unless it is said."""
        found = self.client_events if events is None else events
        return [event for event in found if isinstance(event, kind)]
