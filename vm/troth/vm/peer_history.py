"""What a resumed machine has to know of the others: whom it met, and what it may have to repeat.

Whatever was said before the stop may not have been heard. So all of it is said again that no
receipt covers; the others know what they have heard, and take nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from troth.vm import events as ev
from troth.vm.envelope import HeadEnvelope, MessageEnvelope, Outgoing, RotateEnvelope
from troth.vm.events import Event, Status
from troth.vm.statements import child_nonce
from troth.vm.turn import Meeting

PRUNE_EVERY: Final = 4096
"""So many things said, and what is covered by receipts is forgotten."""

ENDED_KEPT: Final = 1024
"""Ended sessions whose last words are said again."""


class Met(NamedTuple):
    """A session that was opened with others: its meeting, and (role, key, nonce) of theirs.

    Of a bundle they meet once; `plays` says then which role of the session each of them plays.
    """

    meeting: Meeting
    parties: tuple[tuple[str, bytes, bytes], ...]
    plays: tuple[tuple[str, str], ...] = ()

    def routes(self, known: Mapping[str, bytes]) -> dict[str, bytes]:
        """The party of each role of the session, of those that are known by the meeting's roles."""
        if not self.plays:
            return dict(known)
        return {role: known[player] for player, role in self.plays if player in known}

    @property
    def roles(self) -> frozenset[str]:
        """The roles of the session that the others hold."""
        if self.plays:
            return frozenset(role for _, role in self.plays)
        return frozenset(row[0] for row in self.parties)

    def child(self, row: ev.ChildRow) -> Met:
        """What it means for one session of the bundle."""
        others = {party[0] for party in self.parties}
        pairs = zip(row.players, row.roles, strict=True)
        return self._replace(plays=tuple(pair for pair in pairs if pair[0] in others))


class PeerHistory:
    """Give it everything that happens while the recorded part is run again.

    Attributes:
        asked: meetings that nobody has answered, by coroutine.
        sessions: sessions with others, by id.
        said: what may not have been heard, in order.
    """

    def __init__(self) -> None:
        self.asked: dict[bytes, Meeting] = {}
        self.sessions: dict[bytes, Met] = {}
        self.said: list[Outgoing] = []
        self._opening: dict[bytes, Met] = {}
        self._awaited: dict[bytes, Met] = {}
        self._taken: dict[tuple[bytes, str, str], int] = {}
        self._forgotten: dict[tuple[bytes, str, str], int] = {}
        self._generation: dict[tuple[bytes, str, str], int] = {}
        self._rotate: dict[tuple[bytes, str, str], int] = {}
        self._ended: dict[bytes, None] = {}
        self._pruned_to = 0

    def take(
        self, events: Iterable[Event], meetings: Iterable[Meeting], said: Iterable[Outgoing]
    ) -> None:
        self.asked.update((meeting.coroutine, meeting) for meeting in meetings)
        for event in events:
            self._take(event)
        self.said += (outgoing for outgoing in said if not outgoing.lossy)
        if len(self.said) - self._pruned_to >= PRUNE_EVERY:
            self.prune()

    def _take(self, event: Event) -> None:
        match event:
            case ev.Met():
                self._opening[event.coroutine] = Met(self.asked.pop(event.coroutine), event.parties)
            case ev.BundleOpened() if event.coroutine in self._opening:
                met = self._opening.pop(event.coroutine)
                children = [(row, met.child(row)) for row in event.children]
                self._awaited = {
                    child_nonce(event.bundle, row.name): child
                    for row, child in children
                    if child.plays
                }
            case ev.Opened() if event.nonce in self._awaited:
                self._opened(event, self._awaited.pop(event.nonce))
            case ev.Opened() if event.coroutine in self._opening:
                self._opened(event, self._opening.pop(event.coroutine))
            case ev.PeerReceipted():
                key = event.session, event.sender, event.role
                lossy = key in self._forgotten
                self._generation[key] = event.generation
                self._taken[key] = event.reliable if lossy else event.consumed + event.discarded
            case ev.StatusChanged() if event.status >= Status.CLOSED:
                self._end(event.session)

    def _opened(self, event: ev.Opened, met: Met) -> None:
        self.sessions[event.session] = met
        for edge in event.edges:
            key = event.session, edge.sender, edge.receiver
            self._rotate[key] = edge.rotate
            if edge.lossy:
                self._forgotten[key] = 0

    def _end(self, session: bytes) -> None:
        self._ended[session] = None
        if len(self._ended) > ENDED_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self.sessions.pop(oldest, None)

    def prune(self) -> None:
        """Forgets what has been heard."""
        self._forget_lossy()
        self.said = [outgoing for outgoing in self.said if self._is_due(outgoing)]
        self._pruned_to = len(self.said)
        live = self.sessions.keys() - self._ended.keys()
        self._taken = {edge: n for edge, n in self._taken.items() if edge[0] in live}
        self._rotate = {edge: n for edge, n in self._rotate.items() if edge[0] in live}
        self._forgotten = {edge: n for edge, n in self._forgotten.items() if edge[0] in live}
        self._generation = {edge: n for edge, n in self._generation.items() if edge[0] in live}

    def _forget_lossy(self) -> None:
        """On edges that may lose messages, receipts count those apart that may not be lost."""
        kept = []
        for outgoing in self.said:
            envelope = outgoing.envelope
            if isinstance(envelope, MessageEnvelope):
                edge = outgoing.session, envelope.sender, envelope.receiver
                forgotten = self._forgotten.get(edge)
                if forgotten is not None and forgotten < self._taken.get(edge, 0):
                    self._forgotten[edge] = forgotten + 1
                    continue
            kept.append(outgoing)
        self.said = kept

    def _is_due(self, outgoing: Outgoing) -> bool:
        session, envelope = outgoing.session, outgoing.envelope
        if session not in self.sessions:
            return False
        if isinstance(envelope, MessageEnvelope):
            edge = session, envelope.sender, envelope.receiver
            # Receipts count the messages of all generations together.
            index = envelope.generation * self._rotate.get(edge, 0) + envelope.sequence
            heard = edge not in self._forgotten and index < self._taken.get(edge, 0)
            return session not in self._ended and not heard
        if isinstance(envelope, RotateEnvelope):
            edge = session, envelope.role, envelope.receiver
            if edge in self._forgotten:
                # Its receiver signs for every generation that it has retired.
                heard = envelope.generation < self._generation.get(edge, 0)
                return session not in self._ended and not heard
            sent = (envelope.generation + 1) * envelope.messages
            return session not in self._ended and sent >= self._taken.get(edge, 0)
        return session not in self._ended or not isinstance(envelope, HeadEnvelope)
