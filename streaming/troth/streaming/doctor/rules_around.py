"""Chapter 5 and what is around: relays, policy, limits, and whether the evidence is whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from troth.streaming.doctor.case import Case
from troth.streaming.doctor.findings import Evidence, Finding, finding
from troth.streaming.doctor.rules_connect import at_line
from troth.streaming.paths.gather import NatMapping

MOSTLY: Final = 0.5
REFUSALS_ELSEWHERE: Final = frozenset({"peer_offline", "limit", "shutting_down", "replaced"})
"""Refusals that other findings name, or that are part of a good day."""


def relays(case: Case) -> Iterator[Finding]:
    found = [
        Evidence(source.name, "troth_stream_relay_ratio", f"{ratio:.0%} of the time")
        for source in case.sources
        if (ratio := source.value("troth_stream_relay_ratio")) > MOSTLY
    ]
    if found:
        yield finding("relay.mostly", found)


def translator(case: Case) -> Iterator[Finding]:
    codes = {
        NatMapping.ENDPOINT_DEPENDENT: "nat.dependent",
        NatMapping.BLOCKED: "network.udp_blocked",
    }
    if case.mapping in codes:
        evidence = Evidence("this machine", "asked the STUN servers", case.mapping.value)
        yield finding(codes[case.mapping], [evidence])


def candidates(case: Case) -> Iterator[Finding]:
    found = [
        at_line(source, line, f"{line.text('address')}: {line.text('refused')}")
        for source in case.sources
        for line in source.events("candidate")
        if line.text("refused")
    ]
    if found:
        yield finding("candidate.invalid", found)


def refusals(case: Case) -> Iterator[Finding]:
    found = [
        Evidence(source.name, f"{sample.name} of {code}", f"{sample.value:.0f}")
        for source in case.of("gateway")
        for sample in source.found("troth_gateway_refused_total")
        if sample.value > 0 and (code := sample.labels.get("code", "")) not in REFUSALS_ELSEWHERE
    ]
    if found:
        yield finding("gateway.refused", found)


def wholeness(case: Case) -> Iterator[Finding]:
    for source in case.sources:
        if source.recorded is not None and source.recorded.torn:
            yield finding("evidence.torn", [Evidence(source.name, "its end", "cut")])
        if source.unread:
            what = f"{source.unread} lines"
            yield finding("evidence.unread", [Evidence(source.name, "other lines", what)])
        begun = any(True for _ in source.events("session_start", "handshake_start"))
        over = any(True for _ in source.events("session_end", "handshake_fail"))
        if begun and not over and not source.live:
            last = source.lines[-1]
            yield finding("evidence.no_end", [at_line(source, last, "the last event")])
    sessions: dict[str, str] = {}
    for source in (*case.of("host"), *case.of("client")):
        for line in source.events("session_start"):
            sessions.setdefault(line.text("session_id"), source.name)
    if len(sessions) > 1:
        evidence = [Evidence(name, "session", session) for session, name in sessions.items()]
        yield finding("evidence.mixed", evidence)


def security(case: Case) -> Iterator[Finding]:
    """What was dropped, and which rule dropped it."""
    rejected = [
        Evidence(
            source.name, f"{sample.name} of {sample.labels.get('why', '')}", f"{sample.value:.0f}"
        )
        for source in case.sources
        for sample in source.found("troth_stream_packets_rejected_total")
        if sample.value > 0
    ]
    if rejected:
        yield finding("security.rejected", rejected)
    for name, label, code in (
        ("troth_relay_rate_limited_packets_total", "", "relay.limited"),
        ("troth_relay_lease_rejects_total", "reason", "relay.lease_rejected"),
        ("troth_relay_auth_reject_packets_total", "", "relay.forged"),
        ("troth_relay_replay_dropped_packets_total", "", "relay.forged"),
        ("troth_gateway_limited_total", "limit", "gateway.limited"),
    ):
        found = [
            Evidence(
                source.name,
                f"{name} of {sample.labels.get(label, '')}" if label else name,
                f"{sample.value:.0f}",
            )
            for source in case.sources
            for sample in source.found(name)
            if sample.value > 0
        ]
        if found:
            yield finding(code, found)


RULES: Final = (relays, translator, candidates, refusals, wholeness, security)
