"""What a machine says happened, in commit order.

Events are the machine's only account of itself: the recorder writes them to the artifact, the
fragment is built from them, the runner prints from them. They name things in full (32-byte
session ids, 16-byte coroutine ids, role names, 32-byte public keys); the recorder interns.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from troth.vm.statements import StepKind


class Status(IntEnum):
    """Where a session is in its life; see the transition table in `lifecycle`."""

    ACTIVE = 0
    DRAINING = 1
    CLOSED = 2
    CANCELLED = 3
    FAULTED = 4


class EdgeConfig(NamedTuple):
    """The settled configuration of one directed edge, as the session descriptor holds it."""

    sender: str
    receiver: str
    replay: str
    buffer: str
    capacity: int
    policy: str
    resize_max: int
    payload: str


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
    session: bytes
    role: str
    sender: str
    generation: int
    consumed: int
    discarded: int
    root: bytes | None
    signature: bytes
    signer: bytes


class StatusChanged(NamedTuple):
    """`detail` says why: a fault code, a cancel reason, or "". `epoch` is the one after."""

    session: bytes
    status: Status
    epoch: int
    detail: str


class Undelivered(NamedTuple):
    """A signed message that its receiver will never take, listed when the session ended."""

    session: bytes
    sender: str
    receiver: str
    generation: int
    sequence: int


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
    """`parent` is b"" for the first coroutine; `program` is an index into the image."""

    coroutine: bytes
    parent: bytes
    program: int


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


Event: TypeAlias = (
    Opened
    | Sent
    | Received
    | Delegated
    | Noticed
    | Receipted
    | StatusChanged
    | Undelivered
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
    | Acquired
    | Released
    | Resumed
)
