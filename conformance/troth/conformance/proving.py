"""Makes the proof of one record from an artifact."""

from __future__ import annotations

from typing import BinaryIO, Final

from troth.conformance.event_proof import EventProof, check_event
from troth.conformance.run_logs import Leaf, RunLog, RunLogs
from troth.vm import events as ev
from troth.vm.descriptor import Descriptor
from troth.vm.errors import Unusable
from troth.vm.lifecycle import LIVE


def event_of(stream: BinaryIO, number: int, *, with_payload: bool = True) -> EventProof:
    """The proof of record `number` under the last head that its principal signed over it.

    Raises:
        Unusable: codes `prove.event`, `prove.unsealed`, `artifact.io`.
        Malformed, LimitExceeded: the file is not an artifact, or a head in it does not hold.
    """
    logs = RunLogs(stream, marked=number)
    found: Leaf | None = None
    descriptors: dict[bytes, bytes] = {}
    descriptor: bytes | None = None
    for leaf in logs:
        if isinstance(leaf.event, ev.Opened):
            descriptors[leaf.event.session] = descriptor_of_session(leaf.event)
        if leaf.record.index == number:
            found = leaf
            descriptor = _descriptor_of(leaf, descriptors)
        if isinstance(leaf.event, ev.StatusChanged) and leaf.event.status not in LIVE:
            descriptors.pop(leaf.event.session, None)
    if found is None:
        raise Unusable(
            "prove.event",
            f"the artifact has no record {number} that a log holds",
            expected="the number of a record that is not a SEAL",
            actual=str(number),
            advice="`troth inspect --events` lists the records with their numbers",
        )
    proof = _proof(found, _log_of(found, logs), descriptor, with_payload=with_payload)
    check_event(proof)
    return proof


_STATEMENTS: Final = (
    ev.Sent,
    ev.Arrived,
    ev.Noticed,
    ev.Receipted,
    ev.Rotated,
    ev.Cancelled,
    ev.Delegated,
    ev.Joined,
    ev.Failed,
)


def _log_of(leaf: Leaf, logs: RunLogs) -> RunLog:
    for log in logs.logs.values():
        covered = log.head is not None and log.head.size > (leaf.log.index or 0)
        if log.path is leaf.log and covered:
            return log
    raise Unusable(
        "prove.unsealed",
        f"no head that its principal signed covers record {leaf.record.index}",
        expected="a SEAL after the record",
        actual="a file that stops before it" if logs.torn else "none",
        advice="Ask for the whole artifact",
    )


def _proof(leaf: Leaf, log: RunLog, descriptor: bytes | None, *, with_payload: bool) -> EventProof:
    assert log.head is not None
    assert leaf.log.index is not None
    salt = payload = None
    if with_payload and isinstance(leaf.event, ev.Sent | ev.Arrived) and leaf.event.salt:
        salt, payload = leaf.event.salt, leaf.event.payload
    return EventProof(
        name=log.name,
        public_key=log.key,
        record=leaf.record.index,
        leaf_index=leaf.log.index,
        covered=leaf.covered,
        path=log.head_path,
        head=log.head,
        signature=log.signature,
        descriptor=descriptor,
        salt=salt,
        payload=payload,
    )


def descriptor_of_session(event: ev.Opened) -> bytes:
    """The canonical bytes of what the session was opened with."""
    return Descriptor(
        event.protocol_id,
        event.protocol,
        event.roles,
        event.principals,
        event.edges,
        event.seal,
        event.linger_ns,
        event.nonce,
        event.observed,
    ).encode()


def _descriptor_of(leaf: Leaf, descriptors: dict[bytes, bytes]) -> bytes | None:
    """Only a statement, or its arrival, names its session by the hash of the descriptor."""
    event = leaf.event
    if isinstance(event, ev.Cancelled) and not event.role:
        return None
    if isinstance(event, _STATEMENTS):
        return descriptors.get(event.session)
    return None
