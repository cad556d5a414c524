"""Chapter 1: is anybody there, and why did no session begin or one end as it should not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from troth.streaming.doctor.book import ILLNESSES
from troth.streaming.doctor.case import Case, Line, ReachState, Source, TargetState
from troth.streaming.doctor.findings import Evidence, Finding, finding
from troth.streaming.session.endings import Ending

HANDSHAKE_CODES: Final[Mapping[str, str]] = {
    "handshake_timeout": "connect.no_answer",
    "identity_refused": "connect.identity_refused",
    "identity_mismatch": "connect.identity_mismatch",
    "version_mismatch": "connect.version_mismatch",
    "no_common_codec": "connect.no_common_codec",
    "host_busy": "connect.host_busy",
    "limit": "connect.host_busy",
    "not_completed": "connect.one_way",
}
"""What a failed handshake says about itself, and what it is."""

ENDING_CODES: Final[Mapping[str, str]] = {
    Ending.PEER_LOST: "ending.peer_lost",
    Ending.CONNECTION_LOST: "ending.connection_lost",
    Ending.REVOKED: "ending.revoked",
    Ending.FAULT: "ending.fault",
}

TARGET_CODES: Final[Mapping[TargetState, str]] = {
    TargetState.REFUSED: "connect.refused",
    TargetState.SILENT: "connect.no_answer",
    TargetState.STRANGER: "connect.stranger",
    TargetState.OTHER_VERSION: "connect.version_mismatch",
}


def roles_that_do_not_answer(case: Case) -> Iterator[Finding]:
    for reach in case.reached:
        if reach.state is not ReachState.READY:
            code = f"{reach.role}.{reach.state.value}"
            yield finding(code, [Evidence(reach.address, "/ready", reach.text)])


def gateways(case: Case) -> Iterator[Finding]:
    for source in case.of("gateway"):
        for kind, code in (("relay", "gateway.no_relay"), ("host", "gateway.no_host")):
            name = "troth_gateway_connected"
            if source.has(name) and source.value(name, kind=kind) == 0:
                yield finding(code, [Evidence(source.name, f"{name} of {kind}", "0")])
        offline = source.value("troth_gateway_refused_total", code="peer_offline")
        if offline:
            where = "troth_gateway_refused_total of peer_offline"
            yield finding("gateway.peer_offline", [Evidence(source.name, where, f"{offline:.0f}")])


def target(case: Case) -> Iterator[Finding]:
    found = case.target
    if found is not None and found.state in TARGET_CODES:
        evidence = Evidence(found.address, "asked for a handshake", found.text)
        yield finding(TARGET_CODES[found.state], [evidence])


def handshakes(case: Case) -> Iterator[Finding]:
    """Of events, and of metrics where there are no events."""
    seen: dict[str, list[Evidence]] = {}
    for source in case.sources:
        failed = list(source.events("handshake_fail"))
        for line in failed:
            reason = line.text("reason")
            seen.setdefault(_handshake_code(reason), []).append(at_line(source, line, reason))
        for sample in source.found("troth_stream_handshake_fail_total"):
            reason = sample.labels.get("reason", "")
            told = any(line.text("reason") == reason for line in failed)
            if sample.value > 0 and not told:
                evidence = Evidence(
                    source.name, f"{sample.name} of {reason}", f"{sample.value:.0f}"
                )
                seen.setdefault(_handshake_code(reason), []).append(evidence)
    for code, evidence_found in seen.items():
        yield finding(code, evidence_found)


def _handshake_code(reason: str) -> str:
    return HANDSHAKE_CODES.get(reason, "connect.failed")


def endings(case: Case) -> Iterator[Finding]:
    seen: dict[str, list[Evidence]] = {}
    for source in case.sources:
        lines = list(source.events("session_end"))
        for line in lines:
            code = ENDING_CODES.get(line.text("reason"))
            if code is not None:
                what = f"{line.text('reason')} by {line.text('by')}"
                seen.setdefault(code, []).append(at_line(source, line, what))
        if source.recorded is not None and not lines:
            by, reason = source.recorded.ending()
            code = ENDING_CODES.get(reason) or HANDSHAKE_CODES.get(reason)
            if code is not None:
                evidence = Evidence(source.name, "the farewell", f"{reason} by {by}")
                seen.setdefault(code, []).append(evidence)
        for sample in source.found("troth_stream_sessions_total"):
            code = ENDING_CODES.get(sample.labels.get("reason", ""))
            if code is not None and sample.value > 0 and not lines:
                where = f"{sample.name} of {sample.labels['reason']}"
                seen.setdefault(code, []).append(
                    Evidence(source.name, where, f"{sample.value:.0f}")
                )
    for code, evidence_found in seen.items():
        yield finding(code, evidence_found)


def sides_that_differ(case: Case) -> Iterator[Finding]:
    """Two sides of one session that do not give the same reason."""
    ends: dict[str, list[tuple[Source, Line]]] = {}
    for source in (*case.of("host"), *case.of("client")):
        for line in source.events("session_end"):
            if line.text("session_id"):
                ends.setdefault(line.text("session_id"), []).append((source, line))
    for said in ends.values():
        if len({line.text("reason") for _, line in said}) > 1:
            evidence = [
                at_line(source, line, f"{line.text('reason')} by {line.text('by')}")
                for source, line in said
            ]
            yield finding("ending.differs", evidence)


def at_line(source: Source, line: Line, what: str) -> Evidence:
    return Evidence(source.name, f"line {line.number}, {line.name}", what)


RULES: Final = (
    roles_that_do_not_answer,
    gateways,
    target,
    handshakes,
    endings,
    sides_that_differ,
)
assert all(code in ILLNESSES for code in (*HANDSHAKE_CODES.values(), *ENDING_CODES.values()))
