"""What a machine says about itself when it stops: who holds what, and who waits for whom.

Everything here is text for people and tools; nothing in it can change the machine. Names come
from scripts and may be hostile: the fields hold them as they are, `describe` escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from troth.vm.coroutine import Blocked, Coroutine, CoroutineStatus
from troth.vm.errors import Fault
from troth.vm.events import Status
from troth.vm.guards import Guard
from troth.vm.report_text import count, fault_lines, reason_of_end, say, short_id, wrap
from troth.vm.scheduler import Scheduler
from troth.vm.session import Edge, EndpointState, Session

LISTED_MAX: Final = 100
"""Coroutines and sessions that a report lists; it counts the others."""


class Outcome(StrEnum):
    """How a run ended. OK: every coroutine halted and every session closed."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoroutineReport:
    """A coroutine that has not ended.

    Attributes:
        waits_for: why it is blocked, in one sentence; "" when it is not.
        session, protocol, role, peer: the endpoint it is blocked on, "" without one.
        labels: the labels that its local type allows there.
        position: the state of the local type, in words.
        endpoints: what it holds, as `Protocol.Role`.
        guards: the names of the guards it holds.
    """

    id: bytes
    program: str
    line: int
    pc: int
    waits_for: str
    session: bytes = b""
    protocol: str = ""
    role: str = ""
    peer: str = ""
    labels: tuple[str, ...] = ()
    position: str = ""
    endpoints: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()

    def describe(self) -> str:
        line = f", line {self.line}" if self.line else ""
        text = f"{say(self.program)}{line}: {say(self.waits_for) or 'ready to run'}"
        if self.endpoints:
            text += f"; holds {say(', '.join(self.endpoints))}"
        if self.guards:
            noun = "guard" if len(self.guards) == 1 else "guards"
            text += f"; holds the {noun} {say(', '.join(self.guards))}"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReport:
    """`holder` is the program that owns the endpoint, "" when none does."""

    role: str
    custody: str
    holder: str
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """A session that has not closed. `waiting` counts messages per edge, for edges with any."""

    id: bytes
    protocol: str
    status: Status
    detail: str
    ended_by: str
    endpoints: tuple[EndpointReport, ...] = ()
    waiting: tuple[tuple[str, int], ...] = ()

    def describe(self) -> str:
        by = f" by {say(self.ended_by)}" if self.ended_by else ""
        detail = f": {reason_of_end(self.detail)}" if self.detail else ""
        name = f"session {short_id(self.id.hex())} of {say(self.protocol)}"
        text = f"{name} is {self.status.name.lower()}{by}{detail}"
        for endpoint in self.endpoints:
            holder = f" by {say(endpoint.holder)}" if endpoint.holder else ""
            custody = "held" if endpoint.holder else endpoint.custody
            text += f"\n    {say(endpoint.role)}: {custody}{holder}, next {say(endpoint.position)}"
        for edge, waiting in self.waiting:
            text += f"\n    {say(edge)}: {count(waiting, 'message')} waiting"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The state of a run. The lists are cut at `LISTED_MAX`, the counts are whole.

    `source` is what the image calls the script that it was made from.
    """

    outcome: Outcome
    rounds: int
    coroutines: tuple[CoroutineReport, ...]
    coroutine_count: int
    sessions: tuple[SessionReport, ...]
    session_count: int
    sessions_closed: int
    faults: tuple[Fault, ...]
    fault_count: int
    source: str = ""

    @property
    def ok(self) -> bool:
        """Whether every coroutine halted and every session closed."""
        return self.outcome is Outcome.OK

    def describe(self) -> str:
        """Prose for a terminal, one finding per paragraph; "" when there is nothing to say.

        Nothing in it can steer the terminal, whatever the script and its host's functions said.
        """
        parts = [line for error in self.faults for line in fault_lines(error, self.source)]
        parts += _more(self.fault_count, len(self.faults), "fault")
        parts += [coroutine.describe() for coroutine in self.coroutines]
        parts += _more(self.coroutine_count, len(self.coroutines), "coroutine")
        parts += [line for session in self.sessions for line in session.describe().split("\n")]
        parts += _more(self.session_count, len(self.sessions), "session")
        return wrap(parts)


def _more(total: int, listed: int, noun: str) -> list[str]:
    return [f"and {count(total - listed, f'more {noun}')}"] if total > listed else []


def make_report(scheduler: Scheduler, outcome: Outcome) -> Report:
    """Reads a machine's state."""
    store = scheduler.sessions
    live = list(store.live.values())
    ended_badly = store.ended[Status.CANCELLED] + store.ended[Status.FAULTED]
    failed = [
        SessionReport(
            id=end.id,
            protocol=end.protocol,
            status=end.status,
            detail=end.detail,
            ended_by=end.ended_by,
        )
        for end in store.failed
    ]
    coroutines = list(scheduler.coroutines.values())
    return Report(
        outcome=outcome,
        rounds=scheduler.rounds,
        coroutines=tuple(_coroutine(coroutine) for coroutine in coroutines[:LISTED_MAX]),
        coroutine_count=len(coroutines),
        sessions=(*failed, *(_session(session) for session in live[:LISTED_MAX])),
        session_count=len(live) + ended_badly,
        sessions_closed=store.ended[Status.CLOSED],
        faults=tuple(scheduler.faults),
        fault_count=scheduler.fault_count,
        source=scheduler.context.loaded.image.source,
    )


def _coroutine(coroutine: Coroutine) -> CoroutineReport:
    endpoints = tuple(_name(endpoint) for endpoint in coroutine.owned)
    guards = tuple(guard.name for guard in coroutine.guards)
    line = coroutine.code.line_of(coroutine.pc)
    edge = coroutine.blocked_edge
    if coroutine.status is not CoroutineStatus.BLOCKED or edge is None:
        return CoroutineReport(
            id=coroutine.id,
            program=coroutine.code.name,
            line=line,
            pc=coroutine.pc,
            waits_for=_waits(coroutine),
            endpoints=endpoints,
            guards=guards,
        )
    receiving = coroutine.blocked is Blocked.RECEIVE
    endpoint, peer = (edge.receiver, edge.sender) if receiving else (edge.sender, edge.receiver)
    return CoroutineReport(
        id=coroutine.id,
        program=coroutine.code.name,
        line=line,
        pc=coroutine.pc,
        waits_for=_waits_on(coroutine, endpoint, peer, edge, receiving=receiving),
        session=endpoint.session.id,
        protocol=endpoint.session.protocol,
        role=endpoint.role,
        peer=peer.role,
        labels=tuple(transition.label for transition in endpoint.state.state.transitions),
        position=endpoint.state.describe(),
        endpoints=endpoints,
        guards=guards,
    )


def _waits(coroutine: Coroutine) -> str:
    if coroutine.blocked is Blocked.EFFECT:
        return "waits for an effect of the host"
    if coroutine.blocked is Blocked.HOST:
        return "waits for what the host does next"
    if coroutine.blocked is Blocked.PEERS:
        return "waits for the other machines of a session that it opens"
    if coroutine.blocked is Blocked.HOLES:
        names = (coroutine.code.parameters[hole].name for hole in coroutine.holes)
        return f"waits for its parent to transfer {', '.join(names)}"
    guard = coroutine.blocked_guard
    if coroutine.blocked is Blocked.GUARD and guard is not None:
        return f"waits for the guard {guard.name}, held by {_holder(guard)}"
    return ""


def _holder(guard: Guard) -> str:
    holder = guard.holder
    assert holder is not None, "a free guard is waited for by nobody"
    line = holder.code.line_of(holder.pc)
    return holder.code.name + (f" at line {line}" if line else "")


def _waits_on(
    coroutine: Coroutine,
    endpoint: EndpointState,
    peer: EndpointState,
    edge: Edge,
    *,
    receiving: bool,
) -> str:
    labels = " or ".join(transition.label for transition in endpoint.state.state.transitions)
    what = f"{labels} from {peer.role}" if receiving else f"space for {labels} to {peer.role}"
    if not receiving:
        what += f" (all {edge.buffer.capacity} places are taken)"
    if edge.parted:
        what += f" ({peer.role} and {endpoint.role} are parted)"
    verb = "waits" if coroutine.speculation is None else "speculates and waits"
    return f"{_name(endpoint)} {verb} for {what}; {peer.role} is {_whereabouts(peer)}"


def _whereabouts(endpoint: EndpointState) -> str:
    """Where a peer is, so that a reader can follow who waits for whom."""
    if endpoint.owner is None:
        return endpoint.custody.value
    holder = endpoint.owner
    line = holder.code.line_of(holder.pc)
    at = f" at line {line}" if line else ""
    return f"held by {holder.code.name}{at}, where it should {endpoint.state.describe()}"


def _name(endpoint: EndpointState) -> str:
    return f"{endpoint.session.protocol}.{endpoint.role}"


def _session(session: Session) -> SessionReport:
    return SessionReport(
        id=session.id,
        protocol=session.protocol,
        status=session.status,
        detail=session.detail,
        ended_by=session.ended_by,
        endpoints=tuple(_endpoint(endpoint) for endpoint in session.endpoints.values()),
        waiting=_waiting(session.edges),
    )


def _endpoint(endpoint: EndpointState) -> EndpointReport:
    return EndpointReport(
        role=endpoint.role,
        custody=endpoint.custody.value,
        holder=endpoint.owner.code.name if endpoint.owner is not None else "",
        position=endpoint.state.describe(),
    )


def _waiting(edges: Sequence[Edge]) -> tuple[tuple[str, int], ...]:
    return tuple((str(edge), len(edge.buffer)) for edge in edges if len(edge.buffer))
