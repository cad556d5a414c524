"""Host and client with secure links over paths, on an emulated network with relay and STUN."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Final

from link_pairs import CLIENT_OPTIONS, HOST_OPTIONS, entropy
from relay_world import GATEWAY_PUBLIC, GATEWAY_SIGNING, RELAY_KEY, UNIX_S
from troth.streaming.link import VIDEO, Event, Frame, Listener, SecureLink
from troth.streaming.netem import Conditions, Nat, Network, Step, World
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.agent import PathAgent
from troth.streaming.paths.candidates import Candidate, CandidateKind
from troth.streaming.paths.checks import Side, new_credential
from troth.streaming.paths.gather import StunGatherer
from troth.streaming.paths.limits import MILLISECOND_NS, SECOND_NS
from troth.streaming.paths.outputs import PathOutput, PathTaken
from troth.streaming.paths.routed import PEER, RoutedLink
from troth.streaming.paths.stun_server import StunServer
from troth.streaming.relay.core import RelayCore
from troth.streaming.relay.lease import Lease, Role, issue, new_exchange_key
from troth.streaming.relay.leg import RelayLeg

CLIENT: Final = Address("10.1.0.2", 41_000)
HOST: Final = Address("10.2.0.2", 42_000)
CLIENT_OUTSIDE: Final = "203.0.113.1"
HOST_OUTSIDE: Final = "198.51.100.1"
RELAY: Final = Address("192.0.2.30", 3_479)
STUN: Final = Address("192.0.2.40", 3_478)
FRAME_NS: Final = SECOND_NS // 30
FRAME_BYTES: Final = 600
"""Less than the least rate that the link's controller goes down to, since nobody here adapts."""
GOOD: Final = Conditions(delay_ns=15 * MILLISECOND_NS, jitter_ns=3 * MILLISECOND_NS)
BLOCKED: Final = Conditions(blackout=True)


class RelayNode:
    """The relay's core as a node of the emulated network."""

    def __init__(self, core: RelayCore) -> None:
        self.core = core

    @property
    def deadline_ns(self) -> int:
        return self.core.deadline_ns

    def receive(self, datagram: bytes, address: tuple[str, int], now_ns: int) -> None:
        self.core.receive(datagram, Address(*address), now_ns)

    def tick(self, now_ns: int) -> None:
        self.core.tick(now_ns)

    def datagrams(self) -> Sequence[tuple[tuple[str, int], bytes]]:
        return [(output.address, output.data) for output in self.core.poll()]


class StunNode:
    deadline_ns: int | None = None

    def __init__(self) -> None:
        self._server = StunServer(0)
        self._out: list[tuple[tuple[str, int], bytes]] = []

    def receive(self, datagram: bytes, address: tuple[str, int], now_ns: int) -> None:
        answer = self._server.answer(datagram, Address(*address), now_ns)
        self._out += [] if answer is None else [(address, answer)]

    def tick(self, now_ns: int) -> None:
        del now_ns

    def datagrams(self) -> Sequence[tuple[tuple[str, int], bytes]]:
        out, self._out = self._out, []
        return out


class GatherNode:
    """A party's socket while it asks the STUN server."""

    def __init__(self, seed: int) -> None:
        self.gatherer = StunGatherer((STUN,), Random(seed).randbytes, 0)
        self._out: list[tuple[tuple[str, int], bytes]] = []

    @property
    def deadline_ns(self) -> int | None:
        return self.gatherer.deadline_ns

    def receive(self, datagram: bytes, address: tuple[str, int], now_ns: int) -> None:
        del now_ns
        self.gatherer.receive(datagram, Address(*address))

    def tick(self, now_ns: int) -> None:
        self._out += [(output.address, output.data) for output in self.gatherer.tick(now_ns)]

    def datagrams(self) -> Sequence[tuple[tuple[str, int], bytes]]:
        out, self._out = self._out, []
        return out


class RoutedWorld:
    """`meet` gathers and begins; `run` lets time pass, with frames from the host."""

    def __init__(self, seed: int = 1, nats: dict[str, Nat] | None = None) -> None:
        self.seed = seed
        self.network = Network(seed, [Step(0, GOOD)])
        for host, nat in (nats or {}).items():
            self.network.put_behind(host, nat)
        self.world = World(self.network)
        self.random = Random(seed)
        self.relay = RelayCore(
            name="relay",
            key=RELAY_KEY,
            gateway_keys=(GATEWAY_PUBLIC,),
            random=self.random.randbytes,
            now_ns=0,
            unix_offset_ns=UNIX_S * SECOND_NS,
        )
        self.world.place(RELAY, RelayNode(self.relay))
        self.world.place(STUN, StunNode())
        self.link: SecureLink | None = None
        self.host_link: SecureLink | None = None
        self.shown: list[tuple[int, int]] = []
        self.events: list[Event] = []
        self.taken: list[tuple[int, PathTaken]] = []
        self.path_events: list[PathOutput] = []
        self._frames = 0

    @property
    def kinds(self) -> list[CandidateKind]:
        return [taken.kind for _, taken in self.taken]

    def gather(self) -> dict[Address, list[Candidate]]:
        nodes = {CLIENT: GatherNode(1), HOST: GatherNode(2)}
        for address, node in nodes.items():
            self.world.place(address, node)
        self.world.run(self.world.now_ns + SECOND_NS // 2)
        found = {}
        for address, node in nodes.items():
            self.world.remove(address)
            seen = node.gatherer.reflexive
            found[address] = [
                Candidate(CandidateKind.HOST, address),
                *(Candidate(CandidateKind.SERVER_REFLEXIVE, one) for one in seen),
            ]
        return found

    def meet(self, *, relayed: bool = True) -> None:
        """Both begin to check; the link of the client begins its handshake."""
        candidates, now_ns = self.gather(), self.world.now_ns
        own, other = (new_credential(self.random.randbytes) for _ in range(2))
        agents = []
        for side, address, (mine, theirs) in (
            (Side.CONTROLLING, CLIENT, (own, other)),
            (Side.CONTROLLED, HOST, (other, own)),
        ):
            agents.append(
                PathAgent(
                    side=side,
                    own=mine,
                    other=theirs,
                    random=Random(f"{self.seed} {address}").randbytes,
                    now_ns=now_ns,
                    own_addresses=(address,),
                )
            )
        link = SecureLink.connect(CLIENT_OPTIONS, PEER, entropy=entropy(self.seed), now_ns=now_ns)
        self.link = link
        self.listener = Listener(HOST_OPTIONS, entropy=entropy(self.seed + 1))
        self.client = RoutedLink(agents[0], link)
        self.host = RoutedLink(agents[1], self.listener)
        self.world.place(CLIENT, self.client)
        self.world.place(HOST, self.host)
        agents[0].add_candidates(candidates[HOST], now_ns)
        agents[1].add_candidates(candidates[CLIENT], now_ns)
        if relayed:
            self._lease(agents[0], Role.CLIENT)
            self._lease(agents[1], Role.HOST)

    def _lease(self, agent: PathAgent, role: Role) -> None:
        key, unix_s = new_exchange_key(self.random.randbytes), UNIX_S
        lease = Lease(
            relay="relay", session=b"session-on-netem", role=role, generation=1,
            lease_id=self.random.randbytes(16), holder_key=key.public,
            relay_key=RELAY_KEY.public, not_before_s=unix_s, expires_s=unix_s + 3_000,
            bytes_per_s=10_000_000, packets_per_s=20_000,
        )  # fmt: skip
        leg = RelayLeg(
            relay=RELAY, token=issue(lease, GATEWAY_SIGNING), key=key,
            random=self.random.randbytes,
        )  # fmt: skip
        agent.add_relay(leg, self.world.now_ns)

    def block(self, *, blocked: bool = True) -> None:
        """The way between the two themselves; that over the relay stays."""
        step = [Step(0, BLOCKED if blocked else GOOD)]
        for source, target in ((CLIENT, HOST), (HOST, CLIENT)):
            self.network.set_steps(source.host, target.host, step)

    def run(self, seconds: float, *, frames: bool = True) -> None:
        end_ns = self.world.now_ns + round(seconds * SECOND_NS)
        while self.world.now_ns < end_ns:
            if frames and self.host_link is not None and self.host_link.established is not None:
                self._send_frame(self.host_link)
            self.world.run(min(end_ns, self.world.now_ns + FRAME_NS))
            self._collect()

    def _send_frame(self, link: SecureLink) -> None:
        number = self._frames.to_bytes(8, "big")
        link.send_frame(
            VIDEO, number + bytes(FRAME_BYTES), key=self._frames % 30 == 0, now_ns=self.world.now_ns
        )  # fmt: skip
        self._frames += 1

    def _collect(self) -> None:
        assert self.link is not None
        for link in self.listener.accepted():
            self.host_link = link
        for event in self.link.events():
            self.events.append(event)
            if isinstance(event, Frame):
                self.shown.append((self.world.now_ns, int.from_bytes(event.data[:8], "big")))
        for path_event in self.client.path_events():
            self.path_events.append(path_event)
            if isinstance(path_event, PathTaken):
                self.taken.append((self.world.now_ns, path_event))

    def longest_gap_s(self, since_ns: int = 0) -> float:
        times = [at_ns for at_ns, _ in self.shown if at_ns >= since_ns]
        return max((b - a for a, b in pairwise(times)), default=0) / SECOND_NS
