"""Turns a machine's events into the bytes of an artifact.

The recorder appends every record (`record_items` makes them) to the log of the principal that
owns it, and has each principal sign its log's head after every `SEAL_EVERY_LEAVES` new leaves,
at the end of a commit, and at the end of the file.
It holds the log frontiers, the live names and the bytes nobody has taken yet, so its memory
grows with what is alive at once and not with the length of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgpack

from troth.vm import statements
from troth.vm.covered import statement_of
from troth.vm.envelope import HeadEnvelope
from troth.vm.errors import InternalError, LimitExceeded, Place
from troth.vm.events import Event, Proof, Resumed, Sent
from troth.vm.evidence import Position, Sealed
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import RECORD_BYTES_MAX
from troth.vm.merkle import EMPTY_ROOT, Frontier
from troth.vm.merkle_recent import RecentTree
from troth.vm.record_items import EventRecords, Items, SessionNames
from troth.vm.records import FORMAT_VERSION, MAGIC, SEAL_EVERY_LEAVES, Kind
from troth.vm.signer import Roster, Signer

PACKER_BYTES: Final = 4096
"""The buffer in which a record is packed at first; it grows with longer ones. Whoever records
thousands of small runs at once has as many of them."""


class HeaderFacts(NamedTuple):
    """What a run is a function of, besides the keys.

    `limits` are in the order of `Limits`; `home` are the roles that the machine holds, None for
    all. `entry` is None when no program ran, and the host itself played these roles. `observed`
    are the roles that were watched and not played; None for none.
    """

    image_id: bytes
    seed: bytes
    quantum: int
    policy: str
    limits: tuple[int, ...]
    runner: str
    replay: ReplayMode | None
    seal: Seal | None
    entry: int | None
    anchor_unix_ns: int
    home: tuple[str, ...] | None = None
    observed: tuple[str, ...] | None = None


class _Log:
    """One principal's log; the key is set when the principal is first named."""

    __slots__ = ("due", "frontier", "key", "log_id", "previous_root", "seal_at", "to_prove")

    def __init__(self, seal_at: int) -> None:
        self.frontier: Frontier = Frontier()
        self.key = b""
        self.log_id = b""
        self.previous_root = EMPTY_ROOT
        self.seal_at = seal_at
        self.due = False
        self.to_prove: list[tuple[Position, int, int]] = []

    def prove_later(self, position: Position, number: int) -> None:
        """The newest leaf, of record `number`, is a message for another machine."""
        self.to_prove.append((position, number, self.frontier.size - 1))

    def provable(self) -> None:
        """From the next leaf on, leaves can be proved."""
        if not isinstance(self.frontier, RecentTree):
            self.frontier = RecentTree(self.frontier)


class Recorder(EventRecords):
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
        super().__init__(roster)
        self._signer = signer
        self._seal_every = seal_every
        packer = msgpack.Packer(autoreset=True, buf_size=PACKER_BYTES)
        self._pack: Callable[[object], bytes] = packer.pack
        self._pieces: list[bytes] = [MAGIC]
        self._pending_bytes = len(MAGIC)
        self._records = 0
        # Log 0 exists before its principal does: it takes what comes before any session.
        self._machine_log = _Log(seal_every)
        self._logs: dict[bytes, _Log] = {}
        self._header = b""
        self._proofs: dict[Position, Sealed] = {}
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
        for log in self._logs.values():
            if log.due or log.frontier.size >= log.seal_at:
                self._seal(log, round_number)

    def proofs(self) -> dict[Position, Sealed]:
        """See `evidence.Evidence`."""
        proofs, self._proofs = self._proofs, {}
        return proofs

    def take_bytes(self) -> bytes:
        """The bytes since the last call, to be appended to the file."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self._pending_bytes = 0
        return taken

    def resumed(self, incarnation: int, round_number: int, anchor_unix_ns: int) -> None:
        """Records that the run goes on after it had stopped."""
        self.extend([Resumed(incarnation, round_number, anchor_unix_ns)], round_number)

    def session_id(self, number: int) -> bytes:
        """The id of the live session that the record names by this number; b"" for none."""
        names = self._sessions
        return next((known for known in names if names[known].number == number), b"")

    def finish(self, rounds: int, outcome: str) -> None:
        """Writes the END record and every principal's last seal. Nothing may follow."""
        self._machine_owned((Kind.END, rounds, self._records, outcome))
        for log in self._logs.values():
            self._seal(log, rounds, final=True)

    # --- writing ---------------------------------------------------------------------------

    def _put(self, log: _Log, record: bytes, covered: bytes | None) -> None:
        """Writes a record, with a leaf in the log for what is `covered`, if anything is."""
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
        if covered is not None:
            log.frontier.append_record(self._records, covered)
        self._records += 1

    def _append(self, log: _Log, items: Items) -> bytes:
        record = self._pack(items)
        self._put(log, record, record)
        return record

    def _machine_owned(self, items: Items) -> None:
        self._append(self._machine_log, items)

    def _principal_owned(self, principal: bytes, items: Items) -> None:
        record = self._pack(items)
        self._put(self._log_of(principal), record, record)

    def _log_of(self, principal: bytes) -> _Log:
        try:
            return self._logs[principal]
        except KeyError:
            raise InternalError("an event names a signer of no open session") from None

    def _stated(self, principal: bytes, session: SessionNames, items: Items, event: Event) -> None:
        """Records something signed: its leaf covers the statement, so redaction breaks nothing."""
        log = self._log_of(principal)
        statement = statement_of(event)
        assert statement is not None, "what is stated has a statement"
        if not session.round_sealed:
            self._put(log, self._pack(items), statement)
            return
        log.due = True
        if session.peers:
            log.provable()
        number = self._records
        self._put(log, self._pack(items), statement)
        if session.peers and type(event) is Sent and event.receiver in session.peers:
            log.prove_later(
                (event.session, event.sender, event.receiver, event.generation, event.sequence),
                number,
            )

    def _covered(self, principal: bytes, items: Items, cover: bytes) -> None:
        self._put(self._log_of(principal), self._pack(items), cover)

    def _introduce(self, principal: bytes, items: Items) -> None:
        log = _Log(self._seal_every) if self._logs else self._machine_log
        log.key = principal
        log.log_id = statements.log_id(self._header, principal)
        self._logs[principal] = log
        self._append(log, items)

    def _write_beginning(self, header: HeaderFacts, image: bytes | None) -> None:
        items = (Kind.HEADER, FORMAT_VERSION, *header)
        self._header = self._append(self._machine_log, items)
        if image is not None:
            self._machine_owned((Kind.IMAGE, image))

    def _seal(self, log: _Log, round_number: int, *, final: bool = False) -> None:
        root = log.frontier.root
        size = log.frontier.size
        open_now = len(self._sessions)
        ended = self._sessions_count - open_now
        head = (size, root, log.previous_root, round_number, open_now, ended, final)
        statement = statements.head_statement(log.log_id, *head)
        signature = self._signer.sign(log.key, statement)
        record = self._pack((Kind.SEAL, self._principals[log.key], *head, signature))
        self._put(log, record, None)
        if isinstance(log.frontier, RecentTree):
            self._prove(log, log.frontier, HeadEnvelope(log.key, log.log_id, *head, signature))
        log.previous_root = root
        log.seal_at = size + self._seal_every
        log.due = False

    def _prove(self, log: _Log, tree: RecentTree, head: HeadEnvelope) -> None:
        for position, number, index in log.to_prove:
            path = b"".join(tree.inclusion_path(index))
            self._proofs[position] = Sealed(head, Proof(head.size, number, index, path))
        log.to_prove.clear()
        tree.mark()
