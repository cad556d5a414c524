"""Collects a view while its file is verified: each record is seen once and then forgotten.

Nothing about a record is believed beyond its shape: level 1 may have refused it. What is kept
is bounded by the limits of `report_model`, however long the file is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from troth.conformance.describe import Names, kind_name, payload_words, words
from troth.conformance.report_counters import Counters
from troth.conformance.report_curves import CurveCollector
from troth.conformance.report_facts import facts_of
from troth.conformance.report_model import ROWS_MAX, SESSIONS_MAX, TEXT_BYTES_MAX, Rows, View
from troth.conformance.report_rows import OTHER, SHAPES, Fields, RowShape, RowWriter
from troth.conformance.report_texts import Texts
from troth.conformance.report_types import ProtocolParts
from troth.conformance.verdict import Verdict
from troth.conformance.world import World
from troth.vm.errors import TrothError
from troth.vm.escape import escape
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items
from troth.vm.records import Kind

PAYLOADS_KNOWN_MAX: Final = 10_000
"""Payloads whose text is looked up instead of made again."""


_MESSAGES: Final = frozenset((int(Kind.SEND), int(Kind.ARRIVE)))


class Collector:
    """To be given to `verify_stream` as its observer; `view` afterwards."""

    def __init__(self, *, rows_max: int = ROWS_MAX, text_bytes_max: int = TEXT_BYTES_MAX) -> None:
        self._rows_max = rows_max
        self._writer = RowWriter()
        self._texts = Texts(text_bytes_max)
        self._codes: dict[str, int] = {}
        self._payloads: dict[bytes, int] = {}
        self._seen = 0
        self._counters = Counters()
        self._kinds: dict[int, RowShape] = {}
        self._curves = CurveCollector()
        self._world: World | None = None

    def __call__(self, record: RawRecord, world: World) -> None:
        self._world = world
        self._seen += 1
        items = record.items
        kind = items[0]
        shape = SHAPES.get(kind, OTHER)
        fields = shape.extract(items)
        if kind == Kind.OPEN:
            fields = Fields(self._counters.open(items, world))
        else:
            self._counters.take(kind, items)
        if kind in _MESSAGES:
            self._curves.take(fields.content)
        if self._writer.count < self._rows_max:
            self._kinds.setdefault(kind, shape)
            self._write(record, shape, fields, world)

    def _write(self, record: RawRecord, shape: RowShape, fields: Fields, world: World) -> None:
        items = record.items
        code = self._codes.setdefault(fields.code, len(self._codes)) if fields.code else 0
        if items[0] in _MESSAGES:
            text = self._payload(fields.content)
        elif "t" in shape.letters:
            text = self._texts.number(_said(items, fields, world))
        else:
            text = 0
        self._writer.write(items[0], record.offset, shape.letters, fields, code, text)

    def _payload(self, payload: bytes | None) -> int:
        if payload is None:
            return self._texts.number(payload_words(None))
        known = self._payloads.get(payload)
        if known is None:
            known = self._texts.number(payload_words(payload))
            if len(self._payloads) < PAYLOADS_KNOWN_MAX:
                self._payloads[payload] = known
        return known

    def view(self, verdict: Verdict, name: str) -> View:
        """Everything collected, with what came of verifying it; `name` is shown for it."""
        world = self._world or World()
        parts = ProtocolParts(world.protocols)
        counters = self._counters
        return View(
            name=escape(name),
            verdict=verdict,
            facts=facts_of(verdict, world),
            principals=tuple(
                escape(one.name) or f"principal {one.index}" for one in world.principals
            ),
            protocols=parts.protocols,
            sessions=counters.sessions(),
            sessions_seen=counters.opened,
            edges=counters.edges(),
            rows=self._rows(),
            left_out=(*self._left_out(), *parts.left_out),
            curves=self._curves.curves(),
        )

    def _rows(self) -> Rows:
        return Rows(
            data=bytes(self._writer.data),
            count=self._writer.count,
            seen=self._seen,
            shapes={kind: shape.letters for kind, shape in self._kinds.items()},
            kinds=_kinds(self._kinds),
            texts=tuple(self._texts.kept),
            codes=tuple(escape(code) for code in self._codes),
        )

    def _left_out(self) -> list[str]:
        found = []
        if self._seen > self._writer.count:
            found.append(
                f"Records after the first {self._writer.count:,} of {self._seen:,}: they were "
                "verified and counted, but are not shown one by one."
            )
        if self._texts.is_full:
            found.append("Some texts of records: a page holds only so much of them.")
        if self._counters.opened > SESSIONS_MAX:
            found.append(
                f"Sessions after the first {SESSIONS_MAX:,} of {self._counters.opened:,} have no "
                "line of their own; their edges are counted by protocol."
            )
        if self._counters.is_cut:
            found.append("Edges: there are too many to count each.")
        return found


def _kinds(shapes: Mapping[int, RowShape]) -> Mapping[int, tuple[str, str]]:
    return {kind: (kind_name(kind), shape.group) for kind, shape in shapes.items()}


def _said(items: Items, fields: Fields, world: World) -> str:
    """What `describe` says, without the session, which the row has a place of its own for."""
    names = Names(world)
    try:
        said = words(items, names)
    except (IndexError, KeyError, TypeError, ValueError, TrothError):
        # Level 1 has refused this record, which names what is not there.
        return "(cannot be read)"
    if fields.session >= 0:
        said = said.removeprefix(names.session(fields.session)).removeprefix(": ")
    return said.strip()
