"""What is in an artifact, at a glance. Only its structure is checked; `verify` does the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final

from troth.conformance.describe import describe
from troth.conformance.divergence import Divergence
from troth.conformance.protocols import ProtocolSource
from troth.conformance.report_counters import Counters
from troth.conformance.structure import Structure
from troth.conformance.world import World
from troth.vm.errors import LimitExceeded, Malformed
from troth.vm.escape import escape
from troth.vm.events import Status
from troth.vm.keys import VerifierKey
from troth.vm.lifecycle import LIVE
from troth.vm.reader import ArtifactReader, RawRecord
from troth.vm.records import Kind

LISTED_MAX: Final = 50
"""Sessions, edges, prints and faults listed one by one; more are only counted."""


@dataclass(slots=True)
class SessionSummary:
    """One session, as far as it is recorded."""

    number: int
    id: bytes
    protocol: str
    parties: tuple[str, ...]
    status: Status = Status.ACTIVE
    detail: str = ""
    sent: int = 0
    received: int = 0
    undelivered: int = 0


class Inspection:
    """Reads one artifact; `on_event` gets one line a record. `broken` says why it stopped."""

    def __init__(self, stream: BinaryIO, on_event: Callable[[str], None] | None = None) -> None:
        self.world = World()
        self.kinds: Counter[Kind] = Counter()
        self.sessions: dict[int, SessionSummary] = {}
        self.prints: list[str] = []
        self.faults: list[str] = []
        self.seal_sizes: dict[int, int] = {}
        self.statuses: Counter[Status] = Counter()
        self.image_bytes = 0
        self.broken: str | None = None
        self.counters = Counters()
        self._on_event = on_event
        self._reader = ArtifactReader(stream)
        self._handlers = Structure(self.world, ProtocolSource(None)).handlers()
        self._read()

    @property
    def bytes(self) -> int:
        return self._reader.offset

    def _read(self) -> None:
        try:
            for record in self._reader:
                self.world.record = record
                self._take(record)
        except Divergence as error:
            record = self.world.record
            self.broken = f"record {record.index} at byte {record.offset}: {error.message}"
        except (Malformed, LimitExceeded) as error:
            self.broken = str(error)
        if self._reader.torn is not None:
            self.broken = f"the file stops at byte {self.bytes}: {self._reader.torn.reason}"

    def _take(self, record: RawRecord) -> None:
        items = record.items
        kind = Kind(items[0])
        self._handlers[kind](items)
        self.kinds[kind] += 1
        if self._on_event is not None:
            self._on_event(escape(describe(record, self.world), characters_max=400))
        self._count(kind, record)

    def _count(self, kind: Kind, record: RawRecord) -> None:
        items = record.items
        if kind is Kind.OPEN:
            self.counters.open(items, self.world)
            self._opened()
            return
        self.counters.take(kind, items)
        if kind is Kind.STATUS:
            self._status(items[1], Status(items[2]), items[4])
        elif kind is Kind.IMAGE:
            self.image_bytes = len(items[1])
        elif kind is Kind.PRINT and len(self.prints) < LISTED_MAX:
            self.prints.append(items[2])
        elif kind is Kind.FAULT and len(self.faults) < LISTED_MAX:
            self.faults.append(describe(record, self.world))
        elif kind is Kind.SEAL:
            self.seal_sizes[items[1]] = items[2]
        elif kind in (Kind.SEND, Kind.ARRIVE, Kind.RECEIVE, Kind.UNDELIVERED):
            summary = self.sessions.get(items[1])
            if summary is not None:
                summary.sent += kind is not Kind.RECEIVE and kind is not Kind.UNDELIVERED
                summary.received += kind is Kind.RECEIVE
                summary.undelivered += kind is Kind.UNDELIVERED

    def _opened(self) -> None:
        session = self.world.session
        assert session is not None
        self.statuses[Status.ACTIVE] += 1
        if session.index < LISTED_MAX:
            parties = tuple(
                f"{role} by {signer.name or f'principal {signer.index}'}"
                f"{' at another machine' if number in session.peers else ''}"
                for number, (role, signer) in enumerate(
                    zip(session.protocol.roles, session.signers, strict=True)
                )
            )
            self.sessions[session.index] = SessionSummary(
                session.index, session.id, session.protocol.name, parties
            )

    def _status(self, number: int, status: Status, detail: str) -> None:
        session = self.world.sessions[number]
        if status not in LIVE:
            self.statuses[Status.ACTIVE] -= 1
            self.statuses[status] += 1
            del self.world.sessions[number]
            del self.world.sessions_by_id[session.id]
        summary = self.sessions.get(number)
        if summary is not None:
            summary.status, summary.detail = status, detail


def to_text(inspection: Inspection, file: str) -> str:
    """Several lines for people; everything from the file is escaped."""
    world, kinds = inspection.world, inspection.kinds
    lines = [f"{escape(file)}: {inspection.bytes} bytes, {sum(kinds.values())} records"]
    if inspection.broken is not None:
        lines.append(f"stopped early: {escape(inspection.broken, characters_max=400)}")
    lines += _header(inspection)
    lines.append(f"principals: {len(world.principals)}")
    for principal in world.principals[:LISTED_MAX]:
        key = VerifierKey(principal.name, principal.key).text
        sealed = inspection.seal_sizes.get(principal.index, 0)
        where = f"{sealed} leaves sealed" if principal.here else "held by another machine"
        lines.append(f"  {escape(key)}, {where}")
    lines.append(f"protocols: {len(world.protocols)}")
    for entry in world.protocols[:LISTED_MAX]:
        roles = escape(", ".join(entry.roles))
        lines.append(f"  {escape(entry.name)}({roles}) id {entry.id.hex()}")
    lines += _sessions(inspection)
    lines += _edges(inspection)
    lines += _rest(inspection)
    return "\n".join(lines)


def _entry(entry: int | None) -> str:
    if entry is None:
        return "no program: Python code played the roles of this machine"
    return f"entry program {entry}"


def _header(inspection: Inspection) -> list[str]:
    header = inspection.world.header
    if header is None:
        return []
    size = inspection.image_bytes
    image = f"in the file, {size} bytes" if size else "not in the file"
    overrides = [
        f"{name} = {escape(value)}"
        for name, value in (("replay", header.replay), ("seal", header.seal))
        if value is not None
    ]
    home = []
    if header.home is not None:
        home = [f"roles of this machine: {escape(', '.join(header.home[:LISTED_MAX])) or 'none'}"]
    if header.observed is not None:
        home += [f"observed roles: {escape(', '.join(header.observed[:LISTED_MAX]))}"]
    return [
        f"format {header.version}, runner {escape(header.runner)}, policy "
        f"{escape(header.policy)}, quantum {header.quantum}",
        f"image {header.image_id.hex()} ({image})",
        f"seed {header.seed.hex()}, {_entry(header.entry)}",
        f"overrides: {', '.join(overrides) or 'none'}",
        f"recorded at {header.anchor_unix_ns} ns of Unix time, as its recorder claims",
        *home,
    ]


def _sessions(inspection: Inspection) -> list[str]:
    counted = [
        f"{inspection.statuses[status]} {'open' if status in LIVE else status.name.lower()}"
        for status in Status
        if inspection.statuses[status]
    ]
    opened = inspection.world.sessions_opened
    lines = [f"sessions: {opened}{' (' + ', '.join(counted) + ')' if counted else ''}"]
    for summary in inspection.sessions.values():
        detail = f": {escape(summary.detail)}" if summary.detail else ""
        lines.append(
            f"  {summary.number} {escape(summary.protocol)} {summary.status.name.lower()}{detail}, "
            f"{summary.sent} sent, {summary.received} received, "
            f"{summary.undelivered} undelivered"
        )
        lines.append(f"    id {summary.id.hex()}, {escape(', '.join(summary.parties))}")
    if opened > len(inspection.sessions):
        lines.append(f"  and {opened - len(inspection.sessions)} more")
    return lines


def _edges(inspection: Inspection) -> list[str]:
    """What each edge of each protocol carried, in all sessions together."""
    found = inspection.counters.by_protocol()
    lines = [f"edges: {len(found)}"]
    for edge in found[:LISTED_MAX]:
        entry = inspection.world.protocols[edge.protocol]
        ends = f"{entry.name}: {entry.roles[edge.sender]} -> {entry.roles[edge.receiver]}"
        parts = [f"{edge.sent} sent", f"{edge.received} received"]
        parts += [
            f"{count} {word}"
            for count, word in (
                (edge.undelivered, "undelivered"),
                (edge.rejected, "rejected"),
                (edge.overwritten, "overwritten"),
                (edge.in_flight, "in flight"),
            )
            if count
        ]
        lines.append(f"  {escape(ends)} {', '.join(parts)}")
    if len(found) > LISTED_MAX:
        lines.append(f"  and {len(found) - LISTED_MAX} more")
    return lines


def _rest(inspection: Inspection) -> list[str]:
    world, kinds = inspection.world, inspection.kinds
    lines = [
        f"coroutines: {kinds[Kind.SPAWN]}, delegations: {kinds[Kind.DELEGATE]}, "
        f"effects: {kinds[Kind.INVOKE]}, seals: {kinds[Kind.SEAL]}"
    ]
    if kinds[Kind.MEET]:
        lines.append(
            f"with other machines: {kinds[Kind.MEET]} meetings, {kinds[Kind.ARRIVE]} messages "
            f"arrived, {kinds[Kind.REFUSE]} refused, {kinds[Kind.PEER_RECEIPT]} receipts and "
            f"{kinds[Kind.PEER_HEAD]} heads of theirs"
        )
    if kinds[Kind.ACQUIRE]:
        lines.append(f"guards: {kinds[Kind.ACQUIRE]} acquired, {kinds[Kind.RELEASE]} released")
    printed = kinds[Kind.PRINT]
    lines.append(f"printed: {printed} line{'' if printed == 1 else 's'}")
    lines += [f"  {escape(text)}" for text in inspection.prints]
    lines.append(f"faults: {kinds[Kind.FAULT]}")
    lines += [f"  {escape(text, characters_max=400)}" for text in inspection.faults]
    if world.incarnations:
        lines.append(f"resumed after a stop: {world.incarnations}")
    if world.outcome is None:
        lines.append("no end record")
    else:
        lines.append(f"ended after {world.round} rounds: {escape(world.outcome)}")
    return lines
