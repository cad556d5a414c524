"""The tables of gateway, relay and paths, made from the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import get_args

from docs.region_tables import attributes, table
from troth.streaming.gateway.core import ALLOWED
from troth.streaming.gateway.hub import GatewayCounters
from troth.streaming.gateway.hub import Refusal as GatewayRefusal
from troth.streaming.gateway.legs import LEGS
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import Message, PartyKind
from troth.streaming.gateway.rendezvous import OFFER_TRANSITIONS
from troth.streaming.liveness import LIVENESS_TRANSITIONS
from troth.streaming.paths.limits import PathLimits
from troth.streaming.paths.migration import CHOICE_TRANSITIONS
from troth.streaming.paths.path import PATH_TRANSITIONS
from troth.streaming.paths.stun_server import StunCounters
from troth.streaming.relay.leg import LEG_TRANSITIONS
from troth.streaming.relay.limits import RelayLimits
from troth.streaming.relay.metrics import RelayCounters, RelayGauges
from troth.streaming.relay.places import PLACE_TRANSITIONS
from troth.streaming.relay.wire import NOTICE_TEXTS, REFUSAL_TEXTS, Kind

_LABELS = {"refused": "`code`", "limited": "`limit`"}

LIMITS = {"gateway": GatewayLimits, "relay": RelayLimits, "paths": PathLimits}

MACHINES: Mapping[str, Mapping[tuple[Enum, Enum], object]] = {
    "choice": CHOICE_TRANSITIONS,  # type: ignore[dict-item]
    "leg": LEG_TRANSITIONS,  # type: ignore[dict-item]
    "liveness": LIVENESS_TRANSITIONS,  # type: ignore[dict-item]
    "offer": OFFER_TRANSITIONS,  # type: ignore[dict-item]
    "path": PATH_TRANSITIONS,  # type: ignore[dict-item]
    "place": PLACE_TRANSITIONS,  # type: ignore[dict-item]
}


def limits(which: str) -> str:
    described = LIMITS[which]
    meaning, values = attributes(described), described()
    rows = [
        (f"`{item.name}`", f"{getattr(values, item.name):,}", meaning[item.name])
        for item in fields(described)
    ]
    return table(("limit", "default", "counts"), rows)


def gateway_metrics(_: str) -> str:
    rows = [
        (f"`troth_gateway_{name}_total`", "counter", _LABELS.get(name, "-"), text)
        for name, text in attributes(GatewayCounters).items()
    ]
    rows += [
        (f"`troth_gateway_stun_{name}_total`", "counter", "-", f"STUN: {text}")
        for name, text in attributes(StunCounters).items()
    ]
    rows.append(("`troth_gateway_connected`", "gauge", "`kind`", "parties that are connected"))
    rows.append(("`troth_gateway_uptime_seconds`", "gauge", "-", "since the start"))
    return table(("metric", "kind", "label", "counts"), rows)


def relay_metrics(_: str) -> str:
    rows = [
        (f"`troth_relay_{name}_total`", "counter", "-", text)
        for name, text in attributes(RelayCounters).items()
        if name != "refused"
    ]
    rows.append(("`troth_relay_lease_rejects_total`", "counter", "`reason`", "leases refused"))
    rows += [
        (f"`troth_relay_{name}`", "gauge", "-", text)
        for name, text in attributes(RelayGauges).items()
    ]
    return table(("metric", "kind", "label", "counts"), rows)


def machine(which: str) -> str:
    """A table of transitions; what follows the target is the action."""
    rows = []
    for (source, signal), found in MACHINES[which].items():
        target, action = found if isinstance(found, tuple) else (found, None)
        rows.append((_word(source), _word(signal), _word(target), _word(action)))
    with_action = any(row[3] != "-" for row in rows)
    head = ("state", "what happens", "state after", "and")
    return table(head, rows) if with_action else table(head[:3], [row[:3] for row in rows])


def relay_kinds(_: str) -> str:
    return table(("kind", "name"), [(f"`{kind:#04x}`", kind.name) for kind in Kind])


def relay_words(_: str) -> str:
    rows = [(f"refusal {code:d}", code.name, text) for code, text in REFUSAL_TEXTS.items()]
    rows += [(f"notice {code:d}", code.name, text) for code, text in NOTICE_TEXTS.items()]
    return table(("code", "name", "meaning"), rows)


def gateway_messages(_: str) -> str:
    rows = []
    for kind in get_args(Message):
        kinds: tuple[PartyKind, ...] = ALLOWED.get(kind, ())
        who = ", ".join(party.value for party in kinds) or "-"
        names = ", ".join(f"`{item.name}`" for item in fields(kind))
        said = " ".join((kind.__doc__ or "").split())
        rows.append((f"`{kind.__name__}`", who, names, said))
    return table(("message", "taken from", "fields", "meaning"), rows)


def gateway_legs(_: str) -> str:
    rows = [
        (
            f"`{name}`",
            " or ".join(kind.value for kind in leg.parties),
            "the gateway" if leg.by_gateway else "the party",
            str(leg.at_once),
            "its connection" if leg.longest_s is None else f"{leg.longest_s:g} s",
        )
        for name, leg in LEGS.items()
    ]
    return table(("program", "with a", "begun by", "at once", "for at most"), rows)


def gateway_refusals(_: str) -> str:
    return table(("code", "meaning"), [(f"`{r.code}`", r.value) for r in GatewayRefusal])


def _word(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Enum):
        return str(value.value) if isinstance(value.value, str) else value.name
    return str(value)
