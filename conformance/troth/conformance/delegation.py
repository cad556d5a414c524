"""Level 4, endpoints that travel inside messages.

A delegation certificate comes right before the message that carries the endpoint, and only when
the receiver's signer is another than the endpoint's. Only an endpoint that was never used can
travel, and while it does nobody can use it. The same goes for one that a coroutine gives to
another when it starts it.
"""

from __future__ import annotations

from troth.conformance.closing import after_its_end
from troth.conformance.divergence import Divergence
from troth.conformance.holders import Holders
from troth.conformance.tables import Step
from troth.conformance.world import Edge, Session, World
from troth.vm.record_codec import Items
from troth.vm.types import EndpointType
from troth.vm.values import Endpoint


class Delegations:
    """Follows endpoints from the message that carries them to its receiver."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._holders = Holders(world)

    def transfer(self, items: Items) -> None:
        """From one coroutine to another, and not in a message."""
        _, number, role, source, target = items
        session = self.world.sessions.get(number)
        if session is None or session.skip:
            return
        if role in session.in_transit:
            raise self.in_transit(session, role)
        if not _is_fresh(session, role) or session.noticed[role]:
            raise _refused(
                session,
                role,
                "moved after its first use",
                "an endpoint in its initial type",
                f"state {session.states[role]} after {_uses(session, role)} messages",
            )
        holder = self._holders.of(session, role)
        if holder not in (None, source):
            raise _refused(
                session,
                role,
                "moved by a coroutine that does not have it",
                f"coroutine {holder}",
                f"coroutine {source}",
            )
        self._holders.give(session, role, target)

    def holder_of(self, session: Session, role: int) -> int | None:
        """The coroutine that has the endpoint; None when that is not known."""
        return self._holders.of(session, role)

    def delegate(self, items: Items) -> None:
        """The certificate: its message has to be the next one."""
        session, role = self.world.session, items[2]
        assert session is not None
        if session.skip:
            return
        if session.ending:
            raise after_its_end(session, role)
        if role in session.in_transit:
            raise self.in_transit(session, role)
        if (session, role) in self.world.handed:
            raise _refused(session, role, "delegated twice at once", "one certificate", "two")
        if not _is_fresh(session, role):
            raise _refused(
                session,
                role,
                "delegated after its first use",
                "an endpoint in its initial type",
                f"state {session.states[role]} after {_uses(session, role)} messages",
            )
        self.world.handed[session, role] = None

    def carry(self, step: Step, endpoints: tuple[Endpoint, ...], *, hidden: bool) -> None:
        """A message that carries `endpoints`, or hides what it carries."""
        world = self.world
        edge = world.edge
        assert edge is not None
        handed, world.handed = world.handed, {}
        if hidden:
            self._holders.hide(step.carried)
            found = self._hidden(edge, step, tuple(handed))
        else:
            found = [
                self._travels(edge, endpoint, declared)
                for endpoint, declared in zip(endpoints, step.carried, strict=True)
            ]
        distinct = set(found)
        for session, role in handed:
            if (session, role) not in distinct:
                raise _unused(session, role)
        if len(distinct) != len(found):
            session, role = found[0]
            raise _refused(session, role, "twice in one message", "distinct endpoints", "one twice")
        for session, role in found:
            session.in_transit.add(role)
            self._holders.give(session, role, None)
        if found:
            edge.carried[edge.config.position(edge.sent - 1)] = tuple(found)

    def _travels(
        self, edge: Edge, endpoint: Endpoint, declared: EndpointType
    ) -> tuple[Session, int]:
        session = self._session_of(edge, endpoint)
        roles = session.protocol.roles
        actual = f"{session.protocol.name}.{endpoint.role}"
        if endpoint.role not in roles or actual != str(declared):
            raise _message(edge, "an endpoint of another type travels", str(declared), actual)
        role = roles.index(endpoint.role)
        self._require_free(edge, session, role)
        return session, role

    def _require_free(self, edge: Edge, session: Session, role: int) -> None:
        """What must hold of an endpoint for it to travel on `edge` now."""
        actual = f"{session.protocol.name}.{session.protocol.roles[role]}"
        if role in session.in_transit:
            raise self.in_transit(session, role)
        holder, sender = (
            self._holders.of(session, role),
            self._holders.of(edge.session, edge.sender),
        )
        if holder != sender and None not in (holder, sender):
            raise _message(
                edge,
                "an endpoint travels that its sender does not have",
                f"one of coroutine {sender}",
                f"{actual} of coroutine {holder}",
            )
        if session is edge.session and role in (edge.sender, edge.receiver):
            raise _message(edge, "an endpoint travels through itself", "another endpoint", actual)
        if not _is_fresh(session, role):
            raise _message(edge, "an endpoint travels after its first use", "a fresh one", actual)
        signer, taker = session.signers[role], edge.session.signers[edge.receiver]
        if signer is not taker:
            raise _message(
                edge,
                f"{actual} travels without a delegation certificate",
                f"authority of {taker.name} (key {taker.key.hex()})",
                f"authority of {signer.name} (key {signer.key.hex()})",
            )

    def _session_of(self, edge: Edge, endpoint: Endpoint) -> Session:
        session = self.world.sessions_by_id.get(endpoint.session)
        if session is None:
            found = endpoint.session.hex()
            raise _message(edge, "an endpoint travels of no live session", "a live one", found)
        return session

    def _hidden(
        self, edge: Edge, step: Step, handed: tuple[tuple[Session, int], ...]
    ) -> list[tuple[Session, int]]:
        """The payload is not in the file: what travels is known from the certificates alone."""
        declared = [str(kind) for kind in step.carried]
        for session, role in handed:
            name = f"{session.protocol.name}.{session.protocol.roles[role]}"
            if name not in declared:
                raise _unused(session, role)
            declared.remove(name)
            if self.world.sessions.get(session.index) is not session:
                raise _message(edge, "an endpoint travels of no live session", "a live one", name)
            self._require_free(edge, session, role)
        return list(handed)

    def arrive(self, edge: Edge, position: tuple[int, int]) -> None:
        for session, role in edge.carried.pop(position, ()):
            session.in_transit.discard(role)
            self._holders.give(session, role, self._holders.of(edge.session, edge.receiver))

    def end(self) -> None:
        """At the end of the file no certificate waits for its message."""
        for session, role in self.world.handed:
            raise _unused(session, role)

    def in_transit(self, session: Session, role: int) -> Divergence:
        if session.departures is not None and role in session.departures.gone:
            return _refused(
                session, role, "used after its role has crashed", "nothing", "an action"
            )
        return _refused(
            session,
            role,
            "used while it travels inside a message",
            "nothing before the message is received",
            "an action",
        )


def _is_fresh(session: Session, role: int) -> bool:
    return session.states[role] == 0 and _uses(session, role) == 0


def _uses(session: Session, role: int) -> int:
    sent = sum(edge.sent for edge in session.edges_from.get(role, ()))
    return sent + sum(edge.received + edge.rejected for edge in session.edges_to.get(role, ()))


def _refused(session: Session, role: int, what: str, expected: str, actual: str) -> Divergence:
    session.skip = True
    name = session.protocol.roles[role]
    return Divergence(
        "protocol.endpoint",
        f"the endpoint {session.protocol.name}.{name} is {what}",
        expected=expected,
        actual=actual,
        session=session,
        role=name,
    )


def _unused(session: Session, role: int) -> Divergence:
    return _refused(
        session,
        role,
        "delegated, but no message carries it",
        "a message that carries the endpoint, right after the certificate",
        "another message",
    )


def _message(edge: Edge, what: str, expected: str, actual: str) -> Divergence:
    edge.session.skip = True
    return Divergence(
        "protocol.endpoint",
        what,
        expected=expected,
        actual=actual,
        edge=edge,
        role=edge.config.sender,
    )
