"""What a view says of its run at a glance: names and values, in the order they are shown."""

from __future__ import annotations

from typing import Final

from troth.conformance.verdict import Verdict
from troth.conformance.world import World
from troth.vm.escape import escape

_BINARY_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def facts_of(verdict: Verdict, world: World) -> tuple[tuple[str, str], ...]:
    """Only what is known: a file that cannot be read has few."""
    counts = verdict.counts
    if not counts.records:
        return (("records", "none that could be read"),)
    found = [
        ("file size", size(counts.bytes)),
        ("records", f"{counts.records:,}"),
        ("sessions", _sessions(verdict)),
        ("messages", f"{counts.messages:,} sent, {counts.received:,} received"),
    ]
    for name, number in (
        ("undelivered", counts.undelivered),
        ("rejected", counts.rejects),
        ("overwritten", counts.overwritten),
        ("dropped before signing", counts.dropped),
        ("refused on arrival", counts.refused),
        ("delegations", counts.delegations),
        ("payloads withheld", counts.withheld),
        ("faults", counts.faults),
        ("effects called", counts.effects),
        ("seals", counts.seals),
    ):
        if number:
            found.append((name, f"{number:,}"))
    if world.incarnations:
        found.append(("resumed after a stop", f"{world.incarnations:,} times"))
    found.append(("sealed", _sealed(verdict)))
    if verdict.outcome_recorded is not None:
        found.append(("outcome, as recorded", escape(verdict.outcome_recorded)))
    header = world.header
    if header is not None:
        found.append(("runner", escape(header.runner)))
        if header.entry is None:
            found.append(("programs", "none: Python code played the roles of this machine"))
        for name, override in (("replay", header.replay), ("seal", header.seal)):
            if override is not None:
                found.append((f"{name} mode, for all sessions", escape(override)))
    if verdict.image is not None:
        where = "in the file" if verdict.image_in_file else "not in the file"
        where += ", pinned by you" if verdict.image_pinned else ""
        found.append(("image", f"{verdict.image} ({where})"))
    if verdict.fragment is not None:
        found.append(("fragment", verdict.fragment))
    return tuple(found)


def size(count: int) -> str:
    """In the greatest unit that it has one of."""
    value, unit = float(count), 0
    while value >= 1024 and unit + 1 < len(_BINARY_UNITS):
        value, unit = value / 1024, unit + 1
    return f"{count:,} bytes" if unit == 0 else f"{value:.1f} {_BINARY_UNITS[unit]}"


def _sessions(verdict: Verdict) -> str:
    counts = verdict.counts
    parts = [
        f"{number:,} {name}"
        for name, number in (
            ("closed", counts.closed),
            ("cancelled", counts.cancelled),
            ("faulted", counts.faulted),
            ("open", counts.open),
        )
        if number
    ]
    return f"{counts.sessions:,}" + (f" ({', '.join(parts)})" if parts else "")


def _sealed(verdict: Verdict) -> str:
    sealing = verdict.sealing
    if sealing.complete:
        return "to the end"
    return f"the first {sealing.records:,} records; {sealing.unsealed:,} after them are not"
