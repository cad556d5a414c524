"""Feeds the records of one artifact through the levels and collects what diverges.

Each kind of record has a chain of handlers, one for each level that looks at it. A level that
refuses a record raises `Divergence`; the later levels still see the record, unless it was level
1, which means that nothing after it can be interpreted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Final, TypeAlias

from troth.conformance.codes import BY_CODE
from troth.conformance.consumption import ConsumptionLevel
from troth.conformance.describe import describe
from troth.conformance.divergence import Divergence
from troth.conformance.image_pin import ImagePin
from troth.conformance.integrity import Integrity
from troth.conformance.protocol import ProtocolLevel
from troth.conformance.protocols import Pins, ProtocolSource
from troth.conformance.replay import Replay
from troth.conformance.replay_meter import Budget
from troth.conformance.structure import Structure
from troth.conformance.verdict import Finding
from troth.conformance.world import World
from troth.vm.errors import LimitExceeded, Malformed, TrothError
from troth.vm.fragment import FragmentBuilder
from troth.vm.lifecycle import LIVE
from troth.vm.reader import ArtifactReader, RawRecord, UnsupportedVersion
from troth.vm.record_codec import Items
from troth.vm.record_events import EventDecoder
from troth.vm.records import Kind

FINDINGS_MAX: Final = 20
CONTEXT_RECORDS: Final = 3
"""How many records before a divergence are shown."""

Handler: TypeAlias = Callable[[Items], None]
Chain: TypeAlias = tuple[Handler, ...]

Observer: TypeAlias = Callable[[RawRecord, World], None]
"""Gets each record after levels 1 to 4 have looked at it, the one that stops them too."""


class Fragment:
    """Builds the canonical fragment on the way, as long as nothing has diverged."""

    def __init__(self) -> None:
        self._decoder = EventDecoder()
        self.builder = FragmentBuilder()

    def take(self, record: RawRecord) -> None:
        event = self._decoder.decode(record)
        if event is not None:
            self.builder.add(event)

    def digest(self) -> str:
        return self.builder.digest().hex()


class Pipeline:
    """Verifies one artifact; see the attributes afterwards.

    Attributes:
        stopped: the file could not be interpreted to its end.
        unsupported: it has another format version.
        torn: it ends inside of a record.
        bytes, records: how much of it was read.
        image_in_file: it holds the image itself.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        pins: Pins | None,
        with_fragment: bool,
        image: ImagePin | None = None,
        budget: Budget | None = None,
        observer: Observer | None = None,
    ) -> None:
        """With a `budget` the image is run again in step with the file (level 5)."""
        self.world = World()
        self.source = ProtocolSource(pins)
        self.findings: list[Finding] = []
        self.findings_cut = False
        self.stopped = False
        self.unsupported = False
        self.torn = False
        self.bytes = 0
        self.records = 0
        self.fragment = Fragment() if with_fragment else None
        self.replay: Replay | None = None
        if budget is not None:
            self.replay = Replay(self.world, self.findings, budget, with_fragment=with_fragment)
        self.image_in_file = False
        self._image = image
        self._observer = observer
        self._reader = ArtifactReader(stream)
        self._batch: Sequence[RawRecord] = ()
        """The records at hand, and with them the last few before."""
        levels: Sequence[Mapping[int, Handler]] = (
            Structure(self.world, self.source).handlers(),
            Integrity(self.world, self.source).handlers(),
            ConsumptionLevel(self.world).handlers(),
            ProtocolLevel(self.world, self.source).handlers(),
            {
                Kind.HEADER: self._pin,
                Kind.IMAGE: self._note_image,
                Kind.STATUS: self._forget,
                Kind.END: self._end,
            },
        )
        self._chains: dict[int, Chain] = {
            int(kind): tuple(level[kind] for level in levels if kind in level) for kind in Kind
        }

    def run(self) -> None:
        """Reads the file to its end, or to where it cannot be interpreted.

        Raises:
            Unusable: the file cannot be read.
        """
        with self._refusing():
            records = self._follow()
            if self.replay is not None:
                records = self._interpreted(records)
                self.replay.follow(records)
            # The rest of the file, or all of it, goes through the other levels alone.
            deque(records, maxlen=0)
        last = self.world.record
        self.bytes = last.offset + len(last.data) if last.data else self._reader.offset
        for session in self.world.sessions.values():
            self.world.tally.add_edges(session)
        if not self.stopped:
            self._check_complete()
        if self.replay is not None and self.fragment is not None and not self.findings:
            self.replay.compare_fragment(self.fragment.builder)

    def until(self, record: int, watch: Callable[[RawRecord], None]) -> None:
        """Follows the file up to and with that record, and hands each one to `watch`.

        Levels 1 to 4 look at it, and are as far as that afterwards; nothing is concluded.

        Raises:
            Unusable: the file cannot be read.
        """
        with self._refusing():
            for one in self._follow():
                watch(one)
                if one.index >= record:
                    break

    def _interpreted(self, records: Iterator[RawRecord]) -> Iterator[RawRecord]:
        """The records as far as the file makes sense: level 5 just sees where they end."""
        with self._refusing():
            yield from records

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Files what the reader refuses; nothing after it can be read."""
        try:
            yield
        except UnsupportedVersion as error:
            self.unsupported = True
            self._refused(error)
        except (Malformed, LimitExceeded) as error:
            self._refused(error)

    def _follow(self) -> Iterator[RawRecord]:
        """Each record after levels 1 to 4 have looked at it.

        Every record of a file goes through this loop: each step in it is paid for often.
        """
        world, chains, fragment = self.world, self._chains, self.fragment
        observer, followed = self._observer, None
        try:
            for batch in self._reader.batches():
                self._batch = (*self._batch[-CONTEXT_RECORDS:], *batch)
                for record in batch:
                    world.record = record
                    items = record[3]
                    chain = chains[items[0]]
                    try:
                        for handler in chain:
                            handler(items)
                    except Divergence as divergence:
                        # `handler` is the one that raised; those after it have their say, too.
                        rest = chain[chain.index(handler) + 1 :]
                        fragment = None
                        if not self._diverged(divergence, rest, items):
                            if observer is not None:
                                observer(record, world)
                            return
                    if observer is not None:
                        observer(record, world)
                    if fragment is not None:
                        fragment.take(record)
                    followed = record
                    yield record
        finally:
            self.records = 0 if followed is None else followed.index + 1

    # --- the file as a whole ---

    def _pin(self, items: Items) -> None:  # noqa: ARG002 - a handler
        if self._image is not None:
            self._image.apply(self.world, self.source)

    def _note_image(self, items: Items) -> None:  # noqa: ARG002 - a handler
        self.image_in_file = True

    def _end(self, items: Items) -> None:  # noqa: ARG002 - a handler
        """After the end, only the final seals may come."""
        for kind in Kind:
            if kind is not Kind.SEAL:
                self._chains[kind] = (_surplus,)

    def _forget(self, items: Items) -> None:  # noqa: ARG002 - a handler
        """An ended session leaves nothing behind."""
        session = self.world.session
        assert session is not None
        if session.status not in LIVE:
            self.world.tally.add_edges(session)
            del self.world.sessions[session.index]
            del self.world.sessions_by_id[session.id]

    def _check_complete(self) -> None:
        world = self.world
        torn = self._reader.torn
        code, message, expected = "", "", ""
        if torn is not None:
            self.torn = True
            code, message = "incomplete.torn", f"the file stops early: {torn.reason}"
            expected = "a whole record"
        elif not world.ended:
            code, message = "incomplete.end", "the file has no end record"
            expected = "an END record"
        elif world.final_seals < len(world.keepers):
            name = world.keepers[world.final_seals].name
            code, message = "incomplete.seals", f"the final seal of {name} is missing"
            expected = f"{len(world.keepers)} final seals"
        if code:
            self._add(
                Finding(
                    code=code,
                    message=message,
                    offset=self._reader.offset,
                    record=self.records,
                    expected=expected,
                    expected_side="format",
                    actual="the end of the file",
                    context=self._context(self.records),
                )
            )

    # --- findings ---

    def _refused(self, error: TrothError) -> None:
        """The reader refuses the bytes."""
        self.stopped = True
        place = error.place
        self._add(
            Finding(
                code=error.code if error.code in BY_CODE else "artifact.record",
                message=error.message,
                offset=self._reader.offset if place.offset is None else place.offset,
                record=self.records if place.record is None else place.record,
                expected=error.expected,
                expected_side="format",
                actual=error.actual,
                context=self._context(self.records),
            )
        )

    def _diverged(self, divergence: Divergence, rest: Chain, items: Items) -> bool:
        """Files the finding and lets the later levels go on; False when nothing can."""
        self._file(divergence)
        if BY_CODE[divergence.code].level == 1:
            self.stopped = True
            return False
        for number, handler in enumerate(rest):
            try:
                handler(items)
            except Divergence as another:
                return self._diverged(another, rest[number + 1 :], items)
        return not self.findings_cut

    def _file(self, divergence: Divergence) -> None:
        record = self.world.record
        session, edge = divergence.session, divergence.edge
        self._add(
            Finding(
                code=divergence.code,
                message=divergence.message,
                offset=record.offset,
                record=record.index,
                said=describe(record, self.world),
                session=None if session is None else session.name,
                edge=None if edge is None else str(edge),
                role=divergence.role,
                position=divergence.position,
                expected=divergence.expected,
                expected_side=divergence.expected_side,
                actual=divergence.actual,
                actual_side=divergence.actual_side,
                context=self._context(record.index),
            )
        )

    def _add(self, finding: Finding) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
        else:
            self.findings_cut = True
            self.stopped = True

    def _context(self, end: int) -> tuple[str, ...]:
        """The last records before the one at hand, or before the end of what can be read."""
        batch = self._batch
        if not batch:
            return ()
        before = batch[: max(0, end - batch[0].index)]
        return tuple(describe(record, self.world) for record in before[-CONTEXT_RECORDS:])


def _surplus(items: Items) -> None:
    raise Divergence(
        "structure.surplus",
        "only the final seals may follow the end record",
        expected="a SEAL record, or the end of the file",
        expected_side="format",
        actual=f"a {Kind(items[0]).name} record",
    )
