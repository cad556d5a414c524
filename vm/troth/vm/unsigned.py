"""Messages that are signed when all turns of their round are over, many at a time.

Signing and verifying is most of the work of a message that is signed by itself, and the only part
of it for which several threads help: it does not need the interpreter's lock. Inside a lane it is
cut into pieces between bytecode that does, and threads that hand a lock to each other for every
message are slower than one alone. So the turns of a round leave their messages unsigned, and then
all are signed in one go, each worker its share, without anything between them.

Whoever receives a message verifies it. Where it was sent in an earlier round that is done right
behind the signing, in the same go, and the receiver only looks whether the message is still the
very object that was verified. What somebody has put in its place is verified as ever. A message
that is received in the round in which it was sent is signed and verified at once. So what a turn
sees does not depend on when the work was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

from troth.vm.buffer import Envelope
from troth.vm.events import Sent
from troth.vm.session import Edge, OwnMessage
from troth.vm.turn import Context, Turn, Unsigned

_make: Final = tuple.__new__
_SIGNATURE: Final = Sent._fields.index("signature")
_SIGNED: Final = Envelope._fields.index("signature")
Share: TypeAlias = Callable[[int, Callable[[int, int], None]], None]
"""`run_lanes.Workers.share`."""


def sign_now(context: Context, edge: Edge, place: int) -> None:
    """Signs and verifies the message in that place of the buffer, if it is one to be signed."""
    envelope = edge.buffer.messages[place]
    made = _own(edge, envelope)
    if made is None or made[0] is not envelope:
        return
    signature = context.signer.sign(envelope.signer, made[1])
    genuine = context.substitutes.verify(edge.sender.signer, made[1], signature)
    _put_signed(edge, place, made[1], signature, genuine=genuine)


def sign_late(context: Context, share: Share, turns: Sequence[Turn]) -> None:
    """Signs what the turns of a round have left unsigned, and verifies what is still waiting.

    Raises:
        Unusable: what the signer raises, the first if there are several.
    """
    messages = [(turn, message) for turn in turns for message in turn.unsigned or ()]
    if not messages:
        return
    found: list[tuple[bytes, bool]] = [(b"", False)] * len(messages)
    share(len(messages), partial(_sign_some, context, messages, found))
    for (turn, message), (signature, genuine) in zip(messages, found, strict=True):
        _put(turn, message, signature, genuine=genuine)
    for turn in turns:
        if turn.unsigned:
            turn.unsigned.clear()


def _sign_some(
    context: Context,
    messages: Sequence[tuple[Turn, Unsigned]],
    found: list[tuple[bytes, bool]],
    first: int,
    end: int,
) -> None:
    sign, verify = context.signer.sign, context.substitutes.verify
    for place in range(first, end):
        _, edge, envelope, statement = messages[place][1]
        signature = sign(envelope.signer, statement)
        waits = _own(edge, envelope) is not None
        genuine = waits and verify(edge.sender.signer, statement, signature)
        found[place] = signature, genuine


def _put(turn: Turn, message: Unsigned, signature: bytes, *, genuine: bool) -> None:
    """The signature goes into the event, and into the message unless it has been taken."""
    place, edge, envelope, statement = message
    event = turn.events[place]
    assert isinstance(event, Sent), "a turn's events keep their places"
    turn.events[place] = _make(Sent, (*event[:_SIGNATURE], signature, *event[_SIGNATURE + 1 :]))
    if _own(edge, envelope) == (envelope, statement):
        for index, waiting in enumerate(edge.buffer.messages):
            if waiting is envelope:
                _put_signed(edge, index, statement, signature, genuine=genuine)
                return


def _own(edge: Edge, envelope: Envelope) -> OwnMessage | None:
    """What the machine has made in the message's place of its edge."""
    return None if edge.own is None else edge.own.get((envelope.generation, envelope.sequence))


def _put_signed(
    edge: Edge, place: int, statement: bytes, signature: bytes, *, genuine: bool
) -> None:
    """The buffer gets the signed message. Its receiver verifies one that is not genuine itself."""
    assert edge.own is not None, "the caller has looked"
    envelope = edge.buffer.messages[place]
    signed = _make(Envelope, (*envelope[:_SIGNED], signature, *envelope[_SIGNED + 1 :]))
    edge.buffer.messages[place] = signed
    if genuine:
        edge.own[envelope.generation, envelope.sequence] = signed, statement
    else:
        edge.forget_own(envelope)
