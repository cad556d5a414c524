"""The one socket of a party's session: whatever is gathered, checked or sent goes over it."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from troth.streaming.link import Listener, SecureLink
from troth.streaming.paths.addresses import Address, address_of
from troth.streaming.paths.agent import PathAgent
from troth.streaming.paths.candidates import Candidate, CandidateKind
from troth.streaming.paths.checks import Credential, Side
from troth.streaming.paths.gather import NatMapping, StunGatherer
from troth.streaming.paths.limits import SECOND_NS, PathLimits
from troth.streaming.paths.outputs import Inbound, PathOutput
from troth.streaming.paths.routed import RoutedLink
from troth.streaming.paths.shell_discover import local_host_towards
from troth.streaming.relay.leg import RelayLeg
from troth.streaming.relay.outputs import Transmit

SOCKET_BYTES: Final = 4 << 20
DATAGRAM_BYTES_MAX: Final = 2_048
BATCH: Final = 64
SLEEP_LONGEST_NS: Final = SECOND_NS // 4
_ANYWHERE: Final = ("0.0.0.0", "::")


def now_ns() -> int:
    return time.monotonic_ns()


class MediaSocket:
    """Bound when it is made. What comes goes to the link that `speak` was given.

    Attributes:
        on_datagram: gets the secure link's datagrams when `speak` was not called.
        on_event: gets what happens to the paths.
        refused: datagrams that the socket did not take; the network drops such, too.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Raises:
        OSError: the address cannot be bound.
        """
        self.agent: PathAgent | None = None
        self.on_datagram: Callable[[bytes, int], None] = lambda _data, _path: None
        self.on_event: Callable[[PathOutput], None] = lambda _event: None
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.address = Address(host, self._socket.getsockname()[1])
        self._gatherer: StunGatherer | None = None
        self.refused = 0
        self._routed: RoutedLink | None = None
        self._on_change: Callable[[], None] = lambda: None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._early: list[tuple[bytes, Address]] = []
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def own_addresses(self, towards: Sequence[Address]) -> tuple[Address, ...]:
        """The socket's addresses: the one it is bound to, or those that lead to these targets."""
        if self.address.host not in _ANYWHERE:
            return (self.address,)
        hosts = [local_host_towards(target) for target in towards]
        found = (address_of(host, self.address.port) for host in hosts if host is not None)
        return tuple(dict.fromkeys(found))

    async def gather(
        self, servers: Sequence[Address]
    ) -> tuple[tuple[Candidate, ...], NatMapping]:  # fmt: skip
        """Own candidates, asked from this very socket, and what stands in front of it."""
        own = self.own_addresses(servers)
        self._gatherer = StunGatherer(tuple(servers), os.urandom, now_ns())
        while not self._gatherer.done:
            self._send_all(self._gatherer.tick(now_ns()))
            wait_ns = min(SECOND_NS // 50, SLEEP_LONGEST_NS)
            await asyncio.sleep(wait_ns / SECOND_NS)
            self._gatherer.tick(now_ns())
        gatherer, self._gatherer = self._gatherer, None
        candidates = [Candidate(CandidateKind.HOST, address) for address in own]
        candidates += [
            Candidate(CandidateKind.SERVER_REFLEXIVE, address)
            for address in gatherer.reflexive
            if address not in own
        ]
        return tuple(candidates), gatherer.mapping(own)

    def begin(
        self,
        side: Side,
        own: Credential,
        other: Credential,
        candidates: Sequence[Candidate],
        limits: PathLimits | None = None,
    ) -> PathAgent:
        """Starts to check paths to these candidates."""
        towards = [candidate.address for candidate in candidates]
        self.agent = PathAgent(
            side=side,
            own=own,
            other=other,
            random=os.urandom,
            now_ns=now_ns(),
            own_addresses=self.own_addresses(towards),
            limits=limits,
        )
        self.agent.add_candidates(candidates, now_ns())
        early, self._early = self._early, []
        for data, source in early:
            self.agent.receive(data, source, now_ns())
        self._flush()
        self.wake()
        return self.agent

    def speak(self, speaker: SecureLink | Listener, on_change: Callable[[], None]) -> None:
        """From now on this link is driven over whichever path is in use.

        `on_change` is told after everything that may have happened to it.
        """
        assert self.agent is not None, "paths are looked for before anybody speaks over them"
        self._routed = RoutedLink(self.agent, speaker)
        self._on_change = on_change
        self.wake()

    def wake(self) -> None:
        """Something may be due: looks at it before the loop waits again."""
        if not self._scheduled and self._open:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def add_relay(self, leg: RelayLeg) -> None:
        if self.agent is not None:
            self.agent.add_relay(leg, now_ns())
            self._flush()
            self.wake()

    def send(self, datagram: bytes) -> bool:
        """Sends the secure link's datagram over the path in use; False when there is none."""
        if self.agent is None:
            return False
        sent = self.agent.send(datagram, now_ns())
        self._flush()
        return sent

    def heard(self) -> None:
        """The secure link has taken an authentic datagram."""
        if self.agent is not None:
            self.agent.heard(now_ns())

    async def close(self) -> None:
        """Gives leases back and closes the socket."""
        if self.agent is not None:
            self.agent.close(now_ns())
            self._flush()
        if self._timer is not None:
            self._timer.cancel()
        if self._open:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    @property
    def _open(self) -> bool:
        return self._socket.fileno() >= 0

    def _turn(self) -> None:
        self._scheduled = False
        core = self._routed or self.agent
        if core is None or not self._open:
            return
        deadline_ns = core.deadline_ns
        if deadline_ns is not None and deadline_ns <= now_ns():
            core.tick(now_ns())
        self._flush()
        self._on_change()
        if self._timer is not None:
            self._timer.cancel()
        if core.deadline_ns is not None:
            wait_ns = min(max(0, core.deadline_ns - now_ns()), SLEEP_LONGEST_NS)
            self._timer = self._loop.call_later(wait_ns / SECOND_NS, self.wake)

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                data, source = self._socket.recvfrom(DATAGRAM_BYTES_MAX)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # The other party's port was closed once; that is not this socket's end.
                continue
            self._arrived(data, Address(source[0], source[1]))
        self._flush()
        self.wake()

    def _arrived(self, data: bytes, source: Address) -> None:
        if self._gatherer is not None and self._gatherer.receive(data, source):
            return
        if self._routed is not None:
            self._routed.receive(data, source, now_ns())
        elif self.agent is not None:
            self.agent.receive(data, source, now_ns())
        elif len(self._early) < BATCH:
            # The other party may be faster: its first checks count when we know its password.
            self._early.append((data, source))

    def _flush(self) -> None:
        if self._routed is not None:
            self._flush_routed(self._routed)
            return
        if self.agent is None:
            return
        for output in self.agent.poll():
            if isinstance(output, Transmit):
                self._send_all([output])
            elif isinstance(output, Inbound):
                self.on_datagram(output.data, output.path)
            else:
                self.on_event(output)

    def _flush_routed(self, routed: RoutedLink) -> None:
        routed.carry_out(now_ns())
        for address, data in routed.datagrams():
            self.send_to(data, address)
        for event in routed.path_events():
            self.on_event(event)

    def _send_all(self, outputs: Sequence[Transmit]) -> None:
        for output in outputs:
            self.send_to(output.data, output.address)

    def send_to(self, data: bytes, address: Address) -> None:
        """Sends one datagram; a full or refusing socket drops it, as the network does."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.refused += 1
