"""The records of an artifact, as arrays: kinds, fields, and who owns which.

A record is a canonical msgpack array whose first item is its kind. Records are numbered from 0.
Sessions, principals, protocols and coroutines are named by the order in which their OPEN,
PRINCIPAL, PROTOCOL and SPAWN records appear; roles by their place in the protocol's role list,
labels by their place in its label list.

Every record but SEAL is a leaf of exactly one principal's log: PRINCIPAL of its own, the
records in `SIGNER_OWNED` of the signer of the endpoint that acts, all others of principal 0.
Records that come before the first PRINCIPAL are the first leaves of log 0.
A leaf is the record's number (8 bytes, big endian) followed by what it covers: for a record that
carries a statement (`STATED`, and CANCEL by a role) the statement's bytes, for ARRIVE what
`covered.arrival_cover` says, for all others the record's bytes. A statement holds a commitment
where the record holds a payload, so a payload can be taken out of an artifact without breaking a
seal.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

MAGIC: Final = b"\x89TROTH\r\n"
"""Eight bytes: not text, and damaged visibly by a transfer that rewrites line ends."""

FORMAT_VERSION: Final = 1
"""The header's second item. A reader refuses any other with `artifact.version`."""


class Kind(IntEnum):
    """`[kind, field, …]`; a field marked `?` may be nil.

    | kind | fields after the kind |
    |---|---|
    | HEADER | version, image id, seed, quantum, policy, limits, runner, then as below |
    | | replay override?, seal override?, entry program, unix time anchor ns, home roles?, |
    | | observed roles? |
    | IMAGE | image bytes |
    | PRINCIPAL | name, public key |
    | PROTOCOL | protocol id, name, roles, labels |
    | OPEN | session id, protocol, principals, edge rows, seal, linger ns, nonce, coroutine, |
    | | observed roles |
    | SEND | session, sender, receiver, step kind, label, generation, sequence, then |
    | | salt?, payload?, commitment?, signature |
    | RECEIVE | session, receiver, sender, generation, sequence, root? |
    | DELEGATE | session, role, new principal, signature |
    | NOTICE | session, role, rows of (receiver, generation, count), signature |
    | RECEIPT | session, receiver, sender, generation, consumed, reliable, discarded, then |
    | | root?, signature |
    | ROTATE | session, sender, receiver, generation, count, signature |
    | RETIRE | session, receiver, sender, generation, root? |
    | STATUS | session, status, epoch, detail |
    | UNDELIVERED | session, sender, receiver, generation, sequence |
    | OVERWRITE | session, sender, receiver, generation, sequence |
    | DROP | session, sender, receiver, label |
    | REJECT | session, sender, receiver, code, digest |
    | CANCEL | session, role?, reason, round?, signature |
    | FAULT | coroutine, code, message, program, pc, session?, role? |
    | SPAWN | parent?, program, coroutine id |
    | TRANSFER | session, role, from coroutine, to coroutine |
    | HALT | coroutine |
    | PRINT | coroutine, text |
    | INVOKE | coroutine, effect, effect id, arguments |
    | COMPLETE | effect id, failed, result, round |
    | TIME | now ns, round |
    | ACQUIRE | coroutine, guard |
    | RELEASE | coroutine, guard |
    | END | rounds, records before this one, outcome |
    | SEAL | principal, log size, root, previous root, round, sessions open, then |
    | | sessions ended, final, signature |
    | INCARNATION | number, round, unix time anchor ns |
    | PEER | name, public key |
    | MEET | coroutine, rows of (role name, public key, nonce), round |
    | JOIN | session, role, signature |
    | FAIL | session, role, code, reason, signature |
    | ARRIVE | session, sender, receiver, step kind, label, generation, sequence, then |
    | | salt?, payload?, commitment?, signature, head size?, number?, leaf?, path?, round |
    | REFUSE | session, sender, receiver, code, digest, round |
    | PEER_HEAD | principal, log id, size, root, previous root, its round, sessions open, then |
    | | sessions ended, final, signature, round |
    | PEER_JOIN | session, role, signature, round |
    | PEER_NOTICE | session, role, rows of (receiver, generation, count), signature, round |
    | PEER_RECEIPT | session, receiver, sender, generation, consumed, reliable, discarded, then |
    | | root?, signature, round |
    | PEER_ROTATE | session, sender, receiver, generation, count, signature, round |
    | PEER_CANCEL | session, role, reason, signature, round |
    | PEER_FAIL | session, role, code, reason, signature, round |
    | PEER_DELEGATE | session, role, new principal, signature, round |
    | ASK_END | session, now ns, round |
    | BUNDLE | bundle id, name, roles, principals, rows of (name, protocol, players), then |
    | | nonce, coroutine |
    | TIMER | session, role, now ns, round |
    | EXPIRE | session, role, coroutine |
    | TROUBLE | session, trouble, role, peer?, until ns?, round |
    | DEPART | session, role |
    | DETECT | session, receiver, sender |

    A SEND has either salt and payload (inline) or the commitment (digest), never both.
    The file ends with END and one SEAL per principal that keeps a log here, in their order.
    PEER introduces a principal whose endpoints are at another machine, whose log is kept there;
    PRINCIPAL and PEER records are numbered together.
    An ARRIVE has a signature, or in a session that is sealed by round the place of its leaf in
    the log of its sender, under the last PEER_HEAD of that size.
    """

    HEADER = 0
    IMAGE = 1
    PRINCIPAL = 2
    PROTOCOL = 3
    OPEN = 4
    SEND = 5
    RECEIVE = 6
    DELEGATE = 7
    NOTICE = 8
    RECEIPT = 9
    STATUS = 10
    UNDELIVERED = 11
    REJECT = 12
    CANCEL = 13
    FAULT = 14
    SPAWN = 15
    TRANSFER = 16
    HALT = 17
    PRINT = 18
    INVOKE = 19
    COMPLETE = 20
    TIME = 21
    END = 22
    SEAL = 23
    ACQUIRE = 24
    RELEASE = 25
    INCARNATION = 26
    PEER = 27
    MEET = 28
    JOIN = 29
    FAIL = 30
    ARRIVE = 31
    REFUSE = 32
    PEER_HEAD = 33
    PEER_JOIN = 34
    PEER_NOTICE = 35
    PEER_RECEIPT = 36
    PEER_CANCEL = 37
    PEER_FAIL = 38
    PEER_DELEGATE = 39
    OVERWRITE = 40
    DROP = 41
    ASK_END = 42
    ROTATE = 43
    RETIRE = 44
    PEER_ROTATE = 45
    BUNDLE = 46
    TIMER = 48
    EXPIRE = 49
    TROUBLE = 50
    DEPART = 51
    DETECT = 52


STATED: Final = frozenset(
    {
        Kind.SEND,
        Kind.DELEGATE,
        Kind.NOTICE,
        Kind.RECEIPT,
        Kind.ROTATE,
        Kind.CANCEL,
        Kind.JOIN,
        Kind.FAIL,
    }
)
"""Records that carry a statement of their signer (CANCEL only when it has a role)."""

SIGNER_OWNED: Final = STATED | {
    Kind.RECEIVE,
    Kind.ARRIVE,
    Kind.RETIRE,
    Kind.TIMER,
    Kind.EXPIRE,
    Kind.DETECT,
}
"""CANCEL by the host has no role and belongs to principal 0."""

PEER_INPUTS: Final = frozenset(
    {
        Kind.MEET,
        Kind.ARRIVE,
        Kind.REFUSE,
        Kind.PEER_HEAD,
        Kind.PEER_JOIN,
        Kind.PEER_NOTICE,
        Kind.PEER_RECEIPT,
        Kind.PEER_ROTATE,
        Kind.PEER_CANCEL,
        Kind.PEER_FAIL,
        Kind.PEER_DELEGATE,
    }
)
"""What came from other machines: the last field is how many rounds had run by then."""

SEAL_EVERY_LEAVES: Final = 4096
"""A principal signs its log's head at the latest after this many new leaves."""
