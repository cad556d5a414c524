"""What a gateway counts, as the text that Prometheus reads. No party is named in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from troth.streaming.gateway.core import GatewayCore
from troth.streaming.gateway.hub import GatewayCounters
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.paths.stun_server import StunCounters

PREFIX: Final = "troth_gateway_"


def prometheus(core: GatewayCore, stun: StunCounters, now_ns: int) -> str:
    """The exposition format, version 0.0.4."""
    return "".join(f"{line}\n" for line in _lines(core, stun, now_ns))


def _lines(core: GatewayCore, stun: StunCounters, now_ns: int) -> Iterator[str]:
    counters = core.hub.counters
    for item in fields(GatewayCounters):
        if item.name not in ("refused", "limited"):
            yield from _one(f"{item.name}_total", "counter", getattr(counters, item.name))
    for item in fields(StunCounters):
        yield from _one(f"stun_{item.name}_total", "counter", getattr(stun, item.name))
    yield from _labelled("refused_total", "code", counters.refused)
    yield from _labelled("limited_total", "limit", counters.limited)
    connected = dict.fromkeys((kind.value for kind in PartyKind), 0)
    for party in core.hub.parties.values():
        if party.kind is not None:
            connected[party.kind.value] += 1
    yield f"# TYPE {PREFIX}connected gauge"
    for kind, count in connected.items():
        yield f'{PREFIX}connected{{kind="{kind}"}} {count}'
    yield from _one("uptime_seconds", "gauge", (now_ns - core.started_ns) // SECOND_NS)


def _one(name: str, kind: str, value: int) -> Iterator[str]:
    yield f"# TYPE {PREFIX}{name} {kind}"
    yield f"{PREFIX}{name} {value}"


def _labelled(name: str, label: str, values: dict[str, int]) -> Iterator[str]:
    yield f"# TYPE {PREFIX}{name} counter"
    for word, count in sorted(values.items()):
        yield f'{PREFIX}{name}{{{label}="{word}"}} {count}'
