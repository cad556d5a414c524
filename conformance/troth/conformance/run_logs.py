"""The leaves and heads of an artifact's logs, as one pass over it meets them.

Each head is checked against the leaves before it: what is proved from here is never more than
what the file holds. Everything else about the file is for `verify`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from troth.conformance.event_proof import leaf_of
from troth.conformance.heads import Head
from troth.conformance.leaf_path import LeafPath
from troth.vm import statements
from troth.vm.covered import statement_of
from troth.vm.errors import Malformed, Place
from troth.vm.events import Delegated, Event
from troth.vm.reader import ArtifactReader, RawRecord
from troth.vm.record_events import EventDecoder
from troth.vm.records import SIGNER_OWNED, Kind

_NOBODY_YET: Final = b""


class RunLog:
    """One principal's log so far. `head` is the last one that it signed, with its signature."""

    __slots__ = ("head", "head_path", "key", "log_id", "name", "path", "signature")

    def __init__(self, name: str, key: bytes, log_id: bytes, path: LeafPath) -> None:
        self.name = name
        self.key = key
        self.log_id = log_id
        self.path = path
        self.head: Head | None = None
        self.head_path: tuple[bytes, ...] = ()
        self.signature = b""


class Leaf(NamedTuple):
    """One record with the log that it is a leaf of; `event` is what it records."""

    record: RawRecord
    event: Event | None
    covered: bytes
    log: LeafPath


class RunLogs:
    """Iterate over it once; the logs are as far then as the file goes.

    Attributes:
        logs: by public key, in the order of the file. A principal of another machine has none.
        torn: the file stops early.
    """

    def __init__(self, stream: BinaryIO, marked: int | None = None) -> None:
        """`marked` is the number of the record of which a proof is wanted."""
        self.logs: dict[bytes, RunLog] = {}
        self.torn = False
        self._reader = ArtifactReader(stream)
        self._decoder = EventDecoder()
        self._marked = marked
        self._machine = LeafPath()
        self._header = b""
        self._numbered: list[RunLog | None] = []

    def __iter__(self) -> Iterator[Leaf]:
        """
        Raises:
            Malformed, LimitExceeded: the file is not an artifact, or a head is not of its log.
            Unusable: code `artifact.io`.
        """
        for record in self._reader:
            kind = record.items[0]
            if kind == Kind.SEAL:
                self._seal(record)
                continue
            if kind == Kind.HEADER:
                self._header = record.data
            event = self._decoder.decode(record)
            path = self._path_of(record, event)
            covered = statement_of(event) or record.data
            marked = record.index == self._marked
            path.append(leaf_of(record.index, covered), marked=marked)
            yield Leaf(record, event, covered, path)
        self.torn = self._reader.torn is not None

    def _path_of(self, record: RawRecord, event: Event | None) -> LeafPath:
        kind = Kind(record.items[0])
        if kind is Kind.PRINCIPAL:
            return self._introduce(record)
        if kind is Kind.PEER:
            self._numbered.append(None)
        owner = _NOBODY_YET
        if kind in SIGNER_OWNED:
            owner = event.old if isinstance(event, Delegated) else getattr(event, "signer", b"")
        if owner == _NOBODY_YET:
            return self._machine
        return self.logs[owner].path

    def _introduce(self, record: RawRecord) -> LeafPath:
        _, name, key = record.items
        if key in self.logs:
            raise _wrong(record, "the file introduces one principal twice")
        path = LeafPath() if self.logs else self._machine
        log = RunLog(name, key, statements.log_id(self._header, key), path)
        self.logs[key] = log
        self._numbered.append(log)
        return path

    def _seal(self, record: RawRecord) -> None:
        _, number, *items, signature = record.items
        log = self._numbered[number] if number < len(self._numbered) else None
        if log is None:
            raise _wrong(record, "the seal is of no principal of the file")
        head = Head(log.log_id, *items)
        root, path = log.path.head()
        if (head.size, head.root) != (log.path.size, root):
            raise _wrong(record, "the seal is not of the log as it is here")
        log.head, log.head_path, log.signature = head, path, signature


def _wrong(record: RawRecord, message: str) -> Malformed:
    return Malformed(
        "prove.artifact",
        message,
        place=Place(offset=record.offset, record=record.index),
        advice="Verify the artifact to learn what is wrong with it",
    )
