"""Level 1, what came from other machines: does every record name what is there?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from troth.conformance.refusals import (
    duplicate,
    known_word,
    no_edge,
    no_reference,
    not_elsewhere,
    not_here,
)
from troth.conformance.world import ROLES_STRIDE, Coroutine, Edge, Session, World
from troth.vm.events import ENDED_BY_HOST
from troth.vm.faults import FAULT_CODES
from troth.vm.record_codec import Items
from troth.vm.records import Kind

Handler: TypeAlias = Callable[[Items], None]

FAIL_CODES: Final = (*FAULT_CODES, ENDED_BY_HOST)
"""Why a machine ends a session that others hold too."""

REFUSE_CODES: Final = (
    "vm.fault.buffer",
    "vm.fault.label",
    "vm.fault.limit",
    "vm.fault.replay.duplicate",
    "vm.fault.replay.generation",
    "vm.fault.replay.sequence",
    "vm.fault.verification",
)
"""Why a message of another machine can be refused when it arrives."""


class PeerStructure:
    """The checks of level 1 on what other machines said, one method a kind."""

    def __init__(
        self, world: World, coroutine: Callable[[int], Coroutine], note_round: Callable[[int], None]
    ) -> None:
        """`note_round` checks the round of an input."""
        self.world = world
        self._coroutine = coroutine
        self._note_round = note_round

    def handlers(self) -> Mapping[int, Handler]:
        return {
            Kind.MEET: self.meet,
            Kind.JOIN: self.join,
            Kind.ARRIVE: self.arrive,
            Kind.REFUSE: self.refuse,
            Kind.PEER_HEAD: self.head,
            Kind.PEER_JOIN: self.peer_join,
            Kind.PEER_DELEGATE: self.delegate,
            Kind.PEER_NOTICE: self.notice,
            Kind.PEER_RECEIPT: self.receipt,
            Kind.PEER_ROTATE: self.rotate,
            Kind.PEER_CANCEL: self.said,
            Kind.PEER_FAIL: self.fail,
        }

    def meet(self, items: Items) -> None:
        _, number, parties, round_number = items
        self._note_round(round_number)
        coroutine = self._coroutine(number)
        if len({role for role, _, _ in parties}) < len(parties):
            raise duplicate("role of another machine", ", ".join(role for role, _, _ in parties))
        if coroutine.index in self.world.met:
            raise duplicate("meeting", f"coroutine {number}")
        self.world.met[coroutine.index] = parties

    def join(self, items: Items) -> None:
        session = self._session(items[1], items[2])
        if items[2] in session.peers or not session.nonces:
            raise not_here(session, items[2])
        self._join(session, items[2])

    def peer_join(self, items: Items) -> None:
        self.said(items)
        assert self.world.session is not None
        self._join(self.world.session, items[2])

    def _join(self, session: Session, role: int) -> None:
        if role in session.joined:
            raise duplicate("role of the session", session.protocol.roles[role])
        session.joined.add(role)

    def arrive(self, items: Items) -> None:
        edge = self._edge(items)
        if items[5] >= len(edge.session.protocol.labels):
            raise no_reference("there is no such label", "a label of the protocol", items[5])
        if items[9] is None:
            self.world.tally.withheld += 1
        self._note_round(items[-1])

    def refuse(self, items: Items) -> None:
        self._edge(items)
        known_word(items[4], REFUSE_CODES)
        self.world.tally.refused += 1
        self._note_round(items[-1])

    def rotate(self, items: Items) -> None:
        self._edge(items)
        self._note_round(items[-1])

    def _edge(self, items: Items) -> Edge:
        """For records that say session, sender, receiver: an edge that comes from elsewhere."""
        session = self._session(items[1], items[2])
        edge = session.edges.get(items[2] * ROLES_STRIDE + items[3])
        if edge is None:
            raise no_edge(session, items[2], items[3])
        if edge.elsewhere:
            raise not_here(session, items[3])
        if not edge.inbound:
            raise not_elsewhere(session, items[2])
        self.world.edge = edge
        return edge

    def head(self, items: Items) -> None:
        if items[1] >= len(self.world.principals):
            raise no_reference("there is no such principal", "a principal", items[1])
        self._note_round(items[-1])

    def said(self, items: Items) -> None:
        """For records that say session and role: a role of another machine."""
        session = self._session(items[1], items[2])
        if items[2] not in session.peers:
            raise not_elsewhere(session, items[2])
        self._note_round(items[-1])

    def delegate(self, items: Items) -> None:
        self.said(items)
        if items[3] >= len(self.world.principals):
            raise no_reference("there is no such principal", "a principal", items[3])

    def notice(self, items: Items) -> None:
        self.said(items)
        session = self.world.session
        assert session is not None
        for receiver, _, _ in items[3]:
            if items[2] * ROLES_STRIDE + receiver not in session.edges:
                raise no_edge(session, items[2], receiver)

    def receipt(self, items: Items) -> None:
        self.said(items)
        session = self.world.session
        assert session is not None
        edge = session.edges.get(items[3] * ROLES_STRIDE + items[2])
        if edge is None:
            raise no_edge(session, items[3], items[2])
        if not edge.outbound:
            raise not_here(session, items[3])
        self.world.edge = edge

    def fail(self, items: Items) -> None:
        self.said(items)
        known_word(items[3], FAIL_CODES)

    def _session(self, number: int, role: int) -> Session:
        world = self.world
        session = world.sessions.get(number)
        if session is None:
            opened = world.sessions_opened
            raise no_reference(
                "there is no such live session", f"one of {opened} that goes on", number
            )
        if role >= len(session.signers):
            raise no_reference("there is no such role", "a role of the protocol", role)
        world.session = session
        return session
