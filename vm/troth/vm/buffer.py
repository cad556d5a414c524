"""The bounded, directed buffer of one edge, and the signed envelopes it holds.

`admission` is asked before a message is signed, so a sequence number is spent only on a message
that has its place. A full buffer loses nothing but messages that may be lost: in mode `latest` the
oldest of them makes room for a new message, and the policy `drop` refuses a new one.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from troth.vm.events import EdgeConfig
from troth.vm.instructions import BufferMode, Policy
from troth.vm.values import RegisterValue

if TYPE_CHECKING:
    from troth.vm.session import EndpointState


class Envelope(NamedTuple):
    """A signed message in flight.

    Attributes:
        endpoints: those that travel inside, in the order of the fields that hold them.
        values: what a sender in this machine encoded as `payload`: a hint that spares the
            receiver the decoding, and that it checks against the payload before it believes it.
    """

    kind: int
    label: str
    generation: int
    sequence: int
    salt: bytes
    payload: bytes
    commitment: bytes
    signature: bytes
    signer: bytes
    endpoints: tuple[EndpointState, ...]
    values: tuple[RegisterValue, ...] | None = None


class Admission(Enum):
    """What a buffer says to one more message, before it is signed."""

    ADMIT = "admit"
    WAIT = "wait"
    REFUSE = "refuse"
    DROP = "drop"
    OVERWRITE = "overwrite"


class EdgeBuffer:
    """First in, first out, at most `capacity` messages; `resize` grows it up to `resize_max`.

    `lossy` are the labels of messages that may be lost; with `latest` they make room for others.
    """

    __slots__ = ("capacity", "messages", "policy", "resize_max")

    # Only a `LossyBuffer` has its own: most edges lose nothing, and idle ones are to be small.
    latest: bool = False
    lossy: frozenset[str] = frozenset()

    def __init__(self, capacity: int, policy: Policy, resize_max: int) -> None:
        self.capacity = capacity
        self.policy = policy
        self.resize_max = resize_max
        # A list, because an empty deque is ten times as large and most buffers are empty. Taking
        # the first of 65,536 messages moves the others, in less time than a signature takes.
        self.messages: list[Envelope] = []

    def __len__(self) -> int:
        return len(self.messages)

    def admission(
        self, in_flight: int | None = None, *, lossy: bool = False, read: int = 0
    ) -> Admission:
        """Whether one more message has a place. Changes nothing.

        `in_flight` counts the messages when the buffer itself is at another machine. `lossy` says
        that the message may be lost, `read` how many at the head nobody may take away.
        """
        if (len(self.messages) if in_flight is None else in_flight) < self.capacity:
            return Admission.ADMIT
        if self.latest and self.oldest_lossy(read) is not None:
            return Admission.OVERWRITE
        if self.policy is Policy.RESIZE:
            if in_flight is not None:
                return Admission.ADMIT if in_flight < self.resize_max else Admission.WAIT
            return Admission.ADMIT if self.capacity < self.resize_max else Admission.WAIT
        if self.policy is Policy.ERROR:
            return Admission.REFUSE
        return Admission.DROP if self.policy is Policy.DROP and lossy else Admission.WAIT

    def oldest_lossy(self, read: int = 0) -> int | None:
        """The place of the oldest message that may be lost, the first `read` left out."""
        for place, envelope in enumerate(self.messages):
            if place >= read and envelope.label in self.lossy:
                return place
        return None

    def put(self, envelope: Envelope) -> None:
        """Appends a message that `admission` has admitted; a full `resize` buffer doubles."""
        messages = self.messages
        if len(messages) >= self.capacity:
            assert self.policy is Policy.RESIZE, "a full buffer of another policy admits nothing"
            assert self.capacity < self.resize_max, "a resize buffer at its maximum admits nothing"
            self.capacity = min(self.capacity * 2, self.resize_max)
        messages.append(envelope)

    def peek(self) -> Envelope | None:
        """The oldest message, left in its place."""
        return self.messages[0] if self.messages else None

    def take(self, place: int = 0) -> Envelope:
        """Removes the oldest message, or the one after `place` others."""
        return self.messages.pop(place)

    def drain(self) -> tuple[Envelope, ...]:
        """Removes everything, oldest first."""
        messages = tuple(self.messages)
        self.messages.clear()
        return messages


class LossyBuffer(EdgeBuffer):
    """The buffer of an edge with messages that may be lost."""

    __slots__ = ("latest", "lossy")

    def __init__(
        self,
        capacity: int,
        policy: Policy,
        resize_max: int,
        mode: BufferMode,
        lossy: tuple[str, ...],
    ) -> None:
        super().__init__(capacity, policy, resize_max)
        self.latest = mode is BufferMode.LATEST
        self.lossy = frozenset(lossy)


def buffer_of(config: EdgeConfig) -> EdgeBuffer:
    """The empty buffer of an edge."""
    room = config.capacity, Policy(config.policy), config.resize_max
    if config.lossy:
        return LossyBuffer(*room, BufferMode(config.buffer), config.lossy)
    return EdgeBuffer(*room)
