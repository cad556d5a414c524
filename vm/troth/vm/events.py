"""What a machine says happened, in commit order.

Events are the machine's only account of itself: the recorder writes them to the artifact, the
fragment is built from them, the runner prints from them. They name things in full (32-byte
session ids, 16-byte coroutine ids, role names, 32-byte public keys); the recorder interns.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from troth.vm.peer_events import (
    Arrived,
    Failed,
    Joined,
    Met,
    PeerCancelled,
    PeerDelegated,
    PeerFailed,
    PeerHead,
    PeerJoined,
    PeerNoticed,
    PeerReceipted,
    PeerRotated,
    Proof,
    Refused,
)
from troth.vm.statements import StepKind
from troth.vm.trouble_kind import Trouble

__all__ = [
    "ENDED_BY_HOST",
    "Acquired",
    "Arrived",
    "BundleOpened",
    "Cancelled",
    "ChildRow",
    "Completed",
    "CrashDetected",
    "Delegated",
    "Departed",
    "Dropped",
    "EdgeConfig",
    "EndAsked",
    "Event",
    "Failed",
    "Faulted",
    "Halted",
    "Invoked",
    "Joined",
    "Met",
    "Noticed",
    "Opened",
    "Overwritten",
    "PeerCancelled",
    "PeerDelegated",
    "PeerFailed",
    "PeerHead",
    "PeerJoined",
    "PeerNoticed",
    "PeerReceipted",
    "PeerRotated",
    "Printed",
    "Proof",
    "Receipted",
    "Received",
    "Refused",
    "Rejected",
    "Released",
    "Resumed",
    "Retired",
    "Rotated",
    "Sent",
    "Spawned",
    "Status",
    "StatusChanged",
    "TimeSet",
    "TimerExpired",
    "TimerStarted",
    "Transferred",
    "Troubled",
    "Undelivered",
]


class Status(IntEnum):
    """Where a session is in its life; see the transition table in `lifecycle`."""

    ACTIVE = 0
    DRAINING = 1
    CLOSED = 2
    CANCELLED = 3
    FAULTED = 4


class EdgeConfig(NamedTuple):
    """The settled configuration of one directed edge, as the session descriptor holds it.

    `lossy` are the labels of its messages that may be lost, sorted. `rotate` is how many messages
    a generation has, 0 where all are of one.
    """

    sender: str
    receiver: str
    replay: str
    buffer: str
    capacity: int
    policy: str
    resize_max: int
    payload: str
    lossy: tuple[str, ...] = ()
    rotate: int = 0

    def position(self, index: int) -> tuple[int, int]:
        """Generation and number of the message before which `index` others were sent."""
        return divmod(index, self.rotate) if self.rotate else (0, index)

    def generation_of(self, count: int) -> int:
        """The generation of the last of `count` messages."""
        return self.position(max(0, count - 1))[0]


class Opened(NamedTuple):
    """`descriptor` is `descriptor.encode(...)` of the same facts; `session` is its hash."""

    session: bytes
    protocol_id: bytes
    protocol: str
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    principals: tuple[bytes, ...]
    edges: tuple[EdgeConfig, ...]
    seal: str
    linger_ns: int
    nonce: bytes
    coroutine: bytes
    observed: tuple[str, ...] = ()


class ChildRow(NamedTuple):
    """A session of a bundle: its protocol, and which role of the bundle plays each of its roles."""

    name: str
    protocol_id: bytes
    protocol: str
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    players: tuple[str, ...]

    def played_by(self, players: Collection[str]) -> frozenset[str]:
        """Its roles that these roles of the bundle play."""
        pairs = zip(self.roles, self.players, strict=True)
        return frozenset(role for role, player in pairs if player in players)


class BundleOpened(NamedTuple):
    """Comes right before the `Opened` of its children; `bundle` is the hash of the same facts."""

    bundle: bytes
    name: str
    roles: tuple[str, ...]
    principals: tuple[bytes, ...]
    children: tuple[ChildRow, ...]
    nonce: bytes
    coroutine: bytes


class Sent(NamedTuple):
    session: bytes
    sender: str
    receiver: str
    kind: StepKind
    label: str
    generation: int
    sequence: int
    salt: bytes
    payload: bytes
    commitment: bytes
    signature: bytes
    signer: bytes


class Received(NamedTuple):
    """`root` is the consumption root of this edge side afterwards."""

    session: bytes
    receiver: str
    sender: str
    generation: int
    sequence: int
    root: bytes | None
    signer: bytes


class Delegated(NamedTuple):
    """`old` handed the role to `new` by a certificate."""

    session: bytes
    role: str
    old: bytes
    new: bytes
    signature: bytes


class Noticed(NamedTuple):
    """A role is done. `finals` as in `statements.notice_statement`."""

    session: bytes
    role: str
    finals: tuple[tuple[str, int, int], ...]
    signature: bytes
    signer: bytes


class Receipted(NamedTuple):
    """Of the messages `consumed` so many were `reliable`: they may not be lost."""

    session: bytes
    role: str
    sender: str
    generation: int
    consumed: int
    reliable: int
    discarded: int
    root: bytes | None
    signature: bytes
    signer: bytes


class Rotated(NamedTuple):
    """The sender is done with a generation, which had so many messages; the next begins."""

    session: bytes
    role: str
    receiver: str
    generation: int
    messages: int
    signature: bytes
    signer: bytes


class Retired(NamedTuple):
    """The receiver has taken all of a generation. `root` is what is left of its set."""

    session: bytes
    role: str
    sender: str
    generation: int
    root: bytes | None
    signer: bytes


class TimerStarted(NamedTuple):
    """An input, too: the clock of a timed choice was started in `round_number` at this time."""

    session: bytes
    role: str
    now_ns: int
    round_number: int
    signer: bytes


class TimerExpired(NamedTuple):
    """The clock of a timed choice has run out before the choice was made.

    The coroutine goes on elsewhere. If it waited for an effect, nobody waits for that any longer.
    """

    session: bytes
    role: str
    coroutine: bytes
    signer: bytes


class Departed(NamedTuple):
    """A role has crashed, and its session goes on: others can go on without it.

    It counts as done. It stands right behind the `Faulted` of the crash.
    """

    session: bytes
    role: str


class CrashDetected(NamedTuple):
    """A role has waited for another that has crashed, and goes on as its type says for that."""

    session: bytes
    receiver: str
    sender: str
    signer: bytes


class StatusChanged(NamedTuple):
    """`detail` says why: a fault code, a cancel reason, or "". `epoch` is the one after."""

    session: bytes
    status: Status
    epoch: int
    detail: str


class Undelivered(NamedTuple):
    """A signed message that its receiver will never take, listed when the session ended.

    Where its receiver has crashed and the session goes on, it is listed then, or as it is sent.
    """

    session: bytes
    sender: str
    receiver: str
    generation: int
    sequence: int


class Overwritten(NamedTuple):
    """A message that may be lost was, in a buffer that is full and keeps the latest ones."""

    session: bytes
    sender: str
    receiver: str
    generation: int
    sequence: int


class Dropped(NamedTuple):
    """A message that may be lost was not signed: it has no number, its buffer is full."""

    session: bytes
    sender: str
    receiver: str
    label: str


class Rejected(NamedTuple):
    """A message that failed on receive. `digest` is the identity digest it claimed."""

    session: bytes
    sender: str
    receiver: str
    code: str
    digest: bytes


class Cancelled(NamedTuple):
    """`role` is "" and `signature` empty when no owner cancelled.

    It was then the host's doing, an input after `round_number` rounds, or, when that is None,
    the consequence of another session's end, in which an endpoint got lost.
    """

    session: bytes
    role: str
    reason: str
    round_number: int | None
    signature: bytes
    signer: bytes


class Faulted(NamedTuple):
    """`session` and `role` are empty when no endpoint was concerned."""

    coroutine: bytes
    code: str
    message: str
    program: str
    pc: int
    session: bytes
    role: str


class Spawned(NamedTuple):
    """`parent` is b"" for the first coroutine; `program` is an index into the image.

    It is None for one that the host drives, which runs no program.
    """

    coroutine: bytes
    parent: bytes
    program: int | None


class Transferred(NamedTuple):
    session: bytes
    role: str
    source: bytes
    target: bytes


class Halted(NamedTuple):
    coroutine: bytes


class Printed(NamedTuple):
    coroutine: bytes
    text: str


class Invoked(NamedTuple):
    """`arguments` is the canonical payload of the effect's parameters."""

    coroutine: bytes
    effect_id: bytes
    effect: int
    arguments: bytes


class Acquired(NamedTuple):
    """`guard` is an index into the image's guards."""

    coroutine: bytes
    guard: int


class Released(NamedTuple):
    """A fault gives back all that its coroutine holds, without an event for each."""

    coroutine: bytes
    guard: int


class Completed(NamedTuple):
    """An input: the host finished an effect at the start of `round_number`.

    `result` is a canonical one-value payload, or the failure's text in UTF-8 when `failed`.
    """

    effect_id: bytes
    failed: bool
    result: bytes
    round_number: int


class EndAsked(NamedTuple):
    """An input: the host asked, after `round_number` rounds, that a session come to its end.

    `now_ns` is the time at which that starts its linger clock.
    """

    session: bytes
    now_ns: int
    round_number: int


class Troubled(NamedTuple):
    """An input: what happened to a role from outside, after `round_number` rounds.

    `peer` is "" but for partition, heal and corrupt; `until_ns` is None but for a timeout.
    """

    session: bytes
    trouble: Trouble
    role: str
    peer: str
    until_ns: int | None
    round_number: int


class TimeSet(NamedTuple):
    """An input: the machine was told the time, in nanoseconds, before `round_number`."""

    now_ns: int
    round_number: int


class Resumed(NamedTuple):
    """The host went on with a recorded run after `round_number`, for the `incarnation`th time.

    The machine knows nothing of it: whoever keeps the record tells the evidence.
    """

    incarnation: int
    round_number: int
    anchor_unix_ns: int


ENDED_BY_HOST: Final = "cancelled"
"""In a `Failed`: no fault, its host has ended the session."""


Event: TypeAlias = (
    Opened
    | BundleOpened
    | Sent
    | Received
    | Delegated
    | Noticed
    | Receipted
    | Rotated
    | Retired
    | PeerRotated
    | TimerStarted
    | TimerExpired
    | Departed
    | CrashDetected
    | StatusChanged
    | Undelivered
    | Overwritten
    | Dropped
    | Rejected
    | Cancelled
    | Faulted
    | Spawned
    | Transferred
    | Halted
    | Printed
    | Invoked
    | Completed
    | TimeSet
    | EndAsked
    | Troubled
    | Acquired
    | Released
    | Resumed
    | Met
    | Joined
    | Failed
    | Arrived
    | Refused
    | PeerHead
    | PeerJoined
    | PeerDelegated
    | PeerNoticed
    | PeerReceipted
    | PeerCancelled
    | PeerFailed
)
