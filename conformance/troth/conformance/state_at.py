"""What was alive after a record of an artifact: sessions, endpoints, buffers, coroutines, guards.

Levels 1 to 4 follow the file that far, and their own state is the answer. Who holds an endpoint
is only said by the records that open, hand over and carry it, and is followed here.
"""

from __future__ import annotations

from itertools import islice
from typing import BinaryIO, Final

from troth.conformance.describe import Names, describe
from troth.conformance.machine_state import (
    CoroutineState,
    EdgeState,
    EndpointState,
    MachineState,
    SessionState,
)
from troth.conformance.pipeline import Pipeline
from troth.conformance.tables import describe_state
from troth.conformance.world import Edge, Session, World
from troth.vm.errors import Malformed, Place, Unusable
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items
from troth.vm.records import Kind

SESSIONS_SHOWN_MAX: Final = 100
COROUTINES_SHOWN_MAX: Final = 100
IN_FLIGHT_SHOWN_MAX: Final = 8


class _Holders:
    """Who holds which endpoint, guard and unanswered call."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.endpoints: dict[tuple[int, int], int] = {}
        self.guards: dict[int, int] = {}
        self.calls: dict[bytes, tuple[int, int]] = {}
        self._carried: dict[tuple[int, int, int, int], list[tuple[int, int]]] = {}
        self.last: RawRecord | None = None
        self.said = ""

    def watch(self, record: RawRecord) -> None:
        self.last = record
        items = record.items
        match items[0]:
            case Kind.OPEN:
                number = self._world.sessions_opened - 1
                session = self._world.sessions.get(number)
                peers = frozenset[int]() if session is None else session.peers
                for role in range(len(items[3])):
                    if role not in peers:
                        self.endpoints[number, role] = items[8]
            case Kind.TRANSFER:
                self.endpoints[items[1], items[2]] = items[4]
            case Kind.SEND:
                self._send(items)
            case Kind.RECEIVE:
                self._receive(items)
            case Kind.STATUS:
                self._status(items)
            case Kind.ACQUIRE:
                self.guards[items[2]] = items[1]
            case Kind.RELEASE:
                self.guards.pop(items[2], None)
            case Kind.INVOKE:
                self.calls[items[3]] = (items[1], items[2])
            case Kind.COMPLETE:
                self.calls.pop(items[1], None)
            case Kind.HALT | Kind.FAULT:
                self._end(items[1])

    def _send(self, items: Items) -> None:
        edge = self._world.edge
        carried = [] if edge is None else edge.carried.get(edge.config.position(edge.sent - 1), ())
        if carried:
            inside = [(session.index, role) for session, role in carried]
            self._carried[items[1], items[2], items[3], items[7]] = inside
            for endpoint in inside:
                self.endpoints.pop(endpoint, None)

    def _receive(self, items: Items) -> None:
        inside = self._carried.pop((items[1], items[3], items[2], items[5]), ())
        taker = self.endpoints.get((items[1], items[2]))
        for endpoint in inside:
            if taker is not None:
                self.endpoints[endpoint] = taker

    def _status(self, items: Items) -> None:
        """An ended session's endpoints are nobody's concern any more."""
        if items[1] not in self._world.sessions:
            for endpoint in [one for one in self.endpoints if one[0] == items[1]]:
                del self.endpoints[endpoint]

    def _end(self, coroutine: int) -> None:
        for endpoint in [one for one, holder in self.endpoints.items() if holder == coroutine]:
            del self.endpoints[endpoint]
        for guard in [one for one, holder in self.guards.items() if holder == coroutine]:
            del self.guards[guard]


def state_at(stream: BinaryIO, record: int, file: str, *, only: int | None = None) -> MachineState:
    """The state after record number `record`; with `only`, of that session alone.

    Raises:
        Unusable: codes `show.record`, `show.session`, `artifact.io`.
        Malformed: the file makes no sense before it.
    """
    pipeline = Pipeline(stream, pins=None, with_fragment=False)
    world = pipeline.world
    holders = _Holders(world)
    pipeline.until(record, holders.watch)
    last = holders.last
    if last is None or last.index != record:
        raise _not_there(pipeline, record, last, file)
    if only is not None and only not in world.sessions:
        raise Unusable(
            "show.session",
            f"session {only} is not alive after record {record}",
            place=Place(file=file),
            expected=", ".join(map(str, islice(world.sessions, 8))) or "no session: none is alive",
            actual=str(only),
            advice="`troth inspect --events` shows which sessions open and end where",
        )
    numbers = [only] if only is not None else list(world.sessions)
    coroutines = [] if only is not None else list(world.coroutines)
    found = pipeline.findings
    return MachineState(
        file=file,
        record=record,
        offset=last.offset,
        said=describe(last, world).removeprefix(f"{record} "),
        contradicted=f"{found[0].code}: {found[0].message}" if found else None,
        now_ns=world.now_ns,
        ended=_ended(world),
        sessions=tuple(
            _session(world.sessions[number], holders) for number in numbers[:SESSIONS_SHOWN_MAX]
        ),
        sessions_more=max(0, len(numbers) - SESSIONS_SHOWN_MAX),
        coroutines=tuple(
            _coroutine(number, world, holders) for number in coroutines[:COROUTINES_SHOWN_MAX]
        ),
        coroutines_more=max(0, len(coroutines) - COROUTINES_SHOWN_MAX),
    )


def _not_there(
    pipeline: Pipeline, record: int, last: RawRecord | None, file: str
) -> Malformed | Unusable:
    findings = [one for one in pipeline.findings if not one.code.startswith("incomplete.")]
    if pipeline.stopped and findings:
        stopping = findings[-1]
        return Malformed(
            stopping.code,
            f"the file makes no sense before record {record}: {stopping.message}",
            place=Place(file=file, offset=stopping.offset, record=stopping.record),
            expected=stopping.expected,
            actual=stopping.actual,
            advice="Verify the artifact to learn what is wrong with it",
        )
    there = "no record" if last is None else f"records 0 to {last.index}"
    return Unusable(
        "show.record",
        f"the artifact has no record {record}",
        place=Place(file=file),
        expected=there,
        actual=str(record),
        advice="`troth inspect --events` lists the records with their numbers",
    )


def _ended(world: World) -> tuple[tuple[str, int], ...]:
    tally = world.tally
    counts = (
        ("closed", tally.closed),
        ("cancelled", tally.cancelled),
        ("faulted", tally.faulted),
    )
    return tuple((name, count) for name, count in counts if count)


def _session(session: Session, holders: _Holders) -> SessionState:
    return SessionState(
        number=session.index,
        id=session.id.hex(),
        protocol=session.protocol.name,
        status=session.status.name.lower(),
        endpoints=tuple(
            _endpoint(session, role, holders) for role in range(len(session.protocol.roles))
        ),
        edges=tuple(_edge(edge) for edge in session.edges.values()),
    )


def _endpoint(session: Session, role: int, holders: _Holders) -> EndpointState:
    tables = session.protocol.tables
    position = None
    elsewhere = role in session.peers
    crashed = session.departures is not None and role in session.departures.gone
    if tables is not None and not session.skip and not elsewhere:
        position = describe_state(tables, role, session.states[role])
    return EndpointState(
        role=session.protocol.roles[role],
        signer=session.signers[role].name,
        holder=holders.endpoints.get((session.index, role)),
        in_message=role in session.in_transit and not crashed,
        noticed=session.noticed[role],
        crashed=crashed,
        position=position,
        elsewhere=elsewhere,
    )


def _edge(edge: Edge) -> EdgeState:
    labels = edge.session.protocol.labels
    oldest = islice(edge.in_flight, IN_FLIGHT_SHOWN_MAX)
    sent, received, waiting = edge.sent, edge.received, len(edge.in_flight)
    if edge.inbound:
        sent = edge.arrived
    elif edge.outbound:
        received, waiting = edge.acknowledged, edge.sent - edge.acknowledged
    return EdgeState(
        edge=str(edge),
        sent=sent,
        received=received,
        waiting=waiting,
        capacity=edge.config.capacity,
        in_flight=tuple(f"#{sequence} {labels[label]}" for _, sequence, label, _ in oldest),
    )


def _coroutine(number: int, world: World, holders: _Holders) -> CoroutineState:
    names = Names(world)
    return CoroutineState(
        number=number,
        program=names.program(world.coroutines[number].program),
        endpoints=tuple(
            f"{session}.{names.role(session, role)}"
            for (session, role), holder in holders.endpoints.items()
            if holder == number and session in world.sessions
        ),
        guards=tuple(
            names.guard(guard) for guard, holder in holders.guards.items() if holder == number
        ),
        waits_for=tuple(
            names.effect(effect) for caller, effect in holders.calls.values() if caller == number
        ),
    )
