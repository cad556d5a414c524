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

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias

from troth.vm.buffer import Envelope
from troth.vm.events import Sent
from troth.vm.host_signer import HostSigner
from troth.vm.session import Edge, OwnMessage
from troth.vm.signatures import verify
from troth.vm.signer import Wanted
from troth.vm.sodium import Batch, OneByOne
from troth.vm.turn import Context, Turn, Unsigned

_make: Final = tuple.__new__
_SIGNATURE: Final = Sent._fields.index("signature")
_SIGNED: Final = Envelope._fields.index("signature")
Share: TypeAlias = Callable[[int, Callable[[Iterator[int]], None]], None]
"""`run_lanes.Workers.share`."""
MakeBatch: TypeAlias = Callable[[Sequence[Wanted]], Batch]


def sign_now(context: Context, edge: Edge, place: int) -> None:
    """Signs and verifies the message in that place of the buffer, if it is one to be signed."""
    envelope = edge.buffer.messages[place]
    made = _own(edge, envelope)
    if made is None or made[0] is not envelope:
        return
    signature = context.signer.sign(envelope.signer, made[1])
    genuine = context.substitutes.verify(edge.sender.signer, made[1], signature)
    _put_signed(edge, place, made[1], signature, genuine=genuine)


def batches_of(context: Context) -> MakeBatch:
    """How many signatures are made at once: what is known can be done better than one by one."""
    signer, check = context.signer, context.substitutes.verify
    if type(signer) is HostSigner and check is verify:  # a subclass may sign otherwise
        return signer.batch
    return partial(OneByOne, signer.sign, check)


def sign_late(make_batch: MakeBatch, share: Share, turns: Sequence[Turn]) -> None:
    """Signs what the turns of a round have left unsigned, and verifies what is still waiting.

    Raises:
        Unusable: what the signer raises, the first if there are several.
    """
    messages = [(turn, message) for turn in turns for message in turn.unsigned or ()]
    if not messages:
        return
    batch = make_batch([_wanted(message) for _, message in messages])
    share(len(messages), batch.run)
    for (turn, message), (signature, genuine) in zip(messages, batch.results(), strict=True):
        _put(turn, message, signature, genuine=genuine)
    for turn in turns:
        if turn.unsigned:
            turn.unsigned.clear()


def _wanted(message: Unsigned) -> Wanted:
    """Nobody wants to know of a message that has been taken; that one has been verified."""
    _, edge, envelope, statement = message
    waits = _own(edge, envelope) is not None
    return _make(Wanted, (envelope.signer, statement, edge.sender.signer if waits else None))


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
