"""Level 5, what other machines said: fed into the machine from the file, as it was then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from troth.conformance.describe import describe
from troth.conformance.replay_ahead import Parted, Withheld
from troth.conformance.replay_compare import Comparison
from troth.conformance.world import World
from troth.vm.envelope import (
    CancelEnvelope,
    DelegateEnvelope,
    Envelope,
    FailEnvelope,
    HeadEnvelope,
    JoinEnvelope,
    MessageEnvelope,
    NoticeEnvelope,
    ReceiptEnvelope,
    RotateEnvelope,
)
from troth.vm.errors import TrothError
from troth.vm.events import Proof
from troth.vm.machine import Machine
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items
from troth.vm.records import Kind


class PeerInputs:
    """Knows how each record of another machine's word came into this one."""

    def __init__(self, machine: Machine, comparison: Comparison, world: World) -> None:
        self._machine = machine
        self._comparison = comparison
        self._world = world
        self._makers: Final[dict[int, Callable[[Items], Envelope]]] = {
            Kind.PEER_HEAD: self._head,
            Kind.PEER_JOIN: lambda items: JoinEnvelope(*self._role(items), items[3]),
            Kind.PEER_DELEGATE: self._delegate,
            Kind.PEER_NOTICE: self._notice,
            Kind.PEER_RECEIPT: self._receipt,
            Kind.PEER_ROTATE: self._rotate,
            Kind.PEER_CANCEL: lambda items: CancelEnvelope(*self._role(items), *items[3:5]),
            Kind.PEER_FAIL: lambda items: FailEnvelope(*self._role(items), *items[3:6]),
        }

    def feed(self, record: RawRecord) -> None:
        """
        Raises:
            Divergence: the program is not where this could have come.
            Withheld: the record lacks what the program got.
        """
        items = record.items
        if items[0] == Kind.MEET:
            self._meet(record)
        elif items[0] == Kind.REFUSE:
            self._refuse(record)
        elif items[0] == Kind.ARRIVE:
            if items[9] is None:
                raise Withheld(record)
            self._deliver(record, self._message(record))
        else:
            if items[0] != Kind.PEER_HEAD:
                self._require_session(record)
            self._deliver(record, self._makers[items[0]](items))

    def _deliver(self, record: RawRecord, envelope: Envelope) -> None:
        delivery = self._machine.deliver(envelope)
        if not delivery.accepted:
            raise self._differs(record, f"the machine does not take this now: {delivery.code}")

    def _meet(self, record: RawRecord) -> None:
        _, number, parties, _ = record.items
        coroutine = self._comparison.id_of(number)
        try:
            self._machine.meet(coroutine, parties)
        except TrothError as error:
            raise self._differs(record, f"nobody waits for this: {error.message}") from error

    def _refuse(self, record: RawRecord) -> None:
        session, roles = self._require_session(record)
        _, _, sender, receiver, code, digest, _ = record.items
        if not self._machine.refuse(session, roles[sender], roles[receiver], code, digest):
            raise self._differs(record, "no message of another machine can arrive there")

    def _message(self, record: RawRecord) -> MessageEnvelope:
        session, roles = self._require_session(record)
        _, _, sender, receiver, kind, label, generation, sequence, *rest = record.items
        salt, payload, _, signature, size, *place, _ = rest
        protocol = self._comparison.protocol_of(record.items[1])
        assert protocol is not None, "the session goes on"
        return MessageEnvelope(
            session=session,
            sender=roles[sender],
            receiver=roles[receiver],
            kind=kind,
            label=protocol.labels[label],
            generation=generation,
            sequence=sequence,
            salt=salt,
            payload=payload,
            signature=signature,
            proof=None if size is None else Proof(size, *place),
        )

    def _head(self, items: Items) -> Envelope:
        return HeadEnvelope(self._world.principals[items[1]].key, *items[2:-1])

    def _delegate(self, items: Items) -> Envelope:
        session, role = self._role(items)
        old = self._comparison.signer_of(items[1], items[2])
        return DelegateEnvelope(session, role, old, self._world.principals[items[3]].key, items[4])

    def _notice(self, items: Items) -> Envelope:
        session, role = self._role(items)
        roles = self._roles(items[1])
        finals = tuple((roles[receiver], *counts) for receiver, *counts in items[3])
        return NoticeEnvelope(session, role, finals, items[4])

    def _receipt(self, items: Items) -> Envelope:
        session, role = self._role(items)
        return ReceiptEnvelope(session, role, self._roles(items[1])[items[3]], *items[4:10])

    def _rotate(self, items: Items) -> Envelope:
        session, role = self._role(items)
        return RotateEnvelope(session, role, self._roles(items[1])[items[3]], *items[4:7])

    def _role(self, items: Items) -> tuple[bytes, str]:
        return self._comparison.sessions[items[1]][0], self._roles(items[1])[items[2]]

    def _roles(self, number: int) -> tuple[str, ...]:
        protocol = self._comparison.protocol_of(number)
        assert protocol is not None, "the session goes on"
        return protocol.roles

    def _require_session(self, record: RawRecord) -> tuple[bytes, tuple[str, ...]]:
        number = record.items[1]
        session = self._comparison.sessions.get(number)
        if session is None:
            raise self._differs(record, "the program has no such session")
        return session[0], self._roles(number)

    def _differs(self, record: RawRecord, message: str) -> Parted:
        found = describe(record, self._comparison.view())
        return Parted(record, message, "nothing of the kind", found)
