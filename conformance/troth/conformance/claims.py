"""Finds in an artifact what shows that somebody said something: the material of a proof.

A statement is found by its record's number: one that the file's own machine made, or one that
came to it from another machine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, TypeAlias

from troth.conformance.equivocation import Claim, Delegation, LogPlace, SignedHead
from troth.conformance.heads import Head
from troth.conformance.proving import descriptor_of_session, event_of
from troth.vm import events as ev
from troth.vm import statements
from troth.vm.covered import statement_of
from troth.vm.events import Event
from troth.vm.merkle import verify_inclusion
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder
from troth.vm.statements import DIGEST_BYTES

Reopen: TypeAlias = Callable[[], AbstractContextManager[BinaryIO]]


class Found(NamedTuple):
    """A claim, with the descriptor of the session that it belongs to."""

    descriptor: bytes
    claim: Claim


class _Session:
    """Who has had authority for each role so far, and by which delegations."""

    def __init__(self, event: ev.Opened) -> None:
        self.descriptor = descriptor_of_session(event)
        self.signers = dict(zip(event.roles, event.principals, strict=True))
        self.delegations: dict[str, tuple[Delegation, ...]] = dict.fromkeys(event.roles, ())

    def delegate(self, event: ev.Delegated | ev.PeerDelegated) -> None:
        step = Delegation(event.new, event.signature)
        self.delegations[event.role] = (*self.delegations[event.role], step)
        self.signers[event.role] = event.new


def claim_of(reopen: Reopen, record: int) -> Found | None:
    """What record `record` shows somebody to have said; None when it shows nothing.

    Raises:
        Malformed, LimitExceeded, Unusable: the file cannot be followed that far.
    """
    sessions: dict[bytes, _Session] = {}
    heads: list[ev.PeerHead] = []
    decoder = EventDecoder()
    with reopen() as stream:
        for raw in ArtifactReader(stream):
            event = decoder.decode(raw)
            if raw.index == record:
                return _claim(event, sessions, heads, lambda: _sealed(reopen, record))
            match event:
                case ev.Opened():
                    sessions[event.session] = _Session(event)
                case ev.Delegated() | ev.PeerDelegated():
                    sessions[event.session].delegate(event)
                case ev.PeerHead():
                    heads.append(event)
    return None


def _claim(
    event: Event | None,
    sessions: dict[bytes, _Session],
    heads: list[ev.PeerHead],
    sealed: Callable[[], LogPlace],
) -> Found | None:
    said = said_in(event)
    if said is None:
        return None
    session = sessions[said.session]
    signer = session.signers[said.role]
    place = None
    if not said.signature:
        # Sealed by round: in the machine's own log, or in the one that the message came from.
        if isinstance(event, ev.Arrived):
            place = _arrived(event, said.statement, signer, heads)
        else:
            place = sealed()
        if place is None:
            return None
    delegations = session.delegations[said.role]
    claim = Claim(said.statement, signer, delegations, said.signature or None, place)
    return Found(session.descriptor, claim)


class Said(NamedTuple):
    """A statement in an event: of this machine, or of another one that it came from."""

    session: bytes
    role: str
    statement: bytes
    signature: bytes
    own: bool


def said_in(event: Event | None) -> Said | None:
    """The statement that an event holds; None for one of none that parties are compared by."""
    match event:
        case ev.Sent():
            return _said(event, event.sender, statement_of(event), own=True)
        case ev.Arrived():
            said = statements.message_statement(*event[:7], event.commitment)
            return _said(event, event.sender, said, own=False)
        case ev.Noticed() | ev.Receipted() | ev.Failed() | ev.Joined():
            return _said(event, event.role, statement_of(event), own=True)
        case ev.Cancelled() if event.role:
            return _said(event, event.role, statement_of(event), own=True)
        case ev.PeerJoined():
            said = statements.join_statement(event.session, event.role, event.nonce)
            return _said(event, event.role, said, own=False)
        case ev.PeerNoticed():
            return _said(event, event.role, statements.notice_statement(*event[:3]), own=False)
        case ev.PeerReceipted():
            return _said(event, event.role, statements.receipt_statement(*event[:8]), own=False)
        case ev.PeerCancelled():
            return _said(event, event.role, statements.cancel_statement(*event[:3]), own=False)
        case ev.PeerFailed():
            return _said(event, event.role, statements.fail_statement(*event[:4]), own=False)
    return None


def _said(
    event: ev.Sent
    | ev.Arrived
    | ev.Noticed
    | ev.Receipted
    | ev.Failed
    | ev.Joined
    | ev.Cancelled
    | ev.PeerJoined
    | ev.PeerNoticed
    | ev.PeerReceipted
    | ev.PeerCancelled
    | ev.PeerFailed,
    role: str,
    statement: bytes | None,
    *,
    own: bool,
) -> Said:
    assert statement is not None, "the event holds a statement"
    return Said(event.session, role, statement, event.signature, own)


def _sealed(reopen: Reopen, record: int) -> LogPlace:
    with reopen() as stream:
        proof = event_of(stream, record, with_payload=False)
    return LogPlace(proof.record, proof.leaf_index, proof.path, proof.head, proof.signature)


def _arrived(
    event: ev.Arrived, statement: bytes, signer: bytes, heads: list[ev.PeerHead]
) -> LogPlace | None:
    proof = event.proof
    if proof is None:
        return None
    path = tuple(
        proof.path[at : at + DIGEST_BYTES] for at in range(0, len(proof.path), DIGEST_BYTES)
    )
    leaf = proof.number.to_bytes(8, "big") + statement
    for head in reversed(heads):
        if (head.principal, head.size) == (signer, proof.size) and verify_inclusion(
            leaf, proof.leaf, proof.size, path, head.root
        ):
            signed = head_of(head)
            return LogPlace(proof.number, proof.leaf, path, *signed)
    return None


def head_of(event: ev.PeerHead) -> SignedHead:
    """The head that came from another machine, as it was signed."""
    return SignedHead(Head(*event[1:9]), event.signature)
