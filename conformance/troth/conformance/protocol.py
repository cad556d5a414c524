"""Level 4: does every endpoint's trace follow its local type?

A session whose trace has diverged is not followed any further (`session.skip`), so that one
error does not cause the next. Delegation and the end of sessions have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from troth.conformance.closing import Closing, after_its_end
from troth.conformance.crashes import Crashes
from troth.conformance.delegation import Delegations
from troth.conformance.divergence import Divergence
from troth.conformance.guards import Guards
from troth.conformance.peers_closing import PeerClosing
from troth.conformance.protocols import ProtocolSource
from troth.conformance.tables import describe_state
from troth.conformance.timers import Timers
from troth.conformance.troubles import Troubles
from troth.conformance.world import Edge, Session, World
from troth.vm.codec import decode_payload
from troth.vm.errors import TrothError
from troth.vm.events import Status
from troth.vm.image import EdgeSettings
from troth.vm.instructions import ReplayMode
from troth.vm.record_codec import Items
from troth.vm.records import Kind
from troth.vm.types import Field

Handler: TypeAlias = Callable[[Items], None]

TYPE: Final = "local type"
_FIXABLE: Final = ("replay", "buffer", "capacity", "policy", "resize_max", "payload", "rotate")


class ProtocolLevel:
    """The checks of level 4 on what is said; see `closing` and `delegation` for the rest."""

    def __init__(self, world: World, source: ProtocolSource) -> None:
        self.world = world
        self.source = source
        self.delegations = Delegations(world)
        self.closing = Closing(world)
        self.guards = Guards(world)
        self.timers = Timers(world, self.delegations)
        self.troubles = Troubles(world, self.delegations)
        self.crashes = Crashes(world, self.delegations, self.closing)
        self.peers = PeerClosing(world, self.closing)

    def handlers(self) -> Mapping[int, Handler]:
        closing = self.closing
        return {
            **self.peers.handlers(),
            Kind.ARRIVE: self.arrive,
            Kind.OPEN: self.open,
            Kind.SEND: self.send,
            Kind.RECEIVE: self.receive,
            Kind.DELEGATE: self.delegations.delegate,
            Kind.TRANSFER: self.delegations.transfer,
            Kind.NOTICE: self.notice,
            Kind.RECEIPT: closing.receipt,
            Kind.ROTATE: closing.rotate,
            Kind.RETIRE: closing.rotate,
            Kind.TIMER: self.timers.start,
            Kind.EXPIRE: self.timers.expire,
            Kind.DEPART: self.crashes.depart,
            Kind.DETECT: self.detect,
            Kind.STATUS: self.status,
            Kind.UNDELIVERED: self.undelivered,
            Kind.OVERWRITE: closing.overwrite,
            Kind.DROP: self.drop,
            Kind.REJECT: self.reject,
            Kind.CANCEL: closing.cancel,
            Kind.ASK_END: closing.ask_end,
            Kind.TROUBLE: self.troubles.trouble,
            Kind.INVOKE: self.invoke,
            Kind.COMPLETE: self.complete,
            Kind.END: self.end,
            **self.guards.handlers(),
            Kind.FAULT: self.fault,
        }

    def open(self, items: Items) -> None:  # noqa: ARG002 - level 1 has read the record
        session = self.world.session
        assert session is not None
        protocol = session.protocol
        pins = self.source.pins
        if pins is not None and not self.source.is_pinned(protocol.id):
            session.skip = True
            raise Divergence(
                "protocol.pinned",
                f"the session follows {protocol.name}, which is not a protocol you pinned",
                expected=pins.describe() or "no protocol at all",
                expected_side="pinned by you",
                actual=f"{protocol.name} {protocol.id.hex()}",
                session=session,
            )
        if protocol.tables is None:
            return
        recorded = tuple((e.config.sender, e.config.receiver) for e in session.edges.values())
        if recorded != protocol.tables.edges:
            session.skip = True
            raise Divergence(
                "protocol.turn",
                "the session does not have the edges of its protocol",
                expected=_edges(protocol.tables.edges),
                expected_side="protocol",
                actual=_edges(recorded),
                session=session,
            )
        for edge in session.edges.values():
            self._check_settings(edge, protocol.tables.edge_settings)
            self._check_lossy(edge, protocol.tables.lossy)

    def _check_settings(self, edge: Edge, fixed: Mapping[tuple[str, str], EdgeSettings]) -> None:
        """What the protocol fixes for an edge holds, but for the run's own replay override."""
        settings = fixed.get((edge.config.sender, edge.config.receiver))
        header = self.world.header
        assert header is not None
        for name in _FIXABLE if settings is not None else ():
            wanted, found = getattr(settings, name), getattr(edge.config, name)
            if wanted is None or wanted == found or (name == "replay" and header.replay):
                continue
            if name == "rotate" and edge.config.replay != ReplayMode.NULLIFIER:
                continue
            edge.session.skip = True
            raise Divergence(
                "protocol.setting",
                f"the edge {edge} does not have the {name} that the protocol fixes",
                expected=f"{name} = {wanted}",
                expected_side="protocol",
                actual=f"{name} = {found}",
                edge=edge,
            )

    def _check_lossy(self, edge: Edge, lossy: Mapping[tuple[str, str], tuple[str, ...]]) -> None:
        wanted = lossy.get((edge.config.sender, edge.config.receiver), ())
        if edge.config.lossy != wanted:
            edge.session.skip = True
            raise Divergence(
                "protocol.setting",
                f"other messages of the edge {edge} may be lost than the protocol says",
                expected=", ".join(wanted) or "none",
                expected_side="protocol",
                actual=", ".join(edge.config.lossy) or "none",
                edge=edge,
            )

    def drop(self, items: Items) -> None:
        """The sender could have sent it, and is where it was."""
        edge = self.world.edge
        assert edge is not None
        session, sender = edge.session, items[2]
        self.world.session = session
        if session.skip:
            return
        if session.ending:
            raise after_its_end(session, sender)
        step = session.sends[sender][session.states[sender]].get(items[4])
        if step is None or step.peer != items[3]:
            raise self._out_of_turn("send", None)
        if session.in_transit and sender in session.in_transit:
            raise self.delegations.in_transit(session, sender)

    def send(self, items: Items) -> None:
        world = self.world
        session = world.session
        assert session is not None
        if session.skip:
            if world.handed:
                world.handed.clear()
            return
        sender = items[2]
        if session.ending:
            raise after_its_end(session, sender)
        if session.silent is not None:
            self.troubles.acts(session, sender)
        if session.departures is not None:
            self.crashes.settled(session)
        states = session.states
        step = session.sends[sender][states[sender]].get(items[5])
        if step is None or step.peer != items[3] or step.kind != items[4]:
            raise self._out_of_turn("send", items[4])
        if session.in_transit and sender in session.in_transit:
            raise self.delegations.in_transit(session, sender)
        payload = items[9]
        if payload is not None:
            try:
                endpoints = step.check(payload)
            except TrothError as error:
                raise self._wrong_payload(error.expected or error.message, error.actual) from error
            if len(payload) > world.limits.message_bytes_max:
                limit = f"at most {world.limits.message_bytes_max} bytes"
                raise self._wrong_payload(limit, f"{len(payload)} bytes")
            if endpoints or world.handed:
                self.delegations.carry(step, endpoints, hidden=False)
        elif step.carried or world.handed:
            self.delegations.carry(step, (), hidden=True)
        states[sender] = step.next
        if session.departures is not None:
            self.crashes.sent(self._at_edge())

    def _at_edge(self) -> Edge:
        edge = self.world.edge
        assert edge is not None
        return edge

    def _wrong_payload(self, expected: str, actual: str | None) -> Divergence:
        edge = self._diverged_edge()
        return Divergence(
            "protocol.payload",
            "the payload is not of the type that the protocol declares",
            expected=expected,
            expected_side=TYPE,
            actual=actual or "other bytes",
            edge=edge,
            role=edge.config.sender,
            position=self._position(edge.session, edge.sender),
        )

    def arrive(self, items: Items) -> None:  # noqa: ARG002 - levels 1 to 3 have read the record
        """Its sender's machine follows the sender's type; what is taken of it is judged later."""
        session = self.world.session
        assert session is not None
        if not session.skip and session.ending:
            raise after_its_end(session, None)
        edge = self._at_edge()
        if edge.parted and not session.skip:
            self.troubles.arrives(edge)

    def receive(self, items: Items) -> None:
        world = self.world
        session = world.session
        assert session is not None
        message = world.message
        if session.skip or message is None:
            return
        receiver = items[2]
        if session.ending:
            raise after_its_end(session, receiver)
        states = session.states
        step = session.receives[receiver][states[receiver]].get(message[2])
        if step is None or step.peer != items[3]:
            raise self._out_of_turn("receive", None)
        if session.in_transit and receiver in session.in_transit:
            raise self.delegations.in_transit(session, receiver)
        if session.departures is not None:
            self.crashes.settled(session)
        edge = self._at_edge()
        if edge.parted or edge.corrupted is not None:
            self.troubles.received(edge, message[:2])
        if session.silent is not None:
            self.troubles.acts(session, receiver)
        if edge.carried:
            self.delegations.arrive(edge, message[:2])
        states[receiver] = step.next

    def _out_of_turn(self, verb: str, kind: int | None) -> Divergence:
        """Finds out which of the ways to break a local type this was."""
        edge = self._diverged_edge()
        session = edge.session
        sends = verb == "send"
        role, peer = (edge.sender, edge.receiver) if sends else (edge.receiver, edge.sender)
        table = session.sends if sends else session.receives
        here = table[role][session.states[role]]
        roles, number = session.protocol.roles, self._label()
        label = session.protocol.labels[number]
        step = here.get(number)
        if step is not None and step.peer == peer:
            wanted = "selection" if step.kind else "message"
            code, message = "protocol.kind", "the message is recorded as another kind of step"
            expected, actual = f"a {wanted}", "a selection" if kind else "a message"
        elif any(other.peer == peer for other in here.values()):
            code, message = "protocol.label", f"the label {label} is not possible here"
            labels = sorted(session.protocol.labels[i] for i in here)
            expected, actual = f"{verb} one of {', '.join(labels)}", f"{verb} {label}"
        else:
            code, message = "protocol.turn", f"{roles[role]} cannot {verb} anything here"
            expected = self._position(session, role, marked=False).split("\n")[0]
            expected += _waiting(session, role)
            actual = f"{verb} {label}, {edge}"
        return Divergence(
            code,
            message,
            expected=expected,
            expected_side=TYPE,
            actual=actual,
            edge=edge,
            role=roles[role],
            position=self._position(session, role),
        )

    def _diverged_edge(self) -> Edge:
        edge = self.world.edge
        assert edge is not None
        edge.session.skip = True
        return edge

    def _label(self) -> int:
        """The label index of the message at hand."""
        items = self.world.record.items
        if items[0] == Kind.SEND:
            return int(items[5])
        if items[0] == Kind.DROP:
            return int(items[4])
        assert self.world.message is not None
        return self.world.message[2]

    def _position(self, session: Session, role: int, *, marked: bool = True) -> str:
        tables = session.protocol.tables
        assert tables is not None
        label = session.protocol.labels[self._label()] if marked else None
        return describe_state(tables, role, session.states[role], marked=label)

    def notice(self, items: Items) -> None:
        session = self.world.judged
        if session.silent is not None and not session.skip:
            self.troubles.acts(session, items[2])
        if session.departures is not None and not session.skip:
            self.crashes.settled(session)
        self.closing.notice(items)

    def detect(self, items: Items) -> None:
        session = self.world.sessions[items[1]]
        if session.silent is not None and not session.skip:
            self.troubles.acts(session, items[2])
        self.crashes.detect(items)

    def undelivered(self, items: Items) -> None:
        if not self.crashes.undelivered(self._at_edge()):
            self.closing.undelivered(items)

    def status(self, items: Items) -> None:
        session = self.world.judged
        if session.departures is not None and not session.skip:
            self.crashes.settled(session)
        if Status(items[2]) is Status.FAULTED and not session.excused and session.failed is None:
            self.crashes.require_no_survivor(session)
        self.closing.status(items)

    def reject(self, items: Items) -> None:
        edge = self.world.edge
        assert edge is not None
        if edge.parted and not edge.session.skip:
            self.troubles.received(edge, (0, 0))
        self.closing.reject(items)

    def fault(self, items: Items) -> None:
        self.guards.fault(items)
        crash = self.troubles.fault(items)
        if crash is not None:
            self.crashes.crashed(crash.session, crash.role, items[1])

    # --- effects ---

    def invoke(self, items: Items) -> None:
        image = self.world.image
        if image is not None:
            assert self.world.effect is not None
            effect = image.image.effects[self.world.effect]
            _check_values(f"the arguments of {effect.name}", items[4], effect.parameters)

    def complete(self, items: Items) -> None:
        _, _, failed, result, _ = items
        image = self.world.image
        if failed:
            try:
                result.decode()
            except UnicodeDecodeError:
                raise Divergence(
                    "protocol.value",
                    "the failure of an effect is not text",
                    expected="UTF-8",
                    expected_side="format",
                    actual="other bytes",
                ) from None
        elif image is not None:
            assert self.world.effect is not None
            effect = image.image.effects[self.world.effect]
            _check_values(f"the result of {effect.name}", result, (Field("result", effect.result),))

    def end(self, items: Items) -> None:  # noqa: ARG002 - the end is judged as a whole
        self.troubles.end()
        self.crashes.end()
        self.delegations.end()
        self.closing.end()


def _waiting(session: Session, role: int) -> str:
    """The message that the role has to take first, where it is there and nobody took it.

    Then what is missing before this place is a record, and not a message.
    """
    steps = session.receives[role][session.states[role]]
    peer = next((step.peer for step in steps.values()), None)
    edges = session.edges_to.get(role, ())
    first = next(
        (edge.in_flight[0] for edge in edges if edge.sender == peer and edge.in_flight), None
    )
    if first is None:
        return ""
    _, number, label, _ = first
    return f"; {session.protocol.labels[label]} #{number} was sent and waits to be received"


def _check_values(what: str, data: bytes, fields: tuple[Field, ...]) -> None:
    try:
        decode_payload(data, fields)
    except TrothError as error:
        raise Divergence(
            "protocol.value",
            f"{what} are not of the types that the image declares",
            expected=error.expected or error.message,
            expected_side="image",
            actual=error.actual or "other bytes",
        ) from error


def _edges(pairs: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{sender} -> {receiver}" for sender, receiver in pairs) or "no edge"
