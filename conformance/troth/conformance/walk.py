"""Reads an artifact record by record with the names of what is alive; checks its structure only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from troth.conformance.divergence import Divergence
from troth.conformance.protocols import ProtocolSource
from troth.conformance.structure import Structure
from troth.conformance.world import World
from troth.vm.errors import Malformed, Place
from troth.vm.lifecycle import LIVE
from troth.vm.reader import ArtifactReader, RawRecord
from troth.vm.records import Kind


class Walk:
    """Iterate over it once. While a record is at hand, `world` knows what it is about.

    Attributes:
        torn: afterwards, whether the file stops inside of a record.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.world = World()
        self.torn = False
        self._reader = ArtifactReader(stream)
        self._handlers = Structure(self.world, ProtocolSource(None)).handlers()

    def __iter__(self) -> Iterator[RawRecord]:
        """
        Raises:
            Malformed, LimitExceeded: the file does not make sense from some record on.
            Unusable: code `artifact.io`.
        """
        world = self.world
        for record in self._reader:
            world.record = record
            kind = record.items[0]
            try:
                self._handlers[kind](record.items)
            except Divergence as error:
                raise Malformed(
                    error.code,
                    error.message,
                    place=Place(offset=record.offset, record=record.index),
                    expected=error.expected,
                    actual=error.actual,
                    advice="Verify the artifact to learn what is wrong with it",
                ) from error
            yield record
            if kind == Kind.STATUS:
                self._forget(record)
        self.torn = self._reader.torn is not None

    def _forget(self, record: RawRecord) -> None:
        """An ended session leaves nothing behind."""
        world, number = self.world, record.items[1]
        session = world.sessions[number]
        if session.status not in LIVE:
            del world.sessions[number]
            del world.sessions_by_id[session.id]
