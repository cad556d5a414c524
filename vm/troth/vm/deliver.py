"""The door for what other machines say: every envelope is checked before it changes anything.

A message is accepted into its edge's buffer when its signature holds, or its place in a signed
log, and the edge's replay mode takes its number. What is refused changes nothing but a count and
the record. Accepted messages are received by the program like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from troth.vm import statements
from troth.vm.buffer import Envelope as Buffered
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
from troth.vm.events import (
    ENDED_BY_HOST,
    Arrived,
    PeerCancelled,
    PeerDelegated,
    PeerFailed,
    PeerHead,
    PeerJoined,
    PeerNoticed,
    PeerReceipted,
    PeerRotated,
    Refused,
)
from troth.vm.faults import FAULT_CODES
from troth.vm.instructions import ReplayMode
from troth.vm.lifecycle import LifeEvent
from troth.vm.peer_heads import PeerHeads
from troth.vm.session import Edge, EndpointState, Session
from troth.vm.statements import StepKind
from troth.vm.step_end import acknowledge, count_notice, end_session
from troth.vm.step_loss import overwrite, retire
from troth.vm.turn import Turn

STALE: Final = "stale"
"""The session is not known here, or is over: nothing was done, and nothing recorded."""

EARLY: Final = "early"
"""The head that would prove it, the rotation before it, or the end of a partition has not come:
nothing was done, and nothing recorded."""

FULL: Final = "full"
"""It may not be lost, and its buffer has no place for it yet: nothing was done, and nothing
recorded."""

REPEATED: Final = "repeated"
"""It had been said before: nothing was done, and nothing recorded."""

EQUIVOCATION: Final = "equivocation"
"""Another head of the same log and size, properly signed: nothing was done."""

_VERIFICATION: Final = "vm.fault.verification"


class Delivery(NamedTuple):
    """What became of an envelope: `code` is "" when it was accepted.

    Otherwise it is a fault's code, or one of `STALE`, `EARLY`, `FULL`, `REPEATED`, `EQUIVOCATION`.
    """

    code: str

    @property
    def accepted(self) -> bool:
        return not self.code


_ACCEPTED: Final = Delivery("")


class Door(NamedTuple):
    """What a delivery looks at.

    Attributes:
        sessions: live sessions by id.
        peers: in how many live sessions each principal of another machine has a role.
        heads: what is known of their logs.
        rounds: how many rounds have run.
    """

    turn: Turn
    sessions: Mapping[bytes, Session]
    peers: dict[bytes, int]
    heads: PeerHeads
    rounds: int

    def deliver(self, envelope: Envelope) -> Delivery:
        """Takes one envelope. Its consequences are in the turn, which has to be committed."""
        match envelope:
            case HeadEnvelope():
                return self._head(envelope)
            case MessageEnvelope():
                return self._message(envelope)
            case JoinEnvelope():
                return self._join(envelope)
            case DelegateEnvelope():
                return self._delegate(envelope)
            case NoticeEnvelope():
                return self._notice(envelope)
            case ReceiptEnvelope():
                return self._receipt(envelope)
            case RotateEnvelope():
                return self._rotate(envelope)
            case CancelEnvelope():
                return self._cancel(envelope)
            case FailEnvelope():
                return self._fail(envelope)

    # --- who speaks ------------------------------------------------------------------------

    def _speaker(self, session: bytes, role: str) -> EndpointState | None:
        """The role of another machine in a live session; None when there is none."""
        found = self.sessions.get(session)
        if found is None or role not in found.peers:
            return None
        return found.endpoints[role]

    def _verifies(self, speaker: EndpointState, statement: bytes, signature: bytes) -> bool:
        return self.turn.context.substitutes.verify(speaker.signer, statement, signature)

    # --- control ---------------------------------------------------------------------------

    def _head(self, envelope: HeadEnvelope) -> Delivery:
        if envelope.principal not in self.peers:
            return Delivery(STALE)
        if self.heads.knows(envelope):
            return Delivery(REPEATED)
        statement = statements.head_statement(*envelope[1:-1])
        verify = self.turn.context.substitutes.verify
        if not verify(envelope.principal, statement, envelope.signature):
            return Delivery(_VERIFICATION)
        if not self.heads.add(envelope):
            return Delivery(EQUIVOCATION)
        self.turn.events.append(PeerHead(*envelope, self.rounds))
        return _ACCEPTED

    def _join(self, envelope: JoinEnvelope) -> Delivery:
        speaker = self._speaker(envelope.session, envelope.role)
        if speaker is None:
            return Delivery(STALE)
        session = speaker.session
        if envelope.role in session.joined:
            return Delivery(REPEATED)
        nonce = session.nonces[session.descriptor.roles.index(envelope.role)]
        statement = statements.join_statement(session.id, envelope.role, nonce)
        if not self._verifies(speaker, statement, envelope.signature):
            return Delivery(_VERIFICATION)
        session.joined.add(envelope.role)
        self.turn.events.append(PeerJoined(*envelope, self.rounds, nonce))
        return _ACCEPTED

    def _delegate(self, envelope: DelegateEnvelope) -> Delivery:
        """The role has not acted: an endpoint can only be handed on before its first use."""
        speaker = self._speaker(envelope.session, envelope.role)
        if speaker is None:
            return Delivery(STALE)
        if speaker.signer == envelope.new:
            return Delivery(REPEATED)
        if speaker.signer != envelope.old:
            return Delivery(_VERIFICATION)
        acted = any(edge.arrived for edge in speaker.outgoing.values())
        sound = self.turn.context.substitutes.acceptable_key(envelope.new)
        if acted or speaker.noticed or not sound:
            return Delivery("vm.fault.transfer")
        statement = statements.delegation_statement(*envelope[:4])
        if not self._verifies(speaker, statement, envelope.signature):
            return Delivery(_VERIFICATION)
        speaker.signer = envelope.new
        self.peers[envelope.new] = self.peers.get(envelope.new, 0) + 1
        self.peers[envelope.old] -= 1
        if not self.peers[envelope.old]:
            del self.peers[envelope.old]
        self.turn.events.append(PeerDelegated(*envelope, self.rounds))
        return _ACCEPTED

    def _notice(self, envelope: NoticeEnvelope) -> Delivery:
        speaker = self._speaker(envelope.session, envelope.role)
        if speaker is None:
            return Delivery(STALE)
        if speaker.noticed:
            return Delivery(REPEATED)
        statement = statements.notice_statement(*envelope[:3])
        if not self._verifies(speaker, statement, envelope.signature):
            return Delivery(_VERIFICATION)
        if not _finals_hold(speaker, envelope.finals):
            return Delivery("vm.fault.close")
        self.turn.events.append(PeerNoticed(*envelope, self.rounds))
        for receiver, _, count in envelope.finals:
            speaker.outgoing[receiver].final = count
        count_notice(self.turn, speaker)
        return _ACCEPTED

    def _receipt(self, envelope: ReceiptEnvelope) -> Delivery:
        speaker = self._speaker(envelope.session, envelope.role)
        edge = None if speaker is None else speaker.incoming.get(envelope.sender)
        if speaker is None or edge is None or not edge.outbound:
            return Delivery(STALE)
        taken = envelope.consumed + envelope.discarded
        newer = edge.renews and envelope.generation > edge.generation_acknowledged
        if taken <= edge.acknowledged and edge.receipts and not newer:
            return Delivery(REPEATED)
        if taken > edge.sent or not _is_in_generation(edge, envelope.generation, envelope.consumed):
            return Delivery("vm.fault.close")
        if not _counts_reliable(edge, envelope.consumed, envelope.reliable):
            return Delivery("vm.fault.close")
        statement = statements.receipt_statement(*envelope[:8])
        if not self._verifies(speaker, statement, envelope.signature):
            return Delivery(_VERIFICATION)
        if edge.history is not None:
            if not edge.history.holds(envelope.consumed, envelope.root):
                return Delivery("vm.fault.close")
            edge.history.acknowledge(envelope.consumed)
        self.turn.events.append(PeerReceipted(*envelope, self.rounds))
        if edge.renews:
            edge.generation_acknowledged = envelope.generation
        edge.acknowledged = taken
        edge.reliable_acknowledged = envelope.reliable
        edge.receipts += 1
        if edge.waiting_sender is not None:
            self.turn.woken.append(edge.waiting_sender)
            edge.waiting_sender = None
        return _ACCEPTED

    def _rotate(self, envelope: RotateEnvelope) -> Delivery:
        speaker = self._speaker(envelope.session, envelope.role)
        edge = None if speaker is None else speaker.outgoing.get(envelope.receiver)
        if speaker is None or edge is None or not edge.inbound or not edge.config.rotate:
            return Delivery(STALE)
        if envelope.generation < edge.rotated:
            return Delivery(REPEATED)
        statement = statements.rotate_statement(*envelope[:5])
        if not self._verifies(speaker, statement, envelope.signature):
            return Delivery(_VERIFICATION)
        if envelope.generation > edge.rotated:
            return Delivery(EARLY)
        if envelope.messages != edge.config.rotate:
            return Delivery("vm.fault.close")
        edge.rotated += 1
        self.turn.events.append(PeerRotated(*envelope, self.rounds))
        if edge.renews and not edge.receiver.noticed:
            retire(self.turn, edge)
            acknowledge(self.turn, edge, at_once=True)
        return _ACCEPTED

    def _cancel(self, envelope: CancelEnvelope) -> Delivery:
        speaker = self._speaker(envelope.session, envelope.role)
        if speaker is None:
            return Delivery(STALE)
        statement = statements.cancel_statement(*envelope[:3])
        if not self._verifies(speaker, statement, envelope.signature):
            return Delivery(_VERIFICATION)
        self.turn.events.append(PeerCancelled(*envelope, self.rounds))
        reason, role = envelope.reason, envelope.role
        end_session(self.turn, speaker.session, LifeEvent.CANCEL, reason, role)
        return _ACCEPTED

    def _fail(self, envelope: FailEnvelope) -> Delivery:
        speaker = self._speaker(envelope.session, envelope.role)
        if speaker is None:
            return Delivery(STALE)
        by_host = envelope.code == ENDED_BY_HOST
        if not by_host and envelope.code not in FAULT_CODES:
            return Delivery("vm.fault.label")
        statement = statements.fail_statement(*envelope[:4])
        if not self._verifies(speaker, statement, envelope.signature):
            return Delivery(_VERIFICATION)
        self.turn.events.append(PeerFailed(*envelope, self.rounds))
        event = LifeEvent.CANCEL if by_host else LifeEvent.FAULT
        detail = envelope.reason if by_host else envelope.code
        end_session(self.turn, speaker.session, event, detail, envelope.role)
        return _ACCEPTED

    # --- messages --------------------------------------------------------------------------

    def _message(self, envelope: MessageEnvelope) -> Delivery:
        speaker = self._speaker(envelope.session, envelope.sender)
        edge = None if speaker is None else speaker.outgoing.get(envelope.receiver)
        if speaker is None or edge is None or not edge.inbound:
            return Delivery(STALE)
        if edge.parted:
            return Delivery(EARLY)
        if envelope.proof is not None and not self.heads.has(speaker.signer, envelope.proof.size):
            return Delivery(EARLY)
        if edge.config.rotate and envelope.generation > edge.rotated:
            return Delivery(EARLY)
        commitment = self.turn.context.substitutes.commitment(envelope.salt, envelope.payload)
        statement = statements.message_statement(*envelope[:7], commitment)
        code = self._message_flaw(edge, envelope, statement)
        if code == FULL:
            return Delivery(FULL)
        if code:
            self.refuse(edge, code, statements.identity_digest(statement))
            return Delivery(code)
        edge.arrived += 1
        assert edge.waiting is not None, "messages arrive on inbound edges alone"
        edge.waiting.add(statement)
        makes_room = len(edge.buffer) >= places_of(edge) and edge.buffer.oldest_lossy() is not None
        edge.buffer.messages.append(_buffered(envelope, commitment, speaker.signer))
        self.turn.events.append(
            Arrived(
                session=envelope.session,
                sender=envelope.sender,
                receiver=envelope.receiver,
                kind=StepKind(envelope.kind),
                label=envelope.label,
                generation=envelope.generation,
                sequence=envelope.sequence,
                salt=envelope.salt,
                payload=envelope.payload,
                commitment=commitment,
                signature=envelope.signature,
                proof=envelope.proof,
                round_number=self.rounds,
                signer=edge.receiver.signer,
            )
        )
        if makes_room:
            overwrite(self.turn, edge)
        if edge.waiting_receiver is not None:
            self.turn.woken.append(edge.waiting_receiver)
            edge.waiting_receiver = None
        return _ACCEPTED

    def _message_flaw(self, edge: Edge, envelope: MessageEnvelope, statement: bytes) -> str:
        """The code of what is wrong with a message; "" when it is accepted.

        The signature comes first: nothing that its sender did not say decides anything.
        """
        if not self._authentic(edge, envelope, statement):
            return _VERIFICATION
        if envelope.label not in edge.sender.session.tables.label_index:
            return "vm.fault.label"
        limits = self.turn.context.limits
        if len(envelope.payload) > limits.message_bytes_max:
            return "vm.fault.limit"
        code = arrival_flaw(edge, envelope.generation, envelope.sequence, statement)
        if code:
            return code
        return room_flaw(edge, envelope.label)

    def _authentic(self, edge: Edge, envelope: MessageEnvelope, statement: bytes) -> bool:
        sender = edge.sender
        if not sender.session.round_sealed:
            return envelope.proof is None and self._verifies(sender, statement, envelope.signature)
        if envelope.proof is None or envelope.signature:
            return False
        substitutes = self.turn.context.substitutes
        return substitutes.included(self.heads, sender.signer, envelope.proof, statement)

    def refuse(self, edge: Edge, code: str, digest: bytes) -> None:
        """The first few of an edge and code are listed, later ones only counted."""
        seen = edge.rejects.get(code, 0)
        edge.rejects[code] = seen + 1
        if seen < self.turn.context.limits.rejects_listed_max:
            sender, receiver = edge.sender, edge.receiver
            self.turn.events.append(
                Refused(sender.session.id, sender.role, receiver.role, code, digest, self.rounds)
            )


def _is_in_generation(edge: Edge, generation: int, consumed: int) -> bool:
    """Whether who has taken so many messages is in that generation."""
    if not edge.renews:
        return generation == edge.config.generation_of(consumed)
    return edge.generation_acknowledged <= generation <= edge.config.generation_of(edge.sent)


def _counts_reliable(edge: Edge, consumed: int, reliable: int) -> bool:
    """Whether so many messages that may not be lost can be among those taken."""
    if not edge.may_lose:
        return reliable == consumed
    sent = edge.sent - edge.lossy_sent
    return edge.reliable_acknowledged <= reliable <= min(sent, consumed)


def places_of(edge: Edge) -> int:
    """How many messages the buffer of an inbound edge may hold."""
    return max(edge.config.capacity, edge.config.resize_max)


def room_flaw(edge: Edge, label: str) -> str:
    """What the buffer says to a message that arrives; "" when it finds a place, or is given one.

    What may be lost gives way to what may not. So a message that may not be lost has a place:
    its sender has credit for so many of them. Only where a message can be accepted twice, the
    copies of others may have taken it; then it comes again.
    """
    buffer, places = edge.buffer, places_of(edge)
    if len(buffer) < places:
        return ""
    gives_way = buffer.latest or label not in buffer.lossy
    if gives_way and buffer.oldest_lossy() is not None:
        return ""
    repeats = edge.config.replay == ReplayMode.OFF
    return FULL if repeats and edge.may_lose and label not in buffer.lossy else "vm.fault.buffer"


def arrival_flaw(edge: Edge, generation: int, sequence: int, statement: bytes) -> str:
    """What the edge's replay mode says to a message that arrives; "" to accept it."""
    if edge.config.replay == ReplayMode.OFF:
        return ""
    if edge.waiting is not None and statement in edge.waiting:
        return "vm.fault.replay.duplicate"
    if edge.config.replay == ReplayMode.NULLIFIER:
        if edge.renews and generation < edge.consumption.generation:
            return "vm.fault.replay.generation"
        if not edge.renews and edge.config.rotate and generation > edge.consumption.generation:
            # The barrier before it has come: it waits behind that, if it has a number.
            return "" if sequence < edge.config.rotate else "vm.fault.replay.sequence"
        return edge.consumption.decide(generation, sequence, statement) or ""
    if generation != 0:
        return "vm.fault.replay.generation"
    if sequence == edge.arrived:
        return ""
    late = sequence < edge.arrived
    return "vm.fault.replay.duplicate" if late else "vm.fault.replay.sequence"


def _finals_hold(speaker: EndpointState, finals: tuple[tuple[str, int, int], ...]) -> bool:
    """Whether a notice names each edge of its role once, with no fewer messages than came.

    With the replay mode `off` messages may have come more than once.
    """
    if tuple(row[0] for row in finals) != tuple(sorted(speaker.outgoing)):
        return False
    edges = speaker.outgoing
    return all(
        generation == edges[receiver].config.generation_of(count)
        and (count >= edges[receiver].arrived or edges[receiver].config.replay == ReplayMode.OFF)
        for receiver, generation, count in finals
    )


def _buffered(envelope: MessageEnvelope, commitment: bytes, signer: bytes) -> Buffered:
    return Buffered(
        kind=envelope.kind,
        label=envelope.label,
        generation=envelope.generation,
        sequence=envelope.sequence,
        salt=envelope.salt,
        payload=envelope.payload,
        commitment=commitment,
        signature=envelope.signature,
        signer=signer,
        endpoints=(),
    )
