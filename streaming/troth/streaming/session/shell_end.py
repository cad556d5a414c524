"""One party of a session from its link to its record: made, run, and its books closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from troth.streaming.link import CloseReason
from troth.streaming.link.counts import REJECTED
from troth.streaming.media.input_acts import RecordedInput, ScriptedUser
from troth.streaming.media.interfaces import Picture
from troth.streaming.media.synthetic import SyntheticScreen, SyntheticVideo
from troth.streaming.media.tones import SyntheticTones, ToneMeter
from troth.streaming.session.limits import (
    BITRATE_KBPS_DEFAULT,
    FRAME_RATE_DEFAULT,
    HEIGHT_DEFAULT,
    LEAVE_SECONDS,
    PATIENCE_SECONDS,
    SCALE_PERCENT_MIN_DEFAULT,
    WIDTH_DEFAULT,
)
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_party import Party, now_us
from troth.streaming.session.shell_transport import CLOSE_REASONS, TransportEnd
from troth.streaming.session.shell_waiting import first
from troth.streaming.shell_recent_blobs import RecentBlobs
from troth.streaming.telemetry import Event, Telemetry
from troth.vm.errors import Unusable
from troth.vm.events import Event as RunEvent
from troth.vm.events import Opened
from troth.vm.image import Image
from troth.vm.shell_options import RunOptions
from troth.vm.shell_run import RunResult
from troth.vm.shell_spread import LinkOptions, run_spread

ROLES: Final = ("Client", "Host")
INPUT_PROTOCOL: Final = "Input"
"""The session whose messages are what the user does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user wants of a session.

    Attributes:
        seconds: the client ends it after so long; None for never.
        folder: where records, events and metrics go; None keeps nothing.
    """

    seconds: float | None = None
    folder: Path | None = None
    picture: Picture = field(
        default_factory=lambda: Picture(WIDTH_DEFAULT, HEIGHT_DEFAULT, FRAME_RATE_DEFAULT)
    )
    bitrate_kbps: int = BITRATE_KBPS_DEFAULT
    scale_percent_min: int = SCALE_PERCENT_MIN_DEFAULT
    patience_seconds: float = PATIENCE_SECONDS


def make_host(wanted: Wanted, end: TransportEnd, name: str = "host") -> HostParty:
    """A host with synthetic devices at that end."""
    host = HostParty(
        way=end,
        video=SyntheticVideo(),
        sound=SyntheticTones(),
        keyboard=RecordedInput(),
        bitrate_kbps=wanted.bitrate_kbps,
        on_event=event_writer(wanted.folder, name),
    )
    host.telemetry.before_reading = lambda: note_transport(host.telemetry, end)
    end.on_key_frame = host.need_key_frame
    end.on_path = host.path_state
    return host


def make_client(wanted: Wanted, end: TransportEnd, name: str = "client") -> ClientParty:
    """A client with a synthetic screen and a scripted user at that end."""
    client = ClientParty(
        way=end,
        screen=SyntheticScreen(),
        loudspeaker=ToneMeter(),
        user=ScriptedUser(now_us()),
        picture=wanted.picture,
        bitrate_kbps_max=wanted.bitrate_kbps,
        scale_percent_min=wanted.scale_percent_min,
        ends_after_us=None if wanted.seconds is None else int(wanted.seconds * 1e6),
        on_event=event_writer(wanted.folder, name),
    )
    client.telemetry.before_reading = lambda: note_transport(client.telemetry, end)
    end.on_content = client.arrive
    return client


async def run_party(
    image: Image,
    party: Party,
    end: TransportEnd,
    wanted: Wanted,
    *,
    keys: Path,
    name: str,
    any_key: bool = False,
) -> RunResult:
    """The session of one party, from the handshake of its link to its last word.

    Raises:
        Unusable: code `stream.handshake`, when there is no link.
        TrothError: what `run_spread` raises.
    """
    await end.established.wait()
    if end.link.established is None:
        raise _no_link(party, end)
    party.bind(end.binding)
    options = RunOptions(
        effects=party.effects_for(image),
        keys=keys,
        record=None if wanted.folder is None else wanted.folder / f"{name}.replay",
        blobs=RecentBlobs(),
        roles=(party.role,),
    )
    links = LinkOptions(hub=end.place, patience_seconds=wanted.patience_seconds, any_key=any_key)
    around = asyncio.gather(_end_in_time(party, end), party.keep_watch())
    note = _noting(party, end)
    try:
        result = await run_spread(image, options=options, links=links, on_events=note)
    finally:
        around.cancel()
        await asyncio.gather(around, return_exceptions=True)
        party.let_go()
    party.close_books(ok=result.ok, lost=end.lost_because, by=_closed_by(party, end))
    if wanted.folder is not None:
        path = wanted.folder / f"{name}.prom"
        path.write_text(party.telemetry.prometheus(), encoding="utf-8")
    _, reason = party.ending or ("", "")
    end.close(CLOSE_REASONS.get(reason, CloseReason.POLICY), reason)
    return result


def _noting(party: Party, end: TransportEnd) -> Callable[[Sequence[RunEvent]], None]:
    """Tells the party of faults, and the link of the session that is not to wait."""

    def note(events: Sequence[RunEvent]) -> None:
        party.note_faults(events)
        for event in events:
            if isinstance(event, Opened) and event.protocol == INPUT_PROTOCOL:
                end.place.hurry(event.session)

    return note


async def _end_in_time(party: Party, end: TransportEnd) -> None:
    """Bounds every ending, whatever waits in the queues.

    The programs' words go behind all that was said before them. When they do not get through in
    time the link says the reason: its last word goes before everything else, and what the
    programs wanted to say beyond that is lost, which the record shows.
    """
    await first(party.parting, end.over)
    await first(end.over, seconds=LEAVE_SECONDS)
    if not end.over.is_set():
        reason = party.farewell
        end.close(CLOSE_REASONS.get(reason, CloseReason.POLICY), reason)
        await end.over.wait()
    party.let_go()


def _closed_by(party: Party, end: TransportEnd) -> str:
    """The side whose link had the last word."""
    closed = end.closed
    if closed is not None and closed.by_peer:
        return next(role for role in ROLES if role != party.role)
    return party.role


def note_transport(telemetry: Telemetry, end: TransportEnd) -> None:
    """What the link has counted, as metrics."""
    tally, counts = telemetry.tally, end.link.counts
    tally.put("packets_sent_total", counts.packets_sent)
    tally.put("packet_bytes_sent_total", counts.bytes_sent)
    for why in REJECTED:
        tally.put("packets_rejected_total", getattr(counts, why), why=why)
    if telemetry.role == "Client":
        tally.put("pieces_repaired_total", end.repaired)


def _no_link(party: Party, end: TransportEnd) -> Unusable:
    closed = end.closed
    reason = "unknown" if closed is None else closed.reason.name.lower()
    party.telemetry.emit("handshake_fail", "control", reason=reason)
    party.telemetry.count("handshake_fail_total", reason=reason)
    return Unusable(
        "stream.handshake",
        f"there is no link to the other side: {'' if closed is None else closed.text}",
        expected="a handshake with a key that is known",
        actual=reason,
        advice="Check the address, that the other side is there, and its public key",
    )


def event_writer(folder: Path | None, name: str) -> Callable[[Event], None] | None:
    """Writes each event to a file of its own, as it happens."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.events"
    path.write_text("", encoding="utf-8")

    def write(event: Event) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(event.line() + "\n")

    return write
