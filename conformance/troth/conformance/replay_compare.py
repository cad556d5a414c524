"""Compares every event of a re-execution with the file, in the moment it happens.

An event becomes the record that a run would have written, and that has to be the next record of
the file, item by item. What a program cannot know comes from the file itself: signatures and
salts, which levels 2 and 3 have checked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Self

from troth.conformance.divergence import Divergence
from troth.conformance.replay_ahead import KEY_FAULT, RECOMPUTED, Ahead, RecordedSigner
from troth.conformance.replay_meter import COROUTINE_BYTES, REGISTER_BYTES, Meter
from troth.conformance.replay_words import compared
from troth.conformance.world import ProtocolEntry, Session, World
from troth.vm import events as ev
from troth.vm.coroutine import Coroutine
from troth.vm.events import Event
from troth.vm.image import Image
from troth.vm.lifecycle import LIVE
from troth.vm.reader import RawRecord
from troth.vm.record_items import EventRecords, Items, SessionNames
from troth.vm.records import Kind

CONTEXT_RECORDS: Final = 3


class EventSink(list[Event]):
    """Takes the place of a machine's list of events: passes each on and stays empty."""

    def __init__(self, take: Callable[[Event], None]) -> None:
        super().__init__()
        self._take = take

    def append(self, event: Event) -> None:
        self._take(event)

    def __iadd__(self, events: Iterable[Event]) -> Self:  # type: ignore[override, misc]
        for event in events:
            self._take(event)
        return self


class Comparison(EventRecords):
    """Give it every event with `write`.

    Attributes:
        record: the last record that was compared.
        sessions: by number the ids of live sessions and the numbers of their protocols.
        effects: by id the effects that were asked for and not answered.
    """

    def __init__(
        self, ahead: Ahead, signer: RecordedSigner, world: World, image: Image, meter: Meter
    ) -> None:
        super().__init__(signer)
        self.record: RawRecord | None = None
        self.sessions: dict[int, tuple[bytes, int]] = {}
        self.effects: dict[bytes, int] = {}
        self._signers: dict[int, list[bytes]] = {}
        self._ahead = ahead
        self._signer = signer
        self._world = world
        self._image = image
        self._meter = meter
        self._per_record = meter.budget.work_per_record
        self._before: deque[RawRecord] = deque(maxlen=CONTEXT_RECORDS + 1)

    def number_of(self, coroutine: Coroutine) -> int | None:
        """The coroutine's number in the file; None when the file has not introduced it."""
        return self._coroutines.get(coroutine.id)

    def id_of(self, number: int) -> bytes:
        """The id of a coroutine by its number in the file; b"" when it has ended."""
        found = (identity for identity, known in self._coroutines.items() if known == number)
        return next(found, b"")

    def signer_of(self, session: int, role: int) -> bytes:
        """Who signs for a role of a live session, as far as the program has come."""
        return self._signers[session][role]

    def protocol_of(self, session: int) -> ProtocolEntry | None:
        """The protocol of a live session, by its number in the file."""
        known = self.sessions.get(session)
        return None if known is None else self._world.protocols[known[1]]

    def view(self) -> World:
        """What is alive where the program is: the file has been read further than that."""
        view = World()
        view.image = self._world.image
        view.principals, view.protocols = self._world.principals, self._world.protocols
        for number, (identity, protocol) in self.sessions.items():
            entry = self._world.protocols[protocol]
            view.sessions[number] = Session(number, identity, entry, [], 0)
        return view

    def context(self, record: RawRecord) -> tuple[RawRecord, ...]:
        """The records before one that was compared last or comes next."""
        before = [one for one in self._before if one.index < record.index]
        return tuple(before[-CONTEXT_RECORDS:])

    def next_record(self) -> RawRecord:
        """Takes the next record of the file as the one that is compared now."""
        record = self.record = self._ahead.take()
        self._before.append(record)
        self._meter.left += self._per_record
        return record

    # --- records -----------------------------------------------------------------------------

    def _machine_owned(self, items: Items) -> None:
        self._compare(items)

    def _principal_owned(self, principal: bytes, items: Items) -> None:  # noqa: ARG002
        self._compare(items)

    def _stated(
        self,
        principal: bytes,  # noqa: ARG002 - level 2 knows whose log it is
        session: SessionNames,  # noqa: ARG002
        items: Items,
        event: Event,  # noqa: ARG002
    ) -> None:
        self._compare(items)

    def _covered(self, principal: bytes, items: Items, cover: bytes) -> None:  # noqa: ARG002
        self._compare(items)

    def _introduce(self, principal: bytes, items: Items) -> None:  # noqa: ARG002
        self._compare(items)

    def _compare(self, items: Items) -> None:
        record = self.record = self._ahead.take()
        self._before.append(record)
        self._meter.left += self._per_record
        if record.items != items and not self._means_the_same(record.items, items):
            raise self.differs(record, items)

    def _means_the_same(self, recorded: Items, items: Items) -> bool:
        if recorded[0] != items[0]:
            return False
        if items[0] == Kind.SEND and recorded[9] is None and items[9] is not None:
            # The payload was taken out of the file; the salt stands for the commitment.
            return recorded == (*items[:8], None, None, items[8], *items[11:])
        if items[0] == Kind.FAULT and items[2] == KEY_FAULT and self._signer.refused:
            # What the host said about its keys is its own word, an input like the refusal.
            self._signer.refused = False
            return recorded == (*items[:3], recorded[3], *items[4:])
        return False

    def differs(self, record: RawRecord, items: Items) -> Divergence:
        """The program does something else than the file says."""
        view = self.view()
        return Divergence(
            "replay.divergence",
            "running the image again does something else here than the file says",
            expected=compared(record.index, items, record.items, view),
            expected_side=RECOMPUTED,
            actual=compared(record.index, record.items, items, view),
        )

    # --- events that mean more -----------------------------------------------------------------

    def _opened(self, event: ev.Opened) -> None:
        super()._opened(event)
        protocol = self._protocols[event.protocol_id, event.protocol].number
        number = self._sessions[event.session].number
        self.sessions[number] = (event.session, protocol)
        self._signers[number] = list(event.principals)

    def _peer_delegated(self, event: ev.PeerDelegated) -> None:
        session = self._session(event.session)
        self._signers[session.number][session.roles[event.role]] = event.new
        super()._peer_delegated(event)

    def _status_changed(self, event: ev.StatusChanged) -> None:
        number = self._session(event.session).number
        super()._status_changed(event)
        if event.status not in LIVE:
            self.sessions.pop(number, None)
            self._signers.pop(number, None)

    def _spawned(self, event: ev.Spawned) -> None:
        assert event.program is not None, "only programs are run again"
        registers = self._image.programs[event.program].register_count
        self._meter.made(COROUTINE_BYTES + REGISTER_BYTES * registers)
        super()._spawned(event)

    def _invoked(self, event: ev.Invoked) -> None:
        self.effects[event.effect_id] = event.effect
        super()._invoked(event)

    def _completed(self, event: ev.Completed) -> None:
        self._meter.made(_DECODED * len(event.result))
        super()._completed(event)


_DECODED: Final = 16
"""How many bytes the value behind a byte of its encoding may take."""
