"""Turns a machine's events into the bytes of an artifact.

The recorder interns names (`records` says how), appends every record to the log of the
principal that owns it, and has each principal sign its log's head after every
`SEAL_EVERY_LEAVES` new leaves, at the end of a commit, and at the end of the file.
It holds the log frontiers, the live names and the bytes nobody has taken yet, so its memory
grows with what is alive at once and not with the length of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgpack

from troth.vm import events as ev
from troth.vm import statements
from troth.vm.errors import InternalError, LimitExceeded, Place
from troth.vm.events import Event, Status
from troth.vm.instructions import PayloadForm, ReplayMode, Seal
from troth.vm.limits import RECORD_BYTES_MAX
from troth.vm.merkle import EMPTY_ROOT, Frontier
from troth.vm.records import FORMAT_VERSION, MAGIC, SEAL_EVERY_LEAVES, Kind
from troth.vm.signer import Roster, Signer

ENDED_SESSIONS_KEPT: Final = 1 << 14
"""How many ended sessions a late event (a fault of somebody who waited) can still name."""

_FINAL: Final = frozenset({Status.CLOSED, Status.CANCELLED, Status.FAULTED})


class HeaderFacts(NamedTuple):
    """What a run is a function of, besides the keys. `limits` are in the order of `Limits`."""

    image_id: bytes
    seed: bytes
    quantum: int
    policy: str
    limits: tuple[int, ...]
    runner: str
    replay: ReplayMode | None
    seal: Seal | None
    entry: int
    anchor_unix_ns: int


class _ProtocolNames(NamedTuple):
    number: int
    roles: dict[str, int]
    labels: dict[str, int]


class _Session(NamedTuple):
    number: int
    roles: dict[str, int]
    labels: dict[str, int]
    digest_edges: frozenset[tuple[str, str]]
    """Edges whose payloads stay out of the artifact."""
    round_sealed: bool
    """Its statements carry no signatures: the head at the end of the round covers them."""


class _Log:
    """One principal's log; the key is set when the principal is first named."""

    __slots__ = ("due", "frontier", "key", "log_id", "previous_root", "seal_at")

    def __init__(self, seal_at: int) -> None:
        self.frontier = Frontier()
        self.key = b""
        self.log_id = b""
        self.previous_root = EMPTY_ROOT
        self.seal_at = seal_at
        self.due = False


class Recorder:
    """Feed it with `extend`, collect bytes with `take_bytes`, end with `finish`."""

    def __init__(
        self,
        header: HeaderFacts,
        image: bytes | None,
        signer: Signer,
        roster: Roster,
        *,
        seal_every: int = SEAL_EVERY_LEAVES,
    ) -> None:
        """`image` None leaves the image out: the artifact then only names it."""
        self._signer = signer
        self._roster = roster
        self._seal_every = seal_every
        self._pack: Callable[[object], bytes] = msgpack.Packer(autoreset=True).pack
        self._pieces: list[bytes] = [MAGIC]
        self._pending_bytes = len(MAGIC)
        self._records = 0
        # Log 0 exists before its principal does: it takes what comes before any session.
        self._machine_log = _Log(seal_every)
        self._logs: list[_Log] = []
        self._principals: dict[bytes, tuple[int, _Log]] = {}
        self._protocols: dict[tuple[bytes, str], _ProtocolNames] = {}
        self._sessions: dict[bytes, _Session] = {}
        self._ended: dict[bytes, _Session] = {}
        self._coroutines: dict[bytes, int] = {}
        self._sessions_count = 0
        self._coroutines_count = 0
        self._header = b""
        self._writers = self._table()
        self._write_beginning(header, image)

    @property
    def pending_bytes(self) -> int:
        """How many bytes `take_bytes` would return."""
        return self._pending_bytes

    def extend(self, events: Sequence[Event], round_number: int) -> None:
        """Records one commit: what happened in round `round_number`, in order.

        Raises:
            LimitExceeded: code `artifact.limit`, for a record above `RECORD_BYTES_MAX`.
        """
        writers = self._writers
        for event in events:
            writers[type(event)](event)
        for log in self._logs:
            if log.due or log.frontier.size >= log.seal_at:
                self._seal(log, round_number)

    def take_bytes(self) -> bytes:
        """The bytes since the last call, to be appended to the file."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self._pending_bytes = 0
        return taken

    def finish(self, rounds: int, outcome: str) -> None:
        """Writes the END record and every principal's last seal. Nothing may follow."""
        self._machine_owned((Kind.END, rounds, self._records, outcome))
        for log in self._logs:
            self._seal(log, rounds)

    # --- writing ---------------------------------------------------------------------------

    def _put(self, record: bytes) -> None:
        if len(record) > RECORD_BYTES_MAX:
            raise LimitExceeded(
                "artifact.limit",
                "this record is too long for an artifact",
                place=Place(record=self._records),
                expected=f"at most {RECORD_BYTES_MAX} bytes (RECORD_BYTES_MAX)",
                actual=f"{len(record)} bytes",
                advice="Move less in one step, or pass large content by reference, as a blob",
            )
        self._pieces.append(record)
        self._pending_bytes += len(record)
        self._records += 1

    def _append(self, log: _Log, items: tuple[object, ...]) -> bytes:
        record = self._pack(items)
        number = self._records
        self._put(record)
        log.frontier.append(number.to_bytes(8, "big") + record)
        return record

    def _machine_owned(self, items: tuple[object, ...]) -> bytes:
        return self._append(self._machine_log, items)

    def _log_of(self, principal: bytes) -> _Log:
        try:
            return self._principals[principal][1]
        except KeyError:
            raise InternalError("an event names a signer of no open session") from None

    def _stated(
        self, principal: bytes, session: _Session, items: tuple[object, ...], statement: bytes
    ) -> None:
        """Records something signed: its leaf covers the statement, so redaction breaks nothing."""
        log = self._log_of(principal)
        log.due = log.due or session.round_sealed
        number = self._records
        self._put(self._pack(items))
        log.frontier.append(number.to_bytes(8, "big") + statement)

    def _write_beginning(self, header: HeaderFacts, image: bytes | None) -> None:
        items = (Kind.HEADER, FORMAT_VERSION, *header)
        self._header = self._machine_owned(items)
        if image is not None:
            self._machine_owned((Kind.IMAGE, image))

    def _seal(self, log: _Log, round_number: int) -> None:
        root = log.frontier.root
        size = log.frontier.size
        open_now = len(self._sessions)
        ended = self._sessions_count - open_now
        statement = statements.head_statement(
            log.log_id, size, root, log.previous_root, round_number, open_now, ended
        )
        index = self._principals[log.key][0]
        signature = self._signer.sign(log.key, statement)
        head = (index, size, root, log.previous_root, round_number, open_now, ended, signature)
        self._put(self._pack((Kind.SEAL, *head)))
        log.previous_root = root
        log.seal_at = size + self._seal_every
        log.due = False

    # --- names -----------------------------------------------------------------------------

    def _principal(self, key: bytes) -> int:
        """The principal's index; names it in the file when it is new."""
        known = self._principals.get(key)
        if known is not None:
            return known[0]
        index = len(self._logs)
        log = _Log(self._seal_every) if self._logs else self._machine_log
        log.key = key
        log.log_id = statements.log_id(self._header, key)
        self._logs.append(log)
        self._principals[key] = (index, log)
        self._append(log, (Kind.PRINCIPAL, self._roster.name_of(key), key))
        return index

    def _protocol(self, event: ev.Opened) -> _ProtocolNames:
        known = self._protocols.get((event.protocol_id, event.protocol))
        if known is not None:
            return known
        names = _ProtocolNames(
            len(self._protocols),
            {role: i for i, role in enumerate(event.roles)},
            {label: i for i, label in enumerate(event.labels)},
        )
        self._protocols[event.protocol_id, event.protocol] = names
        self._machine_owned(
            (Kind.PROTOCOL, event.protocol_id, event.protocol, event.roles, event.labels)
        )
        return names

    def _session(self, session: bytes) -> _Session:
        known = self._sessions.get(session) or self._ended.get(session)
        if known is None:
            raise InternalError("an event names a session that is not open")
        return known

    def _coroutine(self, coroutine: bytes) -> int:
        try:
            return self._coroutines[coroutine]
        except KeyError:
            raise InternalError("an event names a coroutine that does not run") from None

    # --- one method per event --------------------------------------------------------------

    def _table(self) -> dict[type, Callable[..., None]]:
        return {
            ev.Opened: self._opened,
            ev.Sent: self._sent,
            ev.Received: self._received,
            ev.Delegated: self._delegated,
            ev.Noticed: self._noticed,
            ev.Receipted: self._receipted,
            ev.StatusChanged: self._status_changed,
            ev.Undelivered: self._undelivered,
            ev.Rejected: self._rejected,
            ev.Cancelled: self._cancelled,
            ev.Faulted: self._faulted,
            ev.Spawned: self._spawned,
            ev.Transferred: self._transferred,
            ev.Halted: self._halted,
            ev.Printed: self._printed,
            ev.Invoked: self._invoked,
            ev.Completed: self._completed,
            ev.TimeSet: self._time_set,
        }

    def _opened(self, event: ev.Opened) -> None:
        principals = tuple(self._principal(key) for key in event.principals)
        protocol = self._protocol(event)
        roles = protocol.roles
        edges = tuple((roles[e.sender], roles[e.receiver], *e[2:]) for e in event.edges)
        self._machine_owned(
            (
                Kind.OPEN,
                event.session,
                protocol.number,
                principals,
                edges,
                event.seal,
                event.linger_ns,
                event.nonce,
                self._coroutine(event.coroutine),
            )
        )
        hidden = frozenset(
            (e.sender, e.receiver) for e in event.edges if e.payload == PayloadForm.DIGEST
        )
        self._sessions[event.session] = _Session(
            self._sessions_count, roles, protocol.labels, hidden, event.seal == Seal.ROUND
        )
        self._sessions_count += 1

    def _sent(self, event: ev.Sent) -> None:
        session = self._session(event.session)
        roles = session.roles
        sender, receiver = event.sender, event.receiver
        form: tuple[bytes | None, bytes | None, bytes | None] = (event.salt, event.payload, None)
        if session.digest_edges and (sender, receiver) in session.digest_edges:
            form = (None, None, event.commitment)
        self._stated(
            event.signer,
            session,
            (
                Kind.SEND,
                session.number,
                roles[sender],
                roles[receiver],
                event.kind,
                session.labels[event.label],
                event.generation,
                event.sequence,
                *form,
                event.signature,
            ),
            statements.message_statement(
                event.session,
                sender,
                receiver,
                event.kind,
                event.label,
                event.generation,
                event.sequence,
                event.commitment,
            ),
        )

    def _received(self, event: ev.Received) -> None:
        session = self._session(event.session)
        roles = session.roles
        self._append(
            self._log_of(event.signer),
            (
                Kind.RECEIVE,
                session.number,
                roles[event.receiver],
                roles[event.sender],
                event.generation,
                event.sequence,
                event.root,
            ),
        )

    def _delegated(self, event: ev.Delegated) -> None:
        session = self._session(event.session)
        new = self._principal(event.new)
        role = session.roles[event.role]
        self._stated(
            event.old,
            session,
            (Kind.DELEGATE, session.number, role, new, event.signature),
            statements.delegation_statement(event.session, event.role, event.old, event.new),
        )

    def _noticed(self, event: ev.Noticed) -> None:
        session = self._session(event.session)
        roles = session.roles
        finals = tuple((roles[peer], *counts) for peer, *counts in event.finals)
        role = roles[event.role]
        self._stated(
            event.signer,
            session,
            (Kind.NOTICE, session.number, role, finals, event.signature),
            statements.notice_statement(event.session, event.role, event.finals),
        )

    def _receipted(self, event: ev.Receipted) -> None:
        session = self._session(event.session)
        role, sender = session.roles[event.role], session.roles[event.sender]
        head = (Kind.RECEIPT, session.number, role, sender)
        self._stated(
            event.signer,
            session,
            head + tuple(event[3:8]),
            statements.receipt_statement(*event[:7]),
        )

    def _status_changed(self, event: ev.StatusChanged) -> None:
        session = self._session(event.session)
        status = event.status
        self._machine_owned((Kind.STATUS, session.number, status, event.epoch, event.detail))
        if status in _FINAL and self._sessions.pop(event.session, None) is not None:
            self._ended[event.session] = session
            if len(self._ended) > ENDED_SESSIONS_KEPT:
                del self._ended[next(iter(self._ended))]

    def _undelivered(self, event: ev.Undelivered) -> None:
        session = self._session(event.session)
        sender, receiver = session.roles[event.sender], session.roles[event.receiver]
        position = (event.generation, event.sequence)
        self._machine_owned((Kind.UNDELIVERED, session.number, sender, receiver, *position))

    def _rejected(self, event: ev.Rejected) -> None:
        session = self._session(event.session)
        sender, receiver = session.roles[event.sender], session.roles[event.receiver]
        self._machine_owned(
            (Kind.REJECT, session.number, sender, receiver, event.code, event.digest)
        )

    def _cancelled(self, event: ev.Cancelled) -> None:
        session = self._session(event.session)
        if not event.role:
            items = (Kind.CANCEL, session.number, None, event.reason, event.round_number, b"")
            self._machine_owned(items)
            return
        role = session.roles[event.role]
        self._stated(
            event.signer,
            session,
            (Kind.CANCEL, session.number, role, event.reason, None, event.signature),
            statements.cancel_statement(event.session, event.role, event.reason),
        )

    def _faulted(self, event: ev.Faulted) -> None:
        session = self._sessions.get(event.session) or self._ended.get(event.session)
        place: tuple[int | None, int | None] = (None, None)
        if session is not None:
            place = (session.number, session.roles[event.role])
        coroutine = self._coroutine(event.coroutine)
        head = (Kind.FAULT, coroutine, event.code, event.message, event.program, event.pc)
        self._machine_owned((*head, *place))
        del self._coroutines[event.coroutine]

    def _spawned(self, event: ev.Spawned) -> None:
        parent = self._coroutine(event.parent) if event.parent else None
        self._machine_owned((Kind.SPAWN, parent, event.program, event.coroutine))
        self._coroutines[event.coroutine] = self._coroutines_count
        self._coroutines_count += 1

    def _transferred(self, event: ev.Transferred) -> None:
        session = self._session(event.session)
        source, target = self._coroutine(event.source), self._coroutine(event.target)
        role = session.roles[event.role]
        self._machine_owned((Kind.TRANSFER, session.number, role, source, target))

    def _halted(self, event: ev.Halted) -> None:
        self._machine_owned((Kind.HALT, self._coroutine(event.coroutine)))
        del self._coroutines[event.coroutine]

    def _printed(self, event: ev.Printed) -> None:
        self._machine_owned((Kind.PRINT, self._coroutine(event.coroutine), event.text))

    def _invoked(self, event: ev.Invoked) -> None:
        coroutine = self._coroutine(event.coroutine)
        arguments = event.arguments
        self._machine_owned((Kind.INVOKE, coroutine, event.effect, event.effect_id, arguments))

    def _completed(self, event: ev.Completed) -> None:
        self._machine_owned((Kind.COMPLETE, *event))

    def _time_set(self, event: ev.TimeSet) -> None:
        self._machine_owned((Kind.TIME, *event))
