"""The parts of the documentation that are made from the code.

A page holds `<!-- generated: NAME ARGUMENTS -->` … `<!-- end -->`; what stands between is the
result of the generator NAME. `python tests/docs/bless.py` writes all of them anew, and
`test_regions` fails when one is not current.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs import (
    region_commands,
    region_event_socket,
    region_evidence,
    region_gateway,
    region_streaming,
    region_tables,
)

ROOT: Final = Path(__file__).resolve().parent.parent.parent

GENERATORS: Final[Mapping[str, Callable[[str], str]]] = {
    "assembly-codes": region_tables.assembly_codes,
    "assembly-forms": region_tables.assembly_forms,
    "faults": region_tables.faults,
    "lifecycle": region_tables.lifecycle,
    "lifecycle-diagram": region_tables.lifecycle_diagram,
    "limits-of-effects": region_tables.limits_of_effects,
    "limits-of-lines": region_tables.limits_of_lines,
    "limits-of-pages": region_tables.limits_of_pages,
    "limits-of-views": region_tables.limits_of_views,
    "limits-of-proofs": region_tables.limits_of_proofs,
    "limits-of-reading": region_tables.limits_of_reading,
    "limits-of-replay": region_tables.limits_of_replay,
    "limits-of-running": region_tables.limits_of_running,
    "public": region_tables.public,
    "record": region_tables.record,
    "event-socket-behaviours": region_event_socket.behaviours,
    "event-socket-endings": region_event_socket.endings,
    "event-socket-latch": region_event_socket.latch,
    "event-socket-limits": region_event_socket.limits,
    "streaming-effects": region_streaming.effects,
    "streaming-diagrams": region_streaming.diagrams,
    "streaming-endings": region_streaming.endings,
    "streaming-bounds": region_streaming.bounds,
    "streaming-events": region_streaming.events,
    "streaming-metrics": region_streaming.metrics,
    "doctor-steps": region_streaming.doctor_steps,
    "doctor-findings": region_streaming.doctor_findings,
    "streaming-protocols": region_streaming.protocols,
    "gateway-metrics": region_gateway.gateway_metrics,
    "relay-metrics": region_gateway.relay_metrics,
    "gateway-limits": region_gateway.limits,
    "gateway-machine": region_gateway.machine,
    "gateway-messages": region_gateway.gateway_messages,
    "gateway-legs": region_gateway.gateway_legs,
    "gateway-refusals": region_gateway.gateway_refusals,
    "relay-kinds": region_gateway.relay_kinds,
    "relay-words": region_gateway.relay_words,
    "options": region_commands.options,
    "commands": region_commands.commands,
    "hello-records": region_evidence.hello_records,
    "hello-derivation": region_evidence.hello_derivation,
}

_REGION: Final = re.compile(
    r"(?P<head><!-- generated: (?P<name>[a-z-]+)(?: (?P<argument>[^>]*?))? -->\n)"
    r"(?P<body>.*?)"
    r"(?P<tail><!-- end -->)",
    re.DOTALL,
)


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def names_used(text: str) -> list[str]:
    return [match["name"] for match in _REGION.finditer(text)]


def render(text: str) -> str:
    """The page with every region made anew."""
    return _REGION.sub(_replace, text)


def _replace(match: re.Match[str]) -> str:
    body = GENERATORS[match["name"]](match["argument"] or "")
    return f"{match['head']}\n{body.strip(chr(10))}\n\n{match['tail']}"
