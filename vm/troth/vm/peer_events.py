"""What a machine says happened in sessions that it shares with other machines.

They are events like those of `events`, which has them all.
"""

from __future__ import annotations

from typing import NamedTuple

from troth.vm.statements import StepKind


class Met(NamedTuple):
    """An input: the other machines of a session that a coroutine opens have been found.

    `parties` are (role, public key, nonce), in the order of the protocol's roles.
    """

    coroutine: bytes
    parties: tuple[tuple[str, bytes, bytes], ...]
    round_number: int


class Joined(NamedTuple):
    """A role of this machine takes part."""

    session: bytes
    role: str
    nonce: bytes
    signature: bytes
    signer: bytes


class Failed(NamedTuple):
    """This machine told the others that it has ended the session.

    `code` is a fault's, or `ENDED_BY_HOST`.
    """

    session: bytes
    role: str
    code: str
    reason: str
    signature: bytes
    signer: bytes


class Proof(NamedTuple):
    """Where a message stands in its sender's log: what the head of `size` leaves covers.

    `number` is the record's in the sender's file, `leaf` counts the log's leaves from 0, `path`
    are the hashes that lead to the root (RFC 6962), 32 bytes each.
    """

    size: int
    number: int
    leaf: int
    path: bytes


class Arrived(NamedTuple):
    """An input: a message of another machine passed its checks, before `round_number + 1`.

    `proof` is set instead of `signature` where the session is sealed by round. `signer` is the
    receiver's, whose log has the record.
    """

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
    proof: Proof | None
    round_number: int
    signer: bytes


class Refused(NamedTuple):
    """An input: a message of another machine failed a check. `digest` is its identity's."""

    session: bytes
    sender: str
    receiver: str
    code: str
    digest: bytes
    round_number: int


class PeerHead(NamedTuple):
    """An input: the signed head of the log of a principal at another machine."""

    principal: bytes
    log_id: bytes
    size: int
    root: bytes
    previous_root: bytes
    head_round: int
    sessions_open: int
    sessions_ended: int
    final: bool
    signature: bytes
    round_number: int


class PeerJoined(NamedTuple):
    """`nonce` is what the role has added to that of the session; the meeting has it on record."""

    session: bytes
    role: str
    signature: bytes
    round_number: int
    nonce: bytes


class PeerDelegated(NamedTuple):
    session: bytes
    role: str
    old: bytes
    new: bytes
    signature: bytes
    round_number: int


class PeerNoticed(NamedTuple):
    session: bytes
    role: str
    finals: tuple[tuple[str, int, int], ...]
    signature: bytes
    round_number: int


class PeerRotated(NamedTuple):
    """A role of another machine is done with a generation."""

    session: bytes
    role: str
    receiver: str
    generation: int
    messages: int
    signature: bytes
    round_number: int


class PeerReceipted(NamedTuple):
    session: bytes
    role: str
    sender: str
    generation: int
    consumed: int
    reliable: int
    discarded: int
    root: bytes | None
    signature: bytes
    round_number: int


class PeerCancelled(NamedTuple):
    session: bytes
    role: str
    reason: str
    signature: bytes
    round_number: int


class PeerFailed(NamedTuple):
    session: bytes
    role: str
    code: str
    reason: str
    signature: bytes
    round_number: int
