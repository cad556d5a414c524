"""The live view of a session in a terminal: path, bitrate, loss, delay, freezes, adaptation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from troth.streaming.media.viewing import Outcome, delay_text
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.telemetry import Event
from troth.vm.escape import plain

REFRESH_SECONDS = 0.25
EVENTS_SHOWN = 6
_QUIET = frozenset({"input_latency", "session_start"})


def view(client: ClientParty) -> Table:
    """What is to be seen now."""
    table = Table(title=f"troth stream, session {client.telemetry.session_id[:8]}", min_width=60)
    table.add_column("what")
    table.add_column("now")
    for what, value in rows(client):
        table.add_row(Text(what), Text(value))
    shown = [event for event in client.telemetry.events if event["event"] not in _QUIET]
    for event in shown[-EVENTS_SHOWN:]:
        table.add_row(Text("event"), Text(describe(event)))
    return table


def rows(client: ClientParty) -> list[tuple[str, str]]:
    viewing, report, decision = client.viewing, client.last_report, client.decision
    found = [("path", str(client.telemetry.path_id))]
    if decision:
        found += [
            ("bitrate", f"{decision['bitrate_kbps']} kbit/s, because {decision['cause']}"),
            ("frames a second", str(decision["frames_per_second"])),
            ("size", f"{decision['scale_percent']} %"),
            ("parity", f"{decision['parity_percent']} %"),
        ]
    if report:
        found += [
            ("loss before repair", f"{report['lost_before_repair_ppm'] / 10_000:.2f} %"),
            ("loss after repair", f"{report['lost_after_repair_ppm'] / 10_000:.2f} %"),
        ]
    return [
        *found,
        ("delay", delay_text(viewing.delays_us)),
        ("freezes", f"{viewing.freezes_count}, {viewing.frozen_us // 1000} ms"),
        ("frames shown", str(viewing.outcomes[Outcome.SHOWN])),
    ]


def describe(event: Event) -> str:
    """One event in one line; what the other side said cannot move the cursor."""
    common = ("event", "ts_utc_us", "ts_mono_us", "role", "session_id", "path_id", "plane")
    facts = " ".join(f"{key}={value}" for key, value in event.items() if key not in common)
    return plain(f"{event['event']} {facts}".strip(), characters_max=200)


async def show_live(client: ClientParty, done: Callable[[], bool]) -> None:
    """Draws until `done`."""
    with Live(view(client), console=Console(), refresh_per_second=4) as live:
        while not done():
            await asyncio.sleep(REFRESH_SECONDS)
            live.update(view(client))
