"""What leaves for other machines, with the proofs of what is sealed by round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from troth.vm.envelope import MessageEnvelope, Outgoing
from troth.vm.errors import InternalError
from troth.vm.evidence import Position, Sealed


def proved(outgoing: Sequence[Outgoing], proofs: Mapping[Position, Sealed]) -> Iterator[Outgoing]:
    """Gives each message without a signature its place in a signed log, after the log's head."""
    told: set[tuple[str, bytes, int]] = set()
    for item in outgoing:
        message = item.envelope
        if not isinstance(message, MessageEnvelope) or message.signature:
            yield item
            continue
        sealed = proofs.get((*message[:3], *message[5:7]))
        if sealed is None:
            raise InternalError("a message is to leave before its round is sealed")
        (receiver,) = item.roles
        head = (receiver, sealed.head.principal, sealed.head.size)
        if head not in told:
            told.add(head)
            yield Outgoing(item.session, item.roles, sealed.head)
        yield item._replace(envelope=message._replace(proof=sealed.proof))
