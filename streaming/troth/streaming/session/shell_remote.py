"""Host and client as processes of their own, over UDP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.streaming.link import CloseReason, Listener, SecureLink
from troth.streaming.session.endings import Ending
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_end import Wanted, make_client, make_host, run_party
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_local import CONTEXT, GOODBYE_SECONDS, leaving_on_signals
from troth.streaming.session.shell_role_metrics import RoleMetrics
from troth.streaming.session.shell_transport import TransportEnd, link_options
from troth.streaming.session.shell_waiting import first
from troth.streaming.shell_datagram import connect, listen, open_shell
from troth.streaming.shell_protocols import load_protocol
from troth.streaming.tally import Tally
from troth.vm.errors import Unusable
from troth.vm.escape import plain
from troth.vm.image import Image
from troth.vm.keys import VerifierKey
from troth.vm.shell_keys import load_or_create, load_public_key
from troth.vm.shell_line import Address
from troth.vm.shell_run import RunResult

Watch = Callable[[ClientParty, Callable[[], bool]], "asyncio.Future[None]"]
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """One party of a session between processes.

    Attributes:
        address: where the host listens.
        keys: the folder with our key, which is made if it is missing, and the other's public key.
        any_key: take whoever is there, when the other's public key is not in the folder.
        sessions: after so many the host ends.
        on_listening: is told where the host listens.
        metrics: where metrics, health and events are served; None for nowhere.
        on_metrics: is told the port at which they are.
    """

    wanted: Wanted
    address: Address
    keys: Path
    any_key: bool = False
    sessions: int = 1
    on_listening: Callable[[int], None] | None = None
    metrics: Address | None = None
    on_metrics: Callable[[int], None] | None = None
    watch: Watch | None = None


def peer_key(options: RemoteOptions, role: str) -> VerifierKey | None:
    """
    Raises:
        Unusable: code `link.key`, when nobody has said who the other side is.
    """
    path = options.keys / f"{role}.pub"
    if path.exists():
        return load_public_key(path)
    if options.any_key:
        return None
    raise Unusable(
        "link.key",
        f"nobody has said who {role} is",
        expected=f"the public key of {role} in {path}",
        actual="no such file",
        advice=f"Copy {role}.pub from whoever plays {role}, or give --any-key",
    )


# --- the host ------------------------------------------------------------------------------


class Door:
    """Takes one link at a time, and tells others that the host is busy."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.wake: Callable[[], None] = lambda: None
        self.end: TransportEnd | None = None
        self.strangers = 0
        self.changed = asyncio.Event()

    def look(self) -> None:
        for link in self.listener.accepted():
            if link.established is None:
                # Somebody who could not prove who they are: the link says so by itself.
                self.strangers += 1
            elif self.end is None:
                self.end = TransportEnd(link, self.wake)
                self.changed.set()
            else:
                self._refuse(link)
        if self.end is not None:
            self.end.look()

    def count_in(self, tally: Tally) -> None:
        """Handshakes that were answered and never completed: our answers may not get through."""
        unfinished = self.listener.counts.not_completed
        if unfinished:
            tally.put("handshake_fail_total", unfinished, reason="not_completed")

    def _refuse(self, link: SecureLink) -> None:
        TransportEnd(link, self.wake).close(CloseReason.LIMIT, "the host has a viewer already")


async def run_host(options: RemoteOptions) -> bool:
    """Serves sessions, one after the other; whether all of them ended in good order.

    Raises:
        TrothError: keys, address or record cannot be used.
    """
    image = load_protocol("session").image
    principal = load_or_create(options.keys, "Host")
    peer = peer_key(options, "Client")
    listener = listen(link_options(principal, peer, CONTEXT, options.wanted.bitrate_kbps))
    door = Door(listener)
    address = options.address
    shell = await open_shell(listener, host=address.host, port=address.port, on_change=door.look)
    door.wake = shell.wake
    current: list[HostParty] = []
    stopped = asyncio.Event()

    def stop(reason: Ending) -> None:
        stopped.set()
        for host in current:
            host.end(reason)

    metrics = RoleMetrics("Host", lambda: not stopped.is_set(), door.count_in)
    ok = True
    try:
        await serve_metrics(metrics, options)
        if options.on_listening is not None:
            options.on_listening(shell.address[1])
        with leaving_on_signals(stop):
            for number in range(1, options.sessions + 1):
                await first(door.changed, stopped)
                if door.end is None:
                    break
                name = "host" if number == 1 else f"host-{number}"
                host = make_host(options.wanted, door.end, name)
                current[:] = [host]
                metrics.begins(host)
                ok = await host_session(options, door.end, host, image, name) and ok
                door.end = None
                door.changed.clear()
                if stopped.is_set():
                    break
        # The last link says its goodbye, and answers that of the other side.
        await asyncio.sleep(GOODBYE_SECONDS / 2)
    finally:
        await shell.close()
        await metrics.stop()
    if door.strangers:
        print(f"strangers turned away: {door.strangers}", file=sys.stderr)
    return ok


async def host_session(
    options: RemoteOptions, end: TransportEnd, host: HostParty, image: Image, name: str
) -> bool:
    result = await run_party(
        image, host, end, options.wanted, keys=options.keys, name=name, any_key=options.any_key
    )
    by, reason = host.ending or ("nobody", "")
    print(f"{name} ended: {plain(reason)} by {by}; {host.input_line()}")
    return result.ok


async def serve_metrics(metrics: RoleMetrics, options: RemoteOptions) -> None:
    if options.metrics is not None:
        port = await metrics.serve(options.metrics)
        if options.on_metrics is not None:
            options.on_metrics(port)


# --- the client ----------------------------------------------------------------------------


async def run_client(options: RemoteOptions) -> tuple[ClientParty, RunResult]:
    """One session with the host at that address.

    Raises:
        Unusable: code `stream.handshake`, when there is no link.
        TrothError: keys or record cannot be used.
    """
    image = load_protocol("session").image
    principal = load_or_create(options.keys, "Client")
    peer = peer_key(options, "Host")
    address = (options.address.host, options.address.port)
    link = connect(link_options(principal, peer, CONTEXT, options.wanted.bitrate_kbps), address)
    ends: list[TransportEnd] = []
    shell = await open_shell(link, host=own_host(address[0]), on_change=lambda: _look(ends))
    end = TransportEnd(link, shell.wake)
    ends.append(end)
    metrics = RoleMetrics("Client", lambda: end.link.established is not None)
    try:
        client = make_client(options.wanted, end)
        metrics.begins(client)
        await serve_metrics(metrics, options)
        run = asyncio.ensure_future(
            run_party(
                image,
                client,
                end,
                options.wanted,
                keys=options.keys,
                name="client",
                any_key=options.any_key,
            )
        )
        looking = None if options.watch is None else options.watch(client, run.done)
        with leaving_on_signals(leave_or_give_up(client, end)):
            result = await run
        if looking is not None:
            await looking
        await first(end.over, seconds=GOODBYE_SECONDS)
    finally:
        await shell.close()
        await metrics.stop()
    return client, result


def _look(ends: list[TransportEnd]) -> None:
    for end in ends:
        end.look()


def leave_or_give_up(client: ClientParty, end: TransportEnd) -> Callable[[Ending], None]:
    def leave(reason: Ending) -> None:
        client.leave(reason)
        if end.link.established is None:
            end.close(CloseReason.USER, reason.value)

    return leave


def own_host(other: str) -> str:
    """Where our socket is: on the loopback only when the other side is there, too."""
    return LOOPBACK if other == LOOPBACK else "0.0.0.0"
