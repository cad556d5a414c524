"""Plays whole sessions in one process, over the encrypted link and an emulated network."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from troth.streaming.media.interfaces import Picture
from troth.streaming.media.viewing import Outcome
from troth.streaming.netem import Conditions, Network, Step
from troth.streaming.session.endings import Ending
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_end import Wanted
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_local import LocalOptions, LocalResult, run_local
from virtual_time import run_virtually

SMALL: Final = Picture(80, 64, 20)
Ready = Callable[[HostParty, ClientParty, Network], None]


def play(
    on_ready: Ready | None = None,
    folder: Path | None = None,
    *,
    virtually: bool = False,
    **options: Any,
) -> LocalResult:
    """`virtually`: in virtual time, for what takes long or is judged by the time that it takes."""
    wanted = Wanted(**{"picture": SMALL, "bitrate_kbps": 600, "folder": folder, **options})
    steps = (Step(0, Conditions(delay_ns=1_000_000)),)
    local = LocalOptions(wanted=wanted, steps=steps, on_ready=on_ready)
    if virtually:
        return run_virtually(functools.partial(run_local, local))
    return asyncio.run(run_local(local))


def when(holds: Callable[[], bool], act: Callable[[], None]) -> None:
    """Acts once, when it holds; looks often."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if holds():
            act()
        else:
            loop.call_later(0.02, look)

    loop.call_soon(look)


def shown(client: ClientParty, frames: int) -> Callable[[], bool]:
    return lambda: client.viewing.outcomes[Outcome.SHOWN] >= frames


def leaves(frames: int, reason: Ending = Ending.USER) -> Ready:
    def ready(_host: HostParty, client: ClientParty, _network: Network) -> None:
        when(shown(client, frames), lambda: client.leave(reason))

    return ready


def ends(result: LocalResult) -> tuple[Any, ...]:
    """Who ended it and why, at the host and at the client."""
    found: list[Any] = []
    for party in (result.host, result.client):
        (event,) = (e for e in party.telemetry.events if e["event"] == "session_end")
        found += [event["by"], event["reason"]]
    return tuple(found)


def events(party: HostParty | ClientParty, name: str) -> list[Any]:
    return [event for event in party.telemetry.events if event["event"] == name]
