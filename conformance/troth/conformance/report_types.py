"""The protocols of a view: what they ask of each role, as states and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from troth.conformance.report_model import (
    NAME_BYTES_MAX,
    PICTURED_MAX,
    PICTURES_MAX,
    PROTOCOLS_MAX,
    STATES_MAX,
    LocalType,
    Move,
    Picture,
    Protocol,
    State,
)
from troth.conformance.world import ProtocolEntry
from troth.dsl.picture_layout import Drawing, layout
from troth.dsl.picture_strokes import start_of, strokes
from troth.vm import types
from troth.vm.errors import LimitExceeded
from troth.vm.escape import escape
from troth.vm.local_text import message


class ProtocolParts:
    """Makes the parts of all protocols within the limits; `left_out` says what did not fit."""

    def __init__(self, entries: Sequence[ProtocolEntry]) -> None:
        self.left_out: list[str] = []
        self._names_left = NAME_BYTES_MAX
        self._states_left = STATES_MAX
        self._pictures_left = PICTURES_MAX
        self.protocols = tuple(map(self._protocol, entries[:PROTOCOLS_MAX]))
        if len(entries) > PROTOCOLS_MAX:
            self.left_out.append(f"Protocols after the first {PROTOCOLS_MAX} are not named.")
        if self._names_left < 0:
            self.left_out.append("Some names of roles and labels: there are too many.")

    def _protocol(self, entry: ProtocolEntry) -> Protocol:
        local_types: tuple[LocalType, ...] = ()
        if entry.tables is not None:
            protocol = entry.tables.protocol
            size = sum(map(_size, protocol.local_types))
            if size <= self._states_left:
                self._states_left -= size
                labels = {label: place for place, label in enumerate(entry.labels)}
                local_types = tuple(self._local(local, labels) for local in protocol.local_types)
            else:
                self.left_out.append(
                    f"Local types of {escape(entry.name)}: a page holds {STATES_MAX:,} states "
                    "and branches."
                )
        return Protocol(
            name=escape(entry.name),
            id=entry.id.hex(),
            roles=self._names(entry.roles),
            labels=self._names(entry.labels),
            local_types=local_types,
        )

    def _names(self, names: Sequence[str]) -> tuple[str, ...]:
        """The first of them, as far as there is room; the page shows the others as numbers."""
        kept: list[str] = []
        for name in names:
            shown = escape(name)
            self._names_left -= len(shown.encode()) + 3
            if self._names_left < 0:
                break
            kept.append(shown)
        return tuple(kept)

    def _local(self, local: types.LocalType, labels: Mapping[str, int]) -> LocalType:
        states = tuple(
            State(
                kind=state.kind.value,
                peer=escape(state.peer),
                moves=tuple(
                    Move(
                        labels.get(move.label, -1),
                        move.next,
                        escape(message(move.label, move.fields, move.lossy)),
                    )
                    for move in state.transitions
                ),
            )
            for state in local.states
        )
        return LocalType(states, self._picture(local))

    def _picture(self, local: types.LocalType) -> Picture | None:
        if _size(local) > PICTURED_MAX or self._pictures_left == 0:
            return None
        self._pictures_left -= 1
        try:
            return _picture(layout(local, ""))
        except LimitExceeded:
            # Too wide to be read as a picture: the page lists its states instead.
            return None


def _size(local: types.LocalType) -> int:
    return len(local.states) + sum(len(state.transitions) for state in local.states)


def _picture(drawing: Drawing) -> Picture:
    starts = [(start.dot.x, start.dot.y, start.path, start.head) for start in start_of(drawing)]
    return Picture(
        width=round(drawing.width, 1),
        height=round(drawing.height, 1),
        states=tuple(
            (
                box.number,
                round(box.centre.x, 1),
                round(box.centre.y, 1),
                round(box.flat, 1),
                box.is_end,
            )
            for box in drawing.states
        ),
        texts=tuple(
            (
                tuple(escape(line) for line in text.lines),
                round(text.centre.x - text.width / 2, 1),
                round(text.centre.y - text.height / 2, 1),
                round(text.width, 1),
                round(text.height, 1),
                text.is_send,
            )
            for text in drawing.texts
        ),
        strokes=tuple((stroke.path, stroke.head, stroke.is_send) for stroke in strokes(drawing)),
        start=starts[0] if starts else None,
    )
