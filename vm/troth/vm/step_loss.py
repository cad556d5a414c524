"""Messages that may be lost: overwritten in a full buffer, or dropped before they are signed.

Neither moves a local type: such a message leads its sender and its receiver back to where they
were. What is lost is on record: an overwritten message by its position, a dropped one, which has
none, by its label.
"""

from __future__ import annotations

from troth.vm import statements
from troth.vm.buffer import Envelope
from troth.vm.events import Dropped, Overwritten, Retired
from troth.vm.session import Edge
from troth.vm.step_tables import TransitionTable
from troth.vm.turn import Turn


def read_ahead(edge: Edge) -> int:
    """How many messages at the head its receiver has read speculatively: they stay."""
    owner = edge.receiver.owner
    speculation = None if owner is None else owner.speculation
    return 0 if speculation is None else speculation.read_count(edge)


def overwrite(turn: Turn, edge: Edge) -> None:
    """The oldest message that may be lost makes room. It is never accepted again."""
    place = edge.buffer.oldest_lossy(read_ahead(edge))
    assert place is not None, "who makes room has found one"
    lost = edge.take_overwritten(place)
    statement = _statement(edge, lost)
    if edge.waiting is not None:
        edge.waiting.discard(statement)
    edge.consumption.discard(statement)
    edge.discarded += 1
    session, sender, receiver = edge.sender.session.id, edge.sender.role, edge.receiver.role
    turn.events.append(Overwritten(session, sender, receiver, lost.generation, lost.sequence))


def retire(turn: Turn, edge: Edge) -> None:
    """The barrier: a generation is over, so its set is dropped and its root stays."""
    endpoint, generation = edge.receiver, edge.consumption.generation
    root = edge.consumption.retire()
    session, sender = endpoint.session.id, edge.sender.role
    turn.events.append(Retired(session, endpoint.role, sender, generation, root, endpoint.signer))


def drop(turn: Turn, edge: Edge, transition: TransitionTable) -> None:
    """The message is not signed and spends no number; the type is where it was."""
    session, label = edge.sender.session.id, transition.label
    turn.events.append(Dropped(session, edge.sender.role, edge.receiver.role, label))


def _statement(edge: Edge, envelope: Envelope) -> bytes:
    return statements.message_statement(
        edge.sender.session.id,
        edge.sender.role,
        edge.receiver.role,
        envelope.kind,
        envelope.label,
        envelope.generation,
        envelope.sequence,
        envelope.commitment,
    )
