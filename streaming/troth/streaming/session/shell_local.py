"""A whole session on this machine: host and client, each with its own machine, keys and record."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from troth.streaming.lane import Conditions, Content, EmulatedWay
from troth.streaming.media.input_acts import RecordedInput, ScriptedUser
from troth.streaming.media.interfaces import Picture
from troth.streaming.media.synthetic import SyntheticScreen, SyntheticVideo
from troth.streaming.media.tones import SyntheticTones, ToneMeter
from troth.streaming.media.viewing import Outcome, percentile
from troth.streaming.session.endings import Ending
from troth.streaming.session.limits import (
    BITRATE_KBPS_DEFAULT,
    FRAME_RATE_DEFAULT,
    HEIGHT_DEFAULT,
    PATIENCE_SECONDS,
    WIDTH_DEFAULT,
)
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_party import Party, now_us
from troth.streaming.shell_protocols import load_protocol
from troth.streaming.shell_recent_blobs import RecentBlobs
from troth.streaming.telemetry import Event
from troth.vm.image import Image
from troth.vm.shell_hub import Hub
from troth.vm.shell_keys import load_or_create
from troth.vm.shell_options import RunOptions
from troth.vm.shell_run import RunResult
from troth.vm.shell_spread import LinkOptions, run_spread

BINDING_BYTES = 32
ROLES = ("Client", "Host")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """A session on one machine.

    Attributes:
        folder: where keys, records, events and metrics go; None keeps nothing.
        seed: of the emulated way's chances.
        on_ready: is given both parties, before they begin.
    """

    seconds: float | None = None
    folder: Path | None = None
    picture: Picture = field(
        default_factory=lambda: Picture(WIDTH_DEFAULT, HEIGHT_DEFAULT, FRAME_RATE_DEFAULT)
    )
    bitrate_kbps: int = BITRATE_KBPS_DEFAULT
    conditions: Conditions = field(default_factory=Conditions)
    seed: int = 1
    patience_seconds: float = PATIENCE_SECONDS
    on_ready: Callable[[HostParty, ClientParty], None] | None = None
    watch: Callable[[ClientParty, Callable[[], bool]], asyncio.Future[None]] | None = None


@dataclass(frozen=True, slots=True)
class LocalResult:
    """What came of it, at both sides."""

    host: HostParty
    client: ClientParty
    way: EmulatedWay
    keyboard: RecordedInput
    host_run: RunResult
    client_run: RunResult

    @property
    def ok(self) -> bool:
        return self.host_run.ok and self.client_run.ok

    def lines(self) -> list[str]:
        """The summary that a person reads."""
        viewing = self.client.viewing
        outcomes = viewing.outcomes
        delays = viewing.delays_us
        by, reason = self.client.ending or ("nobody", "")
        missed = sum(outcomes.values()) - outcomes[Outcome.SHOWN]
        return [
            f"ended: {reason} by {by}",
            f"frames: {outcomes[Outcome.SHOWN]} shown, {missed} not, "
            f"{self.way.contents_lost} contents lost on the way",
            f"delay: p50 {percentile(delays, 0.5)} us, p95 {percentile(delays, 0.95)} us",
            f"freezes: {viewing.freezes_count}, {viewing.frozen_us // 1000} ms",
            f"sound: {sum(self.client.tones.values())} groups of {len(self.client.tones)} tones",
            f"input: {self.host.keys.injected} acts injected, {len(self.host.keys.down)} keys down",
        ]


async def run_local(options: LocalOptions) -> LocalResult:
    """One session from its handshake to its end.

    Raises:
        TrothError: what `run_spread` raises.
    """
    image = load_protocol("session").image
    binding = os.urandom(BINDING_BYTES)
    host, client, way, keyboard = _make_parties(options, binding)
    if options.on_ready is not None:
        options.on_ready(host, client)
    for party in (host, client):
        party.telemetry.emit("session_start", "control")
    hub = Hub()
    runs = [asyncio.ensure_future(_run(image, party, options, hub)) for party in (host, client)]
    helpers: list[asyncio.Future[None]] = [asyncio.ensure_future(_carry(way))]
    if options.watch is not None:
        helpers.append(options.watch(client, lambda: all(run.done() for run in runs)))
    with _leaving_on_signals(client):
        try:
            host_run, client_run = await asyncio.gather(*runs)
        finally:
            host.release_everything()
            for helper in helpers:
                helper.cancel()
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, *helpers, return_exceptions=True)
    host.close_books(ok=host_run.ok, lost=host.ending is None)
    client.close_books(ok=client_run.ok, lost=client.ending is None)
    if options.folder is not None:
        for party in (host, client):
            _write_metrics(options.folder, party)
    return LocalResult(host, client, way, keyboard, host_run, client_run)


def _make_parties(
    options: LocalOptions, binding: bytes
) -> tuple[HostParty, ClientParty, EmulatedWay, RecordedInput]:
    session_id = binding.hex()[:32]
    keyboard = RecordedInput()
    arriving: list[ClientParty] = []

    def arrive(content: Content) -> None:
        arriving[0].arrive(content)

    way = EmulatedWay(Random(options.seed).random, options.conditions, arrive)
    host = HostParty(
        session_id,
        binding,
        way=way,
        video=SyntheticVideo(),
        sound=SyntheticTones(),
        keyboard=keyboard,
        bitrate_kbps=options.bitrate_kbps,
        on_event=_event_writer(options.folder, "host"),
    )
    client = ClientParty(
        session_id,
        binding,
        way=way,
        screen=SyntheticScreen(),
        loudspeaker=ToneMeter(),
        user=ScriptedUser(now_us()),
        picture=options.picture,
        bitrate_kbps_max=options.bitrate_kbps,
        ends_after_us=None if options.seconds is None else int(options.seconds * 1e6),
        on_event=_event_writer(options.folder, "client"),
    )
    arriving.append(client)
    return host, client, way, keyboard


async def _run(image: Image, party: Party, options: LocalOptions, hub: Hub) -> RunResult:
    folder = options.folder
    keys = None
    if folder is not None:
        keys = folder / "keys"
        for role in ROLES:
            load_or_create(keys, role)
    run_options = RunOptions(
        effects=party.effects_for(image),
        keys=keys,
        record=None if folder is None else folder / f"{party.role.lower()}.replay",
        blobs=RecentBlobs(),
        roles=(party.role,),
    )
    links = LinkOptions(hub=hub, patience_seconds=options.patience_seconds)
    return await run_spread(image, options=run_options, links=links)


async def _carry(way: EmulatedWay) -> None:
    """Hands over what has come, a thousand times a second while something is on its way."""
    while True:
        way.arrive(now_us())
        await asyncio.sleep(0.001)


@contextmanager
def _leaving_on_signals(client: ClientParty) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the session in good order; a second one is as ever."""
    loop = asyncio.get_running_loop()

    def leave(number: int, reason: Ending) -> None:
        client.leave(reason)
        loop.remove_signal_handler(number)

    reasons = {signal.SIGINT: Ending.USER, signal.SIGTERM: Ending.EXIT}
    # Only the main thread may say what a signal does.
    ours = threading.current_thread() is threading.main_thread()
    for number, reason in reasons.items() if ours else ():
        loop.add_signal_handler(number, leave, number, reason)
    try:
        yield
    finally:
        for number in reasons if ours else ():
            loop.remove_signal_handler(number)


def _event_writer(folder: Path | None, name: str) -> Callable[[Event], None] | None:
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.events"
    path.write_text("", encoding="utf-8")

    def write(event: Event) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(event.line() + "\n")

    return write


def _write_metrics(folder: Path, party: Party) -> None:
    path = folder / f"{party.role.lower()}.prom"
    path.write_text(party.telemetry.prometheus(), encoding="utf-8")
