"""A whole session on this machine: host and client, each with its own machine, keys and record.

The two ends speak over the encrypted link, and beneath it is the network emulator.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.streaming.link import Listener, SecureLink
from troth.streaming.netem import Network, Step
from troth.streaming.session.endings import Ending
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_end import ROLES, Wanted, make_client, make_host, run_party
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_memory_net import MemoryNetwork
from troth.streaming.session.shell_transport import TransportEnd, link_options
from troth.streaming.session.shell_waiting import first
from troth.streaming.shell_protocols import load_protocol
from troth.vm.shell_keys import load_or_create
from troth.vm.shell_run import RunResult

CLIENT: Final = ("client", 1)
HOST: Final = ("host", 1)
CONTEXT: Final = b"troth stream"
GOODBYE_SECONDS: Final = 1.0

Watch = Callable[[ClientParty, Callable[[], bool]], "asyncio.Future[None]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """A session on one machine.

    Attributes:
        steps: what the emulated network does, and when, counted from the beginning.
        seed: of the emulator's chances.
        on_ready: is given both parties and the network, before they begin.
        watch: shows the client while it runs.
    """

    wanted: Wanted
    steps: tuple[Step, ...] = ()
    seed: int = 1
    on_ready: Callable[[HostParty, ClientParty, Network], None] | None = None
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class LocalResult:
    """What came of it, at both sides."""

    host: HostParty
    client: ClientParty
    host_run: RunResult
    client_run: RunResult
    network: MemoryNetwork
    host_end: TransportEnd
    client_end: TransportEnd

    @property
    def ok(self) -> bool:
        return self.host_run.ok and self.client_run.ok

    def lines(self) -> list[str]:
        """The summary that a person reads."""
        counts = self.network.network.channel(HOST[0], CLIENT[0]).counts
        return [
            *self.client.lines(),
            self.host.input_line(),
            f"way: {counts.sent} datagrams to the client, {counts.lost} lost, "
            f"{self.client_end.repaired} pieces repaired",
        ]


class _Ends:
    """Both ends of the link, as they come into being."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.client: TransportEnd | None = None
        self.host: TransportEnd | None = None
        self.accepted = asyncio.Event()
        self.wake: Callable[[], None] = lambda: None

    def look(self) -> None:
        assert self.listener is not None, "the network runs when both are there"
        for link in self.listener.accepted():
            self.host = TransportEnd(link, self.wake)
            self.accepted.set()
        for end in (self.client, self.host):
            if end is not None:
                end.look()


async def run_local(options: LocalOptions) -> LocalResult:
    """One session from its handshake to its end.

    Raises:
        TrothError: what `run_party` raises.
    """
    image = load_protocol("session").image
    with _keys_in(options.wanted.folder) as keys:
        pairs = {role: load_or_create(keys, role) for role in ROLES}
        kbps = options.wanted.bitrate_kbps
        ends = _Ends()
        network = MemoryNetwork(options.seed, options.steps, ends.look)
        ends.wake = network.wake
        host_options = link_options(pairs["Host"], pairs["Client"].verifier, CONTEXT, kbps)
        ends.listener = Listener(host_options, entropy=os.urandom)
        client_options = link_options(pairs["Client"], pairs["Host"].verifier, CONTEXT, kbps)
        link = SecureLink.connect(
            client_options, HOST, entropy=os.urandom, now_ns=time.monotonic_ns()
        )
        ends.client = TransportEnd(link, network.wake)
        network.add(CLIENT, link)
        network.add(HOST, ends.listener)
        carrying = asyncio.ensure_future(network.run())
        try:
            await first(ends.accepted, ends.client.over)
            host_end = ends.host or TransportEnd(link, network.wake)
            host = make_host(options.wanted, host_end)
            client = make_client(options.wanted, ends.client)
            if options.on_ready is not None:
                options.on_ready(host, client, network.network)
            runs = [
                asyncio.ensure_future(
                    run_party(image, party, end, options.wanted, keys=keys, name=name)
                )
                for party, end, name in (
                    (host, host_end, "host"),
                    (client, ends.client, "client"),
                )
            ]
            host_run, client_run = await _watched(runs, client, options.watch)
            await first(ends.client.over, host_end.over, seconds=GOODBYE_SECONDS)
        finally:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
    return LocalResult(host, client, host_run, client_run, network, host_end, ends.client)


async def _watched(
    runs: list[asyncio.Task[RunResult]], client: ClientParty, watch: Watch | None
) -> list[RunResult]:
    """Both runs to their ends, with somebody looking on."""
    looking = None if watch is None else watch(client, lambda: all(run.done() for run in runs))
    with leaving_on_signals(client.leave):
        try:
            return await asyncio.gather(*runs)
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            if looking is not None:
                await looking


@contextmanager
def _keys_in(folder: Path | None) -> Iterator[Path]:
    """The keys of this session; of one that keeps nothing they are gone afterwards."""
    if folder is not None:
        yield folder / "keys"
        return
    with tempfile.TemporaryDirectory(prefix="troth-stream-") as scratch:
        yield Path(scratch)


@contextmanager
def leaving_on_signals(leave: Callable[[Ending], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the session in good order; a second one is as ever."""
    loop = asyncio.get_running_loop()

    def once(number: int, reason: Ending) -> None:
        leave(reason)
        loop.remove_signal_handler(number)

    reasons = {signal.SIGINT: Ending.USER, signal.SIGTERM: Ending.EXIT}
    # Only the main thread may say what a signal does.
    ours = threading.current_thread() is threading.main_thread()
    for number, reason in reasons.items() if ours else ():
        loop.add_signal_handler(number, once, number, reason)
    try:
        yield
    finally:
        for number in reasons if ours else ():
            loop.remove_signal_handler(number)
