"""Two UDP sockets on loopback with the emulated network between them, in a process of its own.

Whoever is measured sends to a socket of this path instead of to its peer. The path is a process of
its own, so that its processor time is nobody's. The same seed and steps draw the same chances, but
who is measured decides which datagram is which draw.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Final, Self

from troth.streaming.netem import Channel, ChannelCounts, Conditions, Step
from troth.streaming.netem.draws import Draws

LOOPBACK: Final = "127.0.0.1"
BUFFER_BYTES: Final = 4 << 20
DATAGRAM_BYTES_MAX: Final = 65_536
IDLE_SECONDS: Final = 0.05
ANSWER_SECONDS: Final = 10.0

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Places:
    """Where host and client really are."""

    host: Address
    client: Address


class EmulatedPath:
    """`host_port` stands for the host, so the client sends there; `client_port` the other way."""

    def __init__(self, seed: int) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._ours, theirs = spawning.Pipe()
        self._process = spawning.Process(target=serve, args=(theirs, seed), daemon=True)
        self.host_port = 0
        self.client_port = 0

    def __enter__(self) -> Self:
        self._process.start()
        ports = self._answer()
        assert isinstance(ports, tuple)
        self.host_port, self.client_port = ports
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ours.send(None)
        self._process.join(ANSWER_SECONDS)
        if self._process.is_alive():
            self._process.terminate()

    def connect(self, host: Address, client: Address) -> None:
        self._ours.send(Places(host, client))
        self._answer()

    def wait_for(self, delay_ns: int) -> None:
        """Until `begin` the path has that delay, and does nothing else."""
        self.begin((Step(0, Conditions(delay_ns=delay_ns)),))

    def begin(self, steps: Sequence[Step]) -> None:
        """The steps' times count from now on, in both directions."""
        self._ours.send(tuple(steps))
        self._answer()

    def counts(self) -> ChannelCounts:
        """What the way from host to client has done since `begin`."""
        self._ours.send("counts")
        found = self._answer()
        assert isinstance(found, ChannelCounts)
        return found

    def _answer(self) -> object:
        if not self._ours.poll(ANSWER_SECONDS):
            raise TimeoutError("the emulated path does not answer")
        answer: object = self._ours.recv()
        return answer


class _Way:
    """One direction: what comes in at one socket leaves at the other."""

    def __init__(self, seed: int, name: str, source: socket.socket, out: socket.socket) -> None:
        self.source = source
        self._name = f"{seed} {name}"
        self._out = out
        self.channel = Channel((), Draws(self._name))
        self.to: Address | None = None

    def begin(self, steps: Sequence[Step]) -> None:
        self.channel = Channel(steps, Draws(self._name))

    def take(self, now_ns: int) -> None:
        while True:
            try:
                data = self.source.recv(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # nobody is there yet: as on any network, that is no matter of ours
            self.channel.send(data, now_ns)

    def give(self, now_ns: int) -> None:
        for data in self.channel.receive(now_ns):
            if self.to is not None:
                try:
                    self._out.sendto(data, self.to)
                except OSError:
                    continue  # likewise


def serve(pipe: Connection, seed: int) -> None:
    """The process of a path: until it is told None."""
    for_host, for_client = (_socket() for _ in range(2))
    pipe.send((for_host.getsockname()[1], for_client.getsockname()[1]))
    there = _Way(seed, "host client", for_client, for_host)
    back = _Way(seed, "client host", for_host, for_client)
    start_ns = time.monotonic_ns()
    while True:
        times = [way.channel.next_ns for way in (there, back)]
        next_ns = min((at for at in times if at is not None), default=None)
        wait = IDLE_SECONDS
        if next_ns is not None:
            wait = min(wait, max(0.0, (next_ns - (time.monotonic_ns() - start_ns)) / 1e9))
        numbers = [one.fileno() for one in (pipe, for_host, for_client)]
        ready, _, _ = select.select(numbers, [], [], wait)
        if pipe.fileno() in ready:
            order = pipe.recv()
            if order is None:
                return
            if isinstance(order, Places):
                there.to, back.to = order.client, order.host
            elif isinstance(order, tuple):
                start_ns = time.monotonic_ns()
                there.begin(order)
                back.begin(order)
            pipe.send(there.channel.counts)
        now_ns = time.monotonic_ns() - start_ns
        for way in (there, back):
            way.take(now_ns)
            way.give(now_ns)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    made.bind((LOOPBACK, 0))
    made.setblocking(False)
    return made
